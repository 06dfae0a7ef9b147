//! Calls of functions: what a case says of them, and what the plugin gives.

use anyhow::{Context as _, ensure};
use isinglass_chain::rehearsal::{PlayedFunction, Player};
use isinglass_model::columns::Column;
use isinglass_model::functions::Volatility;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde::Deserialize;
use toml::Value;

use super::aggregates;
use super::cells::{self, Cell};
use super::compare;
use super::ways::{self, Way};

/// A call as a case writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) function: String,
    /// A list per argument, a value per row; an empty list in it is null.
    #[serde(default)]
    arguments: Vec<Vec<Value>>,
    /// The group of each row, from 0; empty = all rows are one.
    #[serde(default)]
    pub(super) groups: Vec<u32>,
    /// A value per row, of an aggregate per group.
    returns: Option<Vec<Value>>,
    /// How far off a float may be.
    #[serde(default)]
    within: f64,
    /// Part of the sentence with which the call fails.
    fails: Option<String>,
}

/// What a call gave: values, or the sentence with which it failed.
pub(super) type Given = Result<Vec<Cell>, String>;

impl Call {
    /// Whether it says what it must, as far as that can be told without the plugin.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.returns.is_some() != self.fails.is_some(), "a call either returns or fails");
        let rows = self.rows();
        let even = self.arguments.iter().all(|argument| argument.len() == rows);
        ensure!(even, "arguments of unequal length");
        ensure!(
            self.groups.is_empty() || self.groups.len() == rows,
            "{} groups of {rows} rows",
            self.groups.len()
        );
        let count = self.group_count();
        let beyond = self.groups.iter().find(|group| **group as usize >= count);
        ensure!(beyond.is_none(), "group {} of {count}: returns has a value per group", beyond.unwrap_or(&0));
        Ok(())
    }

    /// Whether it shows rows that are not at fault.
    pub(super) fn gives_values(&self) -> bool {
        self.returns.is_some() && self.rows() > 0
    }

    fn rows(&self) -> usize {
        let returned = self.returns.as_ref().map_or(1, Vec::len);
        self.arguments.first().map_or(returned, Vec::len)
    }

    pub(super) fn group_count(&self) -> usize {
        let named = self.groups.iter().max().map_or(1, |most| *most as usize + 1);
        self.returns.as_ref().map_or(named, Vec::len)
    }

    /// The columns of its arguments.
    pub(in crate::plugin) fn columns(&self) -> Vec<Vec<Cell>> {
        self.arguments.iter().map(|argument| argument.iter().map(cell).collect()).collect()
    }
}

fn cell(value: &Value) -> Cell {
    let none = value.as_array().is_some_and(Vec::is_empty);
    (!none).then(|| value.clone())
}

/// What is wrong with the first call that does not give what it should.
pub(super) fn all(player: Player<'_>, calls: &[Call], now: i64, seed: u64) -> anyhow::Result<Vec<String>> {
    for (at, call) in (1..).zip(calls) {
        let named = || format!("call {at} of {}", call.function);
        let differ = check(player, call, now, seed).with_context(named)?;
        if !differ.is_empty() {
            return Ok(differ.into_iter().map(|line| format!("call {at}: {line}")).collect());
        }
    }
    Ok(Vec::new())
}

/// What is wrong with the answers to a call, however its rows are cut, ordered and merged.
fn check(player: Player<'_>, call: &Call, now: i64, seed: u64) -> anyhow::Result<Vec<String>> {
    let known = || player.functions().iter().map(|known| known.name.clone()).collect::<Vec<_>>().join(", ");
    let function = player.function(&call.function, now);
    let function = function.with_context(|| format!("there is no such function; there are {}", known()))?;
    let signature = function.signature();
    let (wanted, given) = (signature.arguments.len(), call.arguments.len());
    ensure!(wanted == given, "it has {wanted} arguments, not {given}");
    ensure!(signature.aggregate || call.groups.is_empty(), "only an aggregate has groups");
    let count = if signature.aggregate { call.group_count() } else { call.rows() };
    if let Some(returns) = &call.returns {
        ensure!(returns.len() == count, "{} values of {count} rows", returns.len());
    }

    let columns = call.columns();
    let mut ways = ways::all(call.rows(), seed);
    if signature.volatility == Volatility::Volatile {
        ways.truncate(1);
    }
    let mut first: Option<Given> = None;
    for (at, way) in ways.iter().enumerate() {
        let merging = (at > 0).then(|| StdRng::seed_from_u64(seed ^ at as u64));
        let given = match signature.aggregate {
            true => aggregates::given(function, call, &columns, way, merging)?,
            false => by_row(function, &columns, way)?,
        };
        let differ = match &first {
            None => differ(call, &wanted_of(call), &given),
            Some(first) => {
                let lines = differ(call, first, &given).into_iter();
                lines.map(|line| format!("{} {}: {line}", ways::DEPENDS, way.name)).collect()
            }
        };
        if !differ.is_empty() {
            return Ok(differ);
        }
        first.get_or_insert(given);
    }
    Ok(Vec::new())
}

