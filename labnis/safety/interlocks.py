"""Interlocks: conditions of a measurement, such as a cold fridge, a thermometer that responds, and the lab's own.

Interlocks are checked before the output goes on, at every point and while waiting, but not more often than once per
`INTERVAL`. On a violation the run waits at zero bias, or ends. A violated interlock is satisfied again when its reading
is inside the limit by its hysteresis.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.errors import ReadingError
from drivers.roles import BiasReading, Clock, Roles
from labnis.station import Interlock, Limits
from labnis.station.stage import HeatedStage

__all__ = ["InterlockViolation", "Interlocks", "described"]

INTERVAL = 1.0
"""Time (s) between two checks."""


@dataclass(frozen=True)
class InterlockViolation:
    """An interlock that is not satisfied.

    Attributes
    ----------
    interlock
        The interlock.
    reason
        The reading and the allowed range, in one sentence.
    at_once
        Whether the reading is a number that follows its cause at once: not a temperature, which takes time, and not a
        reading that failed. If it is satisfied as soon as the bias is at zero, the bias is the cause.
    """

    interlock: Interlock
    reason: str
    at_once: bool = False

    @property
    def abort(self) -> bool:
        """Whether the run ends; otherwise it pauses."""
        return self.interlock.action == "abort"


def described(interlock: Interlock, limits: Limits) -> str:
    """What a violation of `interlock` does, in one sentence."""
    if interlock.depends_on_bias and interlock.action == "pause":
        return f"{interlock}: ends the run, although action is pause, because it depends on the bias"
    if interlock.action == "abort":
        return f"{interlock}: ends the run"
    if not limits.resume_after_pause:
        return f"{interlock}: ends the run, because limits.resume_after_pause is false"
    return (
        f"{interlock}: the run waits at zero bias until the reading is inside by "
        f"{interlock.shown(interlock.hysteresis)}, {limits.maximum_resumptions} times at most"
    )


class Interlocks:
    """The station's interlocks, and the detection of a thermometer that no longer changes.

    Parameters
    ----------
    interlocks
        Conditions, from the station file.
    roles
        Roles that are read.
    clock
        Time of the experiment.
    stale_after
        Time (s) after which an unchanged temperature counts as stale, which violates the interlock; longer for a
        thermometer that knows the age of its reading (`drivers.capabilities.DatedThermometer`).
    stages
        While one of them is heated, its window takes the place of `replaced`.
    replaced
        Those of `interlocks` that suppose an unheated stage.
    """

    def __init__(
        self,
        interlocks: Sequence[Interlock],
        roles: Roles,
        clock: Clock,
        *,
        stale_after: float,
        stages: Sequence[HeatedStage] = (),
        replaced: Collection[Interlock] = (),
    ) -> None:
        # Of several violations at once, one that ends the run comes first.
        self._interlocks = sorted(interlocks, key=lambda one: one.action != "abort")
        self._roles = roles
        self._clock = clock
        self._stale_after = stale_after
        self._stages, self._replaced = stages, replaced
        self._next_check = -float("inf")
        self._violations: set[Interlock] = set()  # those not satisfied since, with their hysteresis
        self._last: dict[str, tuple[float, float]] = {}  # role → temperature and when it last changed

    def due(self, *, bias_is_on: bool) -> InterlockViolation | None:
        """Check, if the last check is at least INTERVAL ago."""
        if self._clock.time() < self._next_check:
            return None
        return self.check(bias_is_on=bias_is_on)

    def check(self, *, bias_is_on: bool) -> InterlockViolation | None:
        """Check now; without a bias only conditions that need none. None if all are satisfied."""
        self._next_check = self._clock.time() + INTERVAL
        for interlock in self._present():
            if bias_is_on or not interlock.depends_on_bias:
                violation = self._violated(interlock)
                if violation is not None:
                    return violation
        return None

    def _present(self) -> list[Interlock]:
        """The interlocks that hold now."""
        windows = [window for stage in self._stages if (window := stage.interlock()) is not None]
        return windows + [one for one in self._interlocks if not (windows and one in self._replaced)]

    def _violated(self, interlock: Interlock) -> InterlockViolation | None:
        violation = self._violation(interlock, interlock.hysteresis if interlock in self._violations else 0.0)
        if violation is None:
            self._violations.discard(interlock)
        else:
            self._violations.add(interlock)
        return violation

    def _violation(self, interlock: Interlock, margin: float) -> InterlockViolation | None:
        player = getattr(self._roles, interlock.role)
        try:
            value = _reading(player, interlock.quantity)
        except ReadingError as error:
            return InterlockViolation(interlock, f"{interlock.watch} cannot be read: {str(error).rstrip('.')}")
        if interlock.trips(value, margin):
            reason = (
                f"{interlock.watch} reads {interlock.shown(value)}, which the interlock does not allow ({interlock})"
            )
            at_once = math.isfinite(value) and not hasattr(player, "temperature")
            return InterlockViolation(interlock, reason, at_once=at_once)
        # One that knows how old its reading is, and refuses an old one, may measure other channels meanwhile.
        allowed = max(self._stale_after, getattr(player, "maximum_age", 0.0))
        if interlock.quantity == "temperature" and self._unchanged_for(interlock.role, value) > allowed:
            return InterlockViolation(
                interlock,
                f"{interlock.watch} reads {value!r} K, unchanged for {allowed:g} s: stale (limits.fridge_stale; a "
                "thermometer that scans its channels may need a longer one)",
            )
        return None

    def _unchanged_for(self, role: str, temperature: float) -> float:
        now = self._clock.time()
        if role not in self._last or self._last[role][0] != temperature:
            self._last[role] = (temperature, now)
        return now - self._last[role][1]


def _reading(player: Any, quantity: str) -> float:
    """What an interlock watches: `quantity` of a role, or its `value`."""
    found = player.temperature() if hasattr(player, "temperature") else player.read()
    if isinstance(found, BiasReading):
        return float(found.bias if quantity == "value" else getattr(found, quantity))
    return abs(found) if isinstance(found, complex) else float(found)
