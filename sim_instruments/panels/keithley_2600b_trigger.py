"""Sweeps of the trigger model of a Keithley 2600B: the source steps through levels while the interface stays free.

Simulated are a list or a linear sweep of voltages, one arm, its end (`SOURCE_IDLE`: back to the level, `SOURCE_HOLD`:
the last one stays), and `abort()`. `smuX.source.levelv` reads the level of before all the time. Not simulated are
stimuli, timers, pulses, measurements and sweeps of current. Unknown, and assumed: a step takes 1 ms beyond the source
delay and, with `trigger.measure.action`, the integration; `abort()` leaves the source where it is.
"""

from collections.abc import Callable
from typing import Protocol

from sim_instruments.panels.tsp_parts import Attribute, Part, rejection
from sim_instruments.panels.tsp_values import Steps, Table, Value, instant

__all__ = ["SourceSweep"]

STEP, POLL, MOST_LEVELS = 1e-3, 10e-3, 100_000
IDLE, HOLD = 0.0, 1.0


class Clock(Protocol):
    """Clock of the fridge."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Execute an action after `seconds`."""


class SourceSweep:
    """The sweep of one channel.

    Parameters
    ----------
    clock
        Of the fridge.
    pace
        Returns the time (s) of one step, source delay and measurement.
    drive
        Called when the level changes.

    Attributes
    ----------
    level
        Level (V) that is sourced in place of `source.levelv`; None if it is that one.

    """

    def __init__(self, clock: Clock, pace: Callable[[bool], float], drive: Callable[[], None]) -> None:
        self._clock, self._pace, self._drive = clock, pace, drive
        self.reset()

    def reset(self) -> None:
        """No sweep."""
        self.level: float | None = None
        self._levels: tuple[float, ...] = ()
        self._settings = {"source.action": 0.0, "measure.action": 0.0, "endsweep.action": IDLE, "count": 1.0}
        self._run: object | None = None

    @property
    def running(self) -> bool:
        """Whether it steps."""
        return self._run is not None

    def release(self) -> None:
        """Source the level of the source again, which was written just now, or the output was switched off."""
        if not self.running:
            self.level = None

    def abort(self) -> None:
        """End it; the source stays where it is."""
        self._run = None

    def part(self) -> Part:
        """`smuX.trigger` as scripts see it."""
        return Part(
            source=Part(
                action=self._setting("source.action"), listv=instant(self._list), linearv=instant(self._linear)
            ),
            measure=Part(action=self._setting("measure.action")),
            endsweep=Part(action=self._setting("endsweep.action")),
            endpulse=Part(action=Attribute(lambda: HOLD, lambda _: None)),
            arm=Part(count=Attribute(lambda: 1.0, lambda _: None)),
            count=self._setting("count"),
            initiate=instant(self._initiate),
        )

    def wait(self) -> Steps:
        """`waitcomplete()`: return after its end."""
        while self.running:
            yield POLL
        return ()

    def _setting(self, name: str) -> Attribute:
        def write(value: Value) -> None:
            if not isinstance(value, float) or not 0 <= value <= (MOST_LEVELS if name == "count" else 1):
                raise rejection(-224)
            self._settings[name] = value

        return Attribute(lambda: self._settings[name], write)

    def _list(self, levels: Table) -> None:
        self._levels = tuple([float(level) for level in levels.listed()[:MOST_LEVELS]])

    def _linear(self, start: float, stop: float, points: float) -> None:
        count = max(2, min(int(points), MOST_LEVELS))
        self._levels = tuple([start + (stop - start) * index / (count - 1) for index in range(count)])

    def _initiate(self) -> None:
        if self._settings["source.action"] and not self._levels:
            raise rejection(5059)
        self._run = run = object()
        self._step(run, 0)

    def _step(self, run: object, number: int) -> None:
        if run is not self._run:
            return
        if number >= self._settings["count"]:
            self._run = None
            if self._settings["endsweep.action"] == IDLE:
                self.level = None
        elif self._settings["source.action"]:
            self.level = self._levels[number % len(self._levels)]
        self._drive()
        if self._run is run:
            pause = STEP + self._pace(bool(self._settings["measure.action"]))
            self._clock.later(pause, lambda: self._step(run, number + 1))
