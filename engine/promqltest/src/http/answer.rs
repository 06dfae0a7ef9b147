//! JSON answers.

use isinglass_promql::Labels;
use serde_json::Value;

use crate::backend::{Answer, Found, Outcome, Row};
use crate::compare::wire::{WireBucket, WireHistogram};

type Parsed<T> = Result<T, String>;

/// The answer to a query as the HTTP API writes it; an answer with the status `error` is one.
///
/// # Errors
///
/// JSON that is no answer, in words.
pub fn read_answer(body: &str) -> Parsed<Answer> {
    let body: Value = serde_json::from_str(body).map_err(|fault| fault.to_string())?;
    let result = match text(&body["status"])? {
        "success" => Ok(outcome(&body["data"])?),
        "error" => Err(text(&body["error"])?.to_owned()),
        other => return Err(format!("status {other:?}")),
    };
    Ok(Answer { result, warnings: texts(&body["warnings"])?, infos: texts(&body["infos"])? })
}

fn outcome(data: &Value) -> Parsed<Outcome> {
    let result = &data["result"];
    match text(&data["resultType"])? {
        "scalar" => Ok(Outcome::Scalar(number(&pair(result)?[1])?)),
        "string" => Ok(Outcome::Text(text(&pair(result)?[1])?.to_owned())),
        "vector" => Ok(Outcome::Vector(rows(result, instant_points)?)),
        "matrix" => Ok(Outcome::Matrix(rows(result, range_points)?)),
        other => Err(format!("result type {other:?}")),
    }
}

fn rows(result: &Value, points: fn(&Value) -> Parsed<Vec<(i64, Found)>>) -> Parsed<Vec<Row>> {
    let row = |series: &Value| Ok(Row { labels: labels(&series["metric"])?, points: points(series)? });
    list(result)?.iter().map(row).collect()
}

fn labels(metric: &Value) -> Parsed<Labels> {
    let labels = metric.as_object().ok_or_else(|| format!("no labels: {metric}"))?;
    let pairs = labels.iter().map(|(name, value)| Ok((name.as_str(), text(value)?)));
    Ok(Labels::new(pairs.collect::<Parsed<Vec<_>>>()?))
}

fn instant_points(series: &Value) -> Parsed<Vec<(i64, Found)>> {
    let point = match series.get("histogram") {
        Some(histogram) => histogram_point(histogram)?,
        None => float_point(&series["value"])?,
    };
    Ok(vec![point])
}

/// Floats and histograms come in lists of their own; here they are one, by time.
fn range_points(series: &Value) -> Parsed<Vec<(i64, Found)>> {
    let floats = maybe_list(&series["values"])?.iter().map(float_point);
    let histograms = maybe_list(&series["histograms"])?.iter().map(histogram_point);
    let mut points = floats.chain(histograms).collect::<Parsed<Vec<_>>>()?;
    points.sort_by_key(|(time_ms, _)| *time_ms);
    Ok(points)
}

fn float_point(point: &Value) -> Parsed<(i64, Found)> {
    let point = pair(point)?;
    Ok((time_ms(&point[0])?, Found::Float(number(&point[1])?)))
}

fn histogram_point(point: &Value) -> Parsed<(i64, Found)> {
    let point = pair(point)?;
    let histogram = WireHistogram {
        count: number(&point[1]["count"])?,
        sum: number(&point[1]["sum"])?,
        buckets: maybe_list(&point[1]["buckets"])?.iter().map(bucket).collect::<Parsed<_>>()?,
    };
    Ok((time_ms(&point[0])?, Found::Wire(histogram)))
}

fn bucket(bucket: &Value) -> Parsed<WireBucket> {
    match &list(bucket)?[..] {
        [boundaries, lower, upper, count] => Ok(WireBucket {
            boundaries: boundaries
                .as_u64()
                .and_then(|boundaries| u8::try_from(boundaries).ok())
                .ok_or_else(|| format!("no kind of boundaries: {boundaries}"))?,
            lower: number(lower)?,
            upper: number(upper)?,
            count: number(count)?,
        }),
        _ => Err(format!("no bucket: {bucket}")),
    }
}

