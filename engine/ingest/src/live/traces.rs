//! Live traces and their bytes. The sentences begin as Tempo's do, which clients look for.

use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use isinglass_model::reason::code;
use isinglass_model::verdict::Verdicts;

use super::recent::{REMEMBERED_MAX, Recent};
use super::refusals::Refusals;
use crate::limits::TenantLimits;

/// The live traces of a tenant with the bytes of their spans.
#[derive(Default)]
pub(super) struct Traces {
    recent: Recent<[u8; 16], u64>,
}

impl Traces {
    /// Which spans are refused. Spans that are not count from now on.
    pub(super) fn judge(&mut self, table: &RecordBatch, limits: &TenantLimits, now: Duration) -> Verdicts {
        let mut refusals = Refusals::of(table.num_rows());
        let columns = (table.column_by_name("trace_id"), table.column_by_name("size_bytes"));
        let (Some(ids), Some(sizes)) = columns else { return Verdicts::default() };
        let (ids, sizes) = (ids.as_fixed_size_binary(), sizes.as_primitive::<Int32Type>());
        let max = if limits.traces_max == 0 { REMEMBERED_MAX } else { limits.traces_max };
        let idle = idle(limits);
        for row in 0..table.num_rows() {
            let Ok(id) = <[u8; 16]>::try_from(ids.value(row)) else { continue };
            let size = u64::from(sizes.value(row).unsigned_abs());
            match self.recent.see(id, max, idle, now) {
                None if limits.traces_max == 0 => {}
                None => refusals.refuse(row, code::LIVE_TRACES_EXCEEDED, || {
                    let id = hex(&id);
                    format!("LIVE_TRACES_EXCEEDED: trace {id} is new and the tenant has {max} live ones, which is its limit (traces_max)")
                }),
                Some(bytes) if limits.trace_bytes_max > 0 && *bytes + size > limits.trace_bytes_max => {
                    let (with, max) = (*bytes + size, limits.trace_bytes_max);
                    refusals.refuse(row, code::TRACE_TOO_LARGE, || {
                        let id = hex(&id);
                        format!("TRACE_TOO_LARGE: trace {id} would have {with} bytes, the limit is {max} (trace_bytes_max)")
                    });
                }
                Some(bytes) => *bytes += size,
            }
        }
        refusals.into_verdicts()
    }

    pub(super) fn is_idle(&mut self, limits: &TenantLimits, now: Duration) -> bool {
        self.recent.is_idle(idle(limits), now)
    }
}

fn idle(limits: &TenantLimits) -> Duration {
    Duration::from_millis(limits.trace_idle_ms)
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
