"""The level of the bias source as far as it is known: written once, read back, proved.

Values are biases behind the divider (V) unless a name says `source`. A write is never repeated; after a failed one the
level is unknown until the source has been read again. Asking for the level changes nothing and may be repeated.
"""

import logging
import math

from drivers.errors import CommunicationError, ReadingError, SettingError
from drivers.roles import BiasSource
from drivers.wiring import Wiring

__all__ = ["SourceLevel"]

logger = logging.getLogger(__name__)

TOLERANCE = 2.5e-4
"""Tolerance of a level read back, per largest bias: one resolution step of a source-meter whose range (in decades,
resolution 2.5e-5 of the range) is up to ten times that voltage."""

FINEST_STEP = 0.5e-6
"""No source-meter here sets its level (V at the source) finer than this: a Keithley 2450 on its 20 mV range."""

READ_ATTEMPTS = 3
"""How often the level is asked for before it counts as unreadable."""


class SourceLevel:
    """What is known of the level.

    Parameters
    ----------
    source
        The bias source.
    wiring
        Converts between source and device.
    name
        Name and address of the source, for messages.
    largest
        Largest bias expected (V); scales the tolerance of reading back.

    Attributes
    ----------
    bias
        Where the bias line is (V); None if that has to be read back first.
    last_seen
        What was last known, in words.

    """

    def __init__(self, source: BiasSource, wiring: Wiring, name: str, largest: float) -> None:
        self.bias: float | None = None
        self.last_seen = "never read back"
        self._source = source
        self._wiring = wiring
        self._name = name
        self.expect_up_to(largest)

    def expect_up_to(self, largest: float) -> None:
        """Scale the tolerance for biases up to `largest` (V)."""
        self.tolerance = max(TOLERANCE * largest, self._wiring.bias(FINEST_STEP))

    def write(self, bias: float) -> None:
        """Write the level once, whatever the pace; unknown until the write has returned."""
        self.bias = None
        self._source.set_level(self._wiring.source_voltage(bias))
        self.bias = bias
        self.last_seen = f"{bias:.6g} V behind the divider last seen (written, not read back)"

    def read_back(self) -> float:
        """Ask the source where it is, and remember it.

        Raises
        ------
        ReadingError
            Where the answer is not a finite number.
        CommunicationError
            Where there is no answer.

        """
        voltage = self._ask()
        if not math.isfinite(voltage):
            raise ReadingError(self._name, f"reads its level back as {voltage!r}; a number in V is needed.")
        self.bias = self._wiring.bias(voltage)
        self.last_seen = f"{self.bias:.6g} V behind the divider last seen (read back: {voltage:.6g} V at the source)"
        return self.bias

    def read_back_twice(self) -> float:
        """As `read_back`, until two answers in a row agree: where a ramp begins must not hang on a stray answer.

        Raises
        ------
        ReadingError
            Where they never do.

        """
        found = self.read_back()
        for _ in range(READ_ATTEMPTS):
            before, found = found, self.read_back()
            if abs(found - before) <= self.tolerance:
                return found
        self.bias = None
        raise ReadingError(
            self._name,
            f"reads its level back as {before!r} V and, asked again at once, as {found!r} V (behind the divider).",
            "Somebody else moves it, or answers come in disorder.",
        )

    def known(self) -> float:
        """Where the line is (V), read back if need be."""
        return self.read_back() if self.bias is None else self.bias

    def require(self, bias: float, when: str) -> None:
        """Prove by reading back that the level is `bias` (V).

        Raises
        ------
        SettingError
            Where it is not.

        """
        found = self.read_back()
        if not abs(found - bias) <= self.tolerance:
            self.bias = None
            raise SettingError(
                self._name,
                f"level is {self._wiring.source_voltage(found)!r} V instead of "
                f"{self._wiring.source_voltage(bias)!r} V {when} (allowed difference "
                f"{self._wiring.source_voltage(self.tolerance):.2g} V).",
                "The setting was ignored or changed by somebody else; check range and front panel.",
            )
        self.bias = bias

    def _ask(self) -> float:
        for _ in range(READ_ATTEMPTS - 1):
            try:
                return self._source.level()
            except CommunicationError as error:
                logger.warning("asking again for the level: %s", error)
        return self._source.level()
