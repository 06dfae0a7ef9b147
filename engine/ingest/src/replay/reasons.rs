//! What may be behind a difference.

use isinglass_model::Kind;
use isinglass_store::OrderedRows;

use super::run::Run;
use super::work::Work;
use super::{NANOS, ReplayError};

impl Run<'_> {
    /// What may be behind a difference.
    pub(super) async fn reasons(&self, work: &Work) -> Result<Vec<String>, ReplayError> {
        let mut reasons = Vec::new();
        let config = self.ingest.config();
        let margin = i64::try_from(config.derived_stale_after_ms).unwrap_or(i64::MAX);
        let (from, to) = (self.provenance.from_ms, self.provenance.to_ms);
        for source in &work.sources {
            let kind = source.kind;
            for (side, range) in
                [("before", from.saturating_sub(margin)..from), ("after", to..to.saturating_add(margin))]
            {
                let rows = self.rows_within(kind, range).await?;
                if rows > 0 {
                    reasons.push(format!(
                        "{rows} {kind} lie up to {margin} ms {side} the range: live counters count a row when it comes"
                    ));
                }
            }
            if source.duplicates > 0 {
                let duplicates = source.duplicates;
                reasons.push(format!("{duplicates} {kind} were sent twice: live counters counted both"));
            }
        }
        let metrics = self.comparison.metrics();
        let lives = metrics.iter().map(|metric| metric.lives).max().unwrap_or(0);
        if lives > 1 {
            reasons.push(format!(
                "stored counters began at 0 up to {lives} times: restarts, or series that were stale"
            ));
        }
        if metrics.iter().any(|metric| metric.stored_overflow != 0.0 || metric.replayed_overflow != 0.0) {
            let max = config.derived_series_max;
            reasons.push(format!("series beyond ingest.derived_series_max = {max} are counted in one"));
        }
        if let Some(pairing) = &work.derivation.pairing {
            let wait_ms = pairing.wait_ms;
            let board = self.ingest.board().find(&self.request.tenant);
            let waiting = board.map_or(0, |board| board.lock().waiting(&self.request.name));
            if waiting > 0 {
                reasons.push(format!("{waiting} rows wait for another one now: what comes of them is counted within {wait_ms} ms and the tick after"));
            }
            reasons.push(format!("two rows are paired live if they come within {wait_ms} ms, and here if they lie so near each other"));
        }
        if work.derivation.refused > 0 {
            let refused = work.derivation.refused;
            reasons.push(format!("validators refuse {refused} label sets of derived series"));
        }
        let stats = self.ingest.chains().current().stats();
        let failures = stats.iter().filter(|stats| stats.binding == self.request.name);
        let failures: u64 = failures.flat_map(|stats| stats.failures.values()).sum();
        if failures > 0 {
            reasons.push(format!("the live plugin failed {failures} times since the server started: such batches are not counted"));
        }
        Ok(reasons)
    }

    async fn rows_within(&self, kind: Kind, range: std::ops::Range<i64>) -> Result<u64, ReplayError> {
        let time = range.start.saturating_mul(NANOS)..range.end.saturating_mul(NANOS);
        let none = ["time".to_owned()];
        let mut rows = OrderedRows::of(&self.cut.rows, kind, &none, time, NANOS * 1_000, self.memory)?;
        let mut count = 0;
        while let Some(window) = rows.next().await? {
            count += window.rows() as u64;
        }
        Ok(count)
    }
}
