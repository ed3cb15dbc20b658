"""What Lua itself has that scripts use: operators, and functions for numbers, strings and tables."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from sim_instruments.panels.tsp_values import Table, TspRuntimeError, Value, instant, number_of, shown, type_of

__all__ = ["computed", "library"]

LONGEST_STRING = 1 << 16
CONVERSION = re.compile(r"%(?:%|[-+ #0]{0,5}\d{0,2}(?:\.\d{0,2})?([diuxXeEfgGsc]))", re.ASCII)


def _formatted(template: str, *arguments: Value) -> str:
    remaining = iter(arguments)

    def one(match: re.Match[str]) -> str:
        if match[1] is None:
            return "%"
        value = next(remaining)
        if match[1] == "s":
            return match[0] % shown(value, 6)
        number = number_of(value)
        if number is None:
            raise ValueError
        return match[0] % (int(number) if match[1] in "diuxXc" else number)

    try:
        return CONVERSION.sub(one, template)[:LONGEST_STRING]
    except (StopIteration, RuntimeError):
        raise ValueError from None


def library() -> dict[str, Value]:
    """The functions of Lua that scripts call, by name."""
    one: Mapping[str, Callable[[float], float]] = {"abs": abs, "sqrt": math.sqrt, "exp": math.exp, "log": math.log}
    mathematics = {name: instant(lambda x, f=function: float(f(x))) for name, function in one.items()}
    mathematics |= {
        "floor": instant(lambda x: float(math.floor(x))),
        "ceil": instant(lambda x: float(math.ceil(x))),
        "max": instant(lambda *x: float(max(x))),
        "min": instant(lambda *x: float(min(x))),
        "mod": instant(math.fmod),
        "pi": math.pi,  # type: ignore[dict-item]  # no function
    }
    return {
        "math": Table(mathematics),
        "string": Table({"format": instant(_formatted), "len": instant(lambda text: float(len(text)))}),
        "table": Table(
            {
                "insert": instant(lambda table, value: table.set(float(len(table.listed()) + 1), value)),
                "getn": instant(lambda table: float(len(table.listed()))),
            }
        ),
        "tostring": instant(lambda value: shown(value, 6)),
        "tonumber": instant(number_of),
        "type": instant(type_of),
    }


ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b if b else math.copysign(math.inf, b) * a if a else math.nan,
    "^": lambda a, b: a**b,
}
ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


def computed(sign: str, left: Value, right: Value) -> Value:
    """The value of two values with an operator between them. Raises TspRuntimeError."""
    if sign in ("==", "~="):
        return (type(left) is type(right) and left == right) == (sign == "==")
    if sign == "..":
        if not all(isinstance(one, str | float) for one in (left, right)):
            raise TspRuntimeError(f"attempt to concatenate a {type_of(right if isinstance(left, str) else left)} value")
        return "".join([one if isinstance(one, str) else f"{one:.14g}" for one in (left, right)])[:LONGEST_STRING]
    if sign in ORDERED:
        if type(left) is not type(right) or not isinstance(left, str | float):
            raise TspRuntimeError(f"attempt to compare {type_of(left)} with {type_of(right)}")
        return ORDERED[sign](left, right)
    a, b = number_of(left), number_of(right)
    if a is None or b is None:
        raise TspRuntimeError(f"attempt to perform arithmetic on a {type_of(left if a is None else right)} value")
    try:
        found = ARITHMETIC[sign](a, b)
    except (OverflowError, ZeroDivisionError):
        return math.inf
    return math.nan if isinstance(found, complex) else found
