//! What is around the data of every answer.

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use super::text::write_html_array;

/// Warnings and infos that a client is shown, of each.
const NOTES_MAX: usize = 10;
/// Says that `limit` left something out.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// What is said beside the data.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

impl Notes {
    pub(super) fn warnings(warnings: Vec<String>) -> Self {
        Self { warnings, infos: Vec::new() }
    }
}

/// Comes before the data.
pub(super) const HEAD: &[u8] = br#"{"status":"success","data":"#;

/// Comes after the data: `,"warnings":[…],"infos":[…]}`.
pub(super) fn write_tail(notes: &Notes, out: &mut Vec<u8>) {
    for (name, kind, texts) in [("warnings", "warning", &notes.warnings), ("infos", "info", &notes.infos)] {
        if !texts.is_empty() {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            write_notes(kind, texts, out);
        }
    }
    out.push(b'}');
}

fn write_notes(kind: &str, texts: &[String], out: &mut Vec<u8>) {
    let omitted = texts.len().saturating_sub(NOTES_MAX);
    let last = (omitted > 0).then(|| format!("{omitted} more {kind} annotations omitted"));
    let shown = texts.iter().take(NOTES_MAX).chain(&last);
    write_html_array(shown.map(String::as_str), out);
}

/// An answer whose data are written already.
pub(super) fn success(data: &[u8], notes: &Notes) -> Response {
    let mut body = HEAD.to_vec();
    body.extend_from_slice(data);
    write_tail(notes, &mut body);
    json(body)
}

pub(super) fn json(body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_notes_are_shown() {
        let check = |notes: &Notes, want: &str| {
            let mut out = Vec::new();
            write_tail(notes, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        };
        check(&Notes::default(), "}");
        let some = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        let ten = r#"["0","1","2","3","4","5","6","7","8","9""#;
        check(&Notes::warnings(some(10)), &format!(",\"warnings\":{ten}]}}"));
        let notes = Notes { warnings: vec!["<".to_owned()], infos: some(12) };
        let want =
            format!(",\"warnings\":[\"\\u003c\"],\"infos\":{ten},\"2 more info annotations omitted\"]}}");
        check(&notes, &want);
    }
}
