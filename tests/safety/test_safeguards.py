"""Waits of a run: aborted when it must stop, repeated when the bias moved, skipped with on_error "skip"."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError

from drivers.errors import CommunicationError, OverloadError, ReadingError, SettingError
from drivers.roles import BiasReading, Roles
from drivers.wiring import Wiring
from labnis.errors import InstrumentFault, InterlockError
from labnis.safety.invalid_readings import QualityBit
from labnis.safety.safeguards import Safeguards, Stopped
from labnis.safety.stop_requests import StopRequest
from labnis.station import Interlock, Limits, RampedBias
from labnis.station.oversight import NoOversight
from labnis.station.role_spec import RoleSpec, SetpointSpec
from labnis.station.setpoint import RampedSetpoint
from tests.station.fakes import FakeClock, FakeSource

SILENT = CommunicationError("n9030b (GPIB0::18)", "no answer.")
DURATION = 40.0


@dataclass
class Analyzer:
    clock: FakeClock
    lasts: Any = DURATION
    started: list[float] = field(default_factory=list)
    aborted: int = 0
    fails: dict[str, Exception] = field(default_factory=dict)

    def _call(self, name: str) -> None:
        if name in self.fails:
            raise self.fails[name]

    def duration(self) -> Any:
        return self.lasts

    def frequencies(self) -> np.ndarray:
        return np.linspace(1.0, 2.0, 7)

    def start(self) -> None:
        self._call("start")
        self.started.append(self.clock.now)

    def finished(self) -> bool:
        self._call("finished")
        return self.clock.now >= self.started[-1] + DURATION

    def fetch(self) -> np.ndarray:
        self._call("fetch")
        return np.full(7, float(len(self.started)))

    def abort(self) -> None:
        self.aborted += 1
        self._call("abort")


@dataclass
class Bias:
    in_use: bool = True
    at: float = 1e-3

    def present(self) -> float:
        return self.at

    def to_zero(self) -> None:
        self.at = 0.0

    def shutdown(self) -> None:
        self.at, self.in_use = 0.0, False

    def prepare(self, *_settings: float) -> None:
        self.in_use = True

    def move_to(self, bias: float, between: Any = None) -> None:
        self.at = bias

    def read(self) -> BiasReading:
        return BiasReading(self.at, 1e-7, self.at)


@dataclass
class Magnet:
    field: float = 0.0

    def set_level(self, value: float) -> None:
        self.field = value

    def level(self) -> float:
        return self.field


FIELD = SetpointSpec(instrument="magnet", kind="setpoint", parameter="field", maximum=9.0, rate=1e-3, step=0.1)
"""9 T in three hours, in steps that take two minutes."""


class Fridge:
    def __init__(self, clock: FakeClock, warm: tuple[float, float]) -> None:
        self._clock, self._warm = clock, warm

    def temperature(self) -> float:
        begin, end = self._warm
        return 0.3 if begin <= self._clock.now - 100.0 < end else 0.02 + 1e-6 * self._clock.now


@dataclass
class Pressure:
    """A reading that labnis does not know to depend on the bias, and that does."""

    bias: Bias

    def read(self) -> float:
        return self.bias.at


PAUSE = Interlock(watch="fridge.temperature", above=0.2, action="pause")


class Run:
    """Safeguards of a run with an analyzer, a fridge that is warm for a while, and what was said."""

    def __init__(
        self,
        warm: tuple[float, float] = (1e9, 1e9),
        interlocks: Sequence[Interlock] = (),
        fridge: Any = None,
        **options: Any,
    ) -> None:
        self.clock = FakeClock()
        self.analyzer = Analyzer(self.clock)
        self.bias = Bias()
        self.stop = StopRequest()
        self.said: list[str] = []
        self.lost_lock = self.watchdog_problem = ""
        self.magnet = Magnet()
        self.field = RampedSetpoint(self.magnet, FIELD, self.clock, name="field, magnet", unit="T")
        roles = Roles(
            clock=self.clock,
            field=self.field,
            wiring=Wiring(),
            bias=self.bias,
            analyzer=self.analyzer,
            fridge=fridge or Fridge(self.clock, warm),
            pressure=Pressure(self.bias),
        )
        config = SimpleNamespace(
            roles={
                role: RoleSpec(instrument=role, kind=kind)
                for role, kind in (
                    ("bias", "bias"),
                    ("analyzer", "analyzer"),
                    ("fridge", "thermometer"),
                    ("pressure", "reading"),
                )
            }
            | {"field": FIELD},
            limits=Limits(
                maximum_bias=6e-3, maximum_step=1e-3, ramp_rate=1.0, compliance=1e-6, resume_after_pause=True
            ),
            interlocks=(PAUSE, *interlocks),
        )
        self.station: Any = SimpleNamespace(
            roles=roles,
            clock=self.clock,
            bias=self.bias,
            setpoints={},
            config=config,
            described=lambda name: f"{name} (GPIB0::18)",
            lost_lock=lambda: self.lost_lock,
            watchdog_problem=lambda: self.watchdog_problem,
            alive=NoOversight().alive,
            permit=NoOversight().permit,
            watch_connections=lambda report: None,
        )
        self.safeguards = Safeguards(self.station, self.stop, lambda kind, text: self.said.append(kind), **options)

    def acquire(self) -> np.ndarray:
        roles = self.safeguards.roles
        return roles.acquire(roles.analyzer)

    def ask_to_stop_after(self, time: float) -> None:
        """Ask the run to stop in the first sleep that ends after `time` (s, of the clock)."""
        sleep = self.clock.sleep

        def until_asked(seconds: float) -> None:
            sleep(seconds)
            if self.clock.now > time:
                self.stop.ask(InterlockError("asked to stop"))

        self.clock.sleep = until_asked  # type: ignore[method-assign]


def test_a_calm_acquisition_is_made_once() -> None:
    run = Run()
    assert run.acquire().tolist() == [1.0] * 7
    assert run.analyzer.aborted == 0
    assert run.clock.now - 100.0 == pytest.approx(DURATION, abs=0.3)


def test_a_run_that_is_to_stop_gives_it_up_within_a_second() -> None:
    run = Run()
    run.ask_to_stop_after(103.0)
    with pytest.raises(Stopped):
        run.acquire()
    assert run.analyzer.aborted == 1
    assert run.clock.now < 104.0


class AligningAnalyzer(Analyzer):
    """Its sweep takes until `late` (s) after the start; until `aligned` after it, it says that it aligns itself."""

    late, aligned = 100.0, 90.0

    def finished(self) -> bool:
        return self.clock.now >= self.started[-1] + self.late

    def interrupted(self) -> bool:
        return self.clock.now < self.started[-1] + self.aligned


def test_an_analyzer_that_aligns_itself_is_waited_for() -> None:
    run = Run()
    run.analyzer = analyzer = AligningAnalyzer(run.clock)
    roles = Roles(clock=run.clock, wiring=Wiring(), analyzer=analyzer)
    assert roles.acquire(analyzer).shape == (7,)
    assert run.clock.now - 100.0 == pytest.approx(analyzer.late, abs=0.3)
    analyzer.aligned = 20.0  # what remains takes longer than a sweep
    with pytest.raises(ReadingError, match="has not finished"):
        roles.acquire(analyzer)
    analyzer.late = analyzer.aligned = 1e9
    with pytest.raises(ReadingError, match="has not finished"):
        roles.acquire(analyzer)
    assert analyzer.aborted == 2


def test_what_was_measured_while_the_bias_was_away_is_measured_again() -> None:
    run = Run(warm=(10.0, 20.0))
    assert run.acquire().tolist() == [2.0] * 7
    assert run.analyzer.aborted == 1
    assert run.said == ["interlock", "paused", "resumed"]
    assert run.bias.at == 1e-3


@pytest.mark.parametrize("error", [SILENT, VisaIOError(StatusCode.error_timeout), TimeoutError("own driver")])
@pytest.mark.parametrize("where", ["start", "finished", "fetch"])
def test_an_acquisition_that_fails_is_skipped_where_the_run_wants_it(where: str, error: Exception) -> None:
    run = Run(on_error="skip")
    run.analyzer.fails[where] = error
    assert np.isnan(run.acquire()).all()
    assert run.safeguards.quality.take() == QualityBit.FAILED
    run.analyzer.fails.clear()
    assert run.acquire()[0] >= 1.0
    assert run.safeguards.quality.take() == 0


@pytest.mark.parametrize("where", ["start", "finished", "fetch"])
def test_an_acquisition_is_repeated_where_the_connection_was_lost_and_is_back(where: str) -> None:
    run = Run()
    run.analyzer.fails[where] = SILENT
    abort = run.analyzer.abort

    def back_again() -> None:
        abort()
        run.analyzer.reconnections += bool(run.analyzer.fails)
        run.analyzer.fails.clear()

    run.analyzer.reconnections, run.analyzer.abort = 0, back_again
    assert run.acquire()[0] >= 1.0
    assert run.analyzer.reconnections == 1


@pytest.mark.parametrize("where", ["start", "finished", "fetch"])
def test_otherwise_it_ends_the_run(where: str) -> None:
    run = Run()
    run.analyzer.fails[where] = SILENT
    with pytest.raises(CommunicationError):
        run.acquire()


@pytest.mark.parametrize("lasts", [math.nan, math.inf, -1.0, None])
def test_a_duration_that_is_no_time_ends_the_run_and_names_the_role(lasts: Any) -> None:
    run = Run(on_error="skip")
    run.analyzer.lasts = lasts
    with pytest.raises(SettingError, match=r"analyzer, \w+: has an acquisition of .* s; duration\(\) returns a finite"):
        run.acquire()
    assert run.analyzer.aborted == 0  # nothing was started


def test_an_abort_that_fails_is_a_note_of_the_cause() -> None:
    run = Run()
    run.analyzer.fails = {"finished": SILENT, "abort": ValueError("abort broke")}
    with pytest.raises(CommunicationError, match="no answer") as caught:
        run.acquire()
    assert "could not be aborted either: abort broke" in caught.value.__notes__[0]


def test_a_bias_that_does_not_come_back_after_a_pause_is_no_skipped_acquisition() -> None:
    run = Run(warm=(10.0, 20.0), on_error="skip")

    def silent(bias: float, between: Any) -> None:
        raise SILENT

    run.bias.move_to = silent  # type: ignore[method-assign]
    with pytest.raises(InstrumentFault, match=r"does not ramp back to 0\.001 V"):
        run.acquire()


def test_an_overload_is_flagged_whatever_the_run_wants() -> None:
    run = Run()
    run.analyzer.fails["fetch"] = OverloadError("n9030b (GPIB0::18)", "input overload.")
    assert np.isnan(run.acquire()).all()
    assert run.safeguards.quality.take() == QualityBit.OVERLOAD


# --- interlocks that depend on the bias ---


@pytest.mark.parametrize(
    "condition",
    [
        Interlock(watch="bias.current", above=5e-8, action="pause"),
        Interlock(watch="bias.device_voltage", above=5e-4, action="pause"),
        Interlock(watch="bias.value", above=5e-4, action="pause", hysteresis=1e-5),
        Interlock(watch="pressure.value", above=5e-4, action="pause"),
    ],
    ids=str,
)
def test_the_bias_never_goes_back_to_the_level_that_violated_an_interlock(condition: Interlock) -> None:
    run = Run(interlocks=[condition])
    moves: list[float] = []

    def move_to(bias: float, between: Any) -> None:
        moves.append(bias)

    run.bias.move_to = move_to  # type: ignore[method-assign, assignment]
    with pytest.raises(Stopped):
        run.acquire()
    assert moves == []
    assert run.bias.at == 0.0
    assert run.said == ["interlock"]
    assert isinstance(run.stop.reason, InterlockError)
    assert "the run does not go back to 0.001 V" in str(run.stop.reason)


class HeatedFridge:
    """Warm after a second with the bias on, cold after a second without."""

    def __init__(self) -> None:
        self.run: Run
        self.changed = 100.0
        self.was_on = False

    def temperature(self) -> float:
        on, now = self.run.bias.at != 0, self.run.clock.now
        if on != self.was_on:
            self.was_on, self.changed = on, now
        warm = on if now - self.changed > 1.0 else not on
        return (0.3 if warm else 0.02) + 1e-6 * now


def test_a_fridge_that_the_bias_heats_ends_the_run_after_a_few_resumptions() -> None:
    fridge = HeatedFridge()
    run = fridge.run = Run(fridge=fridge)
    with pytest.raises(Stopped):
        while True:
            run.safeguards.roles.clock.sleep(10.0)
            run.safeguards.should_stop()
    assert run.said.count("resumed") == 3
    assert run.said[-2:] == ["resumed", "interlock"]
    assert run.bias.at == 0.0
    assert "has resumed 3 times (labnis.limits.maximum_resumptions)" in str(run.stop.reason)


def test_a_lock_that_is_lost_ends_the_run() -> None:
    run = Run()
    run.safeguards.check_before_start()
    assert not run.safeguards.should_stop()
    run.lost_lock = "the lock file /run/lock/a of a was removed"
    with pytest.raises(Stopped):
        run.acquire()
    assert run.clock.now < 101.0
    assert run.said == ["lock"]
    assert str(run.stop.reason).startswith(run.lost_lock)


def test_a_watchdog_that_cannot_be_fed_ends_the_run() -> None:
    run = Run()
    run.watchdog_problem = "the watchdog relay cannot be fed (no answer)"
    assert run.safeguards.should_stop()
    assert run.said == ["watchdog"]
    assert str(run.stop.reason).startswith(run.watchdog_problem)


def test_a_pause_ends_where_the_lock_is_lost() -> None:
    run = Run(warm=(10.0, 1e9))
    sleep = run.clock.sleep

    def until_lost(seconds: float) -> None:
        sleep(seconds)
        if run.clock.now > 150.0:
            run.lost_lock = "lost"

    run.clock.sleep = until_lost  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        run.acquire()
    assert run.clock.now < 152.0
    assert run.said == ["interlock", "paused", "lock"]
    assert run.bias.at == 0.0


# --- ramps of the bias ------------------------------------------------------------------------------------------------


class SlowRun(Run):
    """A run with a real ramp of the bias that takes a minute."""

    def __init__(self, warm: tuple[float, float]) -> None:
        super().__init__(warm)
        self.source = FakeSource(self.clock)
        limits = Limits(maximum_bias=6e-3, maximum_step=1e-3, ramp_rate=1e-4, compliance=1e-6)
        bias = RampedBias(self.source, Wiring(), limits, self.clock, name="keithley")
        bias.prepare(6e-3, 1e-6, 0.02)
        self.bias = self.station.bias = bias  # type: ignore[assignment]
        self.station.roles = Roles(clock=self.clock, wiring=Wiring(), bias=bias, fridge=self.station.roles.fridge)
        self.safeguards = Safeguards(self.station, self.stop, lambda kind, text: self.said.append(kind))


def test_a_ramp_of_the_bias_pauses_for_a_warm_fridge_and_goes_on_from_where_it_was() -> None:
    run = SlowRun(warm=(20.0, 200.0))
    run.safeguards.roles.bias.move_to(5e-3)
    assert run.source.value == 5e-3
    assert run.said == ["interlock", "paused", "resumed"]
    levels = [level for _, level in run.source.writes]
    zero = levels.index(0.0, 1)
    assert run.source.writes[zero][0] < 200.0 + 100.0
    assert 1e-3 < max(levels[:zero]) < 2e-3
    assert max(abs(b - a) for a, b in pairwise(levels)) <= 1e-4 * 0.02  # never a jump, also before and after the pause


@pytest.mark.parametrize("when", [130.0, 330.0])  # on the way up, and on the way back after a pause
def test_a_stop_request_ends_a_ramp_of_the_bias(when: float) -> None:
    run = SlowRun(warm=(60.0, 220.0))
    run.ask_to_stop_after(when)
    with pytest.raises(Stopped):
        run.safeguards.roles.bias.move_to(5e-3)
    # The ramp to zero begins before the procedure learns of it.
    steps = pairwise(run.source.writes)
    began = min(time for (_, before), (time, level) in steps if level < before and time >= when)
    assert began < when + 1.0
    assert (run.source.value, run.source.output) == (0.0, False)


# --- ramps of set-points ----------------------------------------------------------------------------------------------


def test_a_ramp_of_hours_ends_within_a_second_where_the_run_is_to_stop() -> None:
    run = Run()
    run.ask_to_stop_after(1000.0)
    with pytest.raises(Stopped):
        run.safeguards.roles.field.move_to(9.0)
    assert run.clock.now < 1001.0
    left = run.magnet.field
    assert 0.5 < left < 1.0
    assert run.field.in_use
    run.field.finish()  # is not interrupted
    assert run.magnet.field == 0.0
    assert run.clock.now > 1000.0 + left / FIELD.rate


def test_the_fridge_is_watched_during_the_ramp_of_a_set_point() -> None:
    run = Run(warm=(1000.0, 2000.0))
    moved: list[float] = []
    to_zero = run.bias.to_zero
    run.bias.to_zero = lambda: (moved.append(run.clock.now), to_zero())  # type: ignore[assignment, func-returns-value]
    run.safeguards.roles.field.move_to(9.0)
    assert len(moved) == 1
    assert 1100.0 <= moved[0] < 1102.0
    assert run.said == ["interlock", "paused", "resumed"]
    assert run.bias.at == 1e-3
    assert run.magnet.field == 9.0


@pytest.mark.parametrize("reason", ["signal", "interlock"])
def test_a_procedure_that_goes_on_moves_nothing_and_finds_the_output_off(reason: str) -> None:
    hot = Interlock(watch="bias.current", above=5e-8, action="pause")
    run = Run(interlocks=(hot,) if reason == "interlock" else ())
    if reason == "signal":
        run.stop.signum = 2
    bias, clock = run.safeguards.roles.bias, run.safeguards.roles.clock

    def goes_on() -> None:
        for _ in range(30):
            with suppress(Exception):  # as code of a lab does
                clock.sleep(1.0)
                bias.move_to(2e-3)
                bias.prepare(2e-3, 1e-6, 0.02)

    for _ in range(3):
        with suppress(Stopped):  # not even that
            goes_on()
        for move in (lambda: bias.move_to(2e-3), lambda: bias.prepare(2e-3, 1e-6, 0.02)):
            with pytest.raises(Stopped):
                move()
    assert (run.bias.at, run.bias.in_use) == (0.0, False)
