"""Reads the columns of a batch and writes answers, for plugins in Python.

Ask for text as a dictionary where you can, and look at the distinct values instead of the rows:
ten thousand rows have some ten of them.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Callable, Iterable, Iterator, Optional

from wit_world.imports.columns import Batch, ColumnData_Dictionary, ColumnRequest, Encoding, Shape, TextColumn


def dictionary(shape: Shape, slot: int, name: str, optional: bool = False) -> ColumnRequest:
    """Asks for a column of text as keys and distinct values."""
    return ColumnRequest(shape, slot, name, Encoding.DICTIONARY, optional)


def values(shape: Shape, slot: int, name: str, optional: bool = False) -> ColumnRequest:
    """Asks for a column as it is."""
    return ColumnRequest(shape, slot, name, Encoding.VALUES, optional)


def texts(offsets: list[int], data: bytes) -> list[str]:
    """The values of a column of text."""
    view = memoryview(data)
    return [str(view[start:end], "utf-8") for start, end in zip(offsets, offsets[1:])]


def text_column(values: list[str]) -> TextColumn:
    """Text as a column, the other way round."""
    return bytes_column([value.encode() for value in values])


def bytes_column(values: list[bytes]) -> TextColumn:
    """Byte strings as a column."""
    return TextColumn([0, *accumulate(len(value) for value in values)], b"".join(values))


def is_valid(validity: Optional[bytes], row: int) -> bool:
    """Whether a row has a value."""
    return validity is None or bool(validity[row >> 3] >> (row & 7) & 1)


def bits(valid: Iterable[bool]) -> bytes:
    """Which rows have a value, the other way round."""
    out = bytearray()
    for row, is_set in enumerate(valid):
        if row & 7 == 0:
            out.append(0)
        out[-1] |= is_set << (row & 7)
    return bytes(out)


@dataclass
class Dictionary:
    """One key per row, and the distinct values that keys point to."""

    keys: list[int]
    distinct: list[str]
    validity: Optional[bytes]

    def is_valid(self, row: int) -> bool:
        return is_valid(self.validity, row)

    def rows(self) -> Iterator[Optional[int]]:
        """The key of every row, None where it has no value."""
        if self.validity is None:
            return iter(self.keys)
        return (key if self.is_valid(row) else None for row, key in enumerate(self.keys))


def column(batch: Batch, slot: int):
    """The data of the column in `slot`, None if this batch does not have it. Dictionaries are
    read into a `Dictionary`; anything else is as the interface has it."""
    for found in batch.columns:
        if found.slot == slot:
            if isinstance(found.data, ColumnData_Dictionary):
                data = found.data.value
                return Dictionary(data.keys, texts(data.offsets, data.data), found.validity)
            return found
    return None


def refuse(batch: Batch, slot: int, reason: Callable[[str], Optional[tuple[str, str]]]):
    """Verdicts that depend on one dictionary column: `reason` is asked once per distinct value
    and gives the code and the sentence of a refusal, or None. Returns rows and reasons."""
    found = column(batch, slot)
    reasons: list[tuple[str, str]] = []
    verdict = []
    for value in found.distinct:
        refused = reason(value)
        # One byte points to a reason: the 255th stands for all that come after.
        if refused is not None and len(reasons) < 255:
            reasons.append(refused)
        verdict.append(0 if refused is None else len(reasons))
    if not reasons:
        return b"", []
    if found.validity is None:
        return bytes(map(verdict.__getitem__, found.keys)), reasons
    return bytes(0 if key is None else verdict[key] for key in found.rows()), reasons
