//! Active log streams, and how far each has come.

use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use hashbrown::HashMap;
use isinglass_model::reason::code;
use isinglass_model::verdict::Verdicts;

use super::recent::{REMEMBERED_MAX, Recent};
use super::refusals::Refusals;
use crate::limits::TenantLimits;

const NANOS_PER_MS: i64 = 1_000_000;
/// Bytes of a stream shown in a sentence.
const SHOWN_BYTES: usize = 200;

/// The time of the newest line; `None` = none is stored yet.
type Newest = Option<i64>;

/// The newest line of a stream in a request.
pub(super) type Progress = (u64, i64);

/// The active streams of a tenant, by a salted hash of their labels.
#[derive(Default)]
pub(super) struct Streams {
    hasher: ahash::RandomState,
    recent: Recent<u64, Newest>,
}

/// A stream of a batch.
enum Seen {
    /// Its hash, and the newest line so far.
    Active(u64, Newest),
    /// Over the limit.
    Refused,
}

impl Streams {
    /// Which lines are refused, and how far the streams come with the others.
    pub(super) fn judge(
        &mut self,
        table: &RecordBatch,
        limits: &TenantLimits,
        now: Duration,
    ) -> (Verdicts, Vec<Progress>) {
        let mut refusals = Refusals::of(table.num_rows());
        let columns = (table.column_by_name("stream"), table.column_by_name("time"));
        let (Some(streams), Some(times)) = columns else { return Default::default() };
        let (streams, times) = (streams.as_dictionary::<Int32Type>(), times.as_primitive::<Int64Type>());
        let texts = streams.values().as_string::<i32>();
        let mut seen: HashMap<i32, Seen, ahash::RandomState> = HashMap::default();
        for (row, key) in streams.keys().values().iter().enumerate() {
            let text = || if streams.is_null(row) { "" } else { texts.value(*key as usize) };
            let stream = seen.entry(*key).or_insert_with(|| self.see(text(), limits, now));
            let time = times.value(row);
            match stream {
                Seen::Refused => refusals.refuse(row, code::STREAM_LIMIT, || {
                    let (shown, max) = (shown(text()), limits.streams_max);
                    format!("stream {shown} is new and the tenant has {max} active ones, which is its limit (streams_max)")
                }),
                Seen::Active(_, newest) => match newest.filter(|newest| is_behind(time, *newest, limits)) {
                    None => *newest = Some(newest.map_or(time, |newest| newest.max(time))),
                    Some(newest) => refusals.refuse(row, code::TOO_FAR_BEHIND, || {
                        let (behind, max) = ((newest.saturating_sub(time)) / NANOS_PER_MS, limits.line_behind_max_ms);
                        let shown = shown(text());
                        format!("time {time} lies {behind} ms behind the newest line of stream {shown}, the limit is {max} (line_behind_max_ms)")
                    }),
                },
            }
        }
        let progress = seen.into_values().filter_map(|seen| match seen {
            Seen::Active(hash, newest) => Some((hash, newest?)),
            Seen::Refused => None,
        });
        let progress = if limits.line_behind_max_ms < 0 { Vec::new() } else { progress.collect() };
        (refusals.into_verdicts(), progress)
    }

    fn see(&mut self, text: &str, limits: &TenantLimits, now: Duration) -> Seen {
        let hash = self.hasher.hash_one(text);
        let max = if limits.streams_max == 0 { REMEMBERED_MAX } else { limits.streams_max };
        match self.recent.see(hash, max, idle(limits), now) {
            Some(newest) => Seen::Active(hash, *newest),
            // Without a limit on their number, one that is not remembered is as a new one.
            None if limits.streams_max == 0 => Seen::Active(hash, None),
            None => Seen::Refused,
        }
    }

    /// Lines of these streams are stored up to these times.
    pub(super) fn advance(&mut self, streams: &[Progress]) {
        for (hash, time) in streams {
            if let Some(newest) = self.recent.get_mut(hash) {
                *newest = Some(newest.map_or(*time, |newest| newest.max(*time)));
            }
        }
    }

    pub(super) fn is_idle(&mut self, limits: &TenantLimits, now: Duration) -> bool {
        self.recent.is_idle(idle(limits), now)
    }
}

fn idle(limits: &TenantLimits) -> Duration {
    Duration::from_millis(limits.stream_idle_ms)
}

fn is_behind(time: i64, newest: i64, limits: &TenantLimits) -> bool {
    let max = limits.line_behind_max_ms;
    max >= 0 && time < newest.saturating_sub(max.saturating_mul(NANOS_PER_MS))
}

fn shown(text: &str) -> String {
    let mut shown = text.to_owned();
    isinglass_model::counts::truncate_text(&mut shown, SHOWN_BYTES);
    shown
}
