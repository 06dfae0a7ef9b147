//! What metrics are: `WriteRequest.metadata`. Not an item: nothing is stored
//! for it but the columns of `series`.
//!
//! The numbers of types are the same in 1.0 and 2.0.

use isinglass_model::series::MetricMeta;

use crate::series::Sink;
use crate::wire::{Reader, WireError};

const TYPES: [&str; 8] =
    ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];

/// The name of a type; numbers without one are unknown.
pub(super) fn type_name(number: i32) -> &'static str {
    usize::try_from(number).ok().and_then(|at| TYPES.get(at)).unwrap_or(&TYPES[0])
}

/// Reads a `MetricMetadata`.
pub(super) fn read(sink: &mut Sink<'_>, mut fields: Reader<'_>) -> Result<(), WireError> {
    let (mut metric_type, mut name, mut help, mut unit): (i32, &[u8], &[u8], &[u8]) = (0, &[], &[], &[]);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => metric_type = field.int32()?,
            2 => name = field.bytes()?,
            4 => help = field.bytes()?,
            5 => unit = field.bytes()?,
            _ => {}
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match std::str::from_utf8(name) {
        Ok("") | Err(_) => {}
        Ok(name) => {
            let metric_type = type_name(metric_type).to_owned();
            sink.describe(name, MetricMeta { metric_type, unit: text(unit), help: text(help) });
        }
    }
    Ok(())
}
