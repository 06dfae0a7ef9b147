//! Batches for unit tests: columns by name, in the encoding that the plugin
//! asked for.

use crate::columns::{Batch, Column, Data, Encoding, Request, Shape, TextData};

/// Builds a batch for a plugin's requests.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    requests: Vec<&'a Request>,
    batch: Batch,
}

impl<'a> Table<'a> {
    /// A batch of `rows` rows without columns. `requests` are those of one
    /// shape, from a [`columns!`](crate::columns!) struct.
    pub fn new(requests: impl IntoIterator<Item = &'a Request>, shape: Shape, rows: usize) -> Self {
        let requests = requests.into_iter().filter(|request| request.shape == shape).collect();
        Self { requests, batch: Batch { shape, rows, columns: Vec::new() } }
    }

    /// Adds a column of text, encoded as it was asked for.
    pub fn text(self, name: &str, values: &[&str]) -> Self {
        let valid: Vec<Option<&str>> = values.iter().copied().map(Some).collect();
        self.nullable_text(name, &valid)
    }

    /// Adds a column of text with nulls.
    pub fn nullable_text(self, name: &str, values: &[Option<&str>]) -> Self {
        let Some(encoding) = self.request(name).map(|request| request.encoding) else { return self };
        let texts = values.iter().map(|value| value.unwrap_or_default());
        let data = match encoding {
            Encoding::Values => Data::Text(texts.collect()),
            Encoding::Lengths => Data::U32(texts.map(|text| text.len() as u32).collect()),
            Encoding::Dictionary => dictionary(texts),
        };
        let nulls = values.iter().any(Option::is_none);
        self.column(name, data, nulls.then(|| bits(values.iter().map(Option::is_some))))
    }

    /// Adds a column of integers.
    pub fn integers(self, name: &str, values: Vec<i64>) -> Self {
        self.column(name, Data::I64(values), None)
    }

    /// Adds a column of integers with nulls.
    pub fn nullable_integers(self, name: &str, values: &[Option<i64>]) -> Self {
        let data = values.iter().map(|value| value.unwrap_or_default()).collect();
        self.column(name, Data::I64(data), Some(bits(values.iter().map(Option::is_some))))
    }

    /// Adds a column of small counts.
    pub fn counts(self, name: &str, values: Vec<u32>) -> Self {
        self.column(name, Data::U32(values), None)
    }

    /// Adds a column of floats.
    pub fn floats(self, name: &str, values: Vec<f64>) -> Self {
        self.column(name, Data::F64(values), None)
    }

    /// Adds a column of `WIDTH` bytes per row.
    pub fn fixed<const WIDTH: usize>(self, name: &str, rows: &[[u8; WIDTH]]) -> Self {
        self.column(name, Data::Fixed { width: WIDTH as u32, data: rows.concat() }, None)
    }

    /// Adds a column of offsets; `lengths` has one entry per row.
    pub fn offsets(self, name: &str, lengths: &[usize]) -> Self {
        let mut offsets = vec![0];
        for length in lengths {
            offsets.push(offsets[offsets.len() - 1] + *length as i32);
        }
        self.column(name, Data::Offsets(offsets), None)
    }

    /// The batch.
    pub fn batch(self) -> Batch {
        self.batch
    }

    fn request(&self, name: &str) -> Option<&'a Request> {
        self.requests.iter().copied().find(|request| request.name == name)
    }

    /// What nobody asked for is left out, as the host does.
    fn column(mut self, name: &str, data: Data, validity: Option<Vec<u8>>) -> Self {
        if let Some(request) = self.request(name) {
            self.batch.columns.push(Column { slot: request.slot, validity, data });
        }
        self
    }
}

fn dictionary<'a>(texts: impl Iterator<Item = &'a str>) -> Data {
    let mut known = std::collections::HashMap::new();
    let mut values = TextData::default();
    let keys = texts.map(|text| {
        *known.entry(text).or_insert_with(|| {
            values.push(text);
            values.len() as u32 - 1
        })
    });
    let keys = keys.collect();
    Data::Dictionary { keys, values }
}

fn bits(valid: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bits = Vec::new();
    for (row, valid) in valid.enumerate() {
        if row % 8 == 0 {
            bits.push(0);
        }
        bits[row / 8] |= u8::from(valid) << (row % 8);
    }
    bits
}
