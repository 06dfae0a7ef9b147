//! Label sets, from the bytes of `TimeSeries.labels`.

use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::reason::code;

use super::LABELS_TAG;
use crate::item::{Fault, Stop};
use crate::series::label_set;
use crate::value::excerpt;
use crate::wire::{Reader, WireError};

/// Copies all labels of a series behind one another, for a sender that has
/// them in several places.
#[cold]
pub(super) fn gather(mut series: Reader<'_>, out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut labels = crate::wire::Writer::default();
    while let Some(field) = series.next()? {
        if field.number == 1 {
            labels.bytes_field(u32::from(LABELS_TAG >> 3), field.bytes()?);
        }
    }
    *out = labels.into_bytes();
    Ok(())
}

/// Parses labels and packs them.
pub(super) fn parse(bytes: &[u8]) -> Result<LabelSet, Stop> {
    let mut labels = Vec::with_capacity(16);
    let mut fields = Reader::new(bytes);
    while let Some(field) = fields.next()? {
        let (name, value) = pair(field.message()?)?;
        labels.push((check_name(name)?, check_value(name, value)?));
    }
    Ok(label_set(&mut labels, Temporality::Unspecified)?)
}

/// Name and value of a `Label`.
pub(super) fn pair(mut label: Reader<'_>) -> Result<(&[u8], &[u8]), WireError> {
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    while let Some(field) = label.next()? {
        match field.number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((name, value))
}

pub(super) fn check_name(name: &[u8]) -> Result<&str, Fault> {
    match simdutf8::basic::from_utf8(name) {
        Ok("") => Err(Fault::new(code::LABEL_INVALID, "a label without a name")),
        Ok(name) => Ok(name),
        Err(_) => {
            Err(Fault::new(code::LABEL_INVALID, format!("label name {:?} is not UTF-8", excerpt(name))))
        }
    }
}

pub(super) fn check_value<'a>(name: &[u8], value: &'a [u8]) -> Result<&'a str, Fault> {
    simdutf8::basic::from_utf8(value).map_err(|_| {
        let reason = if name == METRIC_NAME.as_bytes() {
            code::METRIC_NAME_INVALID
        } else {
            code::LABEL_VALUE_INVALID
        };
        Fault::new(reason, format!("value {:?} of label {:?} is not UTF-8", excerpt(value), excerpt(name)))
    })
}
