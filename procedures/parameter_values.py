"""Values of a procedure's parameters, converted strictly, in messages that name class and parameter."""

import inspect
import math
import re
from decimal import Decimal
from tokenize import TokenError
from typing import Any, ClassVar

import pint
from pymeasure.experiment import (
    BooleanParameter,
    FloatParameter,
    IntegerParameter,
    ListParameter,
    Procedure,
    VectorParameter,
)
from pymeasure.experiment.parameters import Parameter
from pymeasure.units import ureg

__all__ = ["ProcedureError", "check_parameters", "number_in", "set_parameter"]


_WITH_UNIT = re.compile(
    r"(?P<number>(?>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))\s*(?P<unit>%|[^\W\d_](?:[\w/·*^]*\w)?)"
)
"""A number that a unit follows."""


class ProcedureError(ValueError):
    """What a procedure declares, or the value of a parameter, cannot be used; it is raised before anything is opened.

    Attributes
    ----------
    exit_code
        What the command line returns to the shell: that of a bad request.

    """

    exit_code: ClassVar[int] = 2


def set_parameter(procedure: Procedure, name: str, value: Any) -> None:
    """Set the parameter `name` of `procedure` to `value`, text or not.

    Raises
    ------
    ProcedureError
        The value is not allowed; the message says what is allowed.

    """
    parameter = getattr(type(procedure), name)
    try:
        procedure.set_parameters({name: _converted(parameter, value)})
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        allowed = _allowed(parameter)
        reason = f"it must be {allowed}" if allowed else error
        raise ProcedureError(f"{type(procedure).__name__}.{name} cannot be {value!r}: {reason}") from error


def check_parameters(procedure: Procedure) -> None:
    """Convert the present values of all parameters of `procedure`, which may have been assigned to its attributes.

    Raises
    ------
    ProcedureError
        A parameter has no value, or one that is not allowed.

    """
    for name, _ in inspect.getmembers(type(procedure), lambda member: isinstance(member, Parameter)):
        set_parameter(procedure, name, getattr(procedure, name))


def _converted(parameter: Parameter, value: Any) -> Any:
    """`value` as the parameter's type; pymeasure itself would truncate 2.7 to 2 and accept NaN."""
    if value is None:
        raise ValueError("it has no value")
    if isinstance(value, str):
        value = _converted_text(parameter, value)
    if isinstance(parameter, IntegerParameter) and value != int(value):
        raise ValueError("it is no integer")
    if isinstance(parameter, FloatParameter) and not math.isfinite(value):
        raise ValueError("it is not finite")
    return value


def _converted_text(parameter: Parameter, text: str) -> Any:
    if "_" in text and isinstance(parameter, IntegerParameter | FloatParameter):
        # Python would read 1_0 as 10; here it is a typing error.
        raise ValueError(text)
    match parameter:
        case IntegerParameter():
            number = number_in(text, parameter.units)
            if not float(number).is_integer():  # 1e3 is an integer; 2.7, nan and inf are not
                raise ValueError(text)
            return int(number)
        case BooleanParameter():
            return {"true": True, "false": False, "1": True, "0": False}.get(text.lower(), text)
        case FloatParameter():
            return float(number_in(text, parameter.units))
        case VectorParameter() if text.startswith("[") and text.endswith("]"):
            return [float(number_in(part, parameter.units)) for part in text[1:-1].split(",")]
        case ListParameter() if text not in map(str, parameter.choices):
            return _choice(parameter, number_in(text, parameter.units))
    text.encode()  # ValueError for bytes on the command line that are not UTF-8
    return text


def _choice(parameter: ListParameter, number: Decimal) -> Any:
    """The choice that equals `number`; ValueError if there is none."""
    for choice in parameter.choices:
        if isinstance(choice, int | float) and math.isclose(choice, number, rel_tol=1e-12):
            return choice
    raise ValueError(f"{number} is no choice")


def number_in(text: str, wanted: str | None) -> Decimal:
    """The number in `text`, in the unit `wanted`; another unit of its kind may follow: "1mV" and "1e-3" are one bias.

    Decimal, so that 100 µV are 1e-4 V, not one rounding error less.

    Raises
    ------
    ValueError, ArithmeticError
        It is no number, or has a unit that cannot be expressed in `wanted`.

    """
    match = _WITH_UNIT.fullmatch(text.strip())
    if match is None:
        return Decimal(text)
    number, unit = Decimal(match["number"]), match["unit"]
    if not wanted:
        raise ValueError(f"{text!r}: it has no unit")
    if unit == wanted:
        return number
    try:
        zero, one = (float(ureg.Quantity(size, unit).m_as(wanted)) for size in (0.0, 1.0))
    except (pint.PintError, AttributeError, TypeError, TokenError) as error:
        raise ValueError(f"{text!r}: {unit} cannot be expressed in {wanted}") from error
    if zero != 0:
        raise ValueError(f"{text!r}: {unit} has another zero than {wanted}; give it in {wanted}")
    return number * Decimal(f"{one:.15g}")


def _allowed(parameter: Parameter) -> str:
    """What the value must be; empty where only the parameter itself can say why it refuses a value."""
    match parameter:
        case BooleanParameter():
            return "true or false"
        case IntegerParameter() | FloatParameter():
            kind, form = ("an integer", "d") if isinstance(parameter, IntegerParameter) else ("a number", "g")
            unit = f" {parameter.units}" if parameter.units else ""
            return f"{kind} from {parameter.minimum:{form}} to {parameter.maximum:{form}}{unit}"
    choices = getattr(parameter, "choices", None)
    unit = f" {parameter.units}" if getattr(parameter, "units", None) else ""
    return f"one of {', '.join(map(str, choices))}{unit}" if choices else ""