fn time_ms(seconds: &Value) -> Parsed<i64> {
    let seconds = seconds.as_f64().ok_or_else(|| format!("no time: {seconds}"))?;
    Ok((seconds * 1000.0).round() as i64)
}

fn number(value: &Value) -> Parsed<f64> {
    let text = text(value)?;
    text.parse().map_err(|_| format!("no number: {text:?}"))
}

fn text(value: &Value) -> Parsed<&str> {
    value.as_str().ok_or_else(|| format!("no text: {value}"))
}

fn texts(value: &Value) -> Parsed<Vec<String>> {
    maybe_list(value)?.iter().map(|item| Ok(text(item)?.to_owned())).collect()
}

fn pair(value: &Value) -> Parsed<&Vec<Value>> {
    list(value)?.len().eq(&2).then(|| list(value)).ok_or_else(|| format!("no pair: {value}"))?
}

fn list(value: &Value) -> Parsed<&Vec<Value>> {
    value.as_array().ok_or_else(|| format!("no list: {value}"))
}

fn maybe_list(value: &Value) -> Parsed<&[Value]> {
    if value.is_null() { Ok(&[]) } else { Ok(list(value)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &str, expected: &Outcome) {
        let answer = read_answer(&format!(r#"{{"status":"success","data":{data}}}"#)).unwrap();
        assert_eq!(answer.result.as_ref(), Ok(expected), "{data}");
    }

    fn row(points: Vec<(i64, Found)>) -> Vec<Row> {
        vec![Row { labels: Labels::new([("__name__", "m"), ("a", "b")]), points }]
    }

    #[test]
    fn results() {
        const METRIC: &str = r#""metric":{"__name__":"m","a":"b"}"#;
        const HISTOGRAM: &str = r#"[2.5,{"count":"3","sum":"-Inf","buckets":[[0,"1","2","3"]]}]"#;
        let bucket = WireBucket { boundaries: 0, lower: 1.0, upper: 2.0, count: 3.0 };
        let histogram = WireHistogram { count: 3.0, sum: f64::NEG_INFINITY, buckets: vec![bucket] };
        check(r#"{"resultType":"scalar","result":[1,"+Inf"]}"#, &Outcome::Scalar(f64::INFINITY));
        check(r#"{"resultType":"string","result":[1,"x"]}"#, &Outcome::Text("x".to_owned()));
        check(
            &format!(r#"{{"resultType":"vector","result":[{{{METRIC},"value":[1.001,"2e-7"]}}]}}"#),
            &Outcome::Vector(row(vec![(1001, Found::Float(2e-7))])),
        );
        check(
            &format!(r#"{{"resultType":"vector","result":[{{{METRIC},"histogram":{HISTOGRAM}}}]}}"#),
            &Outcome::Vector(row(vec![(2500, Found::Wire(histogram.clone()))])),
        );
        check(
            &format!(
                r#"{{"resultType":"matrix","result":[{{{METRIC},"values":[[1,"1"],[3,"3"]],"histograms":[{HISTOGRAM}]}}]}}"#
            ),
            &Outcome::Matrix(row(vec![
                (1000, Found::Float(1.0)),
                (2500, Found::Wire(histogram)),
                (3000, Found::Float(3.0)),
            ])),
        );
    }

    #[test]
    fn errors_warnings_and_infos() {
        let answer =
            read_answer(r#"{"status":"error","errorType":"bad_data","error":"no","warnings":["w"]}"#)
                .unwrap();
        assert_eq!((answer.result, answer.warnings), (Err("no".to_owned()), vec!["w".to_owned()]));
        for broken in [
            "",
            "[]",
            "{}",
            r#"{"status":"success"}"#,
            r#"{"status":"success","data":{"resultType":"scalar","result":[1]}}"#,
        ] {
            assert!(read_answer(broken).is_err(), "{broken}");
        }
    }
}
