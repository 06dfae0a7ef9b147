//! `system.plugins`: which plugins a tenant's data passes, and what they did.
//!
//! The counters are those of the process: a plugin runs for all tenants. None is named.
//! What a plugin counts under names of its own is left out, since nobody knows what it
//! writes into them.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use isinglass_chain::{Bound, LiveChain};
use isinglass_model::{SystemTable, Tenant};

/// The table over the chain in use.
#[derive(Debug)]
pub(crate) struct Plugins(Arc<LiveChain>);

impl Plugins {
    pub(crate) fn new(chains: &Arc<LiveChain>) -> Self {
        Self(Arc::clone(chains))
    }
}

impl SystemTable for Plugins {
    fn name(&self) -> &'static str {
        "plugins"
    }

    fn schema(&self) -> SchemaRef {
        schema_of(&columns(&[]))
    }

    fn rows(&self, tenant: &Tenant) -> Result<RecordBatch, ArrowError> {
        let columns = columns(&self.0.current().bound(tenant));
        let schema = schema_of(&columns);
        RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect())
    }
}

fn schema_of(columns: &[(&str, ArrayRef)]) -> SchemaRef {
    let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn columns(bound: &[Bound]) -> Vec<(&'static str, ArrayRef)> {
    vec![
        count("position", bound, |b| u64::from(b.order)),
        text("name", bound, |b| b.stats.binding.clone()),
        text("plugin", bound, |b| plugin(b).0.to_owned()),
        text("version", bound, |b| plugin(b).1.to_owned()),
        text("digest", bound, |b| b.stats.digest.clone()),
        text("world", bound, |b| b.stats.world.as_str().to_owned()),
        flag("shadow", bound, |b| b.stats.shadow),
        text("signals", bound, signals),
        text("conditions", bound, |b| b.when.to_string()),
        text("on_error", bound, |b| b.on_error.as_str().to_owned()),
        flag("own_config", bound, |b| b.own_config),
        flag("left_alone", bound, |b| b.left_alone),
        count("calls", bound, |b| b.stats.calls),
        count("rows", bound, |b| b.stats.rows),
        count("failures", bound, |b| b.stats.failures.values().sum()),
        count("slow_calls", bound, |b| b.stats.slow_calls),
        count("rejected", bound, |b| b.stats.rejects.values().sum()),
        ("cpu_seconds", Arc::new(Float64Array::from_iter_values(bound.iter().map(|b| b.stats.cpu_seconds)))),
        count("instances", bound, |b| b.stats.instances),
        count("memory_bytes", bound, |b| b.stats.memory_bytes),
    ]
}

fn flag(name: &'static str, bound: &[Bound], of: impl Fn(&Bound) -> bool) -> (&'static str, ArrayRef) {
    (name, Arc::new(bound.iter().map(|bound| Some(of(bound))).collect::<BooleanArray>()))
}

/// Name and version.
fn plugin(bound: &Bound) -> (&str, &str) {
    bound.stats.plugin.split_once('@').unwrap_or((&bound.stats.plugin, ""))
}

fn signals(bound: &Bound) -> String {
    bound.signals.iter().map(|signal| signal.as_str()).collect::<Vec<_>>().join(",")
}

fn text(name: &'static str, bound: &[Bound], value: impl Fn(&Bound) -> String) -> (&'static str, ArrayRef) {
    (name, Arc::new(StringArray::from_iter_values(bound.iter().map(value))))
}

fn count(name: &'static str, bound: &[Bound], value: impl Fn(&Bound) -> u64) -> (&'static str, ArrayRef) {
    let values = bound.iter().map(|bound| i64::try_from(value(bound)).unwrap_or(i64::MAX));
    (name, Arc::new(Int64Array::from_iter_values(values)))
}
