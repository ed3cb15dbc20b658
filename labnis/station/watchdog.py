"""The watchdog of a station: an instrument that switches the output off by itself when it is no longer fed.

It acts where no program can: run and guardian are killed together, or the computer stops.
"""

import logging
import time

from drivers.protection import Watchdog
from labnis.errors import InstrumentFault

__all__ = ["StationWatchdog"]

logger = logging.getLogger(__name__)

FEEDINGS = 5
"""Number of times that it is fed within its timeout."""


class StationWatchdog:
    """The watchdog while a station is in use.

    Parameters
    ----------
    instrument
        The watchdog.
    timeout
        Time (s) without feeding after which it acts.
    name
        Name and address, for messages.

    Attributes
    ----------
    timeout
        As given.
    problem
        Why it is no longer certain that it is fed; empty if it is.

    """

    def __init__(self, instrument: Watchdog, timeout: float, name: str) -> None:
        self.timeout = timeout
        self.problem = ""
        self._instrument = instrument
        self._name = name
        self._armed = False
        self._next = 0.0

    def arm(self) -> None:
        """Arm it, before the output goes on.

        Raises
        ------
        InstrumentFault
            It cannot be armed.

        """
        try:
            self._instrument.arm(self.timeout)
        except Exception as error:  # a lab's driver may fail in any way
            raise InstrumentFault(
                f"the watchdog {self._name} cannot be armed: {_told(error)}. A run does not begin without it: "
                "repair it, or remove labnis.limits.watchdog from the station file."
            ) from error
        self.problem = ""
        self._armed = True
        self._next = time.monotonic() + self.timeout / FEEDINGS

    def keep(self) -> None:
        """Arm it, if it can be, for a ramp to zero, which does not depend on it."""
        if not self._armed:
            try:
                self.arm()
            except InstrumentFault as error:
                logger.warning("%s", error)

    def feed(self) -> None:
        """Feed it, if it is armed and that is due; a failure becomes a `problem`, never an exception."""
        if not self._armed or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self.timeout / FEEDINGS
        try:
            self._instrument.feed()
        except Exception as error:  # noqa: BLE001  # a lab's driver may fail in any way
            self.problem = (
                f"the watchdog {self._name} cannot be fed ({_told(error)}); it switches the output off by itself"
            )
            logger.warning("%s", self.problem)

    def disarm(self) -> None:
        """Disarm it, after the output went off."""
        if not self._armed:
            return
        self._armed = False
        try:
            self._instrument.disarm()
        except Exception as error:  # noqa: BLE001  # the output is off already
            logger.warning("the watchdog %s is not disarmed: %s", self._name, _told(error))


def _told(error: Exception) -> str:
    """What an exception says; QCoDeS appends the call to its arguments."""
    return str(error.args[0] if error.args else type(error).__name__).rstrip(".")
