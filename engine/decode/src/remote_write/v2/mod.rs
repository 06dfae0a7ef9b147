//! Prometheus remote write 2.0.
//!
//! Texts stand in a table at the head of the request, and series refer to them by
//! number. The numbers differ from request to request, so a series is recognised by
//! the hashes of its texts ([`symbols`]); what is parsed when, and what rejects what,
//! is as in 1.0.

use hashbrown::HashSet;
use isinglass_model::batch::Decoded;
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::reason::code;
use isinglass_model::series::SeriesRef;

use super::exemplar::Exemplar;
use super::labels::{check_name, check_value};
use super::{REQUEST_1, REQUEST_2, read_histogram, read_sample};
use crate::Context;
use crate::item::{Fault, Stop, split};
use crate::schema::{REMOTE_EXEMPLAR_2, TIME_SERIES_2};
use crate::series::{Refused, Sink, checked_time, label_set};
use crate::value::excerpt;
use crate::wire::{Reader, WireError};

mod metadata;
mod symbols;

use metadata::Metadata;
use symbols::{Refs, Symbols};

/// Reads a `Request`.
pub(crate) fn decode(mut body: Reader<'_>, context: &mut Context<'_>) -> Result<Decoded, WireError> {
    let sink = Sink::new(context);
    let symbols = Symbols::read(body, sink.salt)?;
    let mut request = Request {
        sink,
        symbols,
        refs: Refs::default(),
        exemplar_refs: Refs::default(),
        scratch: Vec::new(),
        described: HashSet::default(),
    };
    while let Some(field) = body.next()? {
        match field.number {
            1 | 3 => return Err(field.foreign(REQUEST_1, REQUEST_2)),
            5 => request.series(field.message()?)?,
            _ => {}
        }
    }
    Ok(request.sink.decoded)
}

/// A request while it is read.
struct Request<'a, 'b> {
    sink: Sink<'a>,
    symbols: Symbols<'b>,
    /// The labels of the series that is being read.
    refs: Refs,
    /// The labels of the exemplar that is being read.
    exemplar_refs: Refs,
    scratch: Vec<u8>,
    /// What was described in this request: the symbol of the name, and whether it is
    /// the name of a family already. Every series repeats it.
    described: HashSet<(u32, bool, Metadata), ahash::RandomState>,
}

/// What a series says besides its labels and rows.
#[derive(Default)]
struct Parts {
    items: u64,
    samples: bool,
    metadata: Metadata,
    /// `created_timestamp`: when counting began, for rows that do not say it. 0 = unknown.
    start_ms: i64,
}

impl Parts {
    /// Finds them, and the references of the labels.
    fn find(mut series: Reader<'_>, refs: &mut Refs) -> Result<Self, WireError> {
        let mut parts = Self::default();
        refs.clear();
        while let Some(field) = series.next()? {
            match field.number {
                1 => refs.read(&field)?,
                2..=4 => {
                    parts.items += 1;
                    parts.samples |= field.number == 2;
                }
                5 => parts.metadata = Metadata::read(field.message()?)?,
                6 => parts.start_ms = field.int64()?,
                _ => {}
            }
        }
        Ok(parts)
    }
}

impl Request<'_, '_> {
    fn series(&mut self, message: Reader<'_>) -> Result<(), WireError> {
        let parts = Parts::find(message, &mut self.refs)?;
        if parts.items == 0 {
            return Ok(());
        }
        match self.resolve(&parts) {
            Ok(series) => {
                self.describe(&parts);
                self.sink.take(parts.items, message)?;
                self.sink.decoded.samples.bytes += message.len();
                self.rows(series, parts.start_ms, message)
            }
            Err(refused) => {
                let text = || self.symbols.show(&TIME_SERIES_2, message, &self.refs);
                self.sink.refuse_as(refused, parts.items, &TIME_SERIES_2, message, text)
            }
        }
    }

