//! A run of float samples.

use isinglass_model::batch::SampleBatch;
use isinglass_model::series::SeriesRef;

/// A column of integers. A scrape has one time for all its samples, and then it takes
/// no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Column {
    /// The same for all rows.
    Constant(i64),
    /// One for each row.
    Each(Vec<i64>),
}

impl Column {
    /// Takes `values`; an empty one means `rows` times 0.
    pub(crate) fn new(values: Vec<i64>) -> Self {
        match values.split_first() {
            None => Self::Constant(0),
            Some((first, rest)) if rest.iter().all(|value| value == first) => Self::Constant(*first),
            Some(_) => Self::Each(values),
        }
    }

    #[inline]
    pub(crate) fn at(&self, row: usize) -> i64 {
        match self {
            Self::Constant(value) => *value,
            Self::Each(values) => values.get(row).copied().unwrap_or(0),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Constant(_) => 0,
            Self::Each(values) => values.capacity() * 8,
        }
    }

    fn range(&self) -> (i64, i64) {
        match self {
            Self::Constant(value) => (*value, *value),
            Self::Each(values) => {
                values.iter().fold((i64::MAX, i64::MIN), |(low, high), v| (low.min(*v), high.max(*v)))
            }
        }
    }

    fn concat<'a>(parts: impl Iterator<Item = (&'a Self, usize)> + Clone) -> Self {
        let mut constants = parts.clone().map(|(part, _)| match part {
            Self::Constant(value) => Some(*value),
            Self::Each(_) => None,
        });
        if let Some(Some(first)) = constants.next()
            && constants.all(|value| value == Some(first))
        {
            return Self::Constant(first);
        }
        let mut all = Vec::with_capacity(parts.clone().map(|(_, rows)| rows).sum());
        for (part, rows) in parts {
            match part {
                Self::Constant(value) => all.resize(all.len() + rows, *value),
                Self::Each(values) => all.extend_from_slice(values),
            }
        }
        Self::Each(all)
    }
}

/// Samples in the order in which they came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SampleRun {
    pub(crate) series: Vec<SeriesRef>,
    pub(crate) time_ms: Column,
    pub(crate) value: Vec<f64>,
    /// 0 = unknown.
    pub(crate) start_ms: Column,
    /// Smallest and largest time.
    pub(crate) time_range_ms: (i64, i64),
}

impl SampleRun {
    pub(crate) fn new(series: Vec<SeriesRef>, time_ms: Column, value: Vec<f64>, start_ms: Column) -> Self {
        let time_range_ms = time_ms.range();
        Self { series, time_ms, value, start_ms, time_range_ms }
    }

    pub(crate) fn from_batch(batch: SampleBatch) -> Self {
        let SampleBatch { mut series, time_ms, mut value, start_ms, .. } = batch;
        let (mut time_ms, start_ms) = (Column::new(time_ms), Column::new(start_ms));
        // Decode's vectors have grown by doubling; a run may stay for an hour.
        if series.capacity() > series.len() + series.len() / 4 {
            series.shrink_to_fit();
            value.shrink_to_fit();
            if let Column::Each(times) = &mut time_ms {
                times.shrink_to_fit();
            }
        }
        Self::new(series, time_ms, value, start_ms)
    }

    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.series.capacity() * 4 + self.value.capacity() * 8 + self.time_ms.bytes() + self.start_ms.bytes()
    }

    /// One run of several, in their order.
    pub(crate) fn concat<'a>(runs: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let rows = runs.clone().map(Self::len).sum();
        let (mut series, mut value) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for run in runs.clone() {
            series.extend_from_slice(&run.series);
            value.extend_from_slice(&run.value);
        }
        let time_ms = Column::concat(runs.clone().map(|run| (&run.time_ms, run.len())));
        let start_ms = Column::concat(runs.map(|run| (&run.start_ms, run.len())));
        Self::new(series, time_ms, value, start_ms)
    }
}
