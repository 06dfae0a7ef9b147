//! The name of the place where a fault lies.

use std::fmt::Write;

use super::{Message, Type};
use crate::wire::{Reader, Value};

/// The innermost field that holds byte `offset` of `body`, as
/// `resource_spans[0].scope_spans[1].spans[7].name`. Empty if the fault lies
/// outside every known field.
pub(crate) fn locate(root: &'static Message, body: &[u8], offset: usize) -> String {
    let mut path = String::new();
    let mut message = root;
    let mut reader = Reader::new(body);
    while let Some((inner, rest)) = step(message, reader, offset, &mut path) {
        message = inner;
        reader = rest;
    }
    path
}

/// Finds the field of `message` that holds `offset` and names it; goes on in it
/// if it is a message.
fn step<'a>(
    message: &'static Message,
    mut reader: Reader<'a>,
    offset: usize,
    path: &mut String,
) -> Option<(&'static Message, Reader<'a>)> {
    // Index of the next element of each repeated field.
    let mut next = vec![0_usize; message.fields.len()];
    loop {
        let start = reader.offset();
        let number = {
            let mut tag = reader;
            u32::try_from(tag.varint().ok()? >> 3).ok()?
        };
        let read = reader.next();
        let past = matches!(&read, Ok(Some(_))) && reader.offset() <= offset;
        let known = message.fields.iter().position(|field| field.number == number);
        if past {
            if let Some(at) = known {
                next[at] += 1;
            }
            continue;
        }
        if offset < start {
            return None;
        }
        let at = known?;
        let field = &message.fields[at];
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(field.name);
        if field.many {
            // Writing to a string cannot fail.
            let _ = write!(path, "[{}]", next[at]);
        }
        return match (read.ok()??.value, field.ty) {
            (Value::Bytes(inner), Type::Message(message)) if inner.offset() <= offset => {
                Some((message, inner))
            }
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::EXPORT_TRACES;
    use super::*;
    use crate::wire::Writer;

    #[test]
    fn names_the_innermost_field() {
        let mut body = Writer::default();
        for _ in 0..2 {
            let resource_spans = body.open(1);
            let resource = body.open(1);
            body.close(resource);
            let scope_spans = body.open(2);
            for _ in 0..3 {
                let span = body.open(2);
                body.bytes_field(5, b"name");
                body.varint_field(6, 2);
                body.close(span);
            }
            body.close(scope_spans);
            body.close(resource_spans);
        }
        let bytes = body.as_bytes();
        // 38 bytes a resource_spans: tag, length, resource (2), scope_spans (2 + 3 * 10)
        assert_eq!(bytes.len(), 72);
        let check = |offset, path| assert_eq!(locate(&EXPORT_TRACES, bytes, offset), path, "at {offset}");
        check(0, "resource_spans[0]");
        check(2, "resource_spans[0].resource");
        check(6, "resource_spans[0].scope_spans[0].spans[0]");
        check(8, "resource_spans[0].scope_spans[0].spans[0].name");
        check(14, "resource_spans[0].scope_spans[0].spans[0].kind");
        check(36 + 6 + 10, "resource_spans[1].scope_spans[0].spans[1]");
        check(36 + 6 + 10 + 2, "resource_spans[1].scope_spans[0].spans[1].name");
        check(72, "");
    }

    #[test]
    fn a_cut_field_is_named() {
        // resource_spans of 5 bytes, of which 2 are there
        assert_eq!(locate(&EXPORT_TRACES, &[0x0a, 5, 0x12, 9], 1), "resource_spans[0]");
    }
}
