//! What is asked, and in which format it is to be answered.

use axum::http::HeaderMap;
use serde::Deserialize;
use url::form_urlencoded;

use super::format::RowFormat;
use crate::content::ContentType;
use crate::problem::Problem;

/// A query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub query: String,
    pub format: RowFormat,
    /// Whether the answer must have everything that was acknowledged before.
    pub strong: bool,
}

/// The header that says so where there is no parameter.
const CONSISTENCY: &str = "x-isinglass-consistency";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonAsk {
    query: String,
    format: Option<String>,
    consistency: Option<String>,
}

impl Ask {
    /// From `query=…&format=…`; other parameters are for somebody else.
    pub(super) fn from_parameters(parameters: &[u8], headers: &HeaderMap) -> Result<Self, Problem> {
        let value =
            |name| form_urlencoded::parse(parameters).find(|(key, _)| key == name).map(|(_, value)| value);
        let query = value("query").ok_or_else(|| Problem::malformed("the parameter `query` is missing"))?;
        let (format, consistency) = (value("format"), value("consistency"));
        Self::new(query.into_owned(), format.as_deref(), consistency.as_deref(), headers)
    }

    /// From a body: JSON, a form, or the bare text.
    pub(super) fn from_body(body: &[u8], headers: &HeaderMap) -> Result<Self, Problem> {
        let content_type = ContentType::of(headers).map(|content_type| content_type.essence);
        match content_type.as_deref() {
            Some("application/json") => {
                let ask: JsonAsk = serde_json::from_slice(body)
                    .map_err(|error| Problem::malformed(format!("the JSON body: {error}")))?;
                Self::new(ask.query, ask.format.as_deref(), ask.consistency.as_deref(), headers)
            }
            Some("application/x-www-form-urlencoded") => Self::from_form(body, headers),
            Some("text/plain" | "application/sql") => Self::new(text(body)?.to_owned(), None, None, headers),
            other => Err(Problem::unsupported(format!(
                "content type {:?} is not taken here; send application/json, application/sql or text/plain",
                other.unwrap_or("none")
            ))),
        }
    }

    /// A form, unless it is what `curl --data 'select 1'` calls one.
    fn from_form(body: &[u8], headers: &HeaderMap) -> Result<Self, Problem> {
        let form = form_urlencoded::parse(body).any(|(key, _)| key == "query");
        if form {
            Self::from_parameters(body, headers)
        } else {
            Self::new(text(body)?.to_owned(), None, None, headers)
        }
    }

    fn new(
        query: String,
        format: Option<&str>,
        consistency: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        if query.trim().is_empty() {
            return Err(Problem::malformed("the query is empty"));
        }
        let strong = match consistency {
            Some(named) => is_strong(named)?,
            None => match headers.get(CONSISTENCY) {
                Some(named) => is_strong(&String::from_utf8_lossy(named.as_bytes()))?,
                None => false,
            },
        };
        Ok(Self { query, format: RowFormat::choose(format, headers)?, strong })
    }
}

fn is_strong(consistency: &str) -> Result<bool, Problem> {
    match consistency {
        "strong" => Ok(true),
        "available" => Ok(false),
        other => {
            Err(Problem::malformed(format!("unknown consistency {other:?}; there are available and strong")))
        }
    }
}

fn text(body: &[u8]) -> Result<&str, Problem> {
    str::from_utf8(body).map_err(|error| {
        Problem::malformed(format!("the query is not UTF-8 from byte {}", error.valid_up_to()))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_TYPE;

    use super::*;

    fn check(content_type: &str, body: &str, want: Result<(&str, RowFormat), &str>) {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        match (Ask::from_body(body.as_bytes(), &headers), want) {
            (Ok(ask), Ok((query, format))) => assert_eq!((ask.query.as_str(), ask.format), (query, format)),
            (Err(problem), Err(part)) => assert!(problem.message.contains(part), "{}", problem.message),
            (got, want) => panic!("{content_type} {body}: {got:?}, want {want:?}"),
        }
    }

    #[test]
    fn bodies() {
        use RowFormat::{Csv, Json};
        check("application/json", r#"{"query": "select 1"}"#, Ok(("select 1", Json)));
        check("application/json; charset=utf-8", r#"{"query": "q", "format": "csv"}"#, Ok(("q", Csv)));
        check("application/json", r#"{"query": "q", "fromat": "csv"}"#, Err("unknown field `fromat`"));
        check("application/json", r#"{"query": "#, Err("line 1 column 10"));
        check("application/sql", "select 1", Ok(("select 1", Json)));
        check("text/plain", " \n", Err("is empty"));
        check("application/x-www-form-urlencoded", "query=select+1&format=csv", Ok(("select 1", Csv)));
        check("application/x-www-form-urlencoded", "select a = 1", Ok(("select a = 1", Json)));
        check("application/xml", "<q/>", Err("application/xml"));
    }

    #[test]
    fn parameters() {
        let ask = |text: &str| Ask::from_parameters(text.as_bytes(), &HeaderMap::new());
        assert_eq!(ask("query=a%20%2B%20b&nocache=1").unwrap().query, "a + b");
        assert!(!ask("query=1").unwrap().strong && !ask("query=1&consistency=available").unwrap().strong);
        assert!(ask("query=1&consistency=strong").unwrap().strong);
        let error = ask("query=1&consistency=weak").unwrap_err().message;
        assert_eq!(error, "unknown consistency \"weak\"; there are available and strong");
        let headers = HeaderMap::from_iter([(CONSISTENCY.parse().unwrap(), "strong".parse().unwrap())]);
        assert!(Ask::from_parameters(b"query=1", &headers).unwrap().strong);
        let body = br#"{"query": "1", "consistency": "strong"}"#;
        let json = HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().unwrap())]);
        assert!(Ask::from_body(body, &json).unwrap().strong);
        assert!(ask("q=1").unwrap_err().message.contains("`query` is missing"));
        assert!(ask("query=1&format=xml").unwrap_err().message.contains("unknown format \"xml\""));
    }
}