fn wanted_of(call: &Call) -> Given {
    match (&call.returns, &call.fails) {
        (Some(values), _) => Ok(values.iter().map(cell).collect()),
        (None, part) => Err(part.clone().unwrap_or_default()),
    }
}

fn differ(call: &Call, wanted: &Given, given: &Given) -> Vec<String> {
    match (wanted, given) {
        (Ok(wanted), Ok(given)) => {
            let rows = wanted.iter().zip(given).enumerate();
            let rows = rows.filter(|(_, (wanted, given))| !same(wanted, given, call.within));
            let what = |row| format!("{} at {row}", call.function);
            rows.map(|(row, (wanted, given))| compare::line(&what(row), said(wanted), said(given))).collect()
        }
        // Where a fault is named, the row depends on the way.
        (Err(_), Err(given)) if call.fails.as_ref().is_some_and(|part| given.contains(part)) => Vec::new(),
        (Err(wanted), Err(given)) => vec![compare::line(&call.function, wanted, given)],
        (Ok(_), Err(given)) => vec![compare::line(&call.function, "values", given)],
        (Err(wanted), Ok(_)) => vec![compare::line(&call.function, wanted, "values")],
    }
}

fn said(cell: &Cell) -> String {
    cell.as_ref().map_or_else(|| "null".to_owned(), Value::to_string)
}

fn same(wanted: &Cell, given: &Cell, within: f64) -> bool {
    let (Some(wanted), Some(given)) = (wanted, given) else { return wanted.is_none() && given.is_none() };
    match (cells::float(wanted), cells::float(given)) {
        (Some(wanted), Some(given)) => {
            (wanted - given).abs() <= within || compare::rounded(wanted) == compare::rounded(given)
        }
        _ => wanted == given,
    }
}

/// The columns of some rows.
pub(super) fn chosen(
    function: PlayedFunction<'_>,
    columns: &[Vec<Cell>],
    rows: &[usize],
) -> anyhow::Result<Vec<Column>> {
    let mut chosen = Vec::with_capacity(columns.len());
    for (at, (ty, cells)) in function.signature().arguments.iter().zip(columns).enumerate() {
        let cells: Vec<&Cell> = rows.iter().map(|row| &cells[*row]).collect();
        chosen.push(cells::column(*ty, &cells).with_context(|| format!("argument {}", at + 1))?);
    }
    Ok(chosen)
}

fn by_row(function: PlayedFunction<'_>, columns: &[Vec<Cell>], way: &Way) -> anyhow::Result<Given> {
    let mut all: Vec<Cell> = vec![None; way.batches.iter().map(Vec::len).sum()];
    for rows in &way.batches {
        let values = match function.call(rows.len(), &chosen(function, columns, rows)?) {
            Ok(values) => cells::read(&values)?,
            Err(fault) => return Ok(Err(fault)),
        };
        rows.iter().zip(values).for_each(|(row, value)| all[*row] = value);
    }
    Ok(Ok(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: &str) -> anyhow::Result<Call> {
        let call: Call = toml::from_str(text)?;
        call.check().map(|()| call)
    }

    #[test]
    fn faults_are_named() {
        let check = |text: &str, fault: &str| {
            let error = format!("{:#}", call(text).unwrap_err());
            assert!(error.contains(fault), "{error}");
        };
        check("function = \"f\"", "either returns or fails");
        check("function = \"f\"\nreturns = [1]\nfails = \"x\"", "either returns or fails");
        check("function = \"f\"\narguments = [[1], [1, 2]]\nreturns = [1]", "unequal length");
        check("function = \"f\"\narguments = [[1]]\ngroups = [0, 1]\nreturns = [1, 2]", "2 groups of 1 rows");
        check("function = \"f\"\narguments = [[1]]\ngroups = [3]\nreturns = [1, 2]", "group 3 of 2");
    }

    #[test]
    fn values_are_the_same_up_to_rounding() {
        let cell = |value: f64| Some(Value::Float(value));
        assert!(same(&cell(0.3), &cell(0.1 + 0.2), 0.0));
        assert!(same(&Some(Value::Integer(2)), &cell(2.0), 0.0));
        assert!(same(&cell(877.0), &cell(877.4), 0.5) && !same(&cell(877.0), &cell(877.4), 0.3));
        assert!(!same(&None, &cell(0.0), 0.0) && same(&None, &None, 0.0));
        assert!(same(&cell(f64::NAN), &cell(f64::NAN), 0.0));
        assert!(!same(&Some(Value::String("a".into())), &cell(0.0), 9.0));
    }
}
