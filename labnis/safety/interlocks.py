"""What must be true for a measurement to go on: the fridge cold, its thermometer alive, and whatever the lab adds.

Interlocks are checked before the output goes on, at every point and while waiting, but not more often than once per
`INTERVAL`. What a trip means — wait at zero bias, or end — is for the run to carry out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drivers.errors import ReadingError
from drivers.roles import Clock, Roles
from labnis.station import Interlock

__all__ = ["Interlocks", "Trip"]

INTERVAL = 1.0
"""Time (s) between two checks."""

READINGS: Mapping[str, Callable[[Roles], float]] = {
    "fridge.temperature": lambda roles: roles.fridge.temperature(),
    "bias.current": lambda roles: roles.bias.read().current,
    "bias.device_voltage": lambda roles: roles.bias.read().device_voltage,
    "lockin.magnitude": lambda roles: abs(roles.lockin.read()),
}
"""What an interlock can watch, and how it is read."""


@dataclass(frozen=True)
class Trip:
    """An interlock that is not satisfied.

    Attributes
    ----------
    abort
        Whether the run ends; otherwise it waits.
    reason
        What was read and what is allowed, in one sentence.
    """

    abort: bool
    reason: str


class Interlocks:
    """The station's interlocks, with the memory needed to notice a thermometer that no longer changes.

    Parameters
    ----------
    interlocks
        Conditions, from the station file.
    roles
        Where the readings come from.
    clock
        Paces the checks.
    stale_after
        Time (s) after which an unchanged fridge temperature counts as stale; a stale reading trips.
    """

    def __init__(self, interlocks: Sequence[Interlock], roles: Roles, clock: Clock, *, stale_after: float) -> None:
        # The one that ends the run counts where several trip at once.
        self._interlocks = sorted(interlocks, key=lambda one: one.action != "abort")
        self._roles = roles
        self._clock = clock
        self._stale_after = stale_after
        self._next_check = -float("inf")
        self._last: tuple[float, float] | None = None  # temperature and when it last changed

    def due(self, *, bias_is_on: bool) -> Trip | None:
        """Check, if the last check is long enough ago."""
        if self._clock.time() < self._next_check:
            return None
        return self.check(bias_is_on=bias_is_on)

    def check(self, *, bias_is_on: bool) -> Trip | None:
        """Check now; without a bias only what does not need one. None if all is well."""
        self._next_check = self._clock.time() + INTERVAL
        for interlock in self._interlocks:
            if bias_is_on or interlock.watch == "fridge.temperature":
                trip = self._tripped(interlock)
                if trip is not None:
                    return trip
        return None

    def _tripped(self, interlock: Interlock) -> Trip | None:
        abort = interlock.action == "abort"
        try:
            value = READINGS[interlock.watch](self._roles)
        except ReadingError as error:
            return Trip(abort, f"{interlock.watch} cannot be read: {error}")
        if interlock.trips(value):
            return Trip(abort, f"{interlock.watch} reads {value:g}; the interlock trips {interlock}")
        if interlock.watch == "fridge.temperature" and self._stale(value):
            return Trip(abort, f"{interlock.watch} has read {value!r} unchanged for {self._stale_after:g} s: stale")
        return None

    def _stale(self, temperature: float) -> bool:
        now = self._clock.time()
        if self._last is None or self._last[0] != temperature:
            self._last = (temperature, now)
        return now - self._last[1] > self._stale_after
