//! The wasmtime engine: one per chain, with every limit that holds for all plugins.

use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::config::MEMORY_BYTES_MAX;
use crate::error::ChainError;

/// Bytes of a component on disk.
pub(crate) const COMPONENT_BYTES_MAX: u64 = 8 << 20;

const STACK_BYTES_MAX: usize = 512 << 10;

/// Memory that stays mapped when an instance is dropped, so that its successor
/// does not fault every page in again.
const KEEP_RESIDENT_BYTES: usize = 4 << 20;

/// Core modules in one component: the guest itself and the adapters that
/// wit-component adds.
const CORE_INSTANCES_PER_COMPONENT: u32 = 8;

/// Elements of a table: function pointers of a guest.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 10_000;

/// Makes an engine that holds at most `instances` component instances.
pub(crate) fn engine(instances: u32) -> Result<Engine, ChainError> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(1)
        .max_tables_per_component(2)
        .max_memories_per_module(1)
        .max_tables_per_module(2)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(MEMORY_BYTES_MAX as usize)
        .max_unused_warm_slots(instances.min(16))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .cranelift_opt_level(OptLevel::Speed)
        .parallel_compilation(true)
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).map_err(|error| ChainError::Sandbox(format!("{error:#}")))
}
