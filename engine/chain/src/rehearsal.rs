//! One plugin alone, for its author: called as a server calls it, within the same bounds, but
//! what it answers and how it fails is handed back instead of being acted on.

use std::path::Path;
use std::sync::Arc;

use isinglass_model::columns::{Column, Columns};
use isinglass_model::deltas::{Deltas, DerivedMetric, Pairing};
use isinglass_model::edits::Editable;
use isinglass_model::functions::{FunctionSignature, States};
use isinglass_model::kind::Signal;
use isinglass_model::verdict::Verdicts;
use isinglass_model::{Clock, Tenant};
use serde_json::Value;
use wasmtime::Engine;

use crate::abi::{PlanOut, SignalName};
use crate::chain::answers;
use crate::columns::Offered;
use crate::compile::Compilation;
use crate::component::Loader;
use crate::config::{Budget, ChainConfig, OnError, World};
use crate::engine::{Sandbox, Settings};
use crate::error::ChainError;
use crate::failure::{Failure, shorten};
use crate::functions::Called;
use crate::inspect::binding;
use crate::plugin::{Caller, Plugin};
use crate::stats::BindingStats;
use crate::ticker::Ticker;
use crate::verdicts::Author;
use crate::{deltas, plan, transform, verdicts};

/// A component that is loaded once per configuration.
pub struct Rehearsal {
    // Before the engine, whose memory the instances use.
    players: Vec<Result<Plugin, ChainError>>,
    world: World,
    tenant: Tenant,
    ticker: Ticker,
    _engine: Engine,
}

/// The plugin under one configuration.
#[derive(Clone, Copy)]
pub struct Player<'a> {
    plugin: &'a Plugin,
    of: &'a Rehearsal,
}

/// A function of the plugin. What a call gives is described at
/// [`isinglass_model::functions::ColumnFunction`].
#[derive(Clone, Copy)]
pub struct PlayedFunction<'a>(Called<'a>);

/// What a limiter takes from a bucket, all costs of one answer added up.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Key of the bucket.
    pub bucket: String,
    /// What flows into it.
    pub rate_per_second: f64,
    /// What it holds.
    pub burst: f64,
    /// What is taken.
    pub cost: f64,
}

impl Rehearsal {
    /// Compiles a component and makes an instance for each configuration. `compilation`:
    /// who compiles it.
    pub fn load(
        path: &Path,
        configs: &[Value],
        budget: Budget,
        compilation: &Compilation,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ChainError> {
        let mut binding = binding(path, budget);
        budget.check().map_err(|fault| ChainError::Binding { binding: binding.name.clone(), fault })?;
        let instances = u32::try_from(configs.len()).unwrap_or(u32::MAX).saturating_add(1);
        let sandbox = Sandbox::new(instances, Settings::of([&budget]))?;
        let ticker = Ticker::start(&sandbox.engine)?;
        let mut loader = Loader::new(&sandbox, compilation)?;
        let compiled = loader.compile(&binding)?;
        binding.world = compiled.world(&sandbox.engine).map_err(|fault| ChainError::Component {
            binding: binding.name.clone(),
            fault: shorten(&fault),
        })?;
        // Failures are handed back, so the policy is never asked.
        binding.on_error = Some(match binding.world {
            World::Limiter => OnError::Pass,
            world => world.on_error(),
        });
        let world = binding.world;
        let mut config = ChainConfig { bindings: vec![binding], instances_max: 1, ..ChainConfig::default() };
        let mut player = |of_case: &Value| {
            config.bindings[0].config = of_case.clone();
            Plugin::load(&mut loader, &ticker, &clock, &config, 0, None)
        };
        let players = configs.iter().map(&mut player).collect();
        let tenant = Tenant::new("rehearsal").map_err(|error| ChainError::Config(error.to_string()))?;
        Ok(Self { players, world, tenant, ticker, _engine: sandbox.engine })
    }

    /// What it is made to be used as.
    pub fn world(&self) -> World {
        self.world
    }

    /// The plugin under a configuration, by its place in the list.
    pub fn player(&self, at: usize) -> Result<Player<'_>, &ChainError> {
        self.players[at].as_ref().map(|plugin| Player { plugin, of: self })
    }
}

