//! What a component is, found out without a server: for who wrote it, or is about to install it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use isinglass_model::Clock;
use isinglass_model::columns::{Encoding, Shape};
use isinglass_model::deltas::DerivedMetric;
use isinglass_model::functions::FunctionSignature;
use serde_json::Value;

use crate::compile::Compilation;
use crate::component::{Compiled, Loader};
use crate::config::{Binding, Budget, OnError, Source, World};
use crate::engine::{Sandbox, Settings};
use crate::error::ChainError;
use crate::failure::shorten;
use crate::stats::Meter;
use crate::ticker::Ticker;
use crate::variant::{Trial, Variant};

/// What a component is.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// `name@version`, as it says itself.
    pub plugin: String,
    /// What it is made to be used as.
    pub world: World,
    /// sha256 of the file in hex.
    pub digest: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// The most that they may be.
    pub bytes_max: u64,
    /// How long it took to compile and link it.
    pub compiled: Duration,
    /// Linear memory of an instance that was told its configuration, in bytes.
    pub memory_bytes: u64,
    /// The most that it may be.
    pub memory_bytes_max: u64,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
    /// Columns that it wants under this configuration.
    pub columns: Vec<WantedColumn>,
    /// What a deriver writes under this configuration.
    pub metrics: Vec<DerivedMetric>,
    /// What a function plugin brings under this configuration.
    pub functions: Vec<FunctionSignature>,
    /// JSON Schema of configurations; empty = it says nothing.
    pub config_schema: String,
}

/// A column that a plugin wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedColumn {
    /// Of batches of this shape.
    pub shape: Shape,
    /// Its name.
    pub name: String,
    /// How text is wanted.
    pub encoding: Encoding,
    /// Whether it is shown batches that lack it.
    pub optional: bool,
}

/// Compiles a component and asks an instance of it what it is under a configuration and a budget.
/// Fails where a server would refuse to load it. `compilation`: who
/// compiles it.
pub fn inspect(
    path: &Path,
    config: &Value,
    budget: Budget,
    compilation: &Compilation,
    clock: Arc<dyn Clock>,
) -> Result<Inspection, ChainError> {
    let mut binding = binding(path, budget);
    budget.check().map_err(|fault| ChainError::Binding { binding: binding.name.clone(), fault })?;
    let sandbox = Sandbox::new(1, Settings::of([&budget]))?;
    let ticker = Ticker::start(&sandbox.engine)?;
    let mut loader = Loader::new(&sandbox, compilation)?;
    let began = clock.monotonic();
    let compiled = loader.compile(&binding)?;
    binding.world = compiled
        .world(&sandbox.engine)
        .map_err(|fault| ChainError::Component { binding: binding.name.clone(), fault: shorten(&fault) })?;
    // What becomes of batches when it fails is not asked here.
    binding.on_error = Some(match binding.world {
        World::Limiter => OnError::Pass,
        world => world.on_error(),
    });
    let component = loader.load(&binding)?;
    let took = clock.monotonic().saturating_sub(began);
    let meter = Arc::new(Meter::new(&binding.name, Arc::clone(&clock)));
    let trial =
        Trial { binding: &binding, component: &component, meter: &meter, ticker: &ticker, clock: &clock };
    let (plugin, variant, instance) = trial.variant(config, None)?;
    let stats = meter.read(&plugin, &component.digest, binding.world);
    drop(instance);
    let Compiled { bytes, .. } = compiled;
    Ok(Inspection {
        plugin,
        world: binding.world,
        digest: component.digest.clone(),
        bytes,
        bytes_max: budget.component_bytes_max.into(),
        compiled: took,
        memory_bytes: stats.memory_bytes,
        memory_bytes_max: binding.budget.memory_bytes_max.into(),
        imports: compiled.imports(&sandbox.engine),
        columns: columns(&variant),
        metrics: variant.metrics,
        functions: variant.functions.iter().map(|function| FunctionSignature::clone(function)).collect(),
        config_schema: variant.config_schema,
    })
}

