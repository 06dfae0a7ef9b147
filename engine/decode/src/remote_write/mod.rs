//! Prometheus remote write: 1.0 here, 2.0 in [`v2`].
//!
//! A series comes with all its labels in every request, but its bytes are the
//! same each time. So only the span of the label bytes is found and hashed;
//! labels are parsed when the hash was never seen.

use isinglass_model::reason::code;

use crate::Context;
use crate::item::{Fault, split};
use crate::schema::{REMOTE_HISTOGRAM, REMOTE_SAMPLE, TIME_SERIES};
use crate::series::{Sink, checked_time, fingerprint};
use crate::wire::{Reader, WireError};

mod exemplar;
mod histogram;
mod labels;
mod metadata;
pub(crate) mod v2;

pub(crate) use histogram::{Counts, Layout};

use isinglass_model::batch::Decoded;
use isinglass_model::series::SeriesRef;

/// The messages as content types name them. 1.0 has fields 1 to 3 and 2.0 begins at 4,
/// so that one is never taken for the other, which would look empty.
const REQUEST_1: &str = "prometheus.WriteRequest";
const REQUEST_2: &str = "io.prometheus.write.v2.Request";

/// The tag of `TimeSeries.labels`.
const LABELS_TAG: u8 = 0x0a;

/// Reads a `WriteRequest`.
pub(crate) fn decode(mut body: Reader<'_>, context: &mut Context<'_>) -> Result<Decoded, WireError> {
    let mut sink = Sink::new(context);
    let mut scattered = Vec::new();
    while let Some(field) = body.next()? {
        match field.number {
            1 => read_series(&mut sink, field.message()?, &mut scattered)?,
            3 => metadata::read(&mut sink, field.message()?)?,
            4 | 5 => return Err(field.foreign(REQUEST_2, REQUEST_1)),
            _ => {}
        }
    }
    Ok(sink.decoded)
}

fn read_series(sink: &mut Sink<'_>, series: Reader<'_>, scattered: &mut Vec<u8>) -> Result<(), WireError> {
    let parts = Parts::find(series)?;
    if parts.items == 0 {
        return Ok(());
    }
    let label_bytes = match parts.more_labels {
        false => parts.labels,
        true => {
            labels::gather(series, scattered)?;
            scattered
        }
    };
    let resolved = sink.resolve(fingerprint(label_bytes, sink.salt), |_| labels::parse(label_bytes));
    let series_ref = match resolved {
        Ok(series_ref) => series_ref,
        Err(refused) => return sink.refuse(refused, parts.items, &TIME_SERIES, series),
    };
    sink.take(parts.items, series)?;
    sink.decoded.samples.bytes += series.len();
    read_rows(sink, series_ref, parts.rest)
}

/// Where a series' parts lie.
struct Parts<'a> {
    /// The labels in front, which is where every sender puts them.
    labels: &'a [u8],
    /// Whether there are labels behind other fields as well.
    more_labels: bool,
    /// Everything behind the labels in front.
    rest: Reader<'a>,
    items: u64,
}

impl<'a> Parts<'a> {
    #[inline]
    fn find(series: Reader<'a>) -> Result<Self, WireError> {
        let mut fields = series;
        fields.skip_run(LABELS_TAG)?;
        let mut parts = Self { labels: fields.since(&series), more_labels: false, rest: fields, items: 0 };
        while let Some(field) = fields.next()? {
            match field.number {
                1 => parts.more_labels = true,
                2..=4 => parts.items += 1,
                _ => {}
            }
        }
        Ok(parts)
    }
}

fn read_rows(sink: &mut Sink<'_>, series: SeriesRef, mut fields: Reader<'_>) -> Result<(), WireError> {
    while let Some(field) = fields.next()? {
        match field.number {
            2 => read_sample(sink, series, field.message()?, 0)?,
            3 => exemplar::read(sink, series, field.message()?)?,
            4 => read_histogram(sink, series, field.message()?, 0)?,
            _ => {}
        }
    }
    Ok(())
}

/// Reads a sample. `start_ms` is the start of its series, for a sample that has none
/// of its own; 0 = unknown.
#[inline]
fn read_sample(
    sink: &mut Sink<'_>,
    series: SeriesRef,
    message: Reader<'_>,
    start_ms: i64,
) -> Result<(), WireError> {
    let sample = Sample::read(message)?;
    match checked_time(sample.time_ms).and_then(|_| checked_start(sample.start_ms, start_ms)) {
        Ok(start_ms) => sink.decoded.samples.push(series, sample.time_ms, sample.value, start_ms),
        Err(fault) => sink.reject(&fault, 1, &REMOTE_SAMPLE, message)?,
    }
    Ok(())
}

/// The start of a row: its own, else that of its series; 0 = unknown.
#[inline]
fn checked_start(own_ms: i64, of_series_ms: i64) -> Result<i64, Fault> {
    let start_ms = if own_ms == 0 { of_series_ms } else { own_ms };
    checked_time(start_ms).map_err(|fault| Fault::new(fault.reason, format!("start {}", fault.message)))
}

struct Sample {
    value: f64,
    time_ms: i64,
    start_ms: i64,
}

impl Sample {
    #[inline]
    fn read(mut fields: Reader<'_>) -> Result<Self, WireError> {
        if let Some((value, time_ms)) = usual_sample(fields) {
            return Ok(Self { value, time_ms, start_ms: 0 });
        }
        let mut sample = Self { value: 0.0, time_ms: 0, start_ms: 0 };
        while let Some(field) = fields.next()? {
            match field.number {
                1 => sample.value = field.double()?,
                2 => sample.time_ms = field.int64()?,
                3 => sample.start_ms = field.int64()?,
                _ => {}
            }
        }
        Ok(sample)
    }
}

/// A sample as every sender writes it: the value, the time, nothing else.
#[inline]
fn usual_sample(sample: Reader<'_>) -> Option<(f64, i64)> {
    const VALUE_TAG: u8 = 0x09;
    const TIME_TAG: u8 = 0x10;
    let ([VALUE_TAG, value @ .., TIME_TAG], time) = sample.bytes().split_first_chunk::<10>()? else {
        return None;
    };
    let (last, others) = time.split_last()?;
    if time.len() > 9 || *last >= 0x80 {
        return None;
    }
    let mut time_ms = u64::from(*last);
    for byte in others.iter().rev() {
        if *byte < 0x80 {
            return None;
        }
        time_ms = time_ms << 7 | u64::from(byte & 0x7f);
    }
    Some((f64::from_le_bytes(*value), time_ms.cast_signed()))
}

/// Reads a native histogram; `start_ms` as in [`read_sample`].
fn read_histogram(
    sink: &mut Sink<'_>,
    series: SeriesRef,
    message: Reader<'_>,
    start_ms: i64,
) -> Result<(), WireError> {
    let read = histogram::read(message, series).and_then(|mut row| {
        checked_time(row.time_ms)?;
        row.start_ms = checked_start(row.start_ms, start_ms)?;
        Ok(row)
    });
    match split(read)? {
        Ok(row) => sink.decoded.histograms.rows.push(row),
        Err(fault) => sink.reject(&fault, 1, &REMOTE_HISTOGRAM, message)?,
    }
    Ok(())
}

/// A native histogram that cannot be one.
#[cold]
pub(crate) fn invalid_histogram(message: impl Into<String>) -> Fault {
    Fault::new(code::NATIVE_HISTOGRAM_INVALID, message)
}
