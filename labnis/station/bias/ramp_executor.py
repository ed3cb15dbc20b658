"""Moves the level along a ramp: the source by itself where it can and the way is long, otherwise step by step.

Values are biases behind the divider (V).
"""

import logging
from collections.abc import Sequence
from typing import cast

from drivers.errors import InstrumentError, RejectedCommandError, SettingError
from drivers.roles import BiasSource, Clock, SelfRamping
from drivers.wiring import Wiring
from labnis.station.bias.level import SourceLevel
from labnis.station.bias.ramp import Pace, ramp_points
from labnis.station.role_check import missing_members

__all__ = ["Mover"]

logger = logging.getLogger(__name__)

WORTHWHILE = 0.2
"""Shortest way (s) that a source is let go by itself: loading it takes a dozen messages."""

STATE_KNOWN = 0.15
"""Time (s) after the start before which a source is not asked whether it still walks; see `SelfRamping`."""

OVERRUN = 10.0
"""How much later than planned a source may arrive (s): 0.1 s for each of the steps of one ramp of a Keithley 2450."""

WATCHED = 0.5
"""How long the level is watched on the way to zero, where the source does not say that it stands (s)."""

POLL = 0.02
"""Time between two questions whether it has arrived (s)."""


class _NotTakenError(InstrumentError):
    """The source has refused a ramp, and has not moved."""


class Mover:
    """Moves the level within the pace.

    Parameters
    ----------
    source
        The bias source; one that fills `SelfRamping` too is let go by itself.
    wiring
        Converts between source and device.
    level
        What is known of the level.
    pace
        Step and rate.
    clock
        The experiment's clock.
    name
        Name and address of the source, for messages.

    """

    def __init__(
        self, source: BiasSource, wiring: Wiring, level: SourceLevel, pace: Pace, clock: Clock, name: str
    ) -> None:
        self._walker: SelfRamping | None = None if missing_members(source, SelfRamping) else cast(SelfRamping, source)
        self._wiring = wiring
        self._level = level
        self._pace = pace
        self._clock = clock
        self._name = name

    def halt(self) -> None:
        """Stop the source where it is, should it be walking: for a client that has died, say. Then read it back.

        Raises
        ------
        InstrumentError
            Where it goes on, or does not answer.

        """
        if self._walker is not None:
            self._walker.halt_ramp()

    def stop(self) -> float:
        """Halt, and read back where; for the way to zero, which must not depend on what the source says of its ramps.

        One that does not confirm is watched instead, and not let go by itself any more.

        Raises
        ------
        InstrumentError
            Where the level cannot be read or still moves.

        """
        try:
            self.halt()
        except Exception as error:  # noqa: BLE001  # a lab's driver may fail in any way
            logger.warning("%s does not confirm that it stands, so its level is watched: %s", self._name, error)
            self._walker = None
            self._require_standing()
        return self._level.read_back_twice()

    def _require_standing(self) -> None:
        before = self._level.read_back()
        self._clock.sleep(WATCHED)
        after = self._level.read_back()
        if not abs(after - before) <= self._level.tolerance:
            raise SettingError(
                self._name,
                f"goes on by itself: {self._wiring.source_voltage(before):.6g} V, "
                f"{WATCHED:g} s later {self._wiring.source_voltage(after):.6g} V.",
            )

    def move(self, start: float, target: float) -> None:
        """Ramp from `start` to `target`; the last write is exactly `target`.

        A source that does not take the ramp is led step by step from now on, from where it is as read back.

        Raises
        ------
        InstrumentError
            Where the source fails, or has not come to where it should have gone by itself.

        """
        if self._walker is None or self._duration(start, target) < WORTHWHILE:
            self._step(start, target)
            return
        try:
            self._walk(self._walker, start, target)
        except _NotTakenError as refusal:
            logger.warning("%s is led step by step from now on: %s", self._name, refusal.__cause__)
            self._walker = None
            self._step(self._level.read_back_twice(), target)
        else:
            self._write(target, self._pace.largest_step)

    def to_zero(self, start: float) -> None:
        """As `move`, to 0; where the source cannot go by itself, it is read back and led there step by step."""
        if self._walker is None or self._duration(start, 0.0) < WORTHWHILE:
            self._step(start, 0.0)
            return
        try:
            self._walk(self._walker, start, 0.0)
        except Exception as error:  # noqa: BLE001  # a lab's driver may fail in any way; zero must not depend on it
            logger.warning("%s does not ramp to 0 by itself and is led there step by step: %s", self._name, error)
            self._step(self.stop(), 0.0)
        else:
            self._write(0.0, self._pace.largest_step)

    # --- step by step ---------------------------------------------------------------------------------------------

    def _step(self, start: float, target: float) -> None:
        previous = start
        for point in ramp_points(start, target, self._pace.largest_step):
            self._write(point, point - previous)
            previous = point
        self._pace.wait()  # the last step takes its time like every other

    def _write(self, point: float, step: float) -> None:
        self._pace.wait()
        try:
            self._level.write(point)
        finally:
            self._pace.stepped(step)

    # --- by itself ------------------------------------------------------------------------------------------------

    def _duration(self, start: float, target: float) -> float:
        return self._pace.time_of(target - start)

    def _walk(self, walker: SelfRamping, start: float, target: float) -> None:
        """Let the source walk to about `target`, in as many ramps as it needs, each proved by reading back."""
        points = list(ramp_points(start, target, self._pace.largest_step))
        interval = self._pace.time_of((target - start) / len(points))
        for first in range(0, len(points), walker.longest_ramp):
            self._pace.wait()
            self._level.bias = None  # until it has been read back
            part = points[first : first + walker.longest_ramp]
            try:
                self._start(walker, part, interval)
                self._await(walker, part, interval)
            finally:
                # A ramp that is left loaded could be started again by hand.
                walker.halt_ramp()
                self._pace.stepped(self._pace.largest_step)
            self._level.require(part[-1], "after a ramp of its own")

    def _start(self, walker: SelfRamping, part: Sequence[float], interval: float) -> None:
        try:
            walker.start_ramp([self._wiring.source_voltage(point) for point in part], interval)
        except (SettingError, RejectedCommandError) as error:  # by the protocol nothing has moved
            raise _NotTakenError(self._name, f"does not take a ramp of its own: {error}") from error

    def _await(self, walker: SelfRamping, part: Sequence[float], interval: float) -> None:
        self._clock.sleep(max(len(part) * interval, STATE_KNOWN))
        deadline = self._clock.time() + OVERRUN
        while walker.ramp_running():
            if self._clock.time() > deadline:
                raise SettingError(
                    self._name,
                    f"is still walking {OVERRUN:g} s after it should have arrived at "
                    f"{self._wiring.source_voltage(part[-1]):.6g} V.",
                    "It was told to stop.",
                )
            self._clock.sleep(POLL)
