"""Gives every service a token bucket of its own; a span or log record costs 1."""

import json
from collections import Counter

import wit_world
from componentize_py_types import Err
from plugin_info import CONFIG_SCHEMA, NAME, VERSION
from wit_world.exports.lifecycle import PluginInfo
from wit_world.exports.limit import Bucket, Plan, Signal
from wit_world.imports.columns import Batch, Shape

import isinglass

SERVICE = 0

config: dict = {}


class Lifecycle(wit_world.exports.Lifecycle):
    def describe(self) -> PluginInfo:
        requests = [isinglass.dictionary(shape, SERVICE, "service") for shape in (Shape.LOGS, Shape.SPANS)]
        return PluginInfo(NAME, VERSION, requests, CONFIG_SCHEMA)

    def configure(self, text: str) -> None:
        given = json.loads(text)
        for key in ("items_per_second", "burst"):
            config[key] = given.pop(key, 0)
            if not config[key] > 0:
                raise Err(f"{key} is missing, or not above 0")
        if given:
            raise Err(f"unknown keys: {', '.join(given)}; known: items_per_second, burst")


class Limit(wit_world.exports.Limit):
    def admit(self, signal: Signal, wire_bytes: int) -> Plan:
        return Plan([], [], [])

    def run(self, batch: Batch) -> Plan:
        service = isinglass.column(batch, SERVICE)
        if service is None:
            return Plan([], [], [])
        rows = Counter(service.keys)
        rate, burst = float(config["items_per_second"]), float(config["burst"])
        buckets = [Bucket(f"service/{service.distinct[key]}", rate, burst) for key in rows]
        return Plan(buckets, list(range(len(buckets))), [float(count) for count in rows.values()])
