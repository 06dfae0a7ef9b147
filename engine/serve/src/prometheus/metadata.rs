//! `metadata`, `targets/metadata` and `query_exemplars`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use isinglass_lang::promql;
use isinglass_lang::promql::ast::ExprKind;
use isinglass_query::{ExemplarRequest, MetricMetadata, SeriesExemplars};

use super::call::{Answer, Call};
use super::envelope::{Notes, success};
use super::failure::Failure;
use super::number::{write_quoted, write_seconds};
use super::params::{Parameters, integer};
use super::text::{write_html, write_labels};
use super::time::{TIME_MAX_MS, TIME_MIN_MS};

/// `metadata`: type, help and unit by metric.
pub(super) async fn metrics(call: Call) -> Answer {
    let limit = count(&call.parameters, "limit")?;
    let per_metric = count(&call.parameters, "limit_per_metric")?.filter(|limit| *limit > 0);
    let metric = Some(call.parameters.get("metric")).filter(|metric| !metric.is_empty());
    if limit == Some(0) {
        return Ok(success(b"{}", &Notes::default()));
    }
    let _turn = call.app.queries.enter(&call.tenant).await?;
    // Several senders may describe a metric; the limit counts metrics.
    let found = call.app.query.promql_metadata(&call.tenant, metric, None).await?;
    let data = written(&found, limit.unwrap_or(usize::MAX), per_metric.unwrap_or(usize::MAX));
    Ok(success(&data, &Notes::default()))
}

/// A limit that may be negative, which is none.
fn count(parameters: &Parameters, name: &str) -> Result<Option<usize>, Failure> {
    match parameters.get(name) {
        "" => Ok(None),
        text => match integer(text) {
            Ok(limit) => Ok(usize::try_from(limit).ok()),
            Err(_) => Err(Failure::bad_data(format!("{name} must be a number"))),
        },
    }
}

/// `{"up":[{"type":"gauge","help":"…","unit":""}]}`; what is found is sorted by metric.
fn written(found: &[MetricMetadata], metrics_max: usize, per_metric_max: usize) -> Vec<u8> {
    let mut out = vec![b'{'];
    let groups = found.chunk_by(|one, other| one.metric == other.metric).take(metrics_max);
    for (at, group) in groups.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_html(&group[0].metric, &mut out);
        out.extend_from_slice(b":[");
        for (at, described) in group.iter().take(per_metric_max).enumerate() {
            out.extend_from_slice(if at > 0 { b",{" } else { b"{" });
            write_fields(described, &mut out);
            out.push(b'}');
        }
        out.push(b']');
    }
    out.push(b'}');
    out
}

fn write_fields(described: &MetricMetadata, out: &mut Vec<u8>) {
    let fields: [(&[u8], &str); 3] =
        [(b"\"type\":", &described.kind), (b",\"help\":", &described.help), (b",\"unit\":", &described.unit)];
    for (name, text) in fields {
        out.extend_from_slice(name);
        write_html(text, out);
    }
}

/// `query_exemplars`: exemplars of the series that an expression selects.
pub(super) async fn exemplars(call: Call) -> Answer {
    let start_ms = call.parameters.time_or_none("start")?.unwrap_or(TIME_MIN_MS);
    let end_ms = call.parameters.time_or_none("end")?.unwrap_or(TIME_MAX_MS);
    if end_ms < start_ms {
        return Err(Failure::bad_data("end timestamp must not be before start timestamp"));
    }
    let text = call.parameters.get("query");
    let expr = promql::parse(text).map_err(|error| Failure::bad_data(error.to_string()))?;
    let mut selects = false;
    promql::walk(&expr, &mut |expr| selects |= matches!(expr.kind, ExprKind::Selector(_)));
    if !selects {
        // As upstream: there is nothing that exemplars could belong to.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let request = ExemplarRequest { text: text.to_owned(), start_ms, end_ms };
    let _turn = call.app.queries.enter(&call.tenant).await?;
    Ok(of_series(&call.app.query.promql_exemplars(&call.tenant, request).await?))
}

fn of_series(found: &[SeriesExemplars]) -> Response {
    let mut out = vec![b'['];
    for (at, series) in found.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b",{\"seriesLabels\":" } else { b"{\"seriesLabels\":" });
        write_labels(series.labels.iter(), &mut out);
        out.extend_from_slice(b",\"exemplars\":[");
        for (at, exemplar) in series.exemplars.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b",{\"labels\":" } else { b"{\"labels\":" });
            write_labels(exemplar.labels.iter(), &mut out);
            out.extend_from_slice(b",\"value\":");
            write_quoted(exemplar.value, &mut out);
            out.extend_from_slice(b",\"timestamp\":");
            write_seconds(exemplar.time_ms, &mut out);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
    out.push(b']');
    success(&out, &Notes::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_metrics_and_descriptions() {
        let described = |metric: &str, help: &str| MetricMetadata {
            metric: metric.to_owned(),
            kind: "gauge".to_owned(),
            help: help.to_owned(),
            unit: String::new(),
        };
        let found = [described("a", "1"), described("a", "<2>"), described("b", "3")];
        let check = |metrics_max, per_metric_max, want: &str| {
            assert_eq!(String::from_utf8(written(&found, metrics_max, per_metric_max)).unwrap(), want);
        };
        let one = r#"{"type":"gauge","help":"1","unit":""}"#;
        let two = r#"{"type":"gauge","help":"\u003c2\u003e","unit":""}"#;
        let three = r#"{"type":"gauge","help":"3","unit":""}"#;
        check(9, 9, &format!("{{\"a\":[{one},{two}],\"b\":[{three}]}}"));
        check(1, 9, &format!("{{\"a\":[{one},{two}]}}"));
        check(9, 1, &format!("{{\"a\":[{one}],\"b\":[{three}]}}"));
    }
}
