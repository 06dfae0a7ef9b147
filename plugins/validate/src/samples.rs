//! Samples and histograms: their times. Their labels are judged as series.

use isinglass_plugin::{Batch, Integers, Shape, Verdicts, columns};

use crate::limits::Limits;
use crate::time::Age;
use crate::{reason, time};

columns! {
    /// What is read of every sample.
    pub(crate) struct Samples<'a> of Shape::Samples {
        time: Integers<'a> = "time",
    }
}

pub(crate) fn check(batch: &Batch, limits: &Limits, now: i64, verdicts: &mut Verdicts) {
    let age = Age { ms: limits.past_grace_ms, key: "past_grace_ms", code: reason::TOO_FAR_IN_PAST };
    time::check(Samples::of(batch).time.values(), now, limits.future_grace_ms, age, verdicts);
}
