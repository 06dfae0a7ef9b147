//! Functions over columns that others bring: those of plugins, called from SQL and PromQL.

use std::fmt;
use std::sync::Arc;

use crate::columns::{Column, TextBuffers};
use crate::tenant::Tenant;

/// The type of an argument or value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// 64-bit float.
    Float64,
    /// 64-bit integer.
    Int64,
    /// UTF-8 text.
    Text,
    /// True or false: as a column, bytes of 0 and 1.
    Boolean,
}

impl ValueType {
    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Float64 => "float64",
            Self::Int64 => "int64",
            Self::Text => "text",
            Self::Boolean => "boolean",
        }
    }
}

/// Whether the same arguments give the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Volatility {
    /// Always.
    Immutable,
    /// Within a query.
    Stable,
    /// Never.
    Volatile,
}

/// What a function takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionSignature {
    /// Its name in SQL and PromQL.
    pub name: String,
    /// Whether it gives a value per group of rows, not per row.
    pub aggregate: bool,
    /// Types of its arguments.
    pub arguments: Vec<ValueType>,
    /// Type of its value.
    pub returns: ValueType,
    /// Whether it may be called less often than it is written.
    pub volatility: Volatility,
    /// One sentence.
    pub help: String,
}

/// A call that failed, which ends its query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("function {function} of plugin {plugin}: {fault} ({rows} rows)")]
pub struct CallError {
    /// Its name.
    pub function: String,
    /// `name@version`.
    pub plugin: String,
    /// What went wrong.
    pub fault: String,
    /// Rows of the call.
    pub rows: usize,
    /// Whether it is the arguments that are at fault, not the plugin.
    pub of_arguments: bool,
    /// Whether it is the memory that was there for the call, and neither of them.
    pub of_memory: bool,
}

/// Whom the memory of calls is charged to, such as a query.
pub trait CallMemory: Send + Sync + fmt::Debug {
    /// Takes so many bytes more, or says in one sentence why they are not there.
    fn take(&self, bytes: usize) -> Result<(), String>;

    /// Gives bytes back.
    fn give(&self, bytes: usize);
}

/// A function over columns, of one tenant. Calls block.
pub trait ColumnFunction: Send + Sync + fmt::Debug {
    /// What it takes and gives.
    fn signature(&self) -> &FunctionSignature;

    /// What tells it from another of the same name: who brings it, under which configuration.
    fn identity(&self) -> &str;

    /// The same function with somebody who pays: what a guest holds while it is called, its
    /// arguments among that, and what it answers, until it is handed over.
    fn charged_to(&self, memory: Arc<dyn CallMemory>) -> Arc<dyn ColumnFunction>;

    /// A scalar function: a value per row.
    fn call(&self, rows: usize, arguments: &[Column]) -> Result<Column, CallError>;

    /// An aggregate: (group, byte string) for the rows of each group, possibly several of one
    /// group. `group_of_row` is empty if there is one group.
    fn accumulate(
        &self,
        groups: usize,
        group_of_row: &[u32],
        rows: usize,
        arguments: &[Column],
    ) -> Result<States, CallError>;

    /// One byte string per group.
    fn merge(&self, groups: usize, states: &States) -> Result<States, CallError>;

    /// The value of each group; `states` has one byte string per group, in their order.
    fn finish(&self, states: &States) -> Result<Column, CallError>;
}

/// Byte strings of an aggregate, each of a group.
#[derive(Debug, Clone)]
pub struct States {
    /// The group of each.
    pub groups: Vec<u32>,
    /// The byte strings, which need not be UTF-8.
    pub bytes: TextBuffers,
}

/// Knows the functions of each tenant.
pub trait FunctionSource: Send + Sync + fmt::Debug {
    /// The functions that a tenant's queries may call.
    fn functions(&self, tenant: &Tenant) -> Vec<Arc<dyn ColumnFunction>>;
}
