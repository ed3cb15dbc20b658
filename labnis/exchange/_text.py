"""Text with columns: its one table, with the units of its header; what is ambiguous is refused."""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from labnis.experiment.units import Column, headed

__all__ = ["read_text"]

_COMMENTS = ("#", "!", "%", "//", "*")
# Of a spreadsheet, in the place of a number.
_ERRORS = ("#VALUE!", "#N/A", "#DIV/0!", "#NUM!", "#REF!", "#NAME?", "#NULL!")
_DELIMITERS = ("\t", ";", ",")
# 1,234 is 1234 or 1.234; and what can only be the former.
_NUMBER = re.compile(r"[+-]?[\d.]*,[\d.,]*([eE][+-]?\d+)?")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(,\d{3}|\.\d*)")


@dataclass
class _Table:
    """Rows of equally many numbers, with the number of the line of each, and numbers with a comma in them."""

    header: list[str]
    delimiter: str | None = None
    rows: list[list[float]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    commas: list[tuple[int, str]] = field(default_factory=list)
    points: bool = False

    @property
    def place(self) -> str:
        return f"lines {self.lines[0]} to {self.lines[-1]}" if len(self.lines) > 1 else f"line {self.lines[0]}"

    def add(self, line: int, numbers: list[float], fields: Sequence[str]) -> None:
        self.rows.append(numbers)
        self.lines.append(line)
        self.commas += [(line, text) for text in fields if _NUMBER.fullmatch(text)]
        self.points = self.points or any("." in text and "," not in text for text in fields)

    def check(self) -> None:
        """ValueError where commas are, or may be, between thousands: they are read as decimal commas."""
        for line, text in self.commas:
            if _THOUSANDS.fullmatch(text):
                raise ValueError(f"line {line}: {text!r} has commas between thousands; write it without them")
        if self.commas and (self.points or all(_EITHER.fullmatch(text) for _, text in self.commas)):
            line, text = self.commas[0]
            raise ValueError(
                f"line {line}: the comma in {text!r} may be a decimal one or between thousands"
                f"{', and other numbers of the table have a decimal point' * self.points}; write it with a point, or "
                "without a comma"
            )


def read_text(path: Path, told: list[str]) -> dict[str, Column]:
    """The table of a text; the last line before it that is no number has its names.

    Single lines of numbers elsewhere, as settings are, are left out and `told`; ValueError for a second table.
    """
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    tables = _tables(lines)
    if not tables:
        return {}
    table = max(tables, key=lambda one: len(one.rows))
    others = [one for one in tables if one is not table]
    if many := [one for one in others if len(one.rows) > 1]:
        raise ValueError(
            f"it has {1 + len(many)} tables of numbers, {' and '.join(one.place for one in (table, *many))}, apart by "
            "another number of columns or by a line of text; write each into a file of its own"
        )
    table.check()
    if others:
        told.append(f"left out as no part of the table: numbers in {', '.join(one.place for one in others)}")
    width = len(table.rows[0])
    names = table.header if len(table.header) == width else [f"column {number}" for number in range(1, width + 1)]
    values, found = np.array(table.rows), dict[str, Column]()
    for number, (name, unit) in enumerate(headed(names)):
        found[name if name not in found else f"{name} {number + 1}"] = Column(values[:, number], unit)
    return found


def _tables(lines: Sequence[str]) -> list[_Table]:
    """Blocks of lines with equally many numbers, in which blank lines and comments do not count."""
    found: list[_Table] = []
    table, last = _Table([]), list[str]()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        comment = text.startswith(_COMMENTS) and not text.startswith(_ERRORS)
        if table.rows and (not text or comment):
            continue
        delimiter, fields = _fields(text)
        # A line that is divided otherwise is no row with gaps.
        alike = bool(table.rows) and (delimiter == table.delimiter or len(fields) == 1)
        numbers = _numbers(fields, len(table.rows[0]) if alike else 0)
        if numbers is None:
            if fields:
                last = _fields(text.lstrip("".join(_COMMENTS)).strip())[1] or last
                table = _Table(last)
            continue
        if not table.rows or len(numbers) != len(table.rows[0]):
            table = _Table(last, delimiter)
            found.append(table)
        table.add(number, numbers, fields)
    return found


def _fields(text: str) -> tuple[str | None, list[str]]:
    """The first delimiter of a line, None for blanks, and the parts that it divides."""
    delimiter = next((one for one in _DELIMITERS if one in text), None)
    if delimiter is None:
        return None, text.split()
    parts = next(csv.reader([text], delimiter=delimiter, skipinitialspace=True))
    fields = [part.strip() for part in parts]
    while fields and not fields[-1]:  # a delimiter at the end of each line
        fields.pop()
    return delimiter, fields


def _numbers(fields: list[str], width: int) -> list[float] | None:
    """The fields as numbers; None where one is none, or there are no two.

    Within a table of this `width`, what is empty or no number, such as an overload, is NaN beside numbers.
    """
    filled = [field or "nan" for field in fields]
    if len(fields) < 2 and not width:
        return None
    plain = [text.replace(",", "") if _THOUSANDS.fullmatch(text) else text.replace(",", ".") for text in filled]
    for texts in (filled, plain):  # with a decimal comma; thousands are refused at the end of the table
        try:
            found = [float(text) for text in texts]
        except ValueError:
            continue
        if width or sum(map(bool, fields)) > 1:
            return found + [math.nan] * (width - len(found)) if 0 < len(found) < width else found
    if len(fields) != width:
        return None
    known = [_number(field) for field in filled]
    return known if any(map(math.isfinite, known)) else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
