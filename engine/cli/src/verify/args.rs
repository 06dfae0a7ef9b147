//! Which server, for how long, and who is told.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::Args;
use reqwest::Url;

/// Which server, for how long, and who is told.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The server's main address
    #[arg(long, value_name = "URL", env = "ISINGLASS_URL", default_value = "http://127.0.0.1:4319")]
    pub url: Url,
    /// OTLP over HTTP [default: the same host, port 4318]
    #[arg(long, value_name = "URL")]
    pub otlp_http: Option<Url>,
    /// The tenant to write to
    #[arg(long, value_name = "NAME", env = "ISINGLASS_TENANT")]
    pub tenant: Option<String>,
    /// Name of the run; two verifiers need two [default: drawn]
    #[arg(long, value_name = "NAME")]
    pub id: Option<String>,
    /// Time between two steps, 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub interval: Duration,
    /// End after this time; without it at ctrl-c
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub for_: Option<Duration>,
    /// Write one step, check, end
    #[arg(long, conflicts_with = "for_")]
    pub once: bool,
    /// Also check what an earlier verifier of the same --id and --interval wrote without a
    /// break since then: a time (RFC 3339) or how long ago
    #[arg(long, value_name = "TIME", value_parser = parse_moment, requires = "id")]
    pub since: Option<SystemTime>,
    /// Write nothing, check from --since up to then
    #[arg(long, value_name = "TIME", value_parser = parse_moment, requires = "since", conflicts_with_all = ["for_", "once"])]
    pub until: Option<SystemTime>,
    /// How far back is read at most; no longer than the server keeps the data
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration, conflicts_with = "until")]
    pub back: Duration,
    /// How long a step is sent again while the server does not take it, at most 9m
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    pub retry_for: Duration,
    /// Print JSON, a value a line
    #[arg(long)]
    pub json: bool,
    /// Serve counters for a Prometheus under /metrics
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

fn parse_moment(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(|| format!("{text} is too long ago"));
    }
    humantime::parse_rfc3339_weak(text).map_err(|error| {
        format!("{text:?} is neither a time, such as 2026-01-02T03:04:05Z, nor a duration: {error}")
    })
}

/// Milliseconds since 1970.
pub(super) fn unix_ms(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A URL whose last part is a folder, so that paths are added to it.
pub(super) fn folder(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// Where OTLP over HTTP is taken if nobody says.
pub(super) fn otlp_beside(url: &Url) -> anyhow::Result<Url> {
    let mut otlp = url.clone();
    otlp.set_path("/");
    otlp.set_port(Some(4318)).ok().context("--url has no host")?;
    Ok(otlp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert_eq!(otlp_beside(&url("http://a:4319/x")).unwrap(), url("http://a:4318/"));
        assert_eq!(
            folder(url("http://a:1/behind/proxy")).join("api/sql").unwrap(),
            url("http://a:1/behind/proxy/api/sql")
        );
    }

    #[test]
    fn moments() {
        assert_eq!(unix_ms(parse_moment("2023-11-14T22:13:20Z").unwrap()), 1_700_000_000_000);
        let moment = parse_moment("1h").unwrap();
        let ago = SystemTime::now().duration_since(moment).unwrap();
        assert!((3_600..3_610).contains(&ago.as_secs()), "{ago:?}");
        assert!(parse_moment("yesterday").unwrap_err().contains("neither a time"));
    }
}
