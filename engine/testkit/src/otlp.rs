//! OTLP requests: traces, logs and metrics.

use crate::proto::{Writer, message};

/// An attribute value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `stringValue`
    Text(String),
    /// `stringValue` whose bytes need not be UTF-8.
    Bytes(Vec<u8>),
    /// `boolValue`
    Boolean(bool),
    /// `intValue`
    Integer(i64),
    /// `doubleValue`
    Double(f64),
    /// `arrayValue`
    Array(Vec<Value>),
    /// `kvlistValue`
    Map(Vec<Attribute>),
}

/// A key and a value.
pub type Attribute = (String, Value);

/// A text attribute.
pub fn text(key: &str, value: &str) -> Attribute {
    (key.to_owned(), Value::Text(value.to_owned()))
}

/// An integer attribute.
pub fn integer(key: &str, value: i64) -> Attribute {
    (key.to_owned(), Value::Integer(value))
}

impl Value {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Text(value) => {
                to.text(1, value);
            }
            Self::Bytes(value) => {
                to.bytes(1, value);
            }
            Self::Boolean(value) => {
                to.varint(2, u64::from(*value));
            }
            Self::Integer(value) => {
                to.varint(3, value.cast_unsigned());
            }
            Self::Double(value) => {
                to.double(4, *value);
            }
            Self::Array(values) => {
                to.message(5, |array| {
                    values.iter().for_each(|value| {
                        array.message(1, |w| value.write(w));
                    });
                });
            }
            Self::Map(entries) => {
                to.message(6, |map| attributes(map, 1, entries));
            }
        }
    }
}

/// Writes attributes as `repeated KeyValue` in `field`.
pub fn attributes(to: &mut Writer, field: u32, entries: &[Attribute]) {
    for (key, value) in entries {
        to.message(field, |entry| {
            entry.text(1, key).message(2, |w| value.write(w));
        });
    }
}

/// `resource` and its single scope around items: the frame that all three
/// requests share.
fn request(resource: &[Attribute], items: impl FnOnce(&mut Writer)) -> Vec<u8> {
    message(|request| {
        request.message(1, |group| {
            group.message(1, |w| attributes(w, 1, resource));
            group.message(2, |scope| {
                scope.message(1, |w| {
                    w.text(1, "testkit").text(2, "1");
                });
                items(scope);
            });
        });
    })
}

/// A span.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Span {
    /// 16 bytes, unless a test wants otherwise.
    pub trace_id: Vec<u8>,
    /// 8 bytes, unless a test wants otherwise.
    pub span_id: Vec<u8>,
    /// Empty for a root.
    pub parent_span_id: Vec<u8>,
    /// Operation.
    pub name: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: u64,
    /// Nanoseconds since 1970.
    pub start_unix_nanos: u64,
    /// Nanoseconds since 1970.
    pub end_unix_nanos: u64,
    /// Attributes.
    pub attributes: Vec<Attribute>,
    /// 0 unset, 1 ok, 2 error.
    pub status: u64,
    /// Empty = none.
    pub status_message: String,
}

impl Span {
    /// A server span with fixed ids; tests that care set their own.
    pub fn server(name: &str, start_unix_nanos: u64, end_unix_nanos: u64) -> Self {
        Self {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: name.to_owned(),
            kind: 2,
            start_unix_nanos,
            end_unix_nanos,
            ..Self::default()
        }
    }

    /// Writes the fields of the span.
    pub fn write(&self, to: &mut Writer) {
        to.bytes(1, &self.trace_id).bytes(2, &self.span_id);
        if !self.parent_span_id.is_empty() {
            to.bytes(4, &self.parent_span_id);
        }
        to.text(5, &self.name).varint(6, self.kind);
        to.fixed64(7, self.start_unix_nanos).fixed64(8, self.end_unix_nanos);
        attributes(to, 9, &self.attributes);
        if self.status != 0 {
            to.message(15, |status| {
                if !self.status_message.is_empty() {
                    status.text(2, &self.status_message);
                }
                status.varint(3, self.status);
            });
        }
    }
}

