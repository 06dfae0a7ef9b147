//! Prometheus' hash of a label set, which decides what `limit_ratio` keeps.

use xxhash_rust::xxh64::xxh64;

use crate::labels::Labels;

/// The hash of `model/labels` built with `stringlabels`, its default: xxHash64 of all names and
/// values, each behind its length (one byte, or 0xFF and three).
pub(crate) fn prometheus_hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::with_capacity(labels.as_bytes().len());
    for (name, value) in labels.iter() {
        push(&mut bytes, name);
        push(&mut bytes, value);
    }
    xxh64(&bytes, 0)
}

fn push(bytes: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 0xff => bytes.push(length),
        _ => {
            bytes.push(0xff);
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
        }
    }
    bytes.extend_from_slice(text.as_bytes());
}
