"""Masks attributes of spans and log records, and drops log records of severities that nobody reads."""

import json

import wit_world
from componentize_py_types import Err
from plugin_info import CONFIG_SCHEMA, NAME, VERSION
from wit_world.exports.lifecycle import PluginInfo
from wit_world.exports.transform import Additions, Edits, PairEdits, Pairs, Reason, Texts
from wit_world.imports.columns import Batch, Shape

import isinglass

KEY = 0
SEVERITY = 1
# Values of attributes are JSON text.
MASK = '"***"'

keys: set[str] = set()
drop_severities: set[str] = set()


class Lifecycle(wit_world.exports.Lifecycle):
    def describe(self) -> PluginInfo:
        requests = [
            isinglass.dictionary(Shape.SPANS, KEY, "attr.key"),
            isinglass.dictionary(Shape.LOGS, KEY, "attr.key"),
            isinglass.dictionary(Shape.LOGS, SEVERITY, "severity", optional=True),
        ]
        return PluginInfo(NAME, VERSION, requests, CONFIG_SCHEMA)

    def configure(self, text: str) -> None:
        given = json.loads(text)
        keys.update(given.pop("keys", []))
        drop_severities.update(given.pop("drop_severities", []))
        if given:
            raise Err(f"unknown keys: {', '.join(given)}; known: keys, drop_severities")


def masked(attributes: isinglass.Dictionary) -> list[PairEdits]:
    """Keys belong to entries of rows, and so does what is changed."""
    is_masked = [key in keys for key in attributes.distinct]
    entries = [entry for entry, key in enumerate(attributes.keys) if is_masked[key]] if any(is_masked) else []
    if not entries:
        return []
    nothing = isinglass.text_column([])
    # Each of them gets the first of the texts, which is the only one.
    changed = Texts(entries, [0] * len(entries), isinglass.text_column([MASK]))
    return [PairEdits(Pairs.ATTRIBUTES, [], Texts([], [], nothing), changed, Additions([], [], [], nothing))]


def reason(severity: str):
    return ("severity", f"nobody reads {severity}") if severity in drop_severities else None


class Transform(wit_world.exports.Transform):
    def run(self, batch: Batch) -> Edits:
        pairs = masked(isinglass.column(batch, KEY))
        drops, reasons = b"", []
        if isinglass.column(batch, SEVERITY) is not None:
            drops, reasons = isinglass.refuse(batch, SEVERITY, reason)
        return Edits(drops, [Reason(code, message) for code, message in reasons], [], [], pairs)
