"""Refuses the spans and log records of services that are not wanted."""

import json

import wit_world
from componentize_py_types import Err
from plugin_info import CONFIG_SCHEMA, NAME, VERSION
from wit_world.exports.lifecycle import PluginInfo
from wit_world.exports.validate import Reason, Verdicts
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
        services = given.pop("services", [])
        if given:
            raise Err(f"unknown keys: {', '.join(given)}; known: services")
        config["services"] = frozenset(services)


class Validate(wit_world.exports.Validate):
    def run(self, batch: Batch) -> Verdicts:
        def reason(service: str):
            if service in config["services"]:
                return "service_denied", f"service {service} is not wanted"
            return None

        rows, reasons = isinglass.refuse(batch, SERVICE, reason)
        return Verdicts(rows, [Reason(code, message) for code, message in reasons])
