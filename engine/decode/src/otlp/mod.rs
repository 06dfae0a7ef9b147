//! OpenTelemetry: traces, logs and metrics.

use crate::wire::{Reader, WireError};

pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod traces;

/// The head of a group: the `resource` of `ResourceSpans`, the `scope` of
/// `ScopeLogs` and so on are all field 1. It is looked for before the items are
/// read, because fields may come in any order.
fn head(mut group: Reader<'_>) -> Result<Option<Reader<'_>>, WireError> {
    let mut head = None;
    while let Some(field) = group.next()? {
        if field.number == 1 {
            head = Some(field.message()?);
        }
    }
    Ok(head)
}

/// The next element of a group: `scope_spans` of `ResourceSpans`, `spans` of
/// `ScopeSpans` and so on are all field 2.
fn next_element<'a>(group: &mut Reader<'a>) -> Result<Option<Reader<'a>>, WireError> {
    next_of(group, 2)
}

/// The next element of a repeated message field.
fn next_of<'a>(group: &mut Reader<'a>, number: u32) -> Result<Option<Reader<'a>>, WireError> {
    while let Some(field) = group.next()? {
        if field.number == number {
            return field.message().map(Some);
        }
    }
    Ok(None)
}
