//! Functions of plugins, called by queries.
//!
//! | file | is |
//! |---|---|
//! | `called.rs` | one call: its arguments are cut, its answer is checked |
//! | `held.rs` | what a call holds, charged to who pays for it |
//! | `values.rs` | columns and states that plugins give |

mod called;
mod held;
mod values;

use std::fmt;
use std::sync::Arc;

use hashbrown::HashSet;
use isinglass_model::Tenant;
use isinglass_model::columns::Column;
use isinglass_model::functions::{
    CallError, CallMemory, ColumnFunction, FunctionSignature, FunctionSource, States, ValueType, Volatility,
};

use crate::abi::{FunctionKindOut, SignatureOut, ValueTypeOut, VolatilityOut};
use crate::chain::Chain;
use crate::config::World;
use crate::error::ChainError;
use crate::failure::{Failure, shorten};
use crate::live::LiveChain;
use crate::plugin::{Caller, Plugin};
pub(crate) use called::Called;

const FUNCTIONS_MAX: usize = 256;
const ARGUMENTS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 64;
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
                    memory: None,
                }));
            }
        }
        all
    }
}

#[derive(Clone)]
struct Function {
    chain: Arc<Chain>,
    plugin: usize,
    tenant: Tenant,
    identity: String,
    function: u16,
    signature: Arc<FunctionSignature>,
    /// Who pays for calls.
    memory: Option<Arc<dyn CallMemory>>,
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

    fn charged_to(&self, memory: Arc<dyn CallMemory>) -> Arc<dyn ColumnFunction> {
        Arc::new(Self { memory: Some(memory), ..self.clone() })
    }

    fn call(&self, rows: usize, arguments: &[Column]) -> Result<Column, CallError> {
        self.called().call(rows, arguments)
    }

    fn accumulate(
        &self,
        groups: usize,
        group_of_row: &[u32],
        rows: usize,
        arguments: &[Column],
    ) -> Result<States, CallError> {
        self.called().accumulate(groups, group_of_row, rows, arguments)
    }

    fn merge(&self, groups: usize, states: &States) -> Result<States, CallError> {
        self.called().merge(groups, states)
    }

    fn finish(&self, states: &States) -> Result<Column, CallError> {
        self.called().finish(states)
    }
}

impl Function {
    fn called(&self) -> Called<'_> {
        let caller = self.chain.caller(&self.tenant, self.chain.clock.now_unix_nanos());
        Called {
            plugin: &self.chain.plugins[self.plugin],
            caller: Caller { memory: self.memory.as_ref(), ..caller },
            function: self.function,
            signature: &self.signature,
            failures_count: true,
        }
    }
}
