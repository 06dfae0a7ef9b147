//! An expression and when it is evaluated.

use std::fmt;

use super::exprs::expression;
use super::random::Random;
use super::series::SPAN_MS;
use crate::backend::{Answer, Backend};
use crate::http::Window;

/// A range query has so many steps at most.
const STEPS_MAX: i64 = 40;

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The expression.
    pub text: String,
    /// The times of a range query; one time has the step 0.
    pub window: Window,
    /// How long a sample counts; `None` = the default.
    pub lookback_ms: Option<i64>,
}

/// Query number `number` of a seed.
pub fn query(seed: u64, number: u64, base_ms: i64) -> Query {
    let mut random = Random::stream(seed, number.wrapping_add(1_000));
    let times_ms = (base_ms - 120_000, base_ms + SPAN_MS + 600_000);
    let is_range = random.percent(50);
    let text = expression(&mut random, times_ms, is_range);
    let window = if is_range { range(&mut random, times_ms) } else { at(time(&mut random, times_ms)) };
    let lookback_ms = random.one_of(&[None, None, None, Some(60_000), Some(30_000), Some(900_000)]);
    Query { text, window, lookback_ms }
}

fn at(time_ms: i64) -> Window {
    Window { start_ms: time_ms, end_ms: time_ms, step_ms: 0 }
}

/// Half of the times are those of samples, where bounds matter.
fn time(random: &mut Random, (first_ms, last_ms): (i64, i64)) -> i64 {
    let time_ms = random.between(first_ms, last_ms);
    let grid_ms = random.one_of(&[1, 1000, 15_000, 60_000]);
    if grid_ms == 1 { time_ms } else { first_ms + (time_ms - first_ms) / grid_ms * grid_ms }
}

fn range(random: &mut Random, times_ms: (i64, i64)) -> Window {
    let start_ms = time(random, times_ms);
    let step_ms = random.one_of(&[1_000, 7_000, 15_000, 30_000, 60_000, 60_000, 61_000, 300_000, 600_000]);
    let steps = random.between(0, STEPS_MAX - 1);
    let end_ms = start_ms + steps * step_ms + random.between(0, step_ms - 1);
    Window { start_ms, end_ms, step_ms }
}

impl Query {
    /// Whether it is evaluated at one time.
    pub fn is_instant(&self) -> bool {
        self.window.step_ms == 0
    }

    /// The same times for another expression.
    pub fn with_text(&self, text: String) -> Self {
        Self { text, ..self.clone() }
    }

    /// What a back end says. How long samples count has to be told to it before.
    pub fn ask(&self, backend: &mut dyn Backend) -> Answer {
        let Window { start_ms, end_ms, step_ms } = self.window;
        if self.is_instant() {
            return backend.instant(&self.text, start_ms);
        }
        backend.range(&self.text, start_ms, end_ms, step_ms)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Window { start_ms, end_ms, step_ms } = self.window;
        write!(f, "{}\n  at {start_ms}", self.text)?;
        if !self.is_instant() {
            write!(f, " to {end_ms} every {step_ms} ms")?;
        }
        match self.lookback_ms {
            Some(lookback_ms) => write!(f, ", lookback {lookback_ms} ms"),
            None => Ok(()),
        }
    }
}
