//! The severity of a log record: one of six words, from what senders write.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The word for an OTLP severity number; 0 and numbers over 24 have none.
pub(crate) fn of_number(number: i32) -> Option<&'static str> {
    Some(match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => return None,
    })
}

/// The word for a sender's own word, in any case.
pub(crate) fn of_text(text: &[u8]) -> Option<&'static str> {
    const WORDS: [(&str, &[&str]); 6] = [
        ("info", &["info", "inf", "information", "informational", "notice", "i"]),
        ("warn", &["warn", "warning", "wrn", "w"]),
        ("error", &["error", "err", "eror", "e"]),
        ("debug", &["debug", "dbg", "d"]),
        ("trace", &["trace", "trc", "t"]),
        ("fatal", &["fatal", "critical", "crit", "alert", "emerg", "emergency", "panic", "dpanic", "f"]),
    ];
    let text = text.trim_ascii();
    let same = |word: &&str| word.as_bytes().eq_ignore_ascii_case(text);
    WORDS.iter().find(|(_, words)| words.iter().any(&same)).map(|(word, _)| *word)
}

/// Whether a label or attribute of this name holds a severity.
pub(crate) fn is_key(name: &str) -> bool {
    const KEYS: [&str; 7] =
        ["level", "detected_level", "severity", "lvl", "severity_text", "log.level", "log_level"];
    KEYS.iter().any(|key| key.eq_ignore_ascii_case(name))
}

/// How much of a line is searched.
const BODY_BYTES_MAX: usize = 2_048;

/// The severity that a JSON or logfmt line states in its level field.
pub(crate) fn of_body(line: &str) -> Option<&'static str> {
    static IN_JSON: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| ["\"level\"", "\"severity\"", "\"lvl\""].map(|key| Finder::new(key.as_bytes())));
    static IN_LOGFMT: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| ["level=", "severity=", "lvl="].map(|key| Finder::new(key.as_bytes())));
    let line = &line.as_bytes()[..line.len().min(BODY_BYTES_MAX)];
    if line.trim_ascii_start().first() == Some(&b'{') {
        IN_JSON.iter().find_map(|key| {
            let value = &line[key.find(line)? + key.needle().len()..];
            let value =
                value.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
            of_text(&value[..memchr::memchr(b'"', value)?])
        })
    } else {
        IN_LOGFMT.iter().find_map(|key| {
            let at = key.find(line)?;
            // `loglevel=` is another field.
            if at > 0 && !line[at - 1].is_ascii_whitespace() {
                return None;
            }
            let value = &line[at + key.needle().len()..];
            let value = value.strip_prefix(b"\"").unwrap_or(value);
            let end = value.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'"');
            of_text(&value[..end.unwrap_or(value.len())])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words() {
        let words = ["trace", "debug", "info", "warn", "error", "fatal"];
        for number in 1..=24 {
            assert_eq!(of_number(number), Some(words[(number as usize - 1) / 4]));
        }
        assert_eq!((of_number(0), of_number(25), of_number(-1)), (None, None, None));
        assert_eq!(of_text(b"WARNING"), Some("warn"));
        assert_eq!(of_text(b" Err "), Some("error"));
        assert_eq!(of_text(b"verbose"), None);
        assert_eq!(of_text(b""), None);
    }

    #[test]
    fn bodies() {
        for (line, severity) in [
            (r#"{"level":"info","x":1}"#, Some("info")),
            (r#" {"a":1, "level" : "ERROR"}"#, Some("error")),
            (r#"{"severity":"Warning"}"#, Some("warn")),
            (r#"{"level":30}"#, None),
            (r#"{"level":"#, None),
            ("level=debug msg=x", Some("debug")),
            ("ts=1 level=\"warn\" msg=x", Some("warn")),
            ("loglevel=debug", None),
            ("msg=x lvl=err", Some("error")),
            ("plain text about a level", None),
            ("", None),
        ] {
            assert_eq!(of_body(line), severity, "{line}");
        }
    }
}
