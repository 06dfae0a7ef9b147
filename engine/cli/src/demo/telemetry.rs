//! The three providers of one service and their exporters.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::Url;
use tokio::runtime::Handle;

/// How often metrics are sent; the default of 60 s would leave a short demo empty.
const METRICS_INTERVAL: Duration = Duration::from_secs(5);

/// How a service sends.
#[derive(Debug, Clone)]
pub(super) enum Transport {
    /// gRPC with gzip.
    Grpc(Url),
    /// Protobuf over HTTP.
    Http(Url),
}

/// Traces, logs and metrics of one resource.
#[derive(Debug, Clone)]
pub(super) struct Telemetry {
    pub(super) traces: SdkTracerProvider,
    pub(super) logs: SdkLoggerProvider,
    pub(super) metrics: SdkMeterProvider,
}

impl Telemetry {
    /// Must be called within a tokio runtime: the gRPC channels live on it.
    pub(super) fn start(service: &'static str, transport: &Transport) -> anyhow::Result<Self> {
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attributes([
                KeyValue::new("service.namespace", "rides"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("deployment.environment.name", "demo"),
                KeyValue::new("host.name", "localhost"),
            ])
            .build();
        let (spans, logs, metrics) = match transport {
            Transport::Grpc(url) => grpc(url)?,
            Transport::Http(url) => http(url)?,
        };
        let reader = PeriodicReader::builder(metrics).with_interval(METRICS_INTERVAL).build();
        Ok(Self {
            traces: SdkTracerProvider::builder()
                .with_resource(resource.clone())
                .with_batch_exporter(spans)
                .build(),
            logs: SdkLoggerProvider::builder()
                .with_resource(resource.clone())
                .with_batch_exporter(logs)
                .build(),
            metrics: SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build(),
        })
    }

    /// Sends what is left. Blocks.
    pub(super) fn shut_down(&self) -> anyhow::Result<()> {
        self.traces.shutdown()?;
        self.logs.shutdown()?;
        self.metrics.shutdown()?;
        Ok(())
    }
}

type Exporters = (SpanExporter, LogExporter, MetricExporter);

fn grpc(url: &Url) -> anyhow::Result<Exporters> {
    use opentelemetry_otlp::Compression::Gzip;
    let spans = SpanExporter::builder().with_tonic().with_compression(Gzip).with_endpoint(url.as_str());
    let logs = LogExporter::builder().with_tonic().with_compression(Gzip).with_endpoint(url.as_str());
    let metrics = MetricExporter::builder().with_tonic().with_compression(Gzip).with_endpoint(url.as_str());
    Ok((spans.build()?, logs.build()?, metrics.build()?))
}

fn http(url: &Url) -> anyhow::Result<Exporters> {
    let client: Arc<dyn HttpClient> =
        Arc::new(RuntimeClient { client: reqwest::Client::new(), runtime: Handle::current() });
    let endpoint = |path| url.join(path).map(String::from);
    let spans = SpanExporter::builder().with_http().with_shared_http_client(Arc::clone(&client));
    let logs = LogExporter::builder().with_http().with_shared_http_client(Arc::clone(&client));
    let metrics = MetricExporter::builder().with_http().with_shared_http_client(client);
    Ok((
        spans.with_endpoint(endpoint("v1/traces")?).build()?,
        logs.with_endpoint(endpoint("v1/logs")?).build()?,
        metrics.with_endpoint(endpoint("v1/metrics")?).build()?,
    ))
}

/// Sends on the demo's runtime: the SDK exports from threads of its own, on
/// which an asynchronous client has no reactor.
#[derive(Debug)]
struct RuntimeClient {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for RuntimeClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
