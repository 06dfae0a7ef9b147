//! Functions of plugins, called by queries.

mod values;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashSet;
use isinglass_model::Tenant;
use isinglass_model::columns::{Column, ColumnData};
use isinglass_model::functions::{
    CallError, ColumnFunction, FunctionSignature, FunctionSource, States, ValueType, Volatility,
};

use crate::abi::{
    ColumnIn, ColumnOut, FaultOut, FunctionKindOut, SignatureOut, TextIn, TextOut, ValueTypeOut,
    VolatilityOut,
};
use crate::chain::Chain;
use crate::columns::{Prepared, Text};
use crate::config::World;
use crate::cuts::cuts;
use crate::error::ChainError;
use crate::failure::{Failure, shorten};
use crate::instance::{Context, Instance};
use crate::live::LiveChain;
use crate::plugin::Plugin;
use values::{concat, concat_states, empty_text, texts, value};

const FUNCTIONS_MAX: usize = 256;
const ARGUMENTS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 64;
/// Bytes of text for the rows of one call, all parts together.
const TEXT_BYTES_MAX: usize = 256 << 20;
const HELP_BYTES_MAX: usize = 1 << 10;

/// Checks the functions that a plugin declares.
pub(crate) fn check_signatures(
    all: Vec<SignatureOut>,
    prefix: &str,
) -> Result<Vec<Arc<FunctionSignature>>, Failure> {
    if all.len() > FUNCTIONS_MAX {
        return Err(Failure::contract(format!("{} functions, the limit is {FUNCTIONS_MAX}", all.len())));
    }
    all.into_iter().map(|signature| checked(signature, prefix)).collect()
}

fn checked(out: SignatureOut, prefix: &str) -> Result<Arc<FunctionSignature>, Failure> {
    let name = format!("{prefix}{}", out.name);
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let rest = |c: char| first(c) || c.is_ascii_digit();
    if name.len() > NAME_BYTES_MAX || !name.starts_with(first) || !name.chars().all(rest) {
        return Err(Failure::contract(format!("{:?} is no name of a function", shorten(&name))));
    }
    let fault = |text: &str| Err(Failure::contract(format!("function {name}: {text}")));
    if out.arguments.len() > ARGUMENTS_MAX {
        return fault("more than 16 arguments");
    }
    if out.help.len() > HELP_BYTES_MAX {
        return fault("its help is longer than 1 KiB");
    }
    let aggregate = out.kind == FunctionKindOut::Aggregate;
    if aggregate && out.arguments.is_empty() {
        return fault("an aggregate without arguments");
    }
    Ok(Arc::new(FunctionSignature {
        name,
        aggregate,
        arguments: out.arguments.into_iter().map(value_type).collect(),
        returns: value_type(out.returns),
        volatility: match out.volatility {
            VolatilityOut::Immutable => Volatility::Immutable,
            VolatilityOut::Stable => Volatility::Stable,
            VolatilityOut::Volatile => Volatility::Volatile,
        },
        help: out.help,
    }))
}

fn value_type(out: ValueTypeOut) -> ValueType {
    match out {
        ValueTypeOut::Float64 => ValueType::Float64,
        ValueTypeOut::Int64 => ValueType::Int64,
        ValueTypeOut::Text => ValueType::Text,
        ValueTypeOut::Boolean => ValueType::Boolean,
    }
}

/// No two functions of a chain have one name, whoever's tenants see them.
pub(crate) fn check_names(plugins: &[Plugin]) -> Result<(), ChainError> {
    let mut names = HashSet::new();
    for plugin in plugins {
        let of_plugin: HashSet<&str> =
            plugin.variants.iter().flat_map(|variant| &variant.functions).map(|f| f.name.as_str()).collect();
        let twice = plugin.variants.iter().any(|variant| {
            let mut own = HashSet::new();
            !variant.functions.iter().all(|function| own.insert(function.name.as_str()))
        });
        if let Some(name) = of_plugin.iter().find(|name| twice || names.contains(**name)) {
            return Err(ChainError::Binding {
                binding: plugin.binding.clone(),
                fault: format!("there are two functions {name:?}; give the binding a prefix"),
            });
        }
        names.extend(of_plugin);
    }
    Ok(())
}

/// The functions of the chain in use. A query keeps those that it began with.
impl FunctionSource for LiveChain {
    fn functions(&self, tenant: &Tenant) -> Vec<Arc<dyn ColumnFunction>> {
        self.current().functions(tenant)
    }
}

impl Chain {
    /// The functions that a tenant may call.
    pub fn functions(self: &Arc<Self>, tenant: &Tenant) -> Vec<Arc<dyn ColumnFunction>> {
        let mut all: Vec<Arc<dyn ColumnFunction>> = Vec::new();
        let theirs = self.plugins.iter().enumerate();
        for (at, plugin) in theirs.filter(|(_, p)| p.world == World::Function && p.is_for(tenant)) {
            let variant = plugin.variant_of(tenant);
            for (function, signature) in (0..).zip(&plugin.variants[variant].functions) {
                all.push(Arc::new(Function {
                    chain: Arc::clone(self),
                    plugin: at,
                    tenant: tenant.clone(),
                    identity: format!("{}/{variant}/{}", plugin.component.digest, plugin.binding),
                    function,
                    signature: Arc::clone(signature),
                }));
            }
        }
        all
    }
}

struct Function {
    chain: Arc<Chain>,
    plugin: usize,
    tenant: Tenant,
    identity: String,
    function: u16,
    signature: Arc<FunctionSignature>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.signature.name, self.identity)
    }
}

