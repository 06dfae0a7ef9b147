//! The value of a query as JSON, piece by piece.

use std::vec::IntoIter;

use isinglass_promql::{Histogram, Point, Sample, Series, Value};

use super::envelope::{HEAD, Notes, write_tail};
use super::number::{write_quoted, write_seconds};
use super::stream::PIECE_BYTES;
use super::text::{write_html, write_labels};

/// The whole answer to a query, as pieces of about [`PIECE_BYTES`]. Series are dropped as they are
/// written.
pub(super) struct QueryBody {
    /// What comes before the first series, then nothing.
    head: Vec<u8>,
    series: Rest,
    /// What comes after the last series; `None` once it is written.
    tail: Option<Vec<u8>>,
}

/// Series that are still to be written.
enum Rest {
    None,
    Vector { first: bool, series: IntoIter<Series> },
    Matrix { first: bool, series: IntoIter<Series>, open: Option<Open> },
}

impl QueryBody {
    /// `stats` is an object, or empty.
    pub(super) fn new(value: Value, stats: &[u8], notes: &Notes) -> Self {
        let mut head =
            [HEAD, br#"{"resultType":""#, type_name(&value).as_bytes(), br#"","result":["#].concat();
        let series = match value {
            Value::Scalar(time_ms, value) => {
                write_go_seconds(time_ms, &mut head);
                head.extend_from_slice(format!(",\"{}\"", isinglass_promql::text::decimal(value)).as_bytes());
                Rest::None
            }
            Value::Text(time_ms, text) => {
                write_go_seconds(time_ms, &mut head);
                head.push(b',');
                write_html(&text, &mut head);
                Rest::None
            }
            Value::Vector(series) => Rest::Vector { first: true, series: series.into_iter() },
            Value::Matrix(series) => Rest::Matrix { first: true, series: series.into_iter(), open: None },
        };
        let mut tail = vec![b']'];
        if !stats.is_empty() {
            tail.extend_from_slice(b",\"stats\":");
            tail.extend_from_slice(stats);
        }
        tail.push(b'}');
        write_tail(notes, &mut tail);
        Self { head, series, tail: Some(tail) }
    }
}

impl Iterator for QueryBody {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut piece = std::mem::take(&mut self.head);
        while piece.len() < PIECE_BYTES {
            if !self.series.write(&mut piece) {
                if let Some(tail) = self.tail.take() {
                    piece.extend_from_slice(&tail);
                }
                break;
            }
        }
        (!piece.is_empty()).then_some(piece)
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Scalar(..) => "scalar",
        Value::Text(..) => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    }
}

/// Scalars and texts go another way upstream: their time is a float.
fn write_go_seconds(time_ms: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}", time_ms as f64 / 1_000.0).as_bytes());
}

impl Rest {
    /// Writes a little more; false at the end.
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::None => false,
            Self::Vector { first, series } => {
                let Some(next) = series.next() else { return false };
                begin(first, &next, out);
                if let Some(point) = next.points.first() {
                    let name: &[u8] = match point.sample {
                        Sample::Float(_) => b",\"value\":",
                        Sample::Histogram(_) => b",\"histogram\":",
                    };
                    out.extend_from_slice(name);
                    write_point(point, out);
                }
                out.push(b'}');
                true
            }
            Self::Matrix { first, series, open } => {
                if let Some(current) = open {
                    if !current.write(out) {
                        *open = None;
                    }
                    return true;
                }
                let Some(next) = series.next() else { return false };
                begin(first, &next, out);
                *open = Some(Open { series: next, histograms: false, at: 0, written: false });
                true
            }
        }
    }
}

fn begin(first: &mut bool, series: &Series, out: &mut Vec<u8>) {
    if !std::mem::replace(first, false) {
        out.push(b',');
    }
    out.extend_from_slice(b"{\"metric\":");
    write_labels(series.labels.iter(), out);
}

/// A series of which a part is written: first all its floats, then all its histograms.
struct Open {
    series: Series,
    histograms: bool,
    at: usize,
    /// Whether a point of this pass is written.
    written: bool,
}

impl Open {
    /// Writes up to the end of a piece; false at the end of the series.
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        while let Some(point) = self.series.points.get(self.at) {
            self.at += 1;
            if matches!(point.sample, Sample::Histogram(_)) != self.histograms {
                continue;
            }
            let before: &[u8] = match (std::mem::replace(&mut self.written, true), self.histograms) {
                (true, _) => b",",
                (false, false) => b",\"values\":[",
                (false, true) => b",\"histograms\":[",
            };
            out.extend_from_slice(before);
            write_point(point, out);
            if out.len() >= PIECE_BYTES {
                return true;
            }
        }
        if std::mem::take(&mut self.written) {
            out.push(b']');
        }
        if std::mem::replace(&mut self.histograms, true) {
            out.push(b'}');
            return false;
        }
        self.at = 0;
        true
    }
}

fn write_point(point: &Point, out: &mut Vec<u8>) {
    out.push(b'[');
    write_seconds(point.time_ms, out);
    out.push(b',');
    match &point.sample {
        Sample::Float(value) => write_quoted(*value, out),
        Sample::Histogram(histogram) => write_histogram(histogram, out),
    }
    out.push(b']');
}

