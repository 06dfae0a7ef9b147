//! `system.plugin_costs`: what each plugin cost a tenant.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use isinglass_chain::{LiveChain, PluginCost};
use isinglass_model::{SystemTable, Tenant};

/// The table over the chain in use.
#[derive(Debug)]
pub(crate) struct PluginCosts(Arc<LiveChain>);

impl PluginCosts {
    pub(crate) fn new(chains: &Arc<LiveChain>) -> Self {
        Self(Arc::clone(chains))
    }
}

impl SystemTable for PluginCosts {
    fn name(&self) -> &'static str {
        "plugin_costs"
    }

    fn schema(&self) -> SchemaRef {
        schema_of(&columns(&[]))
    }

    fn rows(&self, tenant: &Tenant) -> Result<RecordBatch, ArrowError> {
        let columns = columns(&self.0.current().costs(tenant));
        RecordBatch::try_new(schema_of(&columns), columns.into_iter().map(|(_, array)| array).collect())
    }
}

fn schema_of(columns: &[(&str, ArrayRef)]) -> SchemaRef {
    let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn columns(costs: &[PluginCost]) -> Vec<(&'static str, ArrayRef)> {
    let text = |of: fn(&PluginCost) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(costs.iter().map(of)))
    };
    let count = |of: fn(&PluginCost) -> u64| -> ArrayRef {
        let values = costs.iter().map(|cost| i64::try_from(of(cost)).unwrap_or(i64::MAX));
        Arc::new(Int64Array::from_iter_values(values))
    };
    let seconds = Float64Array::from_iter_values(costs.iter().map(|cost| cost.cpu_seconds));
    let shadow = costs.iter().map(|cost| Some(cost.shadow)).collect::<BooleanArray>();
    vec![
        ("name", text(|cost| &cost.binding)),
        ("plugin", text(|cost| &cost.plugin)),
        ("digest", text(|cost| &cost.digest)),
        ("world", text(|cost| cost.world.as_str())),
        ("shadow", Arc::new(shadow)),
        ("calls", count(|cost| cost.calls)),
        ("rows", count(|cost| cost.rows)),
        ("cpu_seconds", Arc::new(seconds)),
    ]
}
