"""One number of an instrument: a QCoDeS parameter, a Python property or a method, by its dotted name."""

import math
import re
from collections.abc import Sequence
from typing import Any

from qcodes.parameters import DelegateParameter, ParameterBase
from qcodes.validators import Enum, Numbers

from drivers.answers import measured
from drivers.errors import CommunicationError, InstrumentError, OverloadError, ReadingError, SettingError
from labnis.station.role_check import channels_in_words

__all__ = ["Parameter", "part_of"]

HEADROOM = 0.1
"""A reading may be beyond the limits of its driver by this share of the larger one: a range ends later than it says."""

OVER_RANGE = re.compile(r"[+-]?(?:OVLD|OVRLD|OVERLOAD|OVERFLOW|OVER[ -]?RANGE|OL)", re.IGNORECASE)
"""Text in place of a number, of meters that have words for over-range."""


def part_of(instrument: Any, name: str) -> Any:
    """Submodule or attribute of `instrument` with this dotted name.

    Raises
    ------
    LookupError
        The message lists the existing names.

    """
    part = instrument
    for step in name.split("."):
        if not hasattr(part, step):
            modules = getattr(part, "submodules", {})
            told = f"{type(instrument).__name__} has no {name}"
            if having := [key for key, one in modules.items() if not isinstance(one, Sequence) and hasattr(one, step)]:
                raise LookupError(f"{told}, but its channels have; name one of them: {channels_in_words(having)}")
            there = [*modules, *getattr(part, "parameters", ())]
            raise LookupError(told + (f"; it has {_listed(there)}" * bool(there)))
        part = getattr(part, step)
    return part


