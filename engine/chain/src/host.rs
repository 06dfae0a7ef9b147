//! What a plugin can reach: log, clock and telemetry. Nothing else is linked.

use std::sync::Arc;

use isinglass_model::functions::CallMemory;
use wasmtime::component::{Linker, WasmStr};
use wasmtime::{ResourceLimiter, StoreContextMut};

use crate::abi::LevelOut;
use crate::engine::Parts;
use crate::failure::shorten;
use crate::stats::Meter;

/// Interfaces that a component may import. `columns` holds types only. Wasmtime links
/// imports of another patch version of the package to these.
pub(crate) const IMPORTS: [&str; 4] = [
    "isinglass:plugin/columns@0.1.2",
    "isinglass:plugin/log@0.1.2",
    "isinglass:plugin/clock@0.1.2",
    "isinglass:plugin/telemetry@0.1.2",
];

/// Longest name of a telemetry counter in bytes.
const COUNTER_NAME_BYTES_MAX: usize = 128;

/// The host's side of one instance.
pub(crate) struct State {
    pub(crate) meter: Arc<Meter>,
    pub(crate) memory: MemoryLimit,
    /// Tenant of the running call.
    pub(crate) tenant: Option<isinglass_model::Tenant>,
    /// Arrival time of the batch of the running call.
    pub(crate) now_unix_nanos: i64,
    /// Thread CPU time at which the running call is stopped.
    pub(crate) cpu_deadline_nanos: u64,
    /// Counters that the running call raised, handed to the meter at its end.
    pub(crate) counted: Vec<(String, u64)>,
}

/// Bounds memory, tables and instances of a store, and knows its memory.
pub(crate) struct MemoryLimit {
    bytes_max: usize,
    /// Linear memory now.
    pub(crate) bytes: usize,
    /// Whether the guest was denied memory during the running call.
    pub(crate) refused: bool,
    parts: Parts,
    /// Who pays for it while the running call lasts, and for how much.
    payer: Option<Arc<dyn CallMemory>>,
    charged: usize,
    /// Why the payer gave no more.
    denied: Option<String>,
}

impl MemoryLimit {
    pub(crate) fn new(bytes_max: usize, parts: Parts) -> Self {
        Self { bytes_max, bytes: 0, refused: false, parts, payer: None, charged: 0, denied: None }
    }

    /// A call begins: until it ends somebody pays for all that the guest holds.
    pub(crate) fn charge(&mut self, payer: Option<&Arc<dyn CallMemory>>) -> Result<(), String> {
        (self.refused, self.denied) = (false, None);
        if let Some(payer) = payer {
            payer.take(self.bytes)?;
            self.charged = self.bytes;
            self.payer = Some(Arc::clone(payer));
        }
        Ok(())
    }

    /// It has ended. Says why the payer gave no more, if it did not.
    pub(crate) fn settle(&mut self) -> Option<String> {
        let charged = std::mem::take(&mut self.charged);
        if let Some(payer) = self.payer.take() {
            payer.give(charged);
        }
        self.denied.take()
    }

    fn take(&mut self, bytes: usize) -> bool {
        let Some(payer) = &self.payer else { return true };
        match payer.take(bytes) {
            Ok(()) => self.charged += bytes,
            Err(fault) => self.denied = Some(fault),
        }
        self.denied.is_none()
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_sub(current).saturating_add(desired);
        if bytes > self.bytes_max || !self.take(bytes.saturating_sub(self.bytes)) {
            self.refused = true;
            return Ok(false);
        }
        self.bytes = bytes;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.parts.table_elements)
    }

    fn instances(&self) -> usize {
        2 * self.parts.core_instances as usize
    }

    fn tables(&self) -> usize {
        2 * self.parts.tables as usize
    }

    fn memories(&self) -> usize {
        self.parts.memories as usize
    }
}

/// Defines the imports.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(IMPORTS[1])?.func_wrap("write", write_log)?;
    linker.instance(IMPORTS[2])?.func_wrap(
        "now-unix-nanos",
        |store: StoreContextMut<'_, State>, (): ()| -> wasmtime::Result<(u64,)> {
            Ok((u64::try_from(store.data().now_unix_nanos).unwrap_or(0),))
        },
    )?;
    linker.instance(IMPORTS[3])?.func_wrap("count", count)
}

fn write_log(
    store: StoreContextMut<'_, State>,
    (level, message): (LevelOut, WasmStr),
) -> wasmtime::Result<()> {
    let state = store.data();
    if !state.meter.may_log() {
        return Ok(());
    }
    let message = message.to_str(&store)?;
    let message = shorten(&message);
    let plugin = state.meter.name();
    let tenant = state.tenant.as_ref().map_or("", |tenant| tenant.as_str());
    let name = match level {
        LevelOut::Trace => "trace",
        LevelOut::Debug => "debug",
        LevelOut::Info => "info",
        LevelOut::Warn => "warn",
        LevelOut::Error => "error",
    };
    state.meter.keep_line(name, tenant, &message);
    match level {
        LevelOut::Trace => tracing::trace!(target: "plugin", plugin, tenant, "{message}"),
        LevelOut::Debug => tracing::debug!(target: "plugin", plugin, tenant, "{message}"),
        LevelOut::Info => tracing::info!(target: "plugin", plugin, tenant, "{message}"),
        LevelOut::Warn => tracing::warn!(target: "plugin", plugin, tenant, "{message}"),
        LevelOut::Error => tracing::error!(target: "plugin", plugin, tenant, "{message}"),
    }
    Ok(())
}

fn count(mut store: StoreContextMut<'_, State>, (name, delta): (WasmStr, u64)) -> wasmtime::Result<()> {
    let name = name.to_str(&store)?;
    if name.len() > COUNTER_NAME_BYTES_MAX {
        store.data().meter.counter_dropped();
        return Ok(());
    }
    let name = name.into_owned();
    let state = store.data_mut();
    if let Some((_, sum)) = state.counted.iter_mut().find(|(known, _)| *known == name) {
        *sum = sum.saturating_add(delta);
    } else if state.counted.len() < Meter::COUNTERS_MAX {
        state.counted.push((name, delta));
    } else {
        state.meter.counter_dropped();
    }
    Ok(())
}
