"""Moves a level along a ramp: long ramps by the instrument itself where it supports that, others step by step.

Values are in the unit of the `Level`.
"""

import logging
from collections.abc import Callable, Sequence

from drivers.capabilities import SelfRamping
from drivers.errors import InstrumentError, RejectedCommandError, SettingError
from drivers.roles import Clock
from labnis.errors import TakenOverError
from labnis.station.bias.level import Level
from labnis.station.bias.ramp import RateLimiter, ramp_points

__all__ = ["RampExecutor", "await_end"]

logger = logging.getLogger(__name__)

WORTHWHILE = 0.2
"""Shortest ramp (s) that an instrument makes by itself: loading it takes a dozen messages."""

STATE_KNOWN = 0.15
"""Time (s) from the start of a ramp to the first query of its state; see `SelfRamping`."""

OVERRUN = 10.0
"""Largest delay (s) of the end of a ramp: 0.1 s for each of the steps of one ramp of a Keithley 2450."""

LOOK = 0.5
"""Longest time (s) of a ramp by the instrument itself, between two calls of `between`."""

WATCHED = 0.5
"""Time (s) between two readings of the level that show whether it moves, where the instrument does not tell."""

POLL = 0.02
"""Time (s) between two queries of the state of a ramp."""


class _NotTakenError(InstrumentError):
    """The instrument refused a ramp, and has not moved."""


class RampExecutor:
    """Moves a level within the limits of its rate.

    Parameters
    ----------
    level
        The level.
    limiter
        Step and rate, and the clock to wait by.
    ramping
        The instrument, if it can ramp by itself.

    """

    def __init__(self, level: Level, limiter: RateLimiter, ramping: SelfRamping | None = None) -> None:
        self._level = level
        self._limiter = limiter
        self._ramping = ramping
        self._name = level.name

    def halt(self) -> None:
        """Stop the instrument's own ramp at its present level, for example that of a client that died.

        Raises
        ------
        InstrumentError
            It continues, or the instrument does not answer.

        """
        if self._ramping is not None:
            self._ramping.halt_ramp()

    def stop(self) -> float:
        """Halt, and read the level back; for a ramp to zero, which must not depend on the instrument's own state.

        If it does not confirm, the level is read repeatedly, and all further ramps are made from the computer.

        Raises
        ------
        InstrumentError
            The level cannot be read or still moves.

        """
        try:
            self.halt()
        except Exception as error:  # noqa: BLE001  # a lab's driver may fail in any way
            logger.warning("%s does not confirm that its ramp has stopped; checking its level: %s", self._name, error)
            self._ramping = None
            self._require_standing()
        return self._level.read_back_twice()

    def _require_standing(self) -> None:
        before = self._level.read_back()
        self._limiter.clock.sleep(WATCHED)
        after = self._level.read_back()
        if not abs(after - before) <= self._level.tolerance:
            raise SettingError(
                self._name,
                f"is still moving: {self._level.shown(before)}, {WATCHED:g} s later {self._level.shown(after)}.",
            )

    def move(self, start: float, target: float, between: Callable[[], None] = lambda: None) -> None:
        """Ramp from `start` to `target`; the last write is exactly `target`.

        If the instrument refuses the ramp, all further ramps are made from the computer, from the level read back.

        Parameters
        ----------
        start, target
            Present level, and the last one.
        between
            Called between two steps, at most `LOOK` apart, while nothing moves: it ends the ramp there by raising, or
            returns with the same level as before.

        Raises
        ------
        InstrumentError
            The instrument fails, or its own ramp did not end at its target.

        """
        if self._ramping is None or self._duration(start, target) < WORTHWHILE:
            self._step(start, target, between)
            return
        try:
            self._ramp(self._ramping, start, target, between)
        except _NotTakenError as refusal:
            logger.warning(
                "%s refuses a ramp of its own; falling back to ramping from the computer: %s",
                self._name,
                refusal.__cause__,
            )
            self._ramping = None
            self._step(self._level.read_back_twice(), target, between)
        else:
            self._write(target, self._limiter.step)

    def to_zero(self, start: float) -> None:
        """As `move`, to 0; if the instrument's own ramp fails in any way, ramp from the computer."""
        if self._ramping is None or self._duration(start, 0.0) < WORTHWHILE:
            self._step(start, 0.0)
            return
        try:
            self._ramp(self._ramping, start, 0.0)
        except TakenOverError:
            raise
        except Exception as error:  # noqa: BLE001  # a lab's driver may fail in any way; zero must not depend on it
            logger.warning(
                "%s does not ramp to 0 by itself; falling back to ramping from the computer: %s", self._name, error
            )
            self._step(self.stop(), 0.0)
        else:
            self._write(0.0, self._limiter.step)

    # --- step by step ---------------------------------------------------------------------------------------------

    def _step(self, start: float, target: float, between: Callable[[], None] = lambda: None) -> None:
        previous = start
        for number, point in enumerate(ramp_points(start, target, self._limiter.step)):
            if number:
                between()
            self._write(point, point - previous)
            previous = point
        self._limiter.wait()  # the last step takes the same time as the others

    def _write(self, point: float, step: float) -> None:
        self._limiter.wait()
        try:
            self._level.write(point)
        finally:
            self._limiter.stepped(step)

    # --- by itself ------------------------------------------------------------------------------------------------

    def _duration(self, start: float, target: float) -> float:
        return self._limiter.time_of(target - start)

    def _ramp(
        self, ramping: SelfRamping, start: float, target: float, between: Callable[[], None] = lambda: None
    ) -> None:
        """Ramp to about `target` by the instrument itself, in as many ramps as needed; read back after each."""
        points = list(ramp_points(start, target, self._limiter.step))
        interval = self._limiter.time_of((target - start) / len(points))
        at_once = max(1, min(ramping.longest_ramp, int(LOOK / interval)))
        for first in range(0, len(points), at_once):
            if first:
                between()
            self._limiter.wait()
            self._level.value = None  # unknown until it is read back
            part = points[first : first + at_once]
            try:
                self._start(ramping, part, interval)
                await_end(ramping.ramp_running, len(part) * interval, self._limiter.clock, self._level, part[-1])
            finally:
                # A ramp that is left loaded could be started again by hand.
                ramping.halt_ramp()
                self._limiter.stepped(self._limiter.step)
            self._level.require(part[-1], "after a ramp of its own")

    def _start(self, ramping: SelfRamping, part: Sequence[float], interval: float) -> None:
        self._level.permit()
        try:
            ramping.start_ramp([point * self._level.scale for point in part], interval)
        except (SettingError, RejectedCommandError) as error:  # according to the protocol nothing moved
            raise _NotTakenError(self._name, f"does not take a ramp of its own: {error}") from error


def await_end(running: Callable[[], bool], planned: float, clock: Clock, level: Level, last: float) -> None:
    """Wait until a ramp by itself to its `last` level, which takes a `planned` time (s), is no longer `running`.

    Raises
    ------
    InstrumentError
        It failed, or is still ramping `OVERRUN` after its end.

    """
    clock.sleep(max(planned, STATE_KNOWN))
    deadline = clock.time() + OVERRUN
    while running():
        if clock.time() > deadline:
            raise SettingError(
                level.name,
                f"is still ramping {OVERRUN:g} s after its planned arrival at {level.shown(last)}.",
                "A stop was requested.",
            )
        clock.sleep(POLL)
