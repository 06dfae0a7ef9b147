//! Parameters of a request: those of a form in its body, then those of its path.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use isinglass_lang::promql::ast::Matcher;
use isinglass_lang::promql::{has_non_empty_matcher, parse_selector, quoted};
use isinglass_query::MetadataSelection;
use url::form_urlencoded;

use super::failure::Failure;
use super::time::{parse_duration_ns, parse_time, parse_timeout};
use crate::app::App;
use crate::content::ContentType;

/// Bytes of a form, as much as Go's `ParseForm` reads.
const FORM_BYTES_MAX: usize = 10 << 20;
/// The header that asks for everything acknowledged before.
const CONSISTENCY: &str = "x-isinglass-consistency";

/// Parameters in their order.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Those of the body come first, so that they count where both have one.
    pub(super) async fn read(
        app: &App,
        headers: &HeaderMap,
        query: Option<&str>,
        body: Body,
    ) -> Result<Self, Failure> {
        let mut all = Vec::new();
        let form = ContentType::of(headers)
            .is_some_and(|content_type| content_type.essence == "application/x-www-form-urlencoded");
        if form {
            let body = app.bodies.at_most(FORM_BYTES_MAX).read(body, 0).await?;
            all.extend(pairs(&body.bytes));
        }
        all.extend(pairs(query.unwrap_or_default().as_bytes()));
        Ok(Self(all))
    }

    #[cfg(test)]
    pub(super) fn of(query: &str) -> Self {
        Self(pairs(query.as_bytes()).collect())
    }

    /// The first value; empty where there is none, as in Go.
    pub(super) fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A time that must be there.
    pub(super) fn time(&self, name: &str) -> Result<i64, Failure> {
        parse_time(self.get(name)).map_err(|reason| Failure::parameter(name, reason))
    }

    /// A time that may be absent.
    pub(super) fn time_or_none(&self, name: &str) -> Result<Option<i64>, Failure> {
        if self.get(name).is_empty() {
            return Ok(None);
        }
        let time = parse_time(self.get(name)).map_err(|reason| {
            Failure::parameter(name, format_args!("Invalid time value for '{name}': {reason}"))
        })?;
        Ok(Some(time))
    }

    /// A duration that must be there, in nanoseconds.
    pub(super) fn duration_ns(&self, name: &str) -> Result<i64, Failure> {
        parse_duration_ns(self.get(name)).map_err(|reason| Failure::parameter(name, reason))
    }

    /// `timeout`.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, Failure> {
        let parse = |text| parse_timeout(text).map_err(|reason| Failure::parameter("timeout", reason));
        Some(self.get("timeout")).filter(|text| !text.is_empty()).map(parse).transpose()
    }

    /// `lookback_delta` in milliseconds; 0 and less is as if it were absent.
    pub(super) fn lookback_ms(&self) -> Result<Option<i64>, Failure> {
        let text = self.get("lookback_delta");
        if text.is_empty() {
            return Ok(None);
        }
        let nanos = parse_duration_ns(text).map_err(|reason| {
            Failure::bad_data(format!("error parsing lookback delta duration: {reason}"))
        })?;
        Ok(Some(nanos / 1_000_000).filter(|millis| *millis > 0))
    }

    /// `limit`; `None` where there is none, or it is 0.
    pub(super) fn limit(&self) -> Result<Option<usize>, Failure> {
        let text = self.get("limit");
        if text.is_empty() {
            return Ok(None);
        }
        match integer(text) {
            Ok(limit) if limit < 0 => Err(Failure::parameter("limit", "limit must be non-negative")),
            Ok(limit) => Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0)),
            Err(reason) => Err(Failure::parameter("limit", reason)),
        }
    }

    /// All `match[]`, each of which must say something.
    pub(super) fn matchers(&self) -> Result<Vec<Vec<Matcher>>, String> {
        self.all("match[]").map(selector).collect()
    }

    /// `start`, `end` and `limit`, around matchers that were read already.
    pub(super) fn selection(&self, matchers: Vec<Vec<Matcher>>) -> Result<MetadataSelection, Failure> {
        Ok(MetadataSelection {
            matchers,
            start_ms: self.time_or_none("start")?,
            end_ms: self.time_or_none("end")?,
            limit: self.limit()?,
        })
    }

    /// A parameter that says yes or no; no if it is missing.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name) {
            "" | "0" | "false" => Ok(false),
            "1" | "true" => Ok(true),
            other => Err(Failure::parameter(name, format_args!("{} is neither 1 nor 0", quoted(other)))),
        }
    }

    /// Whether the answer must have everything that was acknowledged before: the parameter
    /// `consistency`, else the header `X-Isinglass-Consistency`.
    pub(super) fn strong(&self, headers: &HeaderMap) -> Result<bool, Failure> {
        let header = headers.get(CONSISTENCY).map(|value| String::from_utf8_lossy(value.as_bytes()));
        match self.all("consistency").next().or(header.as_deref()) {
            None | Some("available") => Ok(false),
            Some("strong") => Ok(true),
            Some(other) => Err(Failure::parameter(
                "consistency",
                format_args!("unknown consistency {}; there are available and strong", quoted(other)),
            )),
        }
    }
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (String, String)> + '_ {
    form_urlencoded::parse(text).map(|(key, value)| (key.into_owned(), value.into_owned()))
}

fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    let selector = parse_selector(text).map_err(|error| error.to_string())?;
    if has_non_empty_matcher(&selector.matchers) {
        Ok(selector.matchers)
    } else {
        Err("match[] must contain at least one non-empty matcher".to_owned())
    }
}

/// In the words of Go's `strconv.Atoi`.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|error| {
        let what = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {what}", quoted(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let check = |text: &str, want: Result<Option<usize>, &str>| {
            let got = Parameters::of(text).limit().map_err(|failure| failure.message);
            assert_eq!(got, want.map_err(|reason| format!("invalid parameter \"limit\": {reason}")));
        };
        check("", Ok(None));
        check("limit=0", Ok(None));
        check("limit=7&limit=x", Ok(Some(7)));
        check("limit=-1", Err("limit must be non-negative"));
        check("limit=x", Err("strconv.Atoi: parsing \"x\": invalid syntax"));
        check(
            "limit=9999999999999999999",
            Err("strconv.Atoi: parsing \"9999999999999999999\": value out of range"),
        );
    }

    #[test]
    fn lookback() {
        let check = |text: &str, want: Option<i64>| {
            assert_eq!(Parameters::of(text).lookback_ms().unwrap(), want, "{text}");
        };
        check("", None);
        check("lookback_delta=0", None);
        check("lookback_delta=1m", Some(60_000));
        check("lookback_delta=0.5", Some(500));
        let failure = Parameters::of("lookback_delta=x").lookback_ms().unwrap_err();
        assert_eq!(
            failure.message,
            "error parsing lookback delta duration: cannot parse \"x\" to a valid duration"
        );
    }

    #[test]
    fn selectors_must_say_something() {
        let matchers = |text: &str| Parameters::of(text).matchers().map(|all| all.len());
        assert_eq!(matchers(""), Ok(0));
        assert_eq!(matchers("match[]=up&match%5B%5D={a=~%22b.*%22}"), Ok(2));
        for text in ["match[]={}", "match[]={a=\"\"}", "match[]={a=~\".*\"}"] {
            assert_eq!(matchers(text), Err("match[] must contain at least one non-empty matcher".to_owned()));
        }
    }
}