class Parameter:
    """One number of an instrument; fills `drivers.roles.Adjustable` and `drivers.roles.Reading`.

    Parameters
    ----------
    instrument
        The instrument, or a part of it.
    name
        Dotted name of the parameter, property or method.
    described
        Name and address of the instrument, for messages.
    unit
        Unit, if the parameter itself has none.
    arguments
        Of a method.
    possible
        Smallest and largest value that can be true, where the role defines them.

    Raises
    ------
    LookupError
        The parameter does not exist.

    """

    def __init__(
        self,
        instrument: Any,
        name: str,
        described: str,
        unit: str = "",
        arguments: Sequence[Any] = (),
        possible: tuple[float, float] = (-math.inf, math.inf),
    ) -> None:
        owner, _, self._last = name.rpartition(".")
        self._owner = part_of(instrument, owner) if owner else instrument
        # A property is not evaluated: that would query the instrument, with possible side effects.
        on_class = getattr(type(self._owner), self._last, None)
        self._found = None if isinstance(on_class, property) else part_of(self._owner, self._last)
        self._name = name
        self._described = described
        self._arguments = arguments
        self._possible = possible
        own = getattr(self._found, "unit", "") if isinstance(self._found, ParameterBase) else ""
        self.unit = unit or str(own)

    @property
    def target(self) -> int | tuple[int, str]:
        """Identity of what is written in the end: the parameter behind aliases and delegates."""
        found = self._found
        while isinstance(found, DelegateParameter) and found.source is not None:
            found = found.source
        return id(found) if isinstance(found, ParameterBase) else (id(self._owner), self._last)

    def read(self) -> float:
        """Present value.

        Raises
        ------
        CommunicationError
            The driver could not read it.
        OverloadError, ReadingError
            It is an over-range marker, not a number, or not possible.

        """
        found = self.raw()
        try:
            value = float(found)
        except (TypeError, ValueError, OverflowError) as error:
            problem = f"{self._name} reads {repr(found)[:80]}"
            if OVER_RANGE.fullmatch(str(found).strip()):
                raise OverloadError(
                    self._described, f"{problem}: over-range.", "Choose a higher range, or check the input."
                ) from error
            raise ReadingError(self._described, f"{problem}, which is not a number.") from error
        measured(value, self._name, self._described)
        low, high = self._readable()
        if not low <= value <= high:
            raise ReadingError(
                self._described,
                f"{self._name} reads {self._shown(value)}; {low:g} to {self._shown(high)} is possible.",
                "The input may be switched off or out of its range, or an answer was late or garbled.",
            )
        return value

    def _readable(self) -> tuple[float, float]:
        """Smallest and largest reading: those of the role, and the limits of the driver's validator and HEADROOM."""
        low, high = self._possible
        validator = getattr(self._found, "vals", None)
        if not isinstance(validator, Numbers):
            return low, high
        least, most = float(validator.min_value), float(validator.max_value)
        headroom = HEADROOM * max((abs(end) for end in (least, most) if math.isfinite(end)), default=0.0)
        return max(low, least - headroom), min(high, most + headroom)

    def raw(self) -> Any:
        """Present value as the driver returns it.

        Raises
        ------
        CommunicationError
            The driver could not read it.

        """
        try:
            return self._found(*self._arguments) if callable(self._found) else getattr(self._owner, self._last)
        except InstrumentError:
            raise
        except Exception as error:
            raise CommunicationError(self._described, f"{self._name} cannot be read: {_told(error)}.") from error

    def set_level(self, value: Any) -> None:
        """Write it once.

        Raises
        ------
        SettingError
            The driver rejects the value.

        """
        try:
            if callable(self._found):
                self._found(value)
            else:
                setattr(self._owner, self._last, value)
        except InstrumentError:
            raise
        except (ValueError, TypeError) as error:
            said = str(error).rstrip(".")
            raise SettingError(
                self._described, f"{self._name} cannot be set to {self._shown(value)}: {said}."
            ) from error
        except Exception as error:
            raise CommunicationError(
                self._described,
                f"{self._name} could not be set to {self._shown(value)}: {_told(error)}.",
                "It may or may not have been set: check that it is switched on and connected, then read it back.",
            ) from error

    level = read
    """As `read`; together with `set_level` it fills `drivers.roles.Adjustable`."""

    def require_settable(self, low: float, high: float) -> None:
        """Check, without writing anything, that values from `low` to `high` can be written and read back.

        A Python property does not show its range.

        Raises
        ------
        LookupError
            They cannot.

        """
        on_class = getattr(type(self._owner), self._last, None)
        if isinstance(on_class, property) and on_class.fset is None:
            raise LookupError(f"{self._described}: {self._name} can only be read; name one that can be set")
        if not isinstance(self._found, ParameterBase):
            return
        for able, what in ((self._found.settable, "read"), (self._found.gettable, "set")):
            if not able:
                raise LookupError(f"{self._described}: {self._name} can only be {what}; name one that is set and read")
        for value in (low, high):
            try:
                self._found.validate(value)
            except (TypeError, ValueError) as error:
                raise LookupError(
                    f"{self._described}: {self._name} does not take {self._shown(value)}, which the station file "
                    f"allows: {error.args[0]}; allow less there, or correct the validator of the driver"
                ) from error

    def set_checked(self, value: float, tolerance: float) -> None:
        """Write it once, and read it back.

        Raises
        ------
        SettingError
            It reads back another value.

        """
        self.set_level(value)
        found = self.read()
        if not abs(found - value) <= tolerance:
            raise SettingError(
                self._described,
                f"{self._name} reads {self._shown(found)} where {self._shown(value)} was set.",
                "The setting was ignored or changed by something else; check range and front panel.",
            )

    def set_at_least(self, value: float) -> float:
        """Choose the lowest setting that includes `value`, such as a range; a suitable one is not changed.

        Returns
        -------
        float
            The setting.

        """
        now = self.read()
        choices = self._choices()
        if choices and not any(math.isclose(now, choice, rel_tol=1e-3) for choice in choices):
            raise ReadingError(
                self._described,
                f"{self._name} reads {self._shown(now)}, which it does not have; it has {_listed(choices)}.",
            )
        if value <= now <= 10 * value:
            return now
        fitting = [choice for choice in choices if choice >= value]
        if choices and not fitting:
            raise SettingError(
                self._described,
                f"{self._name} has no setting for {self._shown(value)}; allowed are {_listed(choices)}.",
            )
        self.set_level(min(fitting) if fitting else value)
        chosen = self.read()
        if chosen < value:
            raise SettingError(
                self._described,
                f"{self._name} reads {self._shown(chosen)}, which does not include {self._shown(value)}.",
            )
        return chosen

    def _shown(self, value: Any) -> str:
        """`value` with its unit."""
        number = f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)
        return f"{number} {self.unit}".rstrip()

    def _choices(self) -> list[float]:
        """Allowed values of the parameter; empty if not known."""
        validator = getattr(self._found, "vals", None)
        if not isinstance(validator, Enum):
            return []
        return sorted(float(value) for value in validator.values if isinstance(value, int | float))


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".: ")


def _listed(values: Sequence[Any]) -> str:
    shown = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "")
