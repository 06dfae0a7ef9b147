//! What each operator adds up at a step of a group.

use crate::block::{ABSENT, is_absent};
use crate::exec::window::{Average, MeanOfHistograms, Moments, SumOfHistograms, quantile};
use crate::histogram::{Compensated, Histogram};

/// Adds up the samples of a group at a step.
pub(super) trait Fold: Send + Clone {
    /// What histograms become.
    const HISTOGRAMS: OfHistograms;
    /// As it is called in annotations.
    const NAME: &'static str;

    /// Before the first sample.
    fn new() -> Self;
    fn add(&mut self, value: f64);
    /// Takes the samples of another part in.
    fn merge(&mut self, other: &Self);
    /// The result, [`ABSENT`] where no sample came.
    fn result(&mut self, param: f64) -> f64;
}

/// What an aggregation does with histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfHistograms {
    /// They count like floats.
    Counted,
    /// They are left out, with a remark.
    Ignored,
    Summed,
    Averaged,
}

macro_rules! plain {
    ($($name:ident),*) => { $(
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name(f64);
    )* };
}

plain!(Counts, Ones, Smallest, Largest);

#[derive(Debug, Clone, Copy)]
pub(super) struct Sums(Compensated);

impl Fold for Sums {
    const HISTOGRAMS: OfHistograms = OfHistograms::Summed;
    const NAME: &'static str = "sum";

    fn new() -> Self {
        Self(Compensated { sum: ABSENT, lost: 0.0 })
    }

    #[inline]
    fn add(&mut self, value: f64) {
        if is_absent(self.0.sum) {
            self.0.sum = value;
        } else {
            self.0.add(value);
        }
    }

    fn merge(&mut self, other: &Self) {
        if is_absent(other.0.sum) {
            return;
        }
        self.add(other.0.sum);
        self.0.lost += other.0.lost;
    }

    fn result(&mut self, _: f64) -> f64 {
        if is_absent(self.0.sum) { ABSENT } else { self.0.total() }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Averages(Option<Average>);

impl Fold for Averages {
    const HISTOGRAMS: OfHistograms = OfHistograms::Averaged;
    const NAME: &'static str = "avg";

    fn new() -> Self {
        Self(None)
    }

    fn add(&mut self, value: f64) {
        self.0.get_or_insert_default().add(value);
    }

    fn merge(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            self.0.get_or_insert_default().merge(other);
        }
    }

    fn result(&mut self, _: f64) -> f64 {
        self.0.map_or(ABSENT, |average| average.mean())
    }
}

impl Fold for Counts {
    const HISTOGRAMS: OfHistograms = OfHistograms::Counted;
    const NAME: &'static str = "count";

    fn new() -> Self {
        Self(0.0)
    }

    #[inline]
    fn add(&mut self, _: f64) {
        self.0 += 1.0;
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn result(&mut self, _: f64) -> f64 {
        if self.0 == 0.0 { ABSENT } else { self.0 }
    }
}

impl Fold for Ones {
    const HISTOGRAMS: OfHistograms = OfHistograms::Counted;
    const NAME: &'static str = "group";

    fn new() -> Self {
        Self(ABSENT)
    }

    #[inline]
    fn add(&mut self, _: f64) {
        self.0 = 1.0;
    }

    fn merge(&mut self, other: &Self) {
        if !is_absent(other.0) {
            self.0 = 1.0;
        }
    }

    fn result(&mut self, _: f64) -> f64 {
        self.0
    }
}

macro_rules! extreme {
    ($name:ident, $written:literal, $wins:tt) => {
        impl Fold for $name {
            const HISTOGRAMS: OfHistograms = OfHistograms::Ignored;
            const NAME: &'static str = $written;

            fn new() -> Self {
                Self(ABSENT)
            }

            // The absent marker is a NaN, so any number wins against it.
            #[inline]
            fn add(&mut self, value: f64) {
                if value $wins self.0 || self.0.is_nan() {
                    self.0 = value;
                }
            }

            fn merge(&mut self, other: &Self) {
                if !is_absent(other.0) {
                    self.add(other.0);
                }
            }

            fn result(&mut self, _: f64) -> f64 {
                self.0
            }
        }
    };
}

extreme!(Smallest, "min", <);
extreme!(Largest, "max", >);

macro_rules! moments {
    ($name:ident, $written:literal, $result:expr) => {
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name(Option<Moments>);

        impl Fold for $name {
            const HISTOGRAMS: OfHistograms = OfHistograms::Ignored;
            const NAME: &'static str = $written;

            fn new() -> Self {
                Self(None)
            }

            fn add(&mut self, value: f64) {
                self.0.get_or_insert_default().add(value);
            }

            fn merge(&mut self, other: &Self) {
                if let Some(other) = &other.0 {
                    self.0.get_or_insert_default().merge(other);
                }
            }

            fn result(&mut self, _: f64) -> f64 {
                self.0.map_or(ABSENT, |moments| $result(moments.variance()))
            }
        }
    };
}

moments!(Deviations, "stddev", f64::sqrt);
moments!(Variances, "stdvar", |variance| variance);

#[derive(Debug, Clone)]
pub(super) struct Quantiles(Vec<f64>);

impl Fold for Quantiles {
    const HISTOGRAMS: OfHistograms = OfHistograms::Ignored;
    const NAME: &'static str = "quantile";

    fn new() -> Self {
        Self(Vec::new())
    }

    fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    fn merge(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    fn result(&mut self, q: f64) -> f64 {
        if self.0.is_empty() { ABSENT } else { quantile(q, &mut self.0) }
    }
}

/// Histograms of a group at a step.
#[derive(Debug, Clone)]
pub(super) enum Histograms {
    Sum(SumOfHistograms),
    Average(MeanOfHistograms),
}

impl Histograms {
    pub(super) fn new(of: OfHistograms) -> Self {
        match of {
            OfHistograms::Averaged => Self::Average(MeanOfHistograms::default()),
            _ => Self::Sum(SumOfHistograms::default()),
        }
    }

    pub(super) fn add(&mut self, histogram: &Histogram) {
        match self {
            Self::Sum(sum) => sum.add(histogram),
            Self::Average(average) => average.add(histogram),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Sum(sum), Self::Sum(other)) => sum.merge(other),
            (Self::Average(average), Self::Average(other)) => average.merge(other),
            _ => {}
        }
    }
}
