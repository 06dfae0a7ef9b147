//! Samples as they are stored.

use isinglass_lang::promql::ast::Matcher;
use isinglass_promql::source::{Selection, SeriesSamples, Source as _};
use isinglass_promql::{ErrorKind, EvalError, Limits, Point, Sample};

use super::request::RawSeries;
use super::source::StoreSource;

/// Samples from the first to the last time, both included.
pub(super) fn read(
    matchers: Vec<Matcher>,
    (start_ms, end_ms): (i64, i64),
    source: &StoreSource,
    limits: &Limits,
) -> Result<Vec<RawSeries>, EvalError> {
    let after_ms = start_ms.saturating_sub(1);
    let selection =
        Selection { matchers, after_ms, until_ms: end_ms, start_times: false, latest: false, step_ms: 0 };
    let mut all = Vec::new();
    let mut samples = 0_usize;
    let held = limits.memory_bytes_max / size_of::<Point>();
    let samples_max = usize::try_from(limits.samples_max).unwrap_or(usize::MAX).min(held);
    for mut part in source.select(&selection, 1)? {
        while let Some(found) = part.next()? {
            source.ended().map_or(Ok(()), Err)?;
            samples += found.times.len() + found.histograms.len();
            if samples > samples_max {
                let message =
                    format!("the query needs more than {samples_max} samples, the limit of a query");
                return Err(EvalError::of(ErrorKind::Limit, message));
            }
            all.push(RawSeries { labels: found.labels.clone(), points: points(&found) });
        }
    }
    all.sort_unstable_by(|one, other| one.labels.cmp(&other.labels));
    Ok(all)
}

fn points(samples: &SeriesSamples<'_>) -> Vec<Point> {
    let float = |(time_ms, value): (&i64, &f64)| Point { time_ms: *time_ms, sample: Sample::Float(*value) };
    let mut points: Vec<Point> = samples.times.iter().zip(samples.values).map(float).collect();
    if !samples.histograms.is_empty() {
        let histograms = samples.histograms.iter();
        points.extend(
            histograms
                .map(|one| Point { time_ms: one.time_ms, sample: Sample::Histogram(one.histogram.clone()) }),
        );
        points.sort_by_key(|point| point.time_ms);
    }
    points
}
