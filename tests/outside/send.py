"""Sends a hundred spans, log records and measurements with the OpenTelemetry SDK.

    send.py grpc|http ADDRESS SERVICE

The same items as `send_from_rust` in tests/it/senders.rs.
"""
import json
import sys
import time

from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry._logs import LogRecord, SeverityNumber

ITEMS = 100


def exporters(way, address):
    if way == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        endpoint = {"endpoint": f"http://{address}", "insecure": True}
        return OTLPSpanExporter(**endpoint), OTLPLogExporter(**endpoint), OTLPMetricExporter(**endpoint)
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    def to(signal):
        return {"endpoint": f"http://{address}/v1/{signal}", "compression": Compression.Gzip}

    return OTLPSpanExporter(**to("traces")), OTLPLogExporter(**to("logs")), OTLPMetricExporter(**to("metrics"))


def main():
    way, address, service = sys.argv[1:]
    spans, logs, metrics = exporters(way, address)
    resource = Resource.create({"service.name": service})
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(BatchSpanProcessor(spans))
    logging = LoggerProvider(resource=resource)
    logging.add_log_record_processor(BatchLogRecordProcessor(logs))
    bounds = View(instrument_name="sdk.latency", aggregation=ExplicitBucketHistogramAggregation((10.0, 50.0, 1000.0)))
    metering = MeterProvider([PeriodicExportingMetricReader(metrics)], resource=resource, views=[bounds])

    tracer, logger, meter = tracing.get_tracer("test"), logging.get_logger("test"), metering.get_meter("test")
    counter = meter.create_counter("sdk.jobs")
    histogram = meter.create_histogram("sdk.latency", unit="s")
    gauge = meter.create_gauge("sdk.temperature")
    start = time.time_ns() - 60 * 10**9
    parent = None
    for i in range(ITEMS):
        span = tracer.start_span(
            f"operation-{i % 10}", context=parent, kind=trace.SpanKind.SERVER, start_time=start,
            attributes={"http.response.status_code": i})
        if i % 10 == 9:
            span.set_status(trace.Status(trace.StatusCode.ERROR, "every tenth fails"))
        span.end(start + i * 1000)
        ids = span.get_span_context()
        if parent is None:
            parent = trace.set_span_in_context(span)
        logger.emit(LogRecord(
            timestamp=start + i * 10**6, observed_timestamp=start + i * 10**6,
            context=trace.set_span_in_context(span),
            severity_number=SeverityNumber.WARN if i % 10 == 7 else SeverityNumber.INFO, body=f"line {i}"))
        counter.add(i, {"kind": "a"})
        histogram.record(float(i))
        assert ids.is_valid
    gauge.set(-2.5)
    for provider in (tracing, logging, metering):
        provider.force_flush()
        provider.shutdown()
    json.dump({"items": ITEMS}, sys.stdout)


main()
