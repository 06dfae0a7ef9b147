//! What a limiter answers.

/// The signal of a request, before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Samples and histograms.
    Metrics,
    /// Log records.
    Logs,
    /// Spans.
    Traces,
}

/// A token bucket that the host keeps per tenant and key.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its name within the plugin.
    pub key: String,
    /// Tokens that flow in.
    pub rate_per_second: f64,
    /// Tokens that it holds.
    pub burst: f64,
}

/// What a batch takes from which bucket. The host takes all of it or nothing;
/// if a bucket lacks tokens, the whole request is refused. Empty = no limit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    buckets: Vec<Bucket>,
    costs: Vec<f64>,
}

impl Plan {
    /// Takes nothing.
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Takes `cost` tokens from a bucket.
    pub fn take(mut self, bucket: Bucket, cost: f64) -> Self {
        self.buckets.push(bucket);
        self.costs.push(cost);
        self
    }

    /// The buckets and what is taken from each.
    pub fn takes(&self) -> impl Iterator<Item = (&Bucket, f64)> {
        self.buckets.iter().zip(self.costs.iter().copied())
    }

    /// The buckets, and a cost for each.
    pub fn into_parts(self) -> (Vec<Bucket>, Vec<f64>) {
        (self.buckets, self.costs)
    }
}
