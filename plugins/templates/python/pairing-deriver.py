"""Counts calls between services: a client's span and the server's span below it, in whatever order
and requests they come. The host keeps a span until the other side of its call is there."""

import json

import wit_world
from componentize_py_types import Err
from plugin_info import CONFIG_SCHEMA, NAME, VERSION
from wit_world.exports.derive_pairs import (
    Addition,
    Declaration,
    Derived,
    Halves,
    Label,
    LabelValues_Own,
    Metric,
    MetricKind,
    Pairing,
    Rule,
)
from wit_world.exports.lifecycle import PluginInfo
from wit_world.imports.columns import Batch, Shape

import isinglass

SERVICE, KIND, TRACE_ID, SPAN_ID, PARENT, DURATION = range(6)
CALLS, UNPAIRED, SECONDS = range(3)
SECOND = 1

config: dict = {}


class Lifecycle(wit_world.exports.Lifecycle):
    def describe(self) -> PluginInfo:
        requests = [
            isinglass.dictionary(Shape.SPANS, SERVICE, "service"),
            isinglass.dictionary(Shape.SPANS, KIND, "kind"),
            isinglass.values(Shape.SPANS, TRACE_ID, "trace_id"),
            isinglass.values(Shape.SPANS, SPAN_ID, "span_id"),
            isinglass.values(Shape.SPANS, PARENT, "parent_span_id", optional=True),
            isinglass.values(Shape.SPANS, DURATION, "duration"),
        ]
        return PluginInfo(NAME, VERSION, requests, CONFIG_SCHEMA)

    def configure(self, text: str) -> None:
        given = json.loads(text)
        wait_ms = given.pop("wait_ms", 10_000)
        if given:
            raise Err(f"unknown keys: {', '.join(given)}; known: wait_ms")
        if not isinstance(wait_ms, int) or not 1 <= wait_ms <= 600_000:
            raise Err(f"wait_ms = {wait_ms} must be 1 to 600000")
        config["wait_ms"] = wait_ms


def metric(name: str, kind: MetricKind, text: str, bounds: list[float]) -> Metric:
    return Metric(name, kind, text, "s" if bounds else "", bool(bounds), bounds, 0)


class DerivePairs(wit_world.exports.DerivePairs):
    def declare(self) -> Declaration:
        metrics = [
            metric("service_calls_total", MetricKind.COUNTER, "Calls.", []),
            metric("service_calls_unpaired_total", MetricKind.COUNTER, "Spans whose other side did not come.", []),
            metric("service_call_seconds", MetricKind.HISTOGRAM, "Their duration at the server.", [0.01, 0.1, 1.0]),
        ]
        additions = [
            Addition(CALLS, Rule.PAIRS),
            Addition(UNPAIRED, Rule.UNPAIRED),
            Addition(SECONDS, Rule.SECOND_VALUE),
        ]
        return Declaration(metrics, Pairing(config["wait_ms"], 10_000, additions, True), "")

    def run(self, batch: Batch) -> Derived:
        service = isinglass.column(batch, SERVICE)
        kind = isinglass.column(batch, KIND)
        trace_ids = isinglass.column(batch, TRACE_ID).data.value.data
        span_ids = isinglass.column(batch, SPAN_ID).data.value.data
        parent = isinglass.column(batch, PARENT)
        durations = isinglass.column(batch, DURATION).data.value

        services = len(service.distinct)
        rows, keys, flags, seconds, sets = [], [], [], [], []
        for row, key in enumerate(kind.keys):
            # The two sides of a call have the id of the client's span in common.
            if kind.distinct[key] == "client":
                call, side, of = span_ids, 0, service.keys[row]
            elif kind.distinct[key] == "server" and parent and isinglass.is_valid(parent.validity, row):
                call, side, of = parent.data.value.data, SECOND, service.keys[row] + services
            else:
                continue
            rows.append(row)
            keys.append(trace_ids[16 * row : 16 * row + 16] + call[8 * row : 8 * row + 8])
            flags.append(side)
            seconds.append(max(durations[row], 0) / 1e9)
            sets.append(of)

        # A label set for each service as client and another one for each as server; the text behind
        # all services stands for none.
        own, none = list(range(services)), [services] * services
        names = LabelValues_Own(isinglass.text_column([*service.distinct, ""]))
        labels = [Label("client", own + none, names), Label("server", none + own, names)]
        halves = Halves(rows, b"".join(keys), bytes(flags), seconds, [], [], sets, 2 * services, labels, [])
        return Derived([], halves)
