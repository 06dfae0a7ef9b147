"""Counts log records by service and severity."""

import json
from collections import Counter
from itertools import repeat

import wit_world
from componentize_py_types import Err
from plugin_info import CONFIG_SCHEMA, NAME, VERSION
from wit_world.exports.derive import (
    Deltas,
    Exemplars,
    Increments,
    Label,
    LabelValues_Input,
    LabelValues_Own,
    Metric,
    MetricKind,
)
from wit_world.exports.lifecycle import PluginInfo
from wit_world.imports.columns import Batch, Shape

import isinglass

SERVICE = 0
SEVERITY = 1

config: dict = {}


class Lifecycle(wit_world.exports.Lifecycle):
    def describe(self) -> PluginInfo:
        requests = [
            isinglass.dictionary(Shape.LOGS, SERVICE, "service"),
            isinglass.dictionary(Shape.LOGS, SEVERITY, "severity", optional=True),
        ]
        return PluginInfo(NAME, VERSION, requests, CONFIG_SCHEMA)

    def configure(self, text: str) -> None:
        given = json.loads(text)
        config["metric"] = given.pop("metric", "log_records_total")
        if given:
            raise Err(f"unknown keys: {', '.join(given)}; known: metric")


class Derive(wit_world.exports.Derive):
    def metrics(self) -> list[Metric]:
        return [Metric(config["metric"], MetricKind.COUNTER, "Log records.", "", [])]

    def run(self, batch: Batch) -> Deltas:
        service = isinglass.column(batch, SERVICE)
        severity = isinglass.column(batch, SEVERITY)
        # The severity behind all others stands for none.
        severities = [*(severity.distinct if severity else []), ""]
        none = len(severities) - 1
        levels = (none if key is None else key for key in severity.rows()) if severity else repeat(none)

        counts = Counter(zip(service.keys, levels))
        labels = [
            Label("service", [key for key, _ in counts], LabelValues_Input(SERVICE)),
            Label("severity", [level for _, level in counts], LabelValues_Own(isinglass.text_column(severities))),
        ]
        increments = [Increments(0, [float(count) for count in counts.values()], [])]
        return Deltas(len(counts), labels, increments, Exemplars([], [], [], []))