/// An `ExportTraceServiceRequest` of one resource.
pub fn traces(resource: &[Attribute], spans: &[Span]) -> Vec<u8> {
    request(resource, |scope| {
        spans.iter().for_each(|span| {
            scope.message(2, |w| span.write(w));
        })
    })
}

/// A log record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogRecord {
    /// Nanoseconds since 1970; 0 = left out.
    pub time_unix_nanos: u64,
    /// Nanoseconds since 1970; 0 = left out.
    pub observed_unix_nanos: u64,
    /// 1 to 24; 0 = left out.
    pub severity_number: u64,
    /// The body.
    pub body: String,
    /// Attributes.
    pub attributes: Vec<Attribute>,
    /// 16 bytes or none.
    pub trace_id: Vec<u8>,
    /// 8 bytes or none.
    pub span_id: Vec<u8>,
}

impl LogRecord {
    /// A record with a time and a body.
    pub fn new(time_unix_nanos: u64, body: &str) -> Self {
        Self { time_unix_nanos, body: body.to_owned(), ..Self::default() }
    }

    fn write(&self, to: &mut Writer) {
        if self.time_unix_nanos != 0 {
            to.fixed64(1, self.time_unix_nanos);
        }
        if self.severity_number != 0 {
            to.varint(2, self.severity_number);
        }
        to.message(5, |body| {
            body.text(1, &self.body);
        });
        attributes(to, 6, &self.attributes);
        if !self.trace_id.is_empty() {
            to.bytes(9, &self.trace_id);
        }
        if !self.span_id.is_empty() {
            to.bytes(10, &self.span_id);
        }
        if self.observed_unix_nanos != 0 {
            to.fixed64(11, self.observed_unix_nanos);
        }
    }
}

/// An `ExportLogsServiceRequest` of one resource.
pub fn logs(resource: &[Attribute], records: &[LogRecord]) -> Vec<u8> {
    request(resource, |scope| {
        records.iter().for_each(|record| {
            scope.message(2, |w| record.write(w));
        })
    })
}

/// A measurement behind a data point.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Nanoseconds since 1970.
    pub time_unix_nanos: u64,
    /// The value.
    pub value: f64,
    /// 16 bytes or none.
    pub trace_id: Vec<u8>,
    /// 8 bytes or none.
    pub span_id: Vec<u8>,
}

impl Exemplar {
    fn write(&self, to: &mut Writer) {
        to.fixed64(2, self.time_unix_nanos).double(3, self.value);
        to.bytes(4, &self.span_id).bytes(5, &self.trace_id);
    }
}

/// What all data points have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Point {
    /// Attributes.
    pub attributes: Vec<Attribute>,
    /// Nanoseconds since 1970; 0 = unknown.
    pub start_unix_nanos: u64,
    /// Nanoseconds since 1970.
    pub time_unix_nanos: u64,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// Temporality on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporality {
    /// `AGGREGATION_TEMPORALITY_DELTA`
    Delta = 1,
    /// `AGGREGATION_TEMPORALITY_CUMULATIVE`
    Cumulative = 2,
}

/// The data of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// A gauge.
    Gauge(Vec<(Point, f64)>),
    /// A sum; the flag is `is_monotonic`.
    Sum(Temporality, bool, Vec<(Point, f64)>),
    /// A sum of integers.
    IntegerSum(Temporality, bool, Vec<(Point, i64)>),
    /// A histogram with explicit bounds.
    Histogram(Temporality, Vec<(Point, Histogram)>),
    /// An exponential histogram.
    Exponential(Temporality, Vec<(Point, Exponential)>),
    /// A summary: count, sum, (quantile, value) pairs.
    Summary(Vec<(Point, u64, f64, Vec<(f64, f64)>)>),
}

/// Explicit buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Sum of the observations.
    pub sum: f64,
    /// Upper bounds, ascending.
    pub bounds: Vec<f64>,
    /// One count more than bounds.
    pub counts: Vec<u64>,
}

/// Exponential buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Exponential {
    /// Resolution.
    pub scale: i64,
    /// Sum of the observations.
    pub sum: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// Offset and counts of the positive buckets.
    pub positive: (i64, Vec<u64>),
    /// Offset and counts of the negative buckets.
    pub negative: (i64, Vec<u64>),
}

