//! Functions on texts and collections.

use std::fmt::Write as _;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::functions::Called;
use super::value::Value;

/// A pattern may take no more memory than this once it is compiled.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Bytes of a text, entries of a collection.
pub(super) fn length(value: &Value) -> Called {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Labels(map) => map.len(),
        Value::Map(map) => map.len(),
        Value::List(all) => all.len(),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// An entry of a collection, of that an entry, and so on.
pub(super) fn index(args: &[Value]) -> Called {
    let [first, keys @ ..] = args else { return Err("index of untyped nil".into()) };
    let mut current = first.clone();
    for key in keys {
        current = entry(&current, key)?;
    }
    Ok(current)
}

fn entry(value: &Value, key: &Value) -> Called {
    match (value, key) {
        (Value::Labels(map), Value::Text(name)) => {
            Ok(Value::text(map.get(&**name).map_or("", String::as_str)))
        }
        (Value::Map(map), Value::Text(name)) => Ok(map.get(&**name).cloned().unwrap_or(Value::Nil)),
        (Value::Labels(_) | Value::Map(_), key) => {
            Err(format!("value has type {}; should be string", key.type_name()))
        }
        (Value::List(all), Value::Int(at)) => {
            let series = usize::try_from(*at).ok().and_then(|at| all.get(at));
            let series = series.ok_or_else(|| format!("index out of range: {at}"))?;
            Ok(Value::Series(Arc::clone(series)))
        }
        (Value::Text(text), Value::Int(at)) => {
            let byte = usize::try_from(*at).ok().and_then(|at| text.as_bytes().get(at));
            let byte = byte.ok_or_else(|| format!("index out of range: {at}"))?;
            Ok(Value::Int(i64::from(*byte)))
        }
        (Value::List(_) | Value::Text(_), key) => {
            Err(format!("cannot index slice/array with type {}", key.type_name()))
        }
        (Value::Nil, _) => Err("index of untyped nil".into()),
        (other, _) => Err(format!("can't index item of type {}", other.type_name())),
    }
}

/// A part of a text or of the series of a query.
pub(super) fn slice(args: &[Value]) -> Called {
    let [value, bounds @ ..] = args else { return Err("slice of untyped nil".into()) };
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(all) => all.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(Value::Int(bound)) => usize::try_from(*bound)
            .ok()
            .filter(|bound| *bound <= length)
            .ok_or_else(|| format!("index out of range: {bound}")),
        Some(other) => Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    let (start, end) = (bound(0, 0)?, bound(1, length)?);
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match value {
        Value::List(all) => Ok(Value::List(Arc::new(all.get(start..end).unwrap_or_default().to_vec()))),
        Value::Text(text) => {
            let bytes = text.as_bytes().get(start..end).unwrap_or_default();
            Ok(Value::text(&String::from_utf8_lossy(bytes)))
        }
        _ => Ok(Value::Nil),
    }
}

/// As Go's `Sprint`: a space between two where neither is a text.
pub(super) fn print(args: &[Value]) -> String {
    let mut written = String::new();
    let mut was_text = true;
    for value in args {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !was_text {
            written.push(' ');
        }
        // Writing into a String cannot fail.
        let _ = write!(written, "{value}");
        was_text = is_text;
    }
    written
}

/// As Go's `Sprintln`.
pub(super) fn println(args: &[Value]) -> String {
    let written: Vec<_> = args.iter().map(Value::to_string).collect();
    written.join(" ") + "\n"
}

/// A pattern that matches anywhere.
pub(super) fn regex(pattern: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build();
    compiled.map_err(|fault| format!("error parsing regexp: {fault}"))
}

/// All matches replaced; `$1` and `${name}` stand for groups.
pub(super) fn replace_all(pattern: &str, by: &str, text: &str, bytes_max: usize) -> Called {
    let regex = regex(pattern)?;
    let mut written = String::new();
    let mut end = 0;
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        written.push_str(&text[end..whole.start()]);
        found.expand(by, &mut written);
        end = whole.end();
        if written.len() > bytes_max {
            return Err(format!("result is longer than {bytes_max} bytes"));
        }
    }
    written.push_str(&text[end..]);
    Ok(Value::text(&written))
}

/// The first letter of each word in upper case, the others as they are.
pub(super) fn title(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word || !c.is_alphabetic() {
            written.push(c);
        } else {
            written.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric() || c == '_' || (in_word && matches!(c, '\'' | '\u{2019}' | '.'));
    }
    written
}