/// The world that a component was made for.
pub(crate) fn world_of(
    component: &[u8],
    budget: Budget,
    compilation: &Compilation,
) -> Result<World, ChainError> {
    let binding = Binding { source: Source::Bytes(component.into()), ..binding(Path::new("new"), budget) };
    budget.check().map_err(|fault| ChainError::Binding { binding: binding.name.clone(), fault })?;
    let sandbox = Sandbox::new(1, Settings::of([&budget]))?;
    let compiled = Loader::new(&sandbox, compilation)?.compile(&binding)?;
    compiled
        .world(&sandbox.engine)
        .map_err(|fault| ChainError::Component { binding: binding.name.clone(), fault: shorten(&fault) })
}

/// A binding of a component of any world.
pub(crate) fn binding(path: &Path, budget: Budget) -> Binding {
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Binding {
        name,
        source: Source::File(path.to_owned()),
        budget,
        ..Binding::builtin("", World::Validator, Value::Null)
    }
}

pub(crate) fn columns(variant: &Variant) -> Vec<WantedColumn> {
    let shapes = [Shape::Samples, Shape::Series, Shape::Logs, Shape::Spans];
    let of = |shape: Shape| {
        variant.requests[shape as usize].iter().map(move |request| WantedColumn {
            shape,
            name: request.name.clone(),
            encoding: request.encoding,
            optional: request.optional,
        })
    };
    shapes.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use isinglass_model::clock::SystemClock;
    use serde_json::json;

    use super::*;

    fn look(path: &str, config: Value) -> Result<Inspection, ChainError> {
        let path = format!("{}/../../plugins/dist/{path}", env!("CARGO_MANIFEST_DIR"));
        inspect(
            Path::new(&path),
            &config,
            Budget::default(),
            &Compilation::default(),
            Arc::new(SystemClock::new()),
        )
    }

    #[test]
    fn the_world_is_found_and_what_is_wanted() {
        let check = |path: &str, world: World, plugin: &str| {
            let found = look(path, json!({})).unwrap();
            assert_eq!((found.world, found.plugin.as_str()), (world, plugin));
            assert!(found.bytes > 10_000 && found.bytes < found.bytes_max, "{}", found.bytes);
            assert!(
                (1 << 16..found.memory_bytes_max).contains(&found.memory_bytes),
                "{}",
                found.memory_bytes
            );
            assert!(found.imports.iter().all(|import| import.starts_with("isinglass:plugin/")));
            assert_eq!(found.digest.len(), 64);
            found
        };
        check("rate-limit.wasm", World::Limiter, "rate-limit@0.1.0");
        let deny = check("examples/deny-service.wasm", World::Validator, "deny-service@0.1.0");
        let service = deny.columns.iter().find(|column| column.name == "service").unwrap();
        assert_eq!(service.encoding, Encoding::Dictionary);
        check("examples/redact.wasm", World::Transformer, "redact@0.1.0");
        let geo = check("examples/geo.wasm", World::Function, "geo@0.1.0");
        assert_eq!(geo.functions[0].name, "haversine");
        let spans = check("span-metrics.wasm", World::Deriver, "span-metrics@0.1.0");
        assert_eq!(spans.metrics[0].name, "traces_spanmetrics_calls_total");
        assert!(spans.config_schema.starts_with('{'), "{}", spans.config_schema);
    }

    #[test]
    fn what_a_server_would_refuse_is_refused() {
        let fails = |path: &str, config: Value, fault: &str| {
            let error = look(path, config).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        };
        fails("examples/deny-service.wasm", json!({ "surprise": 1 }), "configuration refused");
        fails("SHA256SUMS", json!({}), "\"SHA256SUMS\": not a usable component");
        fails("absent.wasm", json!({}), "cannot read");
    }
}
