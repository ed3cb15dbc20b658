"""The level of an instrument: written once, read back, verified.

Values are in the unit of the set-point (for the bias V behind the divider); `scale` converts to the instrument's own. A
write is never repeated; after a failed one the level is unknown until it has been read again. Reading the level
changes nothing and may be repeated.
"""

import logging
import math
from collections.abc import Callable

from drivers.acquiring import reconnections
from drivers.errors import CommunicationError, ReadingError, SettingError
from drivers.roles import Adjustable

__all__ = ["Level"]

logger = logging.getLogger(__name__)

READ_ATTEMPTS = 3
"""Number of attempts to read the level."""


class Level:
    """The level of an instrument, as far as it is known.

    Parameters
    ----------
    instrument
        Instrument whose level is written and read.
    name
        Name and address of the instrument, for messages.
    unit
        Unit of the values.
    scale
        Instrument value per value: the divider for the bias, else 1.
    tolerance
        Largest difference that a level read back may have.
    permit
        Called before each write; raises where nothing may be written any more.

    Attributes
    ----------
    value
        The level; None if it must be read back first.
    last_seen
        Last known level, in words.

    """

    def __init__(
        self,
        instrument: Adjustable,
        name: str,
        *,
        unit: str = "V",
        scale: float = 1.0,
        tolerance: float,
        permit: Callable[[], None] = lambda: None,
    ) -> None:
        self.value: float | None = None
        self.last_seen = "never read back"
        self.name = name
        self.scale = scale
        self.tolerance = tolerance
        self.permit = permit
        self._instrument = instrument
        self._unit = unit

    def shown(self, value: float, digits: int = 6) -> str:
        """`value` with its unit, if it has one, and the value at the instrument."""
        at_instrument = f" ({value * self.scale:.{digits}g} {self._unit} at the source)" if self.scale != 1 else ""
        return f"{value:.{digits}g} {self._unit}".rstrip() + at_instrument

    def write(self, value: float) -> None:
        """Write the level once, without a rate limit; it is unknown until the write has returned.

        Where the instrument's connection broke and was opened again, the level is read back: it is written a second
        time only if it is still the former one.
        """
        self.permit()
        before, self.value = self.value, None
        connected = reconnections(self._instrument)
        try:
            self._instrument.set_level(value * self.scale)
        except CommunicationError:
            found = self.read_back_twice()
            if reconnections(self._instrument) == connected:
                self.value = None
                raise
            logger.warning("%s: after its connection was lost, its level is %s", self.name, self.shown(found))
            if abs(found - value) > self.tolerance:
                self._write_again(value, found, before)
        self.value = value
        self.last_seen = f"{self.shown(value)} last seen (written, not read back)"

    def _write_again(self, value: float, found: float, before: float | None) -> None:
        """Write `value` where `found` shows that the first write was not executed, `before` being the level then."""
        self.value = None
        if before is None or abs(found - before) > self.tolerance:
            raise SettingError(
                self.name,
                f"level is {self.shown(found)} after its connection was lost, where {self.shown(value)} was written.",
                "Something else moves it, or it was switched off and on.",
            )
        self.permit()
        self._instrument.set_level(value * self.scale)

    def read_back(self) -> float:
        """Read the level back, and store it.

        Raises
        ------
        ReadingError
            The answer is not a finite number.
        CommunicationError
            There is no answer.

        """
        found = self._ask()
        if not math.isfinite(found):
            raise ReadingError(self.name, f"reads its level back as {found!r}; a number is needed.")
        self.value = found / self.scale
        self.last_seen = f"{self.shown(self.value)} last seen (read back)"
        return self.value

    def read_back_twice(self) -> float:
        """As `read_back`, until two answers in a row agree: the start of a ramp must not depend on a wrong answer.

        Raises
        ------
        ReadingError
            No two answers agree.

        """
        found = self.read_back()
        for _ in range(READ_ATTEMPTS):
            before, found = found, self.read_back()
            if abs(found - before) <= self.tolerance:
                return found
        self.value = None
        raise ReadingError(
            self.name,
            f"reads its level back as {self.shown(before)} and, at once again, as {self.shown(found)}.",
            "Something else moves it, or answers are out of order.",
        )

    def known(self) -> float:
        """The level, read back if it is unknown."""
        return self.read_back() if self.value is None else self.value

    def require(self, value: float, when: str) -> None:
        """Verify by reading back that the level is `value`.

        Raises
        ------
        SettingError
            It is not.

        """
        found = self.read_back()
        if not abs(found - value) <= self.tolerance:
            self.value = None
            raise SettingError(
                self.name,
                f"level is {self.shown(found, 9)} instead of {self.shown(value, 9)} {when} (allowed difference "
                f"{self.shown(self.tolerance, 2)}).",
                "The setting was ignored or changed by something else; check range and front panel.",
            )
        self.value = value

    def zero_disconnected(self) -> None:
        """Write 0 at once while the output is off, and verify it: nothing reaches the device."""
        self.write(0.0)
        self.require(0.0, "with the output still off")

    def _ask(self) -> float:
        for _ in range(READ_ATTEMPTS - 1):
            try:
                return self._instrument.level()
            except (CommunicationError, ReadingError) as error:
                logger.warning("reading the level again: %s", error)
        return self._instrument.level()