impl ColumnFunction for Function {
    fn signature(&self) -> &FunctionSignature {
        &self.signature
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn call(&self, rows: usize, arguments: &[Column]) -> Result<Column, CallError> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        self.each_cut(rows, arguments, |cut, lowered| {
            let count = self.number(cut.len())?;
            let out = self.run(cut.len(), |guest, context| {
                guest.call_function(context, self.function, count, lowered)
            })?;
            let part = self.value(out, cut.len())?;
            if let ColumnData::Text(text) = &part.data {
                bytes += text.data.len();
            }
            if bytes > TEXT_BYTES_MAX {
                return Err(self.error(format!("texts of more than {TEXT_BYTES_MAX} bytes"), rows, true));
            }
            parts.push(part);
            Ok(())
        })?;
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => concat(parts, self.signature.returns),
        })
    }

    fn accumulate(
        &self,
        groups: usize,
        group_of_row: &[u32],
        rows: usize,
        arguments: &[Column],
    ) -> Result<States, CallError> {
        let mut all = States { groups: Vec::new(), bytes: empty_text() };
        self.each_cut(rows, arguments, |cut, lowered| {
            let (groups, count) = (self.number(groups)?, self.number(cut.len())?);
            let of_cut = group_of_row.get(cut.clone()).unwrap_or_default();
            let out = self.run(cut.len(), |guest, context| {
                guest.accumulate(context, self.function, (groups, of_cut), count, lowered)
            })?;
            let states = self.states(out, groups as usize, cut.len())?;
            all = if all.groups.is_empty() { states } else { concat_states(&all, &states) };
            Ok(())
        })?;
        Ok(all)
    }

    fn merge(&self, groups: usize, states: &States) -> Result<States, CallError> {
        let rows = states.groups.len();
        let (count, text) = (self.number(groups)?, Text::new(&states.bytes));
        let (lowered, groups_of) = (TextIn { offsets: &text.offsets, data: &text.data }, &states.groups[..]);
        let out = self
            .run(rows, |guest, context| guest.merge(context, self.function, (count, groups_of), lowered))?;
        self.states(out, groups, rows)
    }

    fn finish(&self, states: &States) -> Result<Column, CallError> {
        let rows = states.groups.len();
        let text = Text::new(&states.bytes);
        let lowered = TextIn { offsets: &text.offsets, data: &text.data };
        let out = self.run(rows, |guest, context| guest.finish(context, self.function, lowered))?;
        self.value(out, rows)
    }
}

impl Function {
    fn plugin(&self) -> &Plugin {
        &self.chain.plugins[self.plugin]
    }

    fn error(&self, fault: String, rows: usize, of_arguments: bool) -> CallError {
        CallError {
            function: self.signature.name.clone(),
            plugin: self.plugin().plugin.clone(),
            fault: shorten(&fault),
            rows,
            of_arguments,
        }
    }

    fn number(&self, rows: usize) -> Result<u32, CallError> {
        u32::try_from(rows).map_err(|_| self.error("too many rows for one call".to_owned(), rows, true))
    }

    fn failed(&self, failure: &Failure, rows: usize) -> CallError {
        self.plugin().failed(&self.tenant, failure);
        self.error(failure.to_string(), rows, false)
    }

    /// One call into the plugin; a fault that it names is the query's.
    fn run<R>(
        &self,
        rows: usize,
        call: impl FnOnce(&mut Instance, &Context<'_>) -> Result<Result<R, FaultOut>, Failure>,
    ) -> Result<R, CallError> {
        let caller = self.chain.caller(&self.tenant, self.chain.clock.now_unix_nanos());
        let answer = self.plugin().call(caller, call).map_err(|failure| self.failed(&failure, rows))?;
        crate::stats::Meter::add(&self.plugin().meter.rows, rows as u64);
        answer.map_err(|FaultOut { row, message }| {
            let message = match row {
                Some(row) => format!("row {row}: {message}"),
                None => message,
            };
            self.error(message, rows, true)
        })
    }

    /// Calls `call` for parts of the rows that fit into one call.
    fn each_cut(
        &self,
        rows: usize,
        arguments: &[Column],
        mut call: impl FnMut(Range<usize>, &[ColumnIn<'_>]) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let prepared: Vec<Prepared> =
            arguments.iter().map(|argument| Prepared::new(argument.clone(), None)).collect();
        if prepared.iter().any(|column| column.len() != rows) {
            return Err(self.error("arguments of unequal length".to_owned(), rows, true));
        }
        let columns: Vec<(u16, &Prepared)> = (0..).zip(&prepared).collect();
        for cut in cuts(rows, &columns, self.plugin().call_size) {
            if cut == (0..rows) {
                let lowered: Vec<_> = columns.iter().map(|(slot, column)| column.lower(*slot)).collect();
                call(cut, &lowered)?;
            } else {
                let slices: Vec<_> =
                    columns.iter().map(|(slot, column)| (*slot, column.slice(&cut))).collect();
                let lowered: Vec<_> = slices.iter().map(|(slot, column)| column.lower(*slot)).collect();
                call(cut, &lowered)?;
            }
        }
        Ok(())
    }

    /// A column that the plugin gave, checked.
    fn value(&self, out: ColumnOut, rows: usize) -> Result<Column, CallError> {
        value(out, self.signature.returns, rows).map_err(|fault| self.failed(&Failure::contract(fault), rows))
    }

    /// Byte strings that the plugin gave, one per group.
    fn states(&self, out: TextOut, groups: usize, rows: usize) -> Result<States, CallError> {
        let bytes = texts(out, groups).map_err(|fault| self.failed(&Failure::contract(fault), rows))?;
        // As many as fit 32 bits: `groups` was checked.
        Ok(States { groups: (0..).take(groups).collect(), bytes })
    }
}