    fn resolve(&mut self, parts: &Parts) -> Result<SeriesRef, Refused> {
        let Self { sink, symbols, refs, scratch, .. } = self;
        refs.check()?;
        parts.metadata.check(symbols)?;
        let fingerprint = symbols.fingerprint(refs, sink.salt, scratch)?;
        sink.resolve(fingerprint, |sink| labels(sink, symbols, refs))
    }

    fn describe(&mut self, parts: &Parts) {
        let metadata = parts.metadata;
        if metadata.is_empty() {
            return;
        }
        let is_name = |symbol| self.symbols.get(symbol).is_ok_and(|name| name == METRIC_NAME.as_bytes());
        let Some(symbol) = self.refs.value_of(is_name) else { return };
        if !self.described.insert((symbol, parts.samples, metadata)) {
            return;
        }
        let Ok(Ok(name)) = self.symbols.get(symbol).map(std::str::from_utf8) else { return };
        // A native histogram has the family's name, whatever it ends in.
        let family = if parts.samples { metadata.family(name) } else { name };
        self.sink.describe(family, metadata.resolve(&self.symbols));
    }

    fn rows(&mut self, series: SeriesRef, start_ms: i64, mut fields: Reader<'_>) -> Result<(), WireError> {
        while let Some(field) = fields.next()? {
            match field.number {
                2 => read_sample(&mut self.sink, series, field.message()?, start_ms)?,
                3 => read_histogram(&mut self.sink, series, field.message()?, start_ms)?,
                4 => self.exemplar(series, field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn exemplar(&mut self, series: SeriesRef, message: Reader<'_>) -> Result<(), WireError> {
        let Self { sink, symbols, exemplar_refs: refs, .. } = self;
        match split(exemplar(message, symbols, refs))? {
            Ok(exemplar) => {
                exemplar.add(sink, series);
                Ok(())
            }
            Err(fault) => {
                let text = || symbols.show(&REMOTE_EXEMPLAR_2, message, refs);
                sink.reject_as(&fault, 1, &REMOTE_EXEMPLAR_2, message, text)
            }
        }
    }
}

/// Reads an exemplar. Unlike in 1.0, it may be without labels.
fn exemplar<'b>(
    mut fields: Reader<'_>,
    symbols: &Symbols<'b>,
    refs: &mut Refs,
) -> Result<Exemplar<'b>, Stop> {
    let mut exemplar = Exemplar::default();
    refs.clear();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => refs.read(&field)?,
            2 => exemplar.value = field.double()?,
            3 => exemplar.time_ms = field.int64()?,
            _ => {}
        }
    }
    refs.check()?;
    for pair in symbols.pairs(refs) {
        let (name, value) = pair?;
        exemplar.label(name, value)?;
    }
    checked_time(exemplar.time_ms)?;
    Ok(exemplar)
}

/// Parses and packs the labels of a series that was never seen.
fn labels(sink: &mut Sink<'_>, symbols: &Symbols<'_>, refs: &Refs) -> Result<LabelSet, Stop> {
    let bytes = symbols.bytes_of(refs);
    sink.check_new_labels(bytes)?;
    let labels = parse(symbols, refs);
    if labels.is_err() {
        // Long symbols that are no labels cost as much to read, every time they are named.
        sink.charge_labels(bytes);
    }
    Ok(labels?)
}

fn parse(symbols: &Symbols<'_>, refs: &Refs) -> Result<LabelSet, Fault> {
    let mut labels = Vec::with_capacity(refs.labels());
    for pair in symbols.pairs(refs) {
        let (name, value) = pair?;
        let (name, value) = (check_name(name)?, check_value(name, value)?);
        if value.is_empty() {
            return Err(empty(name));
        }
        labels.push((name, value));
    }
    label_set(&mut labels, Temporality::Unspecified)
}

/// In 1.0 a label with an empty value is as absent; 2.0 forbids to send it.
#[cold]
fn empty(name: &str) -> Fault {
    let reason = if name == METRIC_NAME { code::MISSING_METRIC_NAME } else { code::LABEL_VALUE_INVALID };
    Fault::new(reason, format!("the value of label {:?} is empty", excerpt(name.as_bytes())))
}
