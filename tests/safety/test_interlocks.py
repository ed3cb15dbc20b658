"""Interlocks: conditions, actions, and interval of the checks."""

import math
from dataclasses import dataclass, field

import pytest

from drivers.errors import ReadingError
from drivers.roles import BiasReading, Roles
from drivers.wiring import Wiring
from labnis.safety.interlocks import INTERVAL, Interlocks
from labnis.station import Interlock


@dataclass
class Clock:
    now: float = 0.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Fridge:
    readings: list[float | Exception]
    asked: int = 0

    def temperature(self) -> float:
        self.asked += 1
        reading = self.readings[min(self.asked, len(self.readings)) - 1]
        if isinstance(reading, Exception):
            raise reading
        return reading


@dataclass
class Bias:
    current: float = 0.0
    moves: list[float] = field(default_factory=list)

    def prepare(self, **_: float) -> None: ...

    def move_to(self, bias: float) -> None:
        self.moves.append(bias)

    def read(self) -> BiasReading:
        return BiasReading(1e-3, self.current, 1e-3)


WARM = Interlock(watch="fridge.temperature", above=0.2, action="abort")
MILD = Interlock(watch="fridge.temperature", above=0.1, action="pause")
CURRENT = Interlock(watch="bias.current", above=1e-6)


def _interlocks(fridge: Fridge, *conditions: Interlock, bias: Bias | None = None) -> tuple[Interlocks, Clock]:
    clock = Clock()
    roles = Roles(clock=clock, wiring=Wiring(), bias=bias or Bias(), fridge=fridge)
    return Interlocks(conditions, roles, clock, stale_after=60.0), clock


def test_a_cold_fridge_trips_nothing() -> None:
    interlocks, _ = _interlocks(Fridge([0.02]), WARM, MILD)
    assert interlocks.check(bias_is_on=True) is None


def test_the_graver_of_two_trips_counts() -> None:
    interlocks, _ = _interlocks(Fridge([0.15, 0.15, 0.5]), MILD, WARM)
    mild = interlocks.check(bias_is_on=True)
    assert mild is not None
    assert not mild.abort
    grave = interlocks.check(bias_is_on=True)
    assert grave is not None
    assert grave.abort
    assert "reads 0.5" in grave.reason
    assert "above 0.2" in grave.reason


@pytest.mark.parametrize("reading", [math.nan, ReadingError("ls372 (GPIB0::12)", "sensor status is 16 (R. OVER)")])
def test_a_thermometer_that_gives_no_temperature_trips(reading: float | Exception) -> None:
    interlocks, _ = _interlocks(Fridge([reading]), WARM)
    trip = interlocks.check(bias_is_on=True)
    assert trip is not None
    assert trip.abort


def test_a_reading_that_never_changes_is_stale() -> None:
    interlocks, clock = _interlocks(Fridge([0.02]), WARM)
    assert interlocks.check(bias_is_on=True) is None
    clock.sleep(59.0)
    assert interlocks.check(bias_is_on=True) is None
    clock.sleep(2.0)
    trip = interlocks.check(bias_is_on=True)
    assert trip is not None
    assert "stale" in trip.reason


def test_a_reading_that_changes_is_alive() -> None:
    interlocks, clock = _interlocks(Fridge([0.0200, 0.0201, 0.0200, 0.0201]), WARM)
    for _ in range(4):
        assert interlocks.check(bias_is_on=True) is None
        clock.sleep(50.0)


def test_due_asks_no_more_often_than_the_interval() -> None:
    fridge = Fridge([0.02, 0.03, 0.04])
    interlocks, clock = _interlocks(fridge, WARM)
    for _ in range(10):
        assert interlocks.due(bias_is_on=True) is None
        clock.sleep(INTERVAL / 5)
    assert fridge.asked == 2


def test_without_a_bias_only_the_fridge_is_asked() -> None:
    bias = Bias(current=1.0)
    interlocks, _ = _interlocks(Fridge([0.02]), CURRENT, bias=bias)
    assert interlocks.check(bias_is_on=False) is None
    trip = interlocks.check(bias_is_on=True)
    assert trip is not None
    assert "bias.current" in trip.reason


@pytest.mark.parametrize(
    ("condition", "value", "trips"),
    [
        (Interlock(watch="bias.current", above=1.0), 1.0, False),
        (Interlock(watch="bias.current", above=1.0), math.nextafter(1.0, 2.0), True),
        (Interlock(watch="bias.current", below=1.0), 1.0, False),
        (Interlock(watch="bias.current", below=1.0), math.nextafter(1.0, 0.0), True),
        (Interlock(watch="bias.current", below=1.0), math.nan, True),
        (Interlock(watch="bias.current", above=1.0), math.inf, True),
    ],
)
def test_the_edge_belongs_to_what_is_allowed(condition: Interlock, value: float, trips: bool) -> None:
    assert condition.trips(value) is trips


@dataclass
class Gate:
    value: float

    def read(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("watch", "value"),
    [
        ("gate.value", 0.7),
        ("fridge.value", 0.02),
        ("bias.value", 1e-3),
        ("bias.device_voltage", 1e-3),
        ("current.value", 0.7),
        ("lockin.magnitude", 5.0),
        ("lockin.value", 5.0),
    ],
)
def test_any_reading_of_any_role_can_be_watched(watch: str, value: float) -> None:
    class LockIn:
        def read(self) -> complex:
            return 3 + 4j

    clock = Clock()
    players = {"bias": Bias(), "fridge": Fridge([0.02]), "gate": Gate(0.7), "current": Gate(0.7), "lockin": LockIn()}
    roles = Roles(clock=clock, wiring=Wiring(), **players)

    def violated(limit: float) -> bool:
        interlocks = Interlocks([Interlock(watch=watch, above=limit)], roles, clock, stale_after=60.0)
        return interlocks.check(bias_is_on=True) is not None

    assert violated(value * 0.999)
    assert not violated(value)


def test_a_gate_is_watched_without_a_bias_too() -> None:
    clock = Clock()
    roles = Roles(clock=clock, wiring=Wiring(), bias=Bias(), gate=Gate(0.7))
    interlocks = Interlocks([Interlock(watch="gate.value", above=0.5)], roles, clock, stale_after=60.0)
    assert interlocks.check(bias_is_on=False) is not None
