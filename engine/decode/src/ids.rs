//! Trace and span ids.

use isinglass_model::reason::code;

use crate::item::Fault;

/// 16 bytes.
#[inline]
pub(crate) fn trace_id(bytes: &[u8], what: &str) -> Result<[u8; 16], Fault> {
    bytes.try_into().map_err(|_| wrong_length(code::INVALID_TRACE_ID, what, bytes, 16))
}

/// 8 bytes.
#[inline]
pub(crate) fn span_id(bytes: &[u8], what: &str) -> Result<[u8; 8], Fault> {
    bytes.try_into().map_err(|_| wrong_length(code::INVALID_SPAN_ID, what, bytes, 8))
}

/// 16 bytes, `None` for no byte at all or only zeros.
pub(crate) fn optional_trace_id(bytes: &[u8]) -> Result<Option<[u8; 16]>, Fault> {
    match bytes {
        [] => Ok(None),
        bytes => trace_id(bytes, "trace_id").map(|id| (id != [0; 16]).then_some(id)),
    }
}

/// 8 bytes, `None` for no byte at all or only zeros.
pub(crate) fn optional_span_id(bytes: &[u8], what: &str) -> Result<Option<[u8; 8]>, Fault> {
    match bytes {
        [] => Ok(None),
        bytes => span_id(bytes, what).map(|id| (id != [0; 8]).then_some(id)),
    }
}

#[cold]
fn wrong_length(reason: &'static str, what: &str, bytes: &[u8], wanted: usize) -> Fault {
    Fault::new(reason, format!("{what} has {} bytes, not {wanted}", bytes.len()))
}