impl Player<'_> {
    /// `name@version`, as it says itself.
    pub fn plugin(&self) -> &str {
        &self.plugin.plugin
    }

    /// What it did so far.
    pub fn stats(&self) -> BindingStats {
        self.plugin.stats()
    }

    /// What a deriver declares.
    pub fn metrics(&self) -> &[DerivedMetric] {
        &self.plugin.variants[0].metrics
    }

    /// What becomes of the halves that a deriver gives.
    pub fn pairing(&self) -> Option<&Pairing> {
        self.plugin.variants[0].pairing.as_deref()
    }

    /// The columns that it asks for, as `shape name encoding` and `optional`.
    pub fn columns(&self) -> Vec<crate::inspect::WantedColumn> {
        crate::inspect::columns(&self.plugin.variants[0])
    }

    /// Shows a validator a batch.
    pub fn validate(&self, batch: &dyn Columns, now_unix_nanos: i64) -> Result<Verdicts, String> {
        let author = Author::of(&self.plugin);
        let mut merged = Verdicts::default();
        let answers = answers(self.plugin, self.caller(now_unix_nanos), &mut Offered::new(batch));
        for (cut, answer) in &answers.map_err(told)? {
            verdicts::merge(&mut merged, batch.rows(), cut, answer, &author, |_, _| {});
        }
        Ok(merged)
    }

    /// Asks a limiter about the bytes of a request.
    pub fn admit(&self, signal: Signal, wire_bytes: u64, now_unix_nanos: i64) -> Result<Vec<Cost>, String> {
        let (caller, signal) = (self.caller(now_unix_nanos), SignalName::from(signal));
        let plan = self.plugin.call(caller, |guest, context| guest.admit(context, signal, wire_bytes));
        let mut costs = Vec::new();
        plan.and_then(|plan| add(&mut costs, &plan)).map_err(told)?;
        Ok(costs)
    }

    /// Shows a limiter the rows that were kept.
    pub fn limit(&self, batch: &dyn Columns, now_unix_nanos: i64) -> Result<Vec<Cost>, String> {
        let caller = self.caller(now_unix_nanos);
        let mut costs = Vec::new();
        let shown = self.plugin.each_cut(&self.of.tenant, &mut Offered::new(batch), |cut| {
            let plan = self.plugin.call(caller, |guest, context| guest.limit(context, cut.batch))?;
            add(&mut costs, &plan)
        });
        shown.map_err(told)?;
        Ok(costs)
    }

    /// Shows a deriver the rows that were kept.
    pub fn derive(&self, batch: &dyn Columns, now_unix_nanos: i64) -> Result<Vec<Deltas>, String> {
        let caller = self.caller(now_unix_nanos);
        let mut all = Vec::new();
        let shown = self.plugin.each_cut(&self.of.tenant, &mut Offered::new(batch), |cut| {
            let out = self.plugin.call(caller, |guest, context| guest.derive(context, cut.batch))?;
            deltas::check(out, &self.plugin.variants[0], cut, &mut all)
        });
        shown.map_err(told)?;
        Ok(all)
    }

    /// Shows a transformer a batch, which is then what it makes of it. The verdicts are the rows
    /// that must not go on; they are in the batch still.
    pub fn transform(&self, batch: &mut dyn Editable, now_unix_nanos: i64) -> Result<Verdicts, String> {
        let mut verdicts = Verdicts::default();
        transform::apply(self.plugin, self.caller(now_unix_nanos), batch, &mut verdicts).map_err(told)?;
        Ok(verdicts)
    }

    /// Shows a transformer a batch and makes nothing of what it answers: to measure it.
    pub fn edits(&self, batch: &dyn Columns, now_unix_nanos: i64) -> Result<(), String> {
        let caller = self.caller(now_unix_nanos);
        transform::answers(self.plugin, caller, &mut Offered::new(batch)).map(drop).map_err(told)
    }

    /// What a function plugin brings.
    pub fn functions(&self) -> &'_ [Arc<FunctionSignature>] {
        &self.plugin.variants[0].functions
    }

    /// A function of a function plugin.
    pub fn function(&self, name: &str, now_unix_nanos: i64) -> Option<PlayedFunction<'_>> {
        let (function, signature) = (0..).zip(self.functions()).find(|(_, known)| known.name == name)?;
        let caller = self.caller(now_unix_nanos);
        Some(PlayedFunction(Called {
            plugin: self.plugin,
            caller,
            function,
            signature,
            failures_count: false,
        }))
    }

    fn caller(&self, now_unix_nanos: i64) -> Caller<'_> {
        Caller { ticker: &self.of.ticker, tenant: &self.of.tenant, now_unix_nanos, memory: None }
    }
}

impl PlayedFunction<'_> {
    /// What it takes and gives.
    pub fn signature(&self) -> &FunctionSignature {
        self.0.signature
    }

    /// A value per row.
    pub fn call(&self, rows: usize, arguments: &[Column]) -> Result<Column, String> {
        self.0.call(rows, arguments).map_err(|error| error.fault)
    }

    /// What the rows of each group come to.
    pub fn accumulate(
        &self,
        groups: usize,
        group_of_row: &[u32],
        rows: usize,
        arguments: &[Column],
    ) -> Result<States, String> {
        self.0.accumulate(groups, group_of_row, rows, arguments).map_err(|error| error.fault)
    }

    /// One state per group.
    pub fn merge(&self, groups: usize, states: &States) -> Result<States, String> {
        self.0.merge(groups, states).map_err(|error| error.fault)
    }

    /// The value of each group.
    pub fn finish(&self, states: &States) -> Result<Column, String> {
        self.0.finish(states).map_err(|error| error.fault)
    }
}

fn told(failure: Failure) -> String {
    failure.to_string()
}

/// Adds a plan to the costs, which are sorted by bucket.
fn add(costs: &mut Vec<Cost>, plan: &PlanOut) -> Result<(), Failure> {
    plan::check(plan)?;
    for (bucket, cost) in plan.bucket_of_cost.iter().zip(&plan.cost) {
        let bucket = &plan.buckets[*bucket as usize];
        match costs.binary_search_by(|known| known.bucket.as_str().cmp(&bucket.key)) {
            Ok(at) => costs[at].cost += cost,
            Err(at) => costs.insert(
                at,
                Cost {
                    bucket: bucket.key.clone(),
                    rate_per_second: bucket.rate_per_second,
                    burst: bucket.burst,
                    cost: *cost,
                },
            ),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