/// `{"count":"…","sum":"…","buckets":[[rule,"lower","upper","count"],…]}`, without `buckets` where
/// all are empty.
fn write_histogram(histogram: &Histogram, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"count\":");
    write_quoted(histogram.count, out);
    out.extend_from_slice(b",\"sum\":");
    write_quoted(histogram.sum, out);
    let mut any = false;
    for (rule, lower, upper, count) in histogram.json_buckets() {
        out.extend_from_slice(if std::mem::replace(&mut any, true) { b",[" } else { b",\"buckets\":[[" });
        out.push(b'0' + rule);
        for number in [lower, upper, count] {
            out.push(b',');
            write_quoted(number, out);
        }
        out.push(b']');
    }
    out.extend_from_slice(if any { b"]}" } else { b"}" });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use isinglass_promql::Labels;
    use isinglass_promql::histogram::BucketSpan;

    use super::*;

    fn written(value: Value, stats: &[u8], notes: &Notes) -> String {
        String::from_utf8(QueryBody::new(value, stats, notes).flatten().collect()).unwrap()
    }

    fn check(value: Value, want: &str) {
        let want = format!("{{\"status\":\"success\",\"data\":{want}}}");
        assert_eq!(written(value, b"", &Notes::default()), want);
    }

    fn series(labels: &[(&str, &str)], points: Vec<(i64, Sample)>) -> Series {
        let points = points.into_iter().map(|(time_ms, sample)| Point { time_ms, sample }).collect();
        Series { labels: Labels::new(labels.iter().copied()), points }
    }

    fn histogram() -> Sample {
        Sample::Histogram(Arc::new(Histogram {
            count: 12.0,
            sum: 18.4,
            zero_threshold: 0.001,
            zero_count: 2.0,
            positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
            positive: vec![4.0, 0.0, 3.0],
            negative_spans: vec![BucketSpan { offset: 0, length: 1 }],
            negative: vec![3.0],
            ..Histogram::default()
        }))
    }

    const HISTOGRAM: &str = r#"{"count":"12","sum":"18.4","buckets":[[1,"-1","-0.5","3"],[3,"-0.001","0.001","2"],[0,"0.5","1","4"],[0,"2","4","3"]]}"#;

    #[test]
    fn shapes() {
        check(Value::Scalar(4_000, 2.0), r#"{"resultType":"scalar","result":[4,"2"]}"#);
        check(
            Value::Scalar(-1_500, 1e30),
            r#"{"resultType":"scalar","result":[-1.5,"1000000000000000000000000000000"]}"#,
        );
        check(Value::Text(1_500, "a<\n".to_owned()), r#"{"resultType":"string","result":[1.5,"a\u003c\n"]}"#);
        check(Value::Vector(Vec::new()), r#"{"resultType":"vector","result":[]}"#);
        check(Value::Matrix(Vec::new()), r#"{"resultType":"matrix","result":[]}"#);
        let labels = [("job", "<x>"), ("__name__", "up")];
        check(
            Value::Vector(vec![
                series(&labels, vec![(1_435_781_451_781, Sample::Float(f64::INFINITY))]),
                series(&[], vec![(0, histogram())]),
            ]),
            &format!(
                r#"{{"resultType":"vector","result":[{{"metric":{{"__name__":"up","job":"<x>"}},"value":[1435781451.781,"+Inf"]}},{{"metric":{{}},"histogram":[0,{HISTOGRAM}]}}]}}"#
            ),
        );
        let mixed = vec![(1_000, Sample::Float(1.0)), (2_000, histogram()), (3_500, Sample::Float(-0.0))];
        check(
            Value::Matrix(vec![
                series(&[("a", "1")], mixed),
                series(&[("a", "2")], vec![(2_000, histogram()), (3_000, histogram())]),
                series(&[("a", "3")], vec![]),
            ]),
            &format!(
                r#"{{"resultType":"matrix","result":[{{"metric":{{"a":"1"}},"values":[[1,"1"],[3.500,"-0"]],"histograms":[[2,{HISTOGRAM}]]}},{{"metric":{{"a":"2"}},"histograms":[[2,{HISTOGRAM}],[3,{HISTOGRAM}]]}},{{"metric":{{"a":"3"}}}}]}}"#
            ),
        );
        let empty = Sample::Histogram(Arc::new(Histogram::default()));
        check(
            Value::Vector(vec![series(&[], vec![(0, empty)])]),
            r#"{"resultType":"vector","result":[{"metric":{},"histogram":[0,{"count":"0","sum":"0"}]}]}"#,
        );
    }

    #[test]
    fn stats_and_notes_come_last() {
        let notes = Notes { warnings: vec!["w".to_owned()], infos: vec!["i".to_owned()] };
        assert_eq!(
            written(Value::Scalar(0, 1.0), b"{}", &notes),
            r#"{"status":"success","data":{"resultType":"scalar","result":[0,"1"],"stats":{}},"warnings":["w"],"infos":["i"]}"#
        );
    }

    #[test]
    fn large_answers_come_in_pieces() {
        let points = |kind: fn() -> Sample| (0..5_000).map(|step| (step * 1_000, kind())).collect();
        let floats = series(&[("a", "1")], points(|| Sample::Float(0.1)));
        let histograms = series(&[("a", "2")], points(histogram));
        let pieces: Vec<_> =
            QueryBody::new(Value::Matrix(vec![floats, histograms]), b"", &Notes::default()).collect();
        assert!(pieces.len() > 10, "{}", pieces.len());
        assert!(pieces.iter().all(|piece| piece.len() < 2 * PIECE_BYTES));
        let whole: serde_json::Value = serde_json::from_slice(&pieces.concat()).unwrap();
        let result = &whole["data"]["result"];
        assert_eq!(result[0]["values"].as_array().unwrap().len(), 5_000);
        assert_eq!(result[1]["histograms"].as_array().unwrap().len(), 5_000);
    }
}
