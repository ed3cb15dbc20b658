"""Values of TSP scripts: nil (None), booleans, numbers (float), strings, tables and functions.

What the instrument has, such as `smua` or `format`, is an object with `get` and `set`, as a table.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

__all__ = [
    "Function",
    "Object",
    "Steps",
    "Table",
    "TspRuntimeError",
    "Value",
    "instant",
    "number_of",
    "shown",
    "truth",
    "type_of",
]

Value = Any
Steps = Generator[float, None, Sequence[Value]]
Function = Callable[[Sequence[Value]], Steps]


class Object(Protocol):
    """What has elements: a table, or a part of the instrument."""

    def get(self, key: Value) -> Value:
        """The element, nil if there is none."""

    def set(self, key: Value, value: Value) -> None:
        """Replace the element."""


class TspRuntimeError(Exception):
    """A script cannot continue; the message has the words of the instrument, without its line."""


class Table:
    """A table of a script."""

    def __init__(self, elements: Mapping[Value, Value] | None = None) -> None:
        self.elements = dict(elements or {})

    def get(self, key: Value) -> Value:
        """The element, nil if there is none."""
        return self.elements.get(key)

    def set(self, key: Value, value: Value) -> None:
        """Replace the element; nil removes it."""
        if key is None:
            raise TspRuntimeError("table index is nil")
        self.elements[key] = value
        if value is None:
            del self.elements[key]

    def listed(self) -> list[Value]:
        """The elements 1, 2, ... up to the first nil."""
        found: list[Value] = []
        while (value := self.elements.get(float(len(found) + 1))) is not None:
            found.append(value)
        return found


def instant(function: Callable[..., Value]) -> Function:
    """A function of a script that takes no time; a tuple is several results."""

    def call(arguments: Sequence[Value]) -> Steps:
        try:
            found = function(*arguments)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError, AttributeError):
            raise TspRuntimeError("bad argument to function") from None
        return found if isinstance(found, tuple) else (found,)
        yield 0.0

    return call


def truth(value: Value) -> bool:
    """Whether a value counts as true: anything but nil and false."""
    return value is not None and value is not False


def shown(value: Value, precision: int) -> str:
    """A value as `print` shows it, a number with `precision` digits."""
    if isinstance(value, bool) or value is None:
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.{precision - 1}e}"
    return value if isinstance(value, str) else f"{type_of(value)}: 0x1b3a40"


def type_of(value: Value) -> str:
    """What Lua calls the kind of a value."""
    if value is None:
        return "nil"
    kinds = {bool: "boolean", float: "number", str: "string"}
    return kinds.get(type(value), "function" if callable(value) else "table")


def number_of(value: Value) -> float | None:
    """The number that a value is, or that a string reads as; None if it is none."""
    if isinstance(value, float):
        return value
    try:
        return float(value) if isinstance(value, str) and value.isascii() and "_" not in value else None
    except ValueError:
        return None
