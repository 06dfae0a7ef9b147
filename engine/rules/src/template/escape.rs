//! Texts made safe for URLs, HTML and JavaScript, as Go does.

use std::fmt::Write as _;

/// For the query of a URL: a space is `+`.
pub(crate) fn query(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => written.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                written.push(char::from(byte));
            }
            // Writing into a String cannot fail.
            byte => drop(write!(written, "%{byte:02X}")),
        }
    }
    written
}

/// For HTML.
pub(super) fn html(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => written.push_str("&#34;"),
            '\'' => written.push_str("&#39;"),
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '\0' => written.push('\u{fffd}'),
            c => written.push(c),
        }
    }
    written
}

/// For a text in JavaScript.
pub(super) fn js(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => written.push_str("\\\\"),
            '\'' => written.push_str("\\'"),
            '"' => written.push_str("\\\""),
            '<' | '>' | '&' | '=' => drop(write!(written, "\\u{:04X}", u32::from(c))),
            c if c.is_control() => drop(write!(written, "\\u{:04X}", u32::from(c))),
            c => written.push(c),
        }
    }
    written
}
