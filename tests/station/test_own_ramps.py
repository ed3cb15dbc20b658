"""A source that ramps by itself: evenly, proved by reading back, and the way to zero does not depend on it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import pyvisa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qcodes.instrument import Instrument

from drivers.capabilities import SelfRamping
from drivers.errors import CommunicationError, SettingError
from drivers.keithley_2450 import Keithley2450
from drivers.wiring import Wiring
from labnis.station import BiasUnknownError, Limits, RampedBias
from labnis.station.role_check import missing_members
from sim_instruments import ADDRESSES, SHIPPED_TRUTH
from sim_instruments.server import SourcePoint, largest_rate
from sim_instruments.visa import LabnisVisaLibrary

from .fakes import LIMITS, FakeSource


@dataclass
class WalkingSource(FakeSource):
    """A source that walks by itself as its clock passes; `fails` says how."""

    longest_ramp: int = 20
    fails: str = ""
    walks: list[tuple[float, float]] = field(default_factory=list)
    ramps: int = 0

    def start_ramp(self, levels: Sequence[float], interval: float) -> None:
        self._call("start_ramp")
        assert 1 <= len(levels) <= self.longest_ramp
        if self.fails == "load":
            raise SettingError("fake", "holds another list than was loaded.")
        self.ramps += 1
        if self.fails != "ignored":
            self.walks = [(self.clock.now + index * interval, level) for index, level in enumerate(levels)]
        if self.fails == "half-way":
            del self.walks[len(levels) // 2 :]

    def catch_up(self) -> None:
        """Bring the level to where the walk has come."""
        while self.walks and self.walks[0][0] <= self.clock.now:
            moment, self.value = self.walks.pop(0)
            self.writes.append((moment, self.value))

    def ramp_running(self) -> bool:
        self._call("ramp_running")
        self.catch_up()
        if self.fails == "state":
            raise SettingError("fake", "trigger model is FAILED.")
        return bool(self.walks) or self.fails == "endless"

    def halt_ramp(self) -> None:
        self._call("halt_ramp")
        self.catch_up()
        self.walks = []

    def set_level(self, voltage: float) -> None:
        self.catch_up()
        assert not self.walks, "a level was written while the source was walking"
        super().set_level(voltage)

    def level(self) -> float:
        self.catch_up()
        return super().level()


def bias_of(source: FakeSource, limits: Limits = LIMITS) -> RampedBias:
    bias = RampedBias(source, Wiring(), limits, source.clock, name="keithley")
    bias.prepare(limits.maximum_bias, limits.compliance, 0.02)
    return bias


def rate_of(writes: Sequence[tuple[float, float]], start: float = 0.0) -> float:
    points = [SourcePoint(-1.0, start, output=True)]
    return largest_rate([*points, *[SourcePoint(time, level, output=True) for time, level in writes]])


def test_a_long_way_is_walked_and_the_target_written_exactly() -> None:
    source = WalkingSource()
    assert missing_members(source, SelfRamping) == []
    bias = bias_of(source)
    source.calls.clear()
    began = source.clock.now
    bias.move_to(5e-3)
    assert source.calls.count("set_level") == 1
    assert source.value == 5e-3
    assert source.ramps == 3  # 51 levels, 20 at a time
    assert rate_of(source.writes) <= LIMITS.ramp_rate * (1 + 1e-9)
    assert source.clock.now - began == pytest.approx(5e-3 / (0.8 * LIMITS.ramp_rate), rel=0.25)
    bias.shutdown()
    assert source.writes[-1][1] == 0
    assert rate_of(source.writes) <= LIMITS.ramp_rate * (1 + 1e-9)


def test_a_short_way_is_one_write_as_ever() -> None:
    source = WalkingSource()
    bias = bias_of(source)
    source.calls.clear()
    bias.move_to(0.09e-3)
    assert source.calls == ["set_level", "level"]


def test_a_source_that_does_not_take_a_ramp_is_led_step_by_step(caplog: pytest.LogCaptureFixture) -> None:
    source = WalkingSource(fails="load")
    bias = bias_of(source)
    bias.move_to(5e-3)
    assert source.value == 5e-3
    assert rate_of(source.writes) <= LIMITS.ramp_rate * (1 + 1e-9)
    assert "falling back to ramping from the computer: fake: holds another list than was loaded" in caplog.text
    bias.shutdown()
    assert source.calls.count("start_ramp") == 1, "it was asked again"


@pytest.mark.parametrize("fails", ["ignored", "half-way", "state", "endless"])
def test_elsewhere_than_to_zero_a_failed_ramp_is_an_error(fails: str) -> None:
    source = WalkingSource(fails=fails)
    bias = bias_of(source)
    with pytest.raises(SettingError):
        bias.move_to(5e-3)
    assert "halt_ramp" in source.calls[source.calls.index("start_ramp") :]
    assert "set_level" not in source.calls
    assert not source.walks


@pytest.mark.parametrize("fails", ["load", "ignored", "half-way", "state", "endless"])
def test_the_way_to_zero_does_not_depend_on_it(fails: str, caplog: pytest.LogCaptureFixture) -> None:
    source = WalkingSource()
    bias = bias_of(source)
    bias.move_to(-5e-3)
    source.fails = fails
    source.writes.clear()
    with caplog.at_level(logging.WARNING):
        bias.shutdown()
    assert "ramping from the computer" in caplog.text
    assert source.value == 0
    assert not source.output
    assert rate_of(source.writes, -5e-3) <= LIMITS.ramp_rate * (1 + 1e-9)


@pytest.mark.parametrize("broken", ["start_ramp", "ramp_running"])
def test_a_lost_answer_on_the_way_to_zero_is_overcome(broken: str) -> None:
    source = WalkingSource()
    bias = bias_of(source)
    bias.move_to(5e-3)
    source.broken.add(broken)
    bias.shutdown()
    assert source.value == 0


def test_a_source_that_does_not_confirm_that_it_stands_is_watched_and_led_to_zero() -> None:
    source = WalkingSource()
    bias = bias_of(source)
    bias.move_to(5e-3)
    source.broken.add("halt_ramp")
    source.writes.clear()
    bias.shutdown()
    assert source.value == 0
    assert source.calls.count("set_level") > 40  # step by step
    assert rate_of(source.writes, 5e-3) <= LIMITS.ramp_rate * (1 + 1e-9)


def test_a_source_that_cannot_be_halted_is_not_called_zero() -> None:
    source = WalkingSource(value=1e-3, output=True, broken={"halt_ramp"})
    source.walks = [(source.clock.now + 0.025 * index, 1e-3 + 1e-4 * index) for index in range(1, 50)]
    bias = RampedBias(source, Wiring(), LIMITS, source.clock, name="keithley")
    with pytest.raises(BiasUnknownError, match="is still moving"):
        bias.shutdown()
    assert source.output
    assert "set_level" not in source.calls


@pytest.mark.parametrize("way_out", ["to_zero", "shutdown", "prepare", "present"])
def test_a_source_that_still_walks_for_a_dead_run_is_halted_first(way_out: str) -> None:
    source = WalkingSource(value=1e-3, output=True)
    source.walks = [(source.clock.now + 0.025 * index, 1e-3 + 1e-4 * index) for index in range(1, 20)]
    source.clock.now += 0.1
    actions: dict[str, Callable[[RampedBias], object]] = {
        "prepare": lambda bias: bias.prepare(6e-3, 5e-6, 0.02),
        "to_zero": RampedBias.to_zero,
        "shutdown": RampedBias.shutdown,
        "present": RampedBias.present,
    }
    actions[way_out](RampedBias(source, Wiring(), LIMITS, source.clock, name="keithley"))
    assert source.calls.index("halt_ramp") < source.calls.index("level")
    source.clock.now += 10.0
    source.catch_up()
    assert source.value == (0.0 if way_out in ("to_zero", "shutdown") else pytest.approx(1.4e-3))
    assert rate_of(source.writes, 1e-3) <= LIMITS.ramp_rate * (1 + 1e-9)


def test_writes_are_never_repeated_after_a_walk() -> None:
    source = WalkingSource()
    bias = bias_of(source)
    source.broken.add("set_level")
    with pytest.raises(CommunicationError):
        bias.move_to(5e-3)
    assert source.calls.count("set_level") == 1


# --- on the twin's own trigger model -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twin() -> Iterator[tuple[LabnisVisaLibrary, Keithley2450, list[SourcePoint]]]:
    """The shipped twin, its source, and every drive of that source."""
    visalib = f"{SHIPPED_TRUTH}@labnis"
    manager = pyvisa.ResourceManager(visalib)
    library = manager.visalib
    assert isinstance(library, LabnisVisaLibrary)
    library.reset()
    drives: list[SourcePoint] = []
    honest = library.world.set_source

    def set_source(*, level: float, output: bool, current_limit: float) -> None:
        drives.append(SourcePoint(library.clock.time(), level, output))
        honest(level=level, output=output, current_limit=current_limit)

    library.world.set_source = set_source  # type: ignore[method-assign]
    yield library, Keithley2450("smu", ADDRESSES["bias"], visalib=visalib), drives
    Instrument.close_all()
    manager.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    targets=st.lists(st.floats(-6e-3, 6e-3), min_size=1, max_size=3),
    step=st.floats(2e-5, 1e-3),
    rate=st.floats(1e-3, 5e-2),
)
def test_the_twin_never_moves_faster_than_the_limit(
    twin: tuple[LabnisVisaLibrary, Keithley2450, list[SourcePoint]], targets: list[float], step: float, rate: float
) -> None:
    library, smu, drives = twin
    limits = Limits(maximum_bias=6e-3, maximum_step=step, ramp_rate=rate, compliance=5e-6)
    bias = RampedBias(smu, Wiring(), limits, library.clock, name="keithley")
    drives.clear()
    bias.prepare(6e-3, 5e-6, 0.02)
    for target in targets:
        bias.move_to(target)
        assert smu.level() == pytest.approx(target, abs=2.6e-7)  # the resolution of the 20 mV range
    bias.shutdown()
    # Every level is rounded to the 0.5 µV of its range: a window begins and ends with half of that.
    assert largest_rate(drives, window=0.1) <= rate + 0.5e-6 / 0.1
    assert drives[-1] == (drives[-1].time, 0.0, False)
    smu.check_errors()


def test_a_slow_walk_is_made_in_short_parts_between_which_it_can_be_ended() -> None:
    source = WalkingSource(longest_ramp=98)
    bias = bias_of(source, LIMITS.model_copy(update={"ramp_rate": 1e-4}))
    looked: list[float] = []
    bias.move_to(2e-4, between=lambda: looked.append(source.clock.now))
    assert source.value == 2e-4
    assert max(b - a for a, b in pairwise(looked)) <= 0.7
    assert source.ramps == len(looked) + 1
