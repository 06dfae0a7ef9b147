//! A value per group.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray};
use arrow_schema::{DataType, Field, FieldRef};
use arrow_select::filter::filter;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature};
use hashbrown::HashMap;
use isinglass_model::functions::States;

use super::columns::{of_array, to_array};
use super::states::{Held, each, text};
use super::{Called, failed};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Aggregate {
    called: Called,
    signature: Signature,
}

impl Aggregate {
    pub(super) fn new(called: Called) -> Self {
        Self { signature: called.signature(), called }
    }

    fn groups(&self, args: &AccumulatorArgs<'_>) -> Result<Groups> {
        if args.is_distinct {
            return exec_err!("{} does not take DISTINCT", self.called.name());
        }
        Ok(Groups { called: self.called.clone(), held: Held::default(), total: 0 })
    }
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        self.called.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.called.returns())
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.called.coerce(types)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), DataType::Binary, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let mut groups = self.groups(&args)?;
        groups.total = 1;
        Ok(Box::new(One(groups)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&args)?))
    }
}

/// The states of all groups.
#[derive(Debug)]
struct Groups {
    called: Called,
    held: Held,
    total: usize,
}

impl Groups {
    fn update(&mut self, arrays: &[ArrayRef], groups: &[usize]) -> Result<()> {
        self.called.check(arrays.iter().map(|array| array.get_array_memory_size()).sum())?;
        let columns = arrays.iter().map(of_array).collect::<Result<Vec<_>>>()?;
        // The plugin is told of the groups of this batch only.
        let mut known = HashMap::<usize, u32, ahash::RandomState>::default();
        let mut local = Vec::new();
        let of_row: Vec<u32> = groups
            .iter()
            .map(|group| {
                *known.entry(*group).or_insert_with(|| {
                    local.push(*group);
                    local.len() as u32 - 1
                })
            })
            .collect();
        let rows = groups.len();
        let states = self
            .called
            .function
            .accumulate(local.len(), &of_row, rows, &columns)
            .map_err(|error| failed(&error))?;
        let number = |group: u32| u32::try_from(local[group as usize]).unwrap_or(u32::MAX);
        each(&states, |group, state| self.held.push(number(group), state));
        self.settle()
    }

    fn settle(&mut self) -> Result<()> {
        Ok(self.held.settle_if_large(&*self.called.function).map_err(|error| failed(&error))?)
    }

    fn grow(&mut self, total: usize) -> Result<()> {
        if u32::try_from(total).is_err() {
            return exec_err!("{} of {total} groups, of at most {}", self.called.name(), u32::MAX);
        }
        self.total = self.total.max(total);
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> Result<(Held, usize)> {
        let groups = match emit_to {
            EmitTo::All => self.total,
            EmitTo::First(first) => first.min(self.total),
        };
        self.held = self.held.settled(&*self.called.function).map_err(|error| failed(&error))?;
        self.total -= groups;
        Ok((self.held.take_first(groups), groups))
    }
}

/// Groups that a plugin is asked for the values of at once.
const FINISHED_MAX: usize = 8_192;

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups)?;
        let Some(wanted) = opt_filter else { return self.update(values, group_indices) };
        // A filter that is null says no, to `filter` as well.
        let values = values.iter().map(|array| Ok(filter(array, wanted)?)).collect::<Result<Vec<_>>>()?;
        let kept = group_indices.iter().zip(wanted).filter(|(_, wanted)| *wanted == Some(true));
        self.update(&values, &kept.map(|(group, _)| *group).collect::<Vec<_>>())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups)?;
        let Some(states) = values.first().and_then(|states| states.as_binary_opt::<i32>()) else {
            return internal_err!("states of {} are not binary", self.called.name());
        };
        for (row, group) in group_indices.iter().enumerate().filter(|(row, _)| states.is_valid(*row)) {
            self.held.push(u32::try_from(*group).unwrap_or(u32::MAX), states.value(row));
        }
        self.settle()
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (held, groups) = self.take(emit_to)?;
        let all: Vec<&[u8]> = held.by_group(groups).collect();
        let mut parts = Vec::new();
        for some in finished_at_once(&all) {
            let numbers = (0..).take(some.len()).collect();
            let states = States { groups: numbers, bytes: text(some.iter().copied()) };
            let values = self.called.function.finish(&states).map_err(|error| failed(&error))?;
            parts.push(to_array(values)?);
        }
        match parts.len() {
            0 => Ok(arrow_array::new_empty_array(&self.called.returns())),
            1 => Ok(parts.remove(0)),
            _ => {
                let parts: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
                Ok(arrow_select::concat::concat(&parts)?)
            }
        }
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (held, groups) = self.take(emit_to)?;
        Ok(vec![Arc::new(BinaryArray::from_iter_values(held.by_group(groups)))])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |array| array.len());
        let mut each_row = Self { called: self.called.clone(), held: Held::default(), total: 0 };
        let groups: Vec<usize> = (0..rows).collect();
        each_row.update_batch(values, &groups, opt_filter, rows)?;
        each_row.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.held.bytes()
    }
}

/// Parts of the states of a few MiB and groups.
fn finished_at_once<'a, 's>(states: &'a [&'s [u8]]) -> Vec<&'a [&'s [u8]]> {
    const BYTES_MAX: usize = 4 << 20;
    let mut parts = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, state) in states.iter().enumerate() {
        if at > from && (bytes + state.len() > BYTES_MAX || at - from >= FINISHED_MAX) {
            parts.push(&states[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += state.len();
    }
    if from < states.len() {
        parts.push(&states[from..]);
    }
    parts
}

/// Without groups, and in windows.
#[derive(Debug)]
struct One(Groups);

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |array| array.len());
        self.0.update(values, &vec![0; rows])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |array| array.len());
        GroupsAccumulator::merge_batch(&mut self.0, states, &vec![0; rows], 1)
    }

    /// A window asks again and again, so what is known stays.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let (held, _) = self.0.take(EmitTo::All)?;
        let state: Vec<u8> = held.by_group(1).flatten().copied().collect();
        let states = States { groups: vec![0], bytes: text(std::iter::once(&state[..])) };
        self.0.held.push(0, &state);
        self.0.total = 1;
        let value = self.0.called.function.finish(&states).map_err(|error| failed(&error))?;
        ScalarValue::try_from_array(&to_array(value)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = GroupsAccumulator::state(&mut self.0, EmitTo::All)?;
        self.0.total = 1;
        states.iter().map(|states| ScalarValue::try_from_array(states, 0)).collect()
    }

    fn size(&self) -> usize {
        std::mem::size_of_val(self) + self.0.held.bytes()
    }
}
