"""What happens to a reading that is not a measurement: marked and kept as NaN, or the end of the run.

Roles are handed to a procedure wrapped: where an instrument says overload or compliance, the row gets a bit in its
`quality` column and NaN in place of the number, so that no fit uses it; or, if the station file says "stop", the run
ends. Every occurrence is an event of the run.
"""

from collections.abc import Callable
from enum import IntFlag
from typing import Any, Literal

import numpy as np

from drivers.errors import ComplianceError, OverloadError, ReadingError
from drivers.roles import BiasReading, Thermometer
from labnis.errors import DataQualityError

__all__ = ["Judged", "JudgedThermometer", "Quality", "QualityBit"]


class QualityBit(IntFlag):
    """Bits of the `quality` column; 0 is a good row."""

    COMPLIANCE = 1
    OVERLOAD = 2


class Quality:
    """The quality of the row that is being measured.

    Parameters
    ----------
    on_compliance
        "stop" ends the run when the source hits its current limit; "continue" marks the row.
    report
        Called with a sentence for every reading that is marked.
    """

    def __init__(self, on_compliance: Literal["stop", "continue"], report: Callable[[str], None]) -> None:
        self._on_compliance = on_compliance
        self._report = report
        self._bits = QualityBit(0)

    def mark(self, error: ReadingError) -> None:
        """Mark the row for `error`.

        Raises
        ------
        DataQualityError
            Where the station wants the run to end.
        """
        compliance = isinstance(error, ComplianceError)
        if compliance and self._on_compliance == "stop":
            raise DataQualityError(
                f"{error} The bias is not what was set; labnis.limits.on_compliance is 'stop', so the run ends"
            ) from error
        self._bits |= QualityBit.COMPLIANCE if compliance else QualityBit.OVERLOAD
        self._report(str(error))

    def note(self, error: ReadingError) -> None:
        """Report a reading that is none, where the rest of its row is as good as ever."""
        self._report(str(error))

    def take(self) -> int:
        """Bits of the row that is complete now; the next one starts clean."""
        bits, self._bits = self._bits, QualityBit(0)
        return int(bits)


class JudgedThermometer:
    """The fridge's thermometer, whose readings that are none become NaN: what they mean is for the interlocks to say.

    Parameters
    ----------
    thermometer
        The instrument.
    quality
        Where it is reported.
    """

    def __init__(self, thermometer: Thermometer, quality: Quality) -> None:
        self._thermometer = thermometer
        self._quality = quality

    def __getattr__(self, name: str) -> Any:
        return getattr(self._thermometer, name)

    def temperature(self) -> float:
        """Temperature (K); NaN where the sensor's status is not valid."""
        try:
            return self._thermometer.temperature()
        except ReadingError as error:
            self._quality.note(error)
            return _NAN


class Judged:
    """An instrument in its role, whose overloads become marked NaN.

    Parameters
    ----------
    instrument
        The instrument.
    quality
        Where its rows are marked.
    """

    def __init__(self, instrument: Any, quality: Quality) -> None:
        self._instrument = instrument
        self._quality = quality

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._instrument, name)
        return self._judged(value, _NOT_MEASURED[name]) if name in _NOT_MEASURED else value

    def _judged(self, measure: Callable[..., Any], nothing: Callable[[Any], Any]) -> Callable[..., Any]:
        def measured(*arguments: Any) -> Any:
            try:
                return measure(*arguments)
            except (OverloadError, ComplianceError) as error:
                self._quality.mark(error)
                return nothing(self._instrument)

        return measured


_NAN = float("nan")

_NOT_MEASURED: dict[str, Callable[[Any], Any]] = {
    # DeviceBias and LockIn both have `read`; only the bias can ramp.
    "read": lambda role: BiasReading(_NAN, _NAN, _NAN) if hasattr(role, "move_to") else complex(_NAN, _NAN),
    "read_auxiliary": lambda role: _NAN,
    "fetch": lambda role: np.full(role.frequencies().shape, np.nan),
}
"""Measuring methods of the roles, and what stands for a measurement that is none."""
