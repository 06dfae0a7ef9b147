//! The formats that rows are answered in, and how a client chooses one.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::problem::Problem;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowFormat {
    /// One array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
    /// Arrow IPC stream.
    Arrow,
}

impl RowFormat {
    const ALL: [Self; 4] = [Self::Json, Self::Ndjson, Self::Csv, Self::Arrow];

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// By name, else by `Accept`, else JSON.
    pub(super) fn choose(name: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        match name {
            Some(name) => Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
                Problem::malformed(format!("unknown format {name:?}; there are json, ndjson, csv, arrow"))
            }),
            None => Ok(Self::accepted(headers).unwrap_or(Self::Json)),
        }
    }

    /// The first type in `Accept` that is one of ours; a client that lists
    /// several takes any of them.
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|media| media.split(';').next())
            .find_map(|essence| match essence.trim().to_ascii_lowercase().as_str() {
                "application/json" => Some(Self::Json),
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Ndjson),
                "text/csv" => Some(Self::Csv),
                "application/vnd.apache.arrow.stream" => Some(Self::Arrow),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name_then_by_accept_then_json() {
        let check = |name: Option<&str>, accept: &'static str, want: Option<RowFormat>| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, axum::http::HeaderValue::from_static(accept));
            assert_eq!(RowFormat::choose(name, &headers).ok(), want, "{name:?} {accept:?}");
        };
        check(None, "*/*", Some(RowFormat::Json));
        check(None, "text/html, text/csv;q=0.9", Some(RowFormat::Csv));
        check(None, "Application/X-NDJSON", Some(RowFormat::Ndjson));
        check(None, "application/vnd.apache.arrow.stream", Some(RowFormat::Arrow));
        check(Some("arrow"), "text/csv", Some(RowFormat::Arrow));
        check(Some("xml"), "text/csv", None);
    }
}
