"""Functions for SQL and PromQL: the nearest multiple of a step, and a harmonic mean."""

import json
import math
import struct

import wit_world
from componentize_py_types import Err
from plugin_info import CONFIG_SCHEMA, NAME, VERSION
from wit_world.exports.compute import Fault, Kind, Signature, ValueType, Volatility
from wit_world.exports.lifecycle import PluginInfo
from wit_world.imports.columns import Column, ColumnData_NumbersF64, TextColumn

import isinglass

# They are called by their place in the list.
NEAREST_STEP = 0
# What is known of a group: how many values, and the sum of their reciprocals.
STATE = struct.Struct("<dd")

config: dict = {}


class Lifecycle(wit_world.exports.Lifecycle):
    def describe(self) -> PluginInfo:
        # Arguments are handed over; nothing is read of batches.
        return PluginInfo(NAME, VERSION, [], CONFIG_SCHEMA)

    def configure(self, text: str) -> None:
        given = json.loads(text)
        config["step"] = given.pop("step", 1)
        if given:
            raise Err(f"unknown keys: {', '.join(given)}; known: step")
        if not config["step"] > 0:
            raise Err("step must be a number above 0")


def declared(name: str, kind: Kind, text: str) -> Signature:
    return Signature(name, kind, [ValueType.FLOAT64], ValueType.FLOAT64, Volatility.IMMUTABLE, text)


def written(groups: list[list[float]]) -> TextColumn:
    """Groups as byte strings; the one of a group without values is empty."""
    return isinglass.bytes_column([STATE.pack(*state) if state[0] > 0 else b"" for state in groups])


def read(states: TextColumn) -> list[tuple[float, float]]:
    ends = zip(states.offsets, states.offsets[1:])
    return [STATE.unpack(states.data[start:end]) if start < end else (0.0, 0.0) for start, end in ends]


def group_of(groups: list[int], at: int) -> int:
    """The group of a row or state; no numbers stand for one group."""
    return groups[at] if groups else 0


class Compute(wit_world.exports.Compute):
    def functions(self) -> list[Signature]:
        return [
            declared("nearest_step", Kind.SCALAR, "The nearest multiple of the configured step."),
            declared("harmonic_mean", Kind.AGGREGATE, "Harmonic mean of positive values."),
        ]

    def call(self, function: int, rows: int, arguments: list[Column]) -> Column:
        if function != NEAREST_STEP:
            raise Err(Fault(None, "no scalar function"))
        step = config["step"]
        values = arguments[0].data.value
        # Where there is no argument there is no value.
        nearest = [math.floor(value / step + 0.5) * step if math.isfinite(value) else value for value in values]
        return Column(0, arguments[0].validity, ColumnData_NumbersF64([float(value) for value in nearest]))

    def accumulate(
        self, function: int, groups: int, group_of_row: list[int], rows: int, arguments: list[Column]
    ) -> TextColumn:
        states = [[0.0, 0.0] for _ in range(groups)]
        for row, value in enumerate(arguments[0].data.value):
            if not isinglass.is_valid(arguments[0].validity, row):
                continue
            if value <= 0:
                raise Err(Fault(row, "harmonic_mean takes positive values only"))
            state = states[group_of(group_of_row, row)]
            state[0] += 1
            state[1] += 1 / value
        return written(states)

    def merge(self, function: int, groups: int, group_of_state: list[int], states: TextColumn) -> TextColumn:
        merged = [[0.0, 0.0] for _ in range(groups)]
        for at, (count, reciprocals) in enumerate(read(states)):
            state = merged[group_of(group_of_state, at)]
            state[0] += count
            state[1] += reciprocals
        return written(merged)

    def finish(self, function: int, states: TextColumn) -> Column:
        groups = read(states)
        means = [count / reciprocals if count > 0 else 0.0 for count, reciprocals in groups]
        validity = isinglass.bits(count > 0 for count, _ in groups)
        return Column(0, validity, ColumnData_NumbersF64(means))
