//! Prometheus remote write 1.0.
//!
//! A series comes with all its labels in every request, but its bytes are the
//! same each time. So only the span of the label bytes is found and hashed;
//! labels are parsed when the hash was never seen.

use isinglass_model::reason::code;

use crate::Context;
use crate::item::{Fault, Stop, split};
use crate::schema::{REMOTE_HISTOGRAM, REMOTE_SAMPLE, TIME_SERIES};
use crate::series::{Sink, checked_time, fingerprint};
use crate::wire::{Reader, WireError};

mod exemplar;
mod histogram;
mod labels;
mod metadata;

pub(crate) use histogram::{Counts, Layout};

use isinglass_model::batch::Decoded;
use isinglass_model::series::SeriesRef;

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
            2 => read_sample(sink, series, field.message()?)?,
            3 => exemplar::read(sink, series, field.message()?)?,
            4 => read_histogram(sink, series, field.message()?)?,
            _ => {}
        }
    }
    Ok(())
}

#[inline]
fn read_sample(sink: &mut Sink<'_>, series: SeriesRef, sample: Reader<'_>) -> Result<(), WireError> {
    let (value, time_ms) = sample_fields(sample)?;
    match checked_time(time_ms) {
        Ok(time_ms) => sink.decoded.samples.push(series, time_ms, value, 0),
        Err(fault) => sink.reject(&fault, 1, &REMOTE_SAMPLE, sample)?,
    }
    Ok(())
}

#[inline]
fn sample_fields(mut fields: Reader<'_>) -> Result<(f64, i64), WireError> {
    if let Some(sample) = usual_sample(fields) {
        return Ok(sample);
    }
    let (mut value, mut time_ms) = (0.0, 0);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => value = field.double()?,
            2 => time_ms = field.int64()?,
            _ => {}
        }
    }
    Ok((value, time_ms))
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

fn read_histogram(sink: &mut Sink<'_>, series: SeriesRef, message: Reader<'_>) -> Result<(), WireError> {
    let read = histogram::read(message, series).and_then(|row| {
        checked_time(row.time_ms).map_err(Stop::from)?;
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
