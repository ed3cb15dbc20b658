"""What happens to a reading that is not a measurement: flagged and recorded as NaN, or the end of the run.

Roles are handed to a procedure wrapped: where an instrument reports an overload or its compliance, the row gets a bit
in its `quality` column and NaN in place of the number, so that no fit uses it; or, if the station file says "stop", the
run ends. Where the run is to skip what fails, a reading without a usable answer is treated in the same way. Every
occurrence is an event of the run. Moving and setting are never skipped.
"""

from collections.abc import Callable, Mapping
from enum import IntFlag
from typing import Any, Literal

import numpy as np

from drivers.errors import CommunicationError, ComplianceError, InstrumentError, OverloadError, ReadingError
from drivers.roles import BiasReading
from labnis.errors import DataQualityError

__all__ = ["Quality", "QualityBit", "ValidatedRole"]

MOST_IN_A_ROW = 10
"""How many readings of one role may fail one after the other where failed readings are skipped."""


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
            Where the station wants the run to end.
        """
        compliance = isinstance(error, ComplianceError)
        if compliance and self._on_compliance == "stop":
            raise DataQualityError(
                f"{error} The bias is not what was set; labnis.limits.on_compliance is 'stop', so the run ends"
            ) from error
        overload = QualityBit.OVERLOAD if isinstance(error, OverloadError) else QualityBit.FAILED
        self._bits |= QualityBit.COMPLIANCE if compliance else overload
        self._report(str(error))

    def note(self, error: ReadingError) -> None:
        """Report an invalid reading that does not affect the rest of its row."""
        self._report(str(error))

    def take(self) -> int:
        """Bits of the row that is complete now; the next one starts clean."""
        bits, self._bits = self._bits, QualityBit(0)
        return int(bits)


class ValidatedRole:
    """What fills a role, with its invalid readings flagged and replaced by NaN.

    Parameters
    ----------
    player
        What fills the role.
    kind
        Kind of the role (`labnis.station.role_spec`): says which of its methods are readings.
    quality
        Where its rows are flagged.
    """

    def __init__(self, player: Any, kind: str, quality: Quality) -> None:
        self._player = player
        self._invalid = INVALID[kind]
        self._quality = quality
        # What a thermometer's invalid reading means is for the interlocks to say.
        self._flagged = () if kind == "thermometer" else (OverloadError, ComplianceError)
        self._noted = ReadingError if kind == "thermometer" else ()
        self._failed_in_a_row = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._player, name)
        return self._validated(found, self._invalid[name]) if name in self._invalid else found

    def _validated(self, read: Callable[..., Any], invalid: Callable[[Any], Any]) -> Callable[..., Any]:
        def validated(*arguments: Any) -> Any:
            try:
                reading = read(*arguments)
            except self._flagged as error:
                self._quality.mark(error)
            except self._noted as error:
                self._quality.note(error)
            except (CommunicationError, ReadingError) as error:
                self.skip(error)
            else:
                self._failed_in_a_row = 0
                return reading
            return invalid(self._player)

        return validated

    def skip(self, error: InstrumentError) -> None:
        """Flag the row for a reading that failed, or raise `error` where failed readings are not skipped."""
        self._failed_in_a_row += 1
        if not self._quality.skips or self._failed_in_a_row > MOST_IN_A_ROW:
            raise error
        self._quality.mark(error)

    def invalid_acquisition(self) -> Any:
        """What stands for the data of an acquisition that failed."""
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
"""Kind of a role → its readings, and what stands for one that is invalid."""
