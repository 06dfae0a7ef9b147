//! The wasmtime engine: one per chain, with every limit that holds for all plugins.

use serde::{Deserialize, Serialize};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::config::Budget;
use crate::error::ChainError;

const STACK_BYTES_MAX: usize = 512 << 10;

/// Memory that stays mapped when an instance is dropped, so that its successor
/// does not fault every page in again.
const KEEP_RESIDENT_BYTES: usize = 4 << 20;

/// What a component is made of, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Core modules: the guest itself and the adapters that wit-component adds.
    pub(crate) core_instances: u32,
    pub(crate) memories: u32,
    pub(crate) tables: u32,
    /// Elements of a table: function pointers of a guest.
    pub(crate) table_elements: usize,
}

impl Parts {
    const ORDINARY: Self = Self { core_instances: 8, memories: 1, tables: 2, table_elements: 10_000 };
    /// An interpreter and its libraries, linked when the component is instantiated, and what
    /// stands for the system that it expects.
    const COMPOSED: Self = Self { core_instances: 64, memories: 4, tables: 8, table_elements: 50_000 };

    /// What a budget allows.
    pub(crate) fn of(budget: &Budget) -> Self {
        if budget.composed { Self::COMPOSED } else { Self::ORDINARY }
    }
}

/// What machine code depends on besides the machine: it runs only where all of this is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    memory_bytes_max: u32,
    composed: bool,
    deterministic: bool,
}

impl Settings {
    /// For plugins of these budgets.
    pub(crate) fn of<'a>(budgets: impl IntoIterator<Item = &'a Budget>) -> Self {
        let none = Self {
            memory_bytes_max: Budget::default().memory_bytes_max,
            composed: false,
            deterministic: false,
        };
        budgets.into_iter().fold(none, |all, budget| Self {
            memory_bytes_max: all.memory_bytes_max.max(budget.memory_bytes_max),
            composed: all.composed || budget.composed,
            ..all
        })
    }

    /// The same for answers that are the same on every machine, to the bit: WebAssembly leaves
    /// open which bits a NaN has, and what relaxed vector instructions round to.
    pub(crate) fn deterministic(self, deterministic: bool) -> Self {
        Self { deterministic, ..self }
    }
}

/// An engine and what it is made of.
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) settings: Settings,
}

impl Sandbox {
    /// Makes an engine that holds at most `instances` component instances.
    pub(crate) fn new(instances: u32, settings: Settings) -> Result<Self, ChainError> {
        let engine = Engine::new(&config(instances, settings))
            .map_err(|error| ChainError::Sandbox(format!("{error:#}")))?;
        Ok(Self { engine, settings })
    }
}

fn config(instances: u32, settings: Settings) -> Config {
    let parts = if settings.composed { Parts::COMPOSED } else { Parts::ORDINARY };
    let memory = settings.memory_bytes_max;
    let Parts { core_instances, memories, tables, table_elements } = parts;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(core_instances))
        .total_memories(instances.saturating_mul(memories))
        .total_tables(instances.saturating_mul(tables))
        .max_core_instances_per_component(core_instances)
        .max_memories_per_component(memories)
        .max_tables_per_component(tables)
        .max_memories_per_module(memories.min(2))
        .max_tables_per_module(tables)
        .table_elements(table_elements)
        .max_memory_size(memory as usize)
        .max_unused_warm_slots(instances.min(16))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        // Only pages that a guest wrote to are reset, where the kernel can name them.
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_memory64(false)
        // What leads from one memory of a component to another needs it.
        .wasm_multi_memory(memories > 1)
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    if settings.deterministic {
        config.cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
    }
    config
}
