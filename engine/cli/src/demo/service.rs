//! A service, and calls between services: what an instrumentation library does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::{Counter, Histogram, MeterProvider as _, UpDownCounter};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::logs::SdkLogger;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use rand::Rng;

use super::telemetry::{Telemetry, Transport};

/// Name of the instrumentation scope of all three signals.
const SCOPE: &str = "isinglass-demo";

/// What went wrong in a call.
#[derive(Debug, Clone)]
pub(super) struct Fault(pub(super) String);

/// One service: its name, its instruments and the providers behind them.
#[derive(Debug)]
pub(super) struct Service {
    name: &'static str,
    tracer: SdkTracer,
    logger: SdkLogger,
    requests: Counter<u64>,
    duration: Histogram<f64>,
    in_flight: UpDownCounter<i64>,
    telemetry: Telemetry,
}

/// What a call is, on both sides of the wire.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// Span name.
    pub(super) name: &'static str,
    /// Attributes of both spans.
    pub(super) attributes: Vec<KeyValue>,
}

impl Operation {
    pub(super) fn new(name: &'static str, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        Self { name, attributes: attributes.into_iter().collect() }
    }
}

/// A span that is being worked on, and the service that does it. It ends when
/// the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    service: Arc<Service>,
    context: Context,
}

impl Service {
    pub(super) fn start(name: &'static str, transport: &Transport) -> anyhow::Result<Arc<Self>> {
        let telemetry = Telemetry::start(name, transport)?;
        let meter = telemetry.metrics.meter(SCOPE);
        Ok(Arc::new(Self {
            name,
            tracer: telemetry.traces.tracer(SCOPE),
            logger: telemetry.logs.logger(SCOPE),
            requests: meter.u64_counter("rides.requests").with_description("Requests served").build(),
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("Duration of served requests")
                .with_boundaries(vec![0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
                .build(),
            in_flight: meter
                .i64_up_down_counter("rides.requests.active")
                .with_description("Requests being served")
                .build(),
            telemetry,
        }))
    }

    pub(super) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Serves a request that arrived with `headers`.
    pub(super) async fn serve<T, F>(
        self: &Arc<Self>,
        headers: &HashMap<String, String>,
        operation: &Operation,
        work: impl FnOnce(Scope) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), headers);
        let scope = self.open(&parent, SpanKind::Server, operation);
        let started = SystemTime::now();
        self.in_flight.add(1, &[]);
        let answer = work(scope.clone()).await;
        self.in_flight.add(-1, &[]);
        self.measure(operation, started.elapsed().unwrap_or_default(), answer.is_ok());
        scope.close(&answer);
        answer
    }

    fn measure(&self, operation: &Operation, took: Duration, ok: bool) {
        let labels = [KeyValue::new("operation", operation.name), KeyValue::new("ok", ok)];
        self.requests.add(1, &labels);
        self.duration.record(took.as_secs_f64(), &labels[..1]);
    }

    fn open(self: &Arc<Self>, parent: &Context, kind: SpanKind, operation: &Operation) -> Scope {
        let span = self
            .tracer
            .span_builder(operation.name)
            .with_kind(kind)
            .with_attributes(operation.attributes.clone())
            .start_with_context(&self.tracer, parent);
        Scope { service: Arc::clone(self), context: parent.with_span(span) }
    }
}

impl Scope {
    /// Calls another service: a client span here, headers over the wire, a
    /// server span there.
    pub(super) async fn call<T, F>(
        &self,
        callee: &Arc<Service>,
        operation: Operation,
        work: impl FnOnce(Scope) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let client = self.service.open(&self.context, SpanKind::Client, &operation);
        client.context.span().set_attribute(KeyValue::new("peer.service", callee.name));
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&client.context, &mut headers);
        let answer = callee.serve(&headers, &operation, work).await;
        client.close(&answer);
        answer
    }

    /// Works for about `mean`, never less than a tenth of it.
    pub(super) async fn work(&self, mean: Duration, deviation: f64) {
        let factor = 1.0 + deviation * (rand::rng().random::<f64>() + rand::rng().random::<f64>() - 1.0);
        tokio::time::sleep(mean.mul_f64(factor.max(0.1))).await;
    }

    /// An event on the span.
    pub(super) fn event(&self, name: &'static str, attributes: Vec<KeyValue>) {
        self.context.span().add_event(name, attributes);
    }

    /// An attribute that becomes known late.
    pub(super) fn attribute(&self, attribute: KeyValue) {
        self.context.span().set_attribute(attribute);
    }

    /// A log record that carries the ids of the span.
    pub(super) fn log(&self, severity: Severity, text: String, attributes: &[(&'static str, AnyValue)]) {
        let ids = self.context.span().span_context().clone();
        let mut record = self.service.logger.create_log_record();
        record.set_timestamp(SystemTime::now());
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        record.set_body(text.into());
        record.add_attributes(attributes.iter().cloned());
        record.set_trace_context(ids.trace_id(), ids.span_id(), Some(ids.trace_flags()));
        self.service.logger.emit(record);
    }

    fn close<T>(&self, answer: &Result<T, Fault>) {
        let span = self.context.span();
        if let Err(fault) = answer {
            span.set_attribute(KeyValue::new("error.type", "timeout"));
            span.add_event("exception", vec![KeyValue::new("exception.message", fault.0.clone())]);
            span.set_status(Status::error(fault.0.clone()));
        }
        span.end();
    }
}
