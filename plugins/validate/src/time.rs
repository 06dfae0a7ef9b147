//! Times against the window around now.

use isinglass_plugin::{Verdicts, blocks};

use crate::reason;

const NANOS_PER_MS: i64 = 1_000_000;

/// A limit on age: how long, under which key, and the code of what is older.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    /// 0 = no limit.
    pub(crate) ms: i64,
    pub(crate) key: &'static str,
    pub(crate) code: &'static str,
}

/// Refuses rows whose time lies outside.
pub(crate) fn check(times: &[i64], now: i64, future_grace_ms: i64, age: Age, verdicts: &mut Verdicts) {
    let latest = now.saturating_add(future_grace_ms.saturating_mul(NANOS_PER_MS));
    let earliest = match age.ms {
        0 => i64::MIN,
        ms => now.saturating_sub(ms.saturating_mul(NANOS_PER_MS)),
    };
    blocks::each_outside(times, earliest, latest, |row, time| {
        if time > latest {
            verdicts.refuse(row, reason::TOO_FAR_IN_FUTURE, || {
                let ahead = time.saturating_sub(now) / NANOS_PER_MS;
                format!(
                    "time {time} lies {ahead} ms in the future, the limit is {future_grace_ms} (future_grace_ms)"
                )
            });
        } else {
            verdicts.refuse(row, age.code, || {
                let behind = now.saturating_sub(time) / NANOS_PER_MS;
                format!("time {time} lies {behind} ms in the past, the limit is {} ({})", age.ms, age.key)
            });
        }
    });
}
