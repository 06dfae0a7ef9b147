//! Values as JSON: what Arrow's writer does, except for floats, and times faster.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type, TimestampNanosecondType};
use arrow_array::{Array, PrimitiveArray};
use arrow_json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder};
use arrow_schema::{ArrowError, DataType, FieldRef, TimeUnit};

use super::times::TimeEncoder;

/// Options of all JSON that leaves here: every column in every row, so that a
/// reader can tell null from absent.
pub(super) fn options() -> EncoderOptions {
    EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(factory())
}

/// Writes NaN and infinities as text: JSON has no numbers for them, and null
/// would be a different answer.
pub(super) fn factory() -> Arc<dyn EncoderFactory> {
    Arc::new(Values)
}

#[derive(Debug)]
struct Values;

impl EncoderFactory for Values {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        Ok(match array.data_type() {
            DataType::Float64 => Some(encoder(array.as_primitive::<Float64Type>())),
            DataType::Float32 => Some(encoder(array.as_primitive::<Float32Type>())),
            DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if zone.as_ref() == "UTC" => {
                let times = array.as_primitive::<TimestampNanosecondType>();
                let encoder = Box::new(TimeEncoder::new(times.values()));
                Some(NullableEncoder::new(encoder, times.nulls().cloned()))
            }
            _ => None,
        })
    }
}

fn encoder<T: ArrowPrimitiveType<Native: Float>>(array: &PrimitiveArray<T>) -> NullableEncoder<'_> {
    NullableEncoder::new(Box::new(FloatEncoder(array.values())), array.nulls().cloned())
}

struct FloatEncoder<'a, F>(&'a [F]);

impl<F: Float> Encoder for FloatEncoder<'_, F> {
    fn encode(&mut self, at: usize, out: &mut Vec<u8>) {
        self.0[at].write(out);
    }
}

trait Float: Copy {
    fn write(self, out: &mut Vec<u8>);
}

impl Float for f64 {
    fn write(self, out: &mut Vec<u8>) {
        match special(self) {
            Some(text) => out.extend_from_slice(text),
            // Writing a number into memory cannot fail.
            None => drop(serde_json::to_writer(out, &self)),
        }
    }
}

impl Float for f32 {
    fn write(self, out: &mut Vec<u8>) {
        match special(f64::from(self)) {
            Some(text) => out.extend_from_slice(text),
            None => drop(serde_json::to_writer(out, &self)),
        }
    }
}

fn special(value: f64) -> Option<&'static [u8]> {
    if value.is_nan() {
        Some(b"\"NaN\"")
    } else if value == f64::INFINITY {
        Some(b"\"Infinity\"")
    } else if value == f64::NEG_INFINITY {
        Some(b"\"-Infinity\"")
    } else {
        None
    }
}
