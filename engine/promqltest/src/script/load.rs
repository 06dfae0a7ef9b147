//! `load` and `load_with_nhcb`.

use std::collections::BTreeMap;

use isinglass_lang::promql::parse_duration;
use isinglass_promql::{Labels, Sample};

use super::{Fault, Lines};
use crate::backend::{LoadedPoint, LoadedSeries};
use crate::nhcb;
use crate::points::{self, Slot};
use crate::starts::{self, Offsets};
use crate::text::series;

/// The series of a `load` command: the last line of a label set counts.
pub(super) fn parse(line: usize, head: &str, lines: &mut Lines<'_>) -> Result<Vec<LoadedSeries>, Fault> {
    let (word, step) = head.split_once([' ', '\t']).unwrap_or((head, ""));
    let with_nhcb = match word {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err((line, format!("unknown command {head:?}"))),
    };
    let step_ms = parse_duration(step.trim()).map_err(|reason| (line, reason))?;
    let mut block = Block { step_ms, ..Block::default() };
    while let Some((at, text)) = lines.next_of_command() {
        block.line(at, text).map_err(|reason| (at, reason))?;
    }
    if let Some(starts) = block.starts {
        return Err((starts.line, "no samples follow the start timestamps".to_owned()));
    }
    let mut loaded: Vec<_> =
        block.series.into_iter().map(|(labels, points)| LoadedSeries { labels, points }).collect();
    if with_nhcb {
        let converted = nhcb::convert(&loaded).map_err(|reason| (line, reason))?;
        loaded.extend(converted);
    }
    Ok(loaded)
}

#[derive(Default)]
struct Block {
    step_ms: i64,
    series: BTreeMap<Labels, Vec<LoadedPoint>>,
    /// Those of the next line.
    starts: Option<Starts>,
    /// Those of all lines that have none of their own, over and over.
    default_starts: Offsets,
}

struct Starts {
    line: usize,
    labels: Labels,
    offsets: Offsets,
}

impl Block {
    fn line(&mut self, line: usize, text: &str) -> Result<(), String> {
        match starts::split(text) {
            Some((head, offsets)) => self.start_line(line, head, starts::parse(offsets)?),
            None => self.series_line(text),
        }
    }

    fn start_line(&mut self, line: usize, head: &str, offsets: Offsets) -> Result<(), String> {
        if let Some(starts) = &self.starts {
            return Err(format!("no samples follow the start timestamps of line {}", starts.line));
        }
        if head.is_empty() {
            self.default_starts = offsets;
            return Ok(());
        }
        let (labels, rest) = series::prefix(head)?;
        if !rest.is_empty() {
            return Err(format!("nothing may stand before @st: {rest:?}"));
        }
        self.starts = Some(Starts { line, labels, offsets });
        Ok(())
    }

    fn series_line(&mut self, text: &str) -> Result<(), String> {
        let (labels, slots) = series_line(text)?;
        let starts = match self.starts.take() {
            Some(starts) if starts.labels != labels => {
                return Err(format!("the start timestamps before are those of {}", starts.labels));
            }
            Some(starts) if starts.offsets.len() != slots.len() => {
                let (starts, samples) = (starts.offsets.len(), slots.len());
                return Err(format!("{starts} start timestamps for {samples} samples"));
            }
            Some(starts) => starts.offsets,
            None => self.default_starts.iter().copied().cycle().take(slots.len()).collect(),
        };
        let points = self.points(slots, &starts)?;
        self.series.insert(labels, points);
        Ok(())
    }

    fn points(&self, slots: Vec<Slot>, starts: &[Option<i64>]) -> Result<Vec<LoadedPoint>, String> {
        let mut points = Vec::with_capacity(slots.len());
        for (at, slot) in slots.into_iter().enumerate() {
            let time_ms = i64::try_from(at).ok().and_then(|at| at.checked_mul(self.step_ms));
            let time_ms = time_ms.ok_or("a time beyond all times")?;
            let start_ms = starts.get(at).copied().flatten().map(|offset| time_ms.saturating_add(offset));
            let sample = match slot {
                Slot::Missing => continue,
                Slot::Float(value) => Sample::Float(value),
                Slot::Histogram { histogram, .. } => Sample::Histogram(histogram),
            };
            points.push(LoadedPoint { time_ms, start_ms, sample });
        }
        Ok(points)
    }
}

/// A line of a label set and what stands at each step.
pub(super) fn series_line(text: &str) -> Result<(Labels, Vec<Slot>), String> {
    let (labels, rest) = series::prefix(text)?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return Err(format!("no space after the labels at {rest:?}"));
    }
    Ok((labels, points::parse(rest)?))
}
