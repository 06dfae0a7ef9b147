//! Prometheus remote write 2.0 requests.

use std::collections::HashMap;

use crate::proto::{Writer, message};
use crate::remote_write;

/// One `TimeSeries`: what it has in 1.0, and what only 2.0 says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Labels, samples, exemplars and histograms.
    pub rows: remote_write::Series,
    /// Type (1 counter, 2 gauge, 3 histogram), help, unit.
    pub metadata: Option<(u64, String, String)>,
    /// `created_timestamp`, 0 = none.
    pub start_ms: i64,
}

impl From<remote_write::Series> for Series {
    fn from(rows: remote_write::Series) -> Self {
        Self { rows, ..Self::default() }
    }
}

impl Series {
    /// Sets the metadata.
    #[must_use]
    pub fn metadata(mut self, kind: u64, help: &str, unit: &str) -> Self {
        self.metadata = Some((kind, help.to_owned(), unit.to_owned()));
        self
    }

    /// Sets when counting began.
    #[must_use]
    pub fn start(mut self, start_ms: i64) -> Self {
        self.start_ms = start_ms;
        self
    }
}

/// The symbol table of a request.
#[derive(Debug)]
pub struct Symbols {
    texts: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, u64>,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { texts: vec![Vec::new()], numbers: HashMap::from([(Vec::new(), 0)]) }
    }
}

impl Symbols {
    /// The number of a text.
    pub fn number(&mut self, text: &[u8]) -> u64 {
        let next = self.texts.len() as u64;
        let texts = &mut self.texts;
        *self.numbers.entry(text.to_vec()).or_insert_with(|| {
            texts.push(text.to_vec());
            next
        })
    }

    fn refs<'a>(&mut self, labels: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u64> {
        labels.flat_map(|(name, value)| [self.number(name), self.number(value)]).collect()
    }

    fn series(&mut self, series: &Series) -> Vec<u8> {
        let Series { rows, metadata, start_ms } = series;
        let labels = self.refs(rows.labels.iter().map(|(name, value)| (&name[..], &value[..])));
        message(|w| {
            w.varints(1, &labels);
            for (time_ms, value) in &rows.samples {
                w.message(2, |w| {
                    w.double(1, *value).varint(2, time_ms.cast_unsigned());
                });
            }
            for histogram in &rows.histograms {
                w.bytes(3, histogram);
            }
            for (labels, time_ms, value) in &rows.exemplars {
                let refs = self.refs(labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
                w.message(4, |w| {
                    w.varints(1, &refs).double(2, *value).varint(3, time_ms.cast_unsigned());
                });
            }
            if let Some((kind, help, unit)) = metadata {
                let (help, unit) = (self.number(help.as_bytes()), self.number(unit.as_bytes()));
                w.message(5, |w| {
                    w.varint(1, *kind).varint(3, help).varint(4, unit);
                });
            }
            w.varint(6, start_ms.cast_unsigned());
        })
    }

    fn write(&self, to: &mut Writer) {
        self.texts.iter().for_each(|text| {
            to.bytes(4, text);
        });
    }
}

/// A `Request`, not compressed.
pub fn request(series: &[Series]) -> Vec<u8> {
    let mut symbols = Symbols::default();
    let series: Vec<_> = series.iter().map(|one| symbols.series(one)).collect();
    message(|w| {
        symbols.write(w);
        series.iter().for_each(|one| {
            w.bytes(5, one);
        });
    })
}