/// A metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its unit.
    pub unit: String,
    /// Its points.
    pub data: Data,
}

impl Metric {
    /// A metric without description and unit.
    pub fn new(name: &str, data: Data) -> Self {
        Self { name: name.to_owned(), description: String::new(), unit: String::new(), data }
    }

    fn write(&self, to: &mut Writer) {
        to.text(1, &self.name).text(2, &self.description).text(3, &self.unit);
        match &self.data {
            Data::Gauge(points) => {
                to.message(5, |w| numbers(w, points));
            }
            Data::Sum(temporality, monotonic, points) => {
                to.message(7, |w| {
                    numbers(w, points);
                    w.varint(2, *temporality as u64).varint(3, u64::from(*monotonic));
                });
            }
            Data::IntegerSum(temporality, monotonic, points) => {
                to.message(7, |w| {
                    for (point, value) in points {
                        w.message(1, |w| {
                            point.write(w, 7, 5);
                            w.fixed64(6, value.cast_unsigned());
                        });
                    }
                    w.varint(2, *temporality as u64).varint(3, u64::from(*monotonic));
                });
            }
            Data::Histogram(temporality, points) => {
                to.message(9, |w| {
                    points.iter().for_each(|(point, histogram)| {
                        w.message(1, |w| histogram.write(point, w));
                    });
                    w.varint(2, *temporality as u64);
                });
            }
            Data::Exponential(temporality, points) => {
                to.message(10, |w| {
                    points.iter().for_each(|(point, histogram)| {
                        w.message(1, |w| histogram.write(point, w));
                    });
                    w.varint(2, *temporality as u64);
                });
            }
            Data::Summary(points) => {
                to.message(11, |w| summaries(w, points));
            }
        }
    }
}

impl Point {
    fn write(&self, to: &mut Writer, attributes_field: u32, exemplars_field: u32) {
        attributes(to, attributes_field, &self.attributes);
        if self.start_unix_nanos != 0 {
            to.fixed64(2, self.start_unix_nanos);
        }
        to.fixed64(3, self.time_unix_nanos);
        self.exemplars.iter().for_each(|exemplar| {
            to.message(exemplars_field, |w| exemplar.write(w));
        });
    }
}

fn numbers(to: &mut Writer, points: &[(Point, f64)]) {
    for (point, value) in points {
        to.message(1, |w| {
            point.write(w, 7, 5);
            w.double(4, *value);
        });
    }
}

impl Histogram {
    fn write(&self, point: &Point, to: &mut Writer) {
        point.write(to, 9, 8);
        to.fixed64(4, self.counts.iter().sum()).double(5, self.sum);
        to.fixed64s(6, &self.counts).doubles(7, &self.bounds);
    }
}

impl Exponential {
    fn write(&self, point: &Point, to: &mut Writer) {
        point.write(to, 1, 11);
        let counted: u64 = self.positive.1.iter().chain(&self.negative.1).sum();
        to.fixed64(4, counted + self.zero_count).double(5, self.sum);
        to.zigzag(6, self.scale).fixed64(7, self.zero_count);
        for (field, (offset, counts)) in [(8, &self.positive), (9, &self.negative)] {
            to.message(field, |w| {
                w.zigzag(1, *offset).varints(2, counts);
            });
        }
    }
}

fn summaries(to: &mut Writer, points: &[(Point, u64, f64, Vec<(f64, f64)>)]) {
    for (point, count, sum, quantiles) in points {
        to.message(1, |w| {
            point.write(w, 7, 15);
            w.fixed64(4, *count).double(5, *sum);
            for (quantile, value) in quantiles {
                w.message(6, |w| {
                    w.double(1, *quantile).double(2, *value);
                });
            }
        });
    }
}

/// An `ExportMetricsServiceRequest` of one resource.
pub fn metrics(resource: &[Attribute], metrics: &[Metric]) -> Vec<u8> {
    request(resource, |scope| {
        metrics.iter().for_each(|metric| {
            scope.message(2, |w| metric.write(w));
        })
    })
}
