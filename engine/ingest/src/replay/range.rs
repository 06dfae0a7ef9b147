//! Where the range of a replay ends.

use super::ReplayError;
use super::run::{Run, SLICE_MS};

impl Run<'_> {
    /// Where the range ends, and whether counters end there. Of counters that run across the end that
    /// was asked for nobody can replace a part: their increases after it would be measured against
    /// what is gone. Where nothing is replaced they go on, and so does the wait of rows.
    pub(super) async fn end(&mut self) -> Result<(i64, bool), ReplayError> {
        let asked = self.provenance.asked_to_ms;
        if self.request.write && self.cut.began_anew {
            return Ok((self.cut.end_ms, true));
        }
        if !self.request.write && asked >= self.cut.end_ms {
            return Ok((asked, false));
        }
        let end = self.end_of_counters(asked).await?;
        if self.request.write { Ok((end, true)) } else { Ok((asked, end == asked)) }
    }

    /// Where those end that run across a time.
    async fn end_of_counters(&mut self, asked: i64) -> Result<i64, ReplayError> {
        let (mut end, mut at) = (asked, asked);
        let reach = SLICE_MS.max(self.provenance.tick_ms.saturating_mul(2));
        while at < end.saturating_add(reach) {
            let stored = self.slice(at, end.saturating_add(reach)).await?;
            let samples = stored.samples.iter().map(|sample| (sample.start_ms, sample.time_ms));
            let histograms = stored.histograms.iter().map(|one| (one.start_ms, one.time_ms));
            let of_earlier = |(start_ms, _): &(i64, i64)| *start_ms != 0 && *start_ms < end;
            let last = samples.chain(histograms).filter(of_earlier).map(|(_, time_ms)| time_ms).max();
            end = last.map_or(end, |last| end.max(last.saturating_add(1)));
            at = stored.until_ms;
        }
        Ok(end)
    }
}
