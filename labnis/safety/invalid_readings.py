"""Invalid readings: they become NaN and are flagged, or end the run.

A procedure gets wrapped roles: if an instrument reports an overload or its compliance, the row gets a bit in its
`quality` column and NaN in place of the number, so that no fit uses it; with "stop" in the station file, the run ends.
With `on_error` "skip", a failed reading is treated in the same way. Every occurrence is an event of the run. Failures
of moving and setting are never skipped.
"""

from collections.abc import Callable, Mapping
from enum import IntFlag
from typing import Any, Literal

import numpy as np

from drivers.errors import CommunicationError, ComplianceError, InstrumentError, OverloadError, ReadingError
from drivers.roles import BiasReading
from labnis.errors import DataQualityError, LabnisError
from labnis.printable import sentence

__all__ = ["Quality", "QualityBit", "ValidatedRole"]

SKIPPED = (CommunicationError, ReadingError)
"""Faults that are skipped with `on_error` "skip", as are exceptions of a lab's own driver."""

MOST_IN_A_ROW = 10
"""Number of consecutive failed readings of one role that are skipped."""


class QualityBit(IntFlag):
    """Bits of the `quality` column; 0 is a good row."""

    COMPLIANCE = 1
    OVERLOAD = 2
    FAILED = 4


class Quality:
    """The quality of the row that is being measured.

    Parameters
    ----------
    on_compliance
        "stop" ends the run when the source hits its current limit; "continue" flags the row.
    report
        Called with a sentence for every reading that is flagged.
    on_error
        "stop" ends the run where a reading fails; "skip" flags the row.
    """

    def __init__(
        self,
        on_compliance: Literal["stop", "continue"],
        report: Callable[[str], None],
        on_error: Literal["stop", "skip"] = "stop",
    ) -> None:
        self._on_compliance = on_compliance
        self._report = report
        self.skips = on_error == "skip"
        self._bits = QualityBit(0)

    def mark(self, error: InstrumentError) -> None:
        """Flag the row for `error`.

        Raises
        ------
        DataQualityError
            The station file requires the run to end.
        """
        compliance = isinstance(error, ComplianceError)
        if compliance and self._on_compliance == "stop":
            raise DataQualityError(
                f"{sentence(error)} labnis.limits.on_compliance is 'stop', so the run ends"
            ) from error
        overload = QualityBit.OVERLOAD if isinstance(error, OverloadError) else QualityBit.FAILED
        self._bits |= QualityBit.COMPLIANCE if compliance else overload
        self._report(str(error))

    def note(self, error: ReadingError) -> None:
        """Report an invalid reading; the rest of its row is valid."""
        self._report(str(error))

    def take(self) -> int:
        """Bits of the row that is complete now; the next row starts with none."""
        bits, self._bits = self._bits, QualityBit(0)
        return int(bits)


class ValidatedRole:
    """Wrapper of what fills a role; invalid readings become NaN and are flagged.

    Parameters
    ----------
    player
        What fills the role.
    kind
        Kind of the role (`labnis.station.role_spec`): defines which of its methods are readings.
    quality
        Quality of the row, which gets the flags.
    name
        Role, and name and address of its instrument, for messages.
    before
        Called before each reading.
    """

    def __init__(
        self, player: Any, kind: str, quality: Quality, name: str, before: Callable[[], None] = lambda: None
    ) -> None:
        self._before = before
        self._player = player
        self._name = name
        self._invalid = INVALID[kind]
        self._quality = quality
        # The interlocks decide about invalid readings of a thermometer.
        self._flagged = () if kind == "thermometer" else (OverloadError, ComplianceError)
        self._noted = ReadingError if kind == "thermometer" else ()
        self._failed_in_a_row = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._player, name)
        return self._validated(found, self._invalid[name]) if name in self._invalid else found

    def _validated(self, read: Callable[..., Any], invalid: Callable[[Any], Any]) -> Callable[..., Any]:
        def validated(*arguments: Any) -> Any:
            self._before()
            try:
                reading = read(*arguments)
            except self._flagged as error:
                self._quality.mark(error)
            except self._noted as error:
                self._quality.note(error)
            except Exception as error:  # noqa: BLE001  # a lab's own driver raises what it likes
                self.skip(error)
            else:
                self._failed_in_a_row = 0
                return reading
            return invalid(self._player)

        return validated

    def skip(self, error: Exception) -> None:
        """Flag the row for a reading that failed, or raise its error where it is not skipped.

        Raises
        ------
        InstrumentError
            `error`, or a CommunicationError that names the instrument where its driver raised another exception.
        LabnisError
            `error`, if it is one.

        """
        if isinstance(error, LabnisError) or (isinstance(error, InstrumentError) and not isinstance(error, SKIPPED)):
            raise error
        failure = error
        if not isinstance(failure, InstrumentError):
            failure = CommunicationError(self._name, f"a reading failed: {type(error).__name__}: {error}.")
            failure.__cause__ = error
        self._failed_in_a_row += 1
        if not self._quality.skips or self._failed_in_a_row > MOST_IN_A_ROW:
            raise failure
        self._quality.mark(failure)

    def invalid_acquisition(self) -> Any:
        """Replacement for the data of a failed acquisition."""
        return self._invalid["fetch"](self._player)


_NAN = float("nan")


def _number(_: Any) -> float:
    return _NAN


INVALID: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "bias": {"read": lambda _: BiasReading(_NAN, _NAN, _NAN)},
    "ammeter": {"read": _number},
    "voltmeter": {"read": _number},
    "lockin": {"read": lambda _: complex(_NAN, _NAN), "read_auxiliary": _number},
    "analyzer": {"fetch": lambda player: np.full(player.frequencies().shape, _NAN)},
    "vna": {"fetch": lambda player: np.full(player.frequencies().shape, complex(_NAN, _NAN))},
    "thermometer": {"temperature": _number},
    "setpoint": {"read": _number},
    "reading": {"read": _number},
}
"""Kind of a role → its readings, and the replacement for an invalid one."""
