//! Prometheus remote write 1.0 requests.

use crate::proto::{Writer, message};

/// One `TimeSeries`. Labels are bytes, because senders have sent worse than text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Labels in the order in which they are written.
    pub labels: Vec<(Vec<u8>, Vec<u8>)>,
    /// (milliseconds, value)
    pub samples: Vec<(i64, f64)>,
    /// Exemplars: labels, milliseconds, value.
    pub exemplars: Vec<(Vec<(String, String)>, i64, f64)>,
    /// Native histograms, already encoded.
    pub histograms: Vec<Vec<u8>>,
}

impl Series {
    /// A series without samples.
    pub fn new(labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        Self { labels: labels.collect(), ..Self::default() }
    }

    /// Adds a label as bytes.
    #[must_use]
    pub fn label(mut self, name: &[u8], value: &[u8]) -> Self {
        self.labels.push((name.to_vec(), value.to_vec()));
        self
    }

    /// Adds a sample.
    #[must_use]
    pub fn sample(mut self, time_ms: i64, value: f64) -> Self {
        self.samples.push((time_ms, value));
        self
    }

    /// Adds an exemplar.
    #[must_use]
    pub fn exemplar(mut self, labels: &[(&str, &str)], time_ms: i64, value: f64) -> Self {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.exemplars.push((labels, time_ms, value));
        self
    }

    /// Adds a native histogram of integers: schema 0, one span of positive
    /// buckets from offset 0 whose counts are `counts`.
    #[must_use]
    pub fn histogram(mut self, time_ms: i64, sum: f64, counts: &[u64]) -> Self {
        self.histograms.push(message(|w| {
            w.varint(1, counts.iter().sum()).double(3, sum).zigzag(4, 0).double(5, 1e-128).varint(6, 0);
            w.message(11, |span| {
                span.zigzag(1, 0).varint(2, counts.len() as u64);
            });
            let mut before = 0;
            let deltas: Vec<u64> = counts
                .iter()
                .map(|count| {
                    let delta = count.cast_signed() - std::mem::replace(&mut before, count.cast_signed());
                    ((delta << 1) ^ (delta >> 63)).cast_unsigned()
                })
                .collect();
            w.varints(12, &deltas).varint(15, time_ms.cast_unsigned());
        }));
        self
    }

    /// Writes the fields of the series.
    pub fn write(&self, to: &mut Writer) {
        for (name, value) in &self.labels {
            to.message(1, |w| {
                w.bytes(1, name).bytes(2, value);
            });
        }
        for (time_ms, value) in &self.samples {
            to.message(2, |w| {
                w.double(1, *value).varint(2, time_ms.cast_unsigned());
            });
        }
        for (labels, time_ms, value) in &self.exemplars {
            to.message(3, |w| {
                labels.iter().for_each(|(name, value)| {
                    w.message(1, |w| {
                        w.text(1, name).text(2, value);
                    });
                });
                w.double(2, *value).varint(3, time_ms.cast_unsigned());
            });
        }
        self.histograms.iter().for_each(|histogram| {
            to.bytes(4, histogram);
        });
    }
}

/// A `WriteRequest`, not compressed.
pub fn request(series: &[Series]) -> Vec<u8> {
    message(|w| {
        series.iter().for_each(|one| {
            w.message(1, |w| one.write(w));
        })
    })
}

/// Metadata of a metric family as Prometheus sends it: `kind` 1 counter, 2 gauge,
/// 3 histogram. Append it to a request.
pub fn metadata(kind: u64, family: &str, help: &str, unit: &str) -> Vec<u8> {
    message(|w| {
        w.message(3, |w| {
            w.varint(1, kind).text(2, family).text(4, help).text(5, unit);
        });
    })
}

/// The body as it goes over the wire.
pub fn snappy(request: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(request).expect("a request fits into snappy's 4 GiB")
}
