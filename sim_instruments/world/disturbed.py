"""A World whose current limit, fridge and thermometer can be disturbed, and that reports every move of the source."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

from sim_instruments.world.fridge import Clock, Stage, World
from sim_instruments.world.truth import Truth

__all__ = ["DisturbedWorld"]

# A: below the device's current at any relevant bias.
TRIPPED_LIMIT = 1e-15


class DisturbedWorld(World):
    """The simulated fridge of the server.

    Parameters
    ----------
    truth, clock
        As for `World`.
    moved
        Called with level (V) and output whenever an instrument drives the source.

    Attributes
    ----------
    schedule
        Temperature of the mixing chamber: (clock's seconds since `started`, kelvin) in order of time, each valid
        until the next. NaN is a reading that fails, None a thermometer that keeps showing its last reading. Before
        the first entry the truth's temperature holds.

    """

    def __init__(self, truth: Truth, clock: Clock, moved: Callable[[float, bool], None]) -> None:
        self._moved = moved
        self._tripped = False
        self._last_reading: float | None = None
        self.schedule: Sequence[tuple[float, float | None]] = ()
        self.started = clock.time()
        super().__init__(truth, clock)

    def set_source(self, *, level: float, output: bool, current_limit: float) -> None:
        """The source-meter's level (V), output relay and current limit (A)."""
        super().set_source(level=level, output=output, current_limit=current_limit)
        self._moved(level, output)

    def current_limit(self) -> float:
        """The current limit (A) of the source."""
        return min(super().current_limit(), TRIPPED_LIMIT) if self._tripped else super().current_limit()

    def trip_limit(self, *, tripped: bool) -> None:
        """Make the current limit act at any current, or as set."""
        if tripped != self._tripped:
            self._tripped = tripped
            self.set_source(**asdict(self.source))

    def temperature(self, stage: Stage) -> float:
        """One thermometer reading (K)."""
        if stage != "mixing_chamber":
            return super().temperature(stage)
        if self._scheduled() is None and self._last_reading is not None:
            return self._last_reading
        self._last_reading = super().temperature(stage)
        return self._last_reading

    def stage_temperature(self, stage: Stage) -> float:
        """The true temperature (K) of a stage."""
        scheduled = self._scheduled() if stage == "mixing_chamber" else None
        return super().stage_temperature(stage) if scheduled is None else scheduled

    def _scheduled(self) -> float | None:
        """The schedule's present entry (K); the truth's temperature before the first."""
        elapsed = self.clock.time() - self.started
        due: list[float | None] = [kelvin for seconds, kelvin in self.schedule if seconds <= elapsed]
        return due[-1] if due else super().stage_temperature("mixing_chamber")
