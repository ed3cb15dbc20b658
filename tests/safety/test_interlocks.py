"""Interlocks: conditions, actions, and interval of the checks."""

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.errors import ReadingError
from drivers.roles import BiasReading, Roles
from drivers.wiring import Wiring
from labnis.safety.interlocks import INTERVAL, Interlocks, described
from labnis.station import Interlock
from tests.station.fakes import LIMITS


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


@pytest.mark.parametrize(
    "reading", [math.nan, ReadingError("ls372 (GPIB0::12)", "sensor status is 16 (R. OVER).", "Check its range.")]
)
def test_a_thermometer_that_gives_no_temperature_trips(reading: float | Exception) -> None:
    interlocks, _ = _interlocks(Fridge([reading]), WARM)
    trip = interlocks.check(bias_is_on=True)
    assert trip is not None
    assert trip.abort
    assert not trip.reason.endswith(".")  # it becomes part of a sentence


def test_a_reading_that_never_changes_is_stale() -> None:
    interlocks, clock = _interlocks(Fridge([0.02]), WARM)
    assert interlocks.check(bias_is_on=True) is None
    clock.sleep(59.0)
    assert interlocks.check(bias_is_on=True) is None
    clock.sleep(2.0)
    trip = interlocks.check(bias_is_on=True)
    assert trip is not None
    assert "stale" in trip.reason


def test_one_that_refuses_old_readings_itself_is_stale_after_its_own_time() -> None:
    # Of a fridge that measures one channel after the other.
    fridge = Fridge([0.02])
    fridge.maximum_age = 180.0  # type: ignore[attr-defined]  # optional
    interlocks, clock = _interlocks(fridge, WARM)
    for seconds in (0.0, 61.0, 118.0):
        clock.sleep(seconds)
        assert interlocks.check(bias_is_on=True) is None
    clock.sleep(2.0)
    trip = interlocks.check(bias_is_on=True)
    assert trip is not None
    assert "unchanged for 180 s: stale (limits.fridge_stale;" in trip.reason


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


def test_a_violated_interlock_is_satisfied_again_inside_its_hysteresis() -> None:
    pause = Interlock(watch="fridge.temperature", above=0.1, action="pause", hysteresis=0.01)
    interlocks, _ = _interlocks(Fridge([0.099, 0.101, 0.099, 0.0901, 0.0899, 0.099]), pause)
    satisfied = [interlocks.check(bias_is_on=True) is None for _ in range(6)]
    assert satisfied == [True, False, False, False, True, True]


@pytest.mark.parametrize(
    ("condition", "value", "trips"),
    [
        (Interlock(watch="gate.value", above=1.0, action="pause", hysteresis=0.25), 0.75, False),
        (Interlock(watch="gate.value", above=1.0, action="pause", hysteresis=0.25), 0.76, True),
        (Interlock(watch="gate.value", below=1.0, action="pause", hysteresis=0.25), 1.25, False),
        (Interlock(watch="gate.value", below=1.0, action="pause", hysteresis=0.25), 1.24, True),
    ],
)
def test_hysteresis_is_a_distance_inside_the_limit(condition: Interlock, value: float, trips: bool) -> None:
    assert condition.trips(value, condition.hysteresis) is trips


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"hysteresis": 0.01}, "hysteresis is for action: pause"),
        ({"hysteresis": -0.01, "action": "pause"}, "greater than or equal to 0"),
        ({"hysteresis": math.nan, "action": "pause"}, "finite number"),
        ({"hysteresis": 0.1, "action": "pause"}, "no temperature is that far below 0.1 K"),
    ],
)
def test_a_hysteresis_without_a_meaning_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Interlock(watch="fridge.temperature", above=0.1, **keys)


@pytest.mark.parametrize(
    ("condition", "resumes", "words"),
    [
        (WARM, True, "fridge.temperature above 0.2 K: ends the run"),
        (MILD, False, "because limits.resume_after_pause is false"),
        (MILD, True, "waits at zero bias until the reading is inside by 0 K, 3 times at most"),
        (
            Interlock(watch="lockin.magnitude", above=1.0, action="pause"),
            True,
            "ends the run, although action is pause, because it depends on the bias",
        ),
    ],
)
def test_it_is_said_what_an_interlock_does(condition: Interlock, resumes: bool, words: str) -> None:
    limits = LIMITS.model_copy(update={"resume_after_pause": resumes})
    assert words in described(condition, limits)


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
