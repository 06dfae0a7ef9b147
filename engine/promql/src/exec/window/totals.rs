//! Sums and means of native histograms, and what there is to say of them.

use crate::histogram::{Added, Histogram, HistogramError, HistogramMean, HistogramSum, ResetHint};

/// What came up while histograms were added.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Remarks {
    reset: bool,
    not_reset: bool,
    /// Custom bounds differed.
    pub(crate) reconciled: bool,
    /// Exponential and custom buckets do not add up: there is no result.
    pub(crate) incompatible: bool,
}

impl Remarks {
    fn hint(&mut self, hint: ResetHint) {
        self.reset |= hint == ResetHint::Reset;
        self.not_reset |= hint == ResetHint::NotReset;
    }

    fn note(&mut self, added: Result<Added, HistogramError>) {
        match added {
            Ok(added) => self.reconciled |= added.custom_buckets_reconciled,
            Err(_) => self.incompatible = true,
        }
    }

    /// Some said that counts were reset, others that they were not.
    pub(crate) fn conflicting_resets(&self) -> bool {
        self.reset && self.not_reset
    }

    fn merge(&mut self, other: &Self) {
        self.reset |= other.reset;
        self.not_reset |= other.not_reset;
        self.reconciled |= other.reconciled;
        self.incompatible |= other.incompatible;
    }
}

macro_rules! total {
    ($(#[$doc:meta])* $name:ident, $inner:ident, $result:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            inner: Option<$inner>,
            remarks: Remarks,
        }

        impl $name {
            pub(crate) fn add(&mut self, histogram: &Histogram) {
                self.remarks.hint(histogram.reset_hint);
                if self.remarks.incompatible {
                    return;
                }
                match &mut self.inner {
                    None => self.inner = Some($inner::new(histogram.clone())),
                    Some(inner) => self.remarks.note(inner.add(histogram)),
                }
            }

            /// Takes those of another part in.
            pub(crate) fn merge(&mut self, other: Self) {
                self.remarks.merge(&other.remarks);
                if self.remarks.incompatible {
                    return;
                }
                match (&mut self.inner, other.inner) {
                    (Some(inner), Some(other)) => self.remarks.note(inner.merge(other)),
                    (inner @ None, other) => *inner = other,
                    (Some(_), None) => {}
                }
            }

            /// The result, unless histograms did not go together.
            pub(crate) fn result(self) -> (Option<Histogram>, Remarks) {
                let fits = !self.remarks.incompatible;
                let mut result = self.inner.filter(|_| fits).map($inner::$result);
                if let Some(result) = &mut result {
                    result.compact(0);
                }
                (result, self.remarks)
            }
        }
    };
}

total!(
    /// A sum of histograms, rounding errors kept.
    SumOfHistograms,
    HistogramSum,
    total
);
total!(
    /// A mean of histograms.
    MeanOfHistograms,
    HistogramMean,
    mean
);
