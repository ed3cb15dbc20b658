"""Points that the source measures by itself: within the limits, and whatever is odd is measured step by step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from drivers.capabilities import BufferedSweep
from drivers.errors import CommunicationError, InstrumentError, SettingError
from drivers.keithley_2450 import Keithley2450
from drivers.roles import BiasReading, SourceReading
from drivers.wiring import Wiring
from labnis.station import Limits, RampedBias
from labnis.station.bias.buffered_sweep import AT_ONCE
from labnis.station.plausible_role import PlausibleRole
from labnis.station.role_check import missing_members
from sim_instruments import ADDRESSES
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import VISALIB, shipped_twin  # noqa: F401  # a fixture

from .fakes import LIMITS
from .test_own_ramps import WalkingSource, rate_of

BIASES = [1e-5 * number for number in range(1, 101)]
SETTLING, INTEGRATION = 0.03, 0.02


@dataclass
class MeasuringSource(WalkingSource):
    """A source that also measures as it walks; `spoil` changes its readings."""

    longest_sweep: int = 60
    spoil: Callable[[list[SourceReading]], list[SourceReading]] = list

    def start_sweep(self, levels: Sequence[float], settling: float) -> None:
        assert len(levels) <= self.longest_sweep
        self.longest_ramp = self.longest_sweep
        self.start_ramp(levels, settling + INTEGRATION)
        self.measured = [SourceReading(level, level / 1e4) for level in levels]

    sweep_running, halt_sweep = WalkingSource.ramp_running, WalkingSource.halt_ramp

    def fetch_sweep(self, count: int) -> list[SourceReading]:
        self._call("fetch_sweep")
        assert count == len(self.measured)
        return self.spoil(self.measured)


def bias_of(source: MeasuringSource, limits: Limits = LIMITS) -> RampedBias:
    bias = RampedBias(source, Wiring(), limits, source.clock, name="keithley")
    bias.prepare(4e-3, limits.compliance, INTEGRATION)
    source.calls.clear()
    return bias


def test_as_many_points_as_take_two_seconds_are_measured_at_once() -> None:
    source = MeasuringSource()
    assert missing_members(source, BufferedSweep) == []
    bias = bias_of(source)
    readings = bias.read_along(BIASES, SETTLING)
    assert len(readings) == int(AT_ONCE / (SETTLING + INTEGRATION)) == 40
    assert [one.bias for one in readings] == BIASES[:40]
    assert bias.present() == BIASES[39]
    assert "set_level" not in source.calls
    assert source.calls.index("halt_ramp") < source.calls.index("level") < source.calls.index("fetch_sweep")
    assert rate_of(source.writes) <= LIMITS.ramp_rate


def test_a_step_takes_as_long_as_the_limit_of_the_rate_says() -> None:
    source = MeasuringSource()
    slow = Limits(maximum_bias=6e-3, maximum_step=0.1e-3, ramp_rate=1e-3, compliance=5e-6)
    steps = [1.9e-5 * number for number in range(1, 30)]
    assert bias_of(source, slow).read_along(steps, 0.0)
    assert rate_of(source.writes) <= slow.ramp_rate * (1 + 1e-9)


@pytest.mark.parametrize(
    ("biases", "settling", "why"),
    [
        ([1e-3 * number for number in range(1, 5)], SETTLING, "steps beyond the limit"),
        (BIASES[:3], SETTLING, "too few"),
        (BIASES, 1.0, "one point takes so long that messages do not matter"),
        ([], SETTLING, "none left"),
        ([5e-3, 6e-3, 7e-3, 8e-3, 9e-3], SETTLING, "beyond what the source is prepared for"),
    ],
)
def test_what_is_measured_step_by_step(biases: list[float], settling: float, why: str) -> None:
    source = MeasuringSource()
    assert bias_of(source).read_along(biases, settling) == [], why
    assert source.writes == []
    assert "start_ramp" not in source.calls


def test_points_up_to_a_large_step_only() -> None:
    source = MeasuringSource()
    found = bias_of(source).read_along([*BIASES[:10], -4e-3, -3e-3], SETTLING)
    assert [one.bias for one in found] == BIASES[:10]


def test_a_compliance_that_only_the_computer_checks_excludes_it() -> None:
    source = MeasuringSource()
    source.smallest_compliance = 1e-3  # type: ignore[attr-defined]
    assert bias_of(source).read_along(BIASES, SETTLING) == []


def test_a_source_that_refuses_is_led_step_by_step_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    source = MeasuringSource(fails="load")
    bias = bias_of(source)
    assert bias.read_along(BIASES, SETTLING) == bias.read_along(BIASES, SETTLING) == []
    assert "refuses to measure by itself; going on step by step" in caplog.text
    assert source.calls.count("start_ramp") == 1
    bias.prepare(4e-3, LIMITS.compliance, INTEGRATION)  # of another run
    source.fails = ""
    assert bias.read_along(BIASES, SETTLING)


def test_an_answer_that_is_lost_while_a_sweep_is_loaded_ends_no_run() -> None:
    source = MeasuringSource(broken={"start_ramp"})
    bias = bias_of(source)
    assert bias.read_along(BIASES, SETTLING) == []
    assert source.calls.index("start_ramp") < source.calls.index("halt_ramp") < source.calls.index("level")
    bias.move_to(BIASES[0])
    assert bias.read().bias == BIASES[0]


def test_readings_have_the_times_at_which_they_were_made() -> None:
    source = MeasuringSource(spoil=lambda found: found[:20])
    bias = bias_of(source)
    began = source.clock.now
    times = [one.measured for one in bias.read_along(BIASES, SETTLING)]
    assert len(times) == 20
    assert times[0] - began > SETTLING
    assert np.diff(times) == pytest.approx(SETTLING + INTEGRATION, rel=0.1)


@pytest.mark.parametrize("fails", ["ignored", "half-way", "state", "endless"])
def test_a_sweep_that_does_not_end_where_it_should_is_an_error(fails: str) -> None:
    source = MeasuringSource(fails=fails)
    bias = bias_of(source)
    with pytest.raises(SettingError):
        bias.read_along(BIASES, SETTLING)
    assert "fetch_sweep" not in source.calls
    assert source.calls.count("halt_ramp") == 1
    bias.shutdown()
    assert source.value == 0


def test_readings_that_do_not_come_are_taken_again_step_by_step(caplog: pytest.LogCaptureFixture) -> None:
    source = MeasuringSource(broken={"fetch_sweep"})
    bias = bias_of(source)
    assert bias.read_along(BIASES, SETTLING) == bias.read_along(BIASES, SETTLING) == []
    assert source.calls.count("fetch_sweep") == 1, "it was tried again"
    assert "readings of its sweep are lost; going on step by step" in caplog.text
    assert bias.present() == BIASES[39]


def test_after_a_lost_connection_it_measures_by_itself_again() -> None:
    source: Any = MeasuringSource(broken={"fetch_sweep"})

    def lose(found: list[SourceReading]) -> list[SourceReading]:
        source.reconnections = 1
        raise CommunicationError("fake", "the connection was lost.")

    source.broken, source.spoil = set(), lose
    bias = bias_of(source)
    assert bias.read_along(BIASES, SETTLING) == []
    source.spoil = list
    assert bias.read_along(BIASES[40:], SETTLING)


def test_a_source_that_does_not_answer_at_all_ends_the_run() -> None:
    source = MeasuringSource()
    bias = bias_of(source)
    source.broken |= {"fetch_sweep", "level"}
    with pytest.raises(CommunicationError):
        bias.read_along(BIASES, SETTLING)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found[:7],
        lambda found: [*found[:7], replace(found[7], voltage=0.0), *found[8:]],
        lambda found: [*found[:7], replace(found[7], current=np.nan), *found[8:]],
    ],
    ids=["at the limit", "another level", "no current"],
)
def test_the_point_after_the_last_right_one_is_measured_step_by_step(
    spoil: Callable[[list[SourceReading]], list[SourceReading]],
) -> None:
    source = MeasuringSource(spoil=spoil)
    bias = bias_of(source)
    assert [one.bias for one in bias.read_along(BIASES, SETTLING)] == BIASES[:7]
    bias.move_to(BIASES[7])
    assert bias.read().bias == BIASES[7]


def test_a_source_whose_readings_are_hardly_ever_right_is_led_step_by_step(caplog: pytest.LogCaptureFixture) -> None:
    source = MeasuringSource(spoil=lambda found: found[:1])  # at its limit, say
    bias = bias_of(source)
    assert len(bias.read_along(BIASES, SETTLING)) == 1
    assert "of 40 readings of its sweep 1 are right; going on step by step" in caplog.text
    assert bias.read_along(BIASES[1:], SETTLING) == []
    assert source.ramps == 1


@pytest.mark.parametrize("found", [None, 1.0, [None], [SourceReading(np.inf, 0.0)], [SourceReading(1e-3, 9.9e37)]])
def test_what_a_driver_must_not_return(found: object) -> None:
    role: Any = PlausibleRole(MeasuringSource(spoil=lambda _: found), "bias", "bias, keithley")  # type: ignore[arg-type,return-value]
    role.start_sweep(BIASES[:4], 0.01)
    with pytest.raises(InstrumentError, match="fetch_sweep"):
        role.fetch_sweep(4)


# --- on the twin's own source ----------------------------------------------------------------------------------------


def test_the_same_points_step_by_step_and_by_itself(twin: LabnisVisaLibrary) -> None:
    source = Keithley2450("smu", ADDRESSES["bias"], visalib=VISALIB)
    bias = RampedBias(source, Wiring(series_resistance=2e3), LIMITS, twin.clock, name="smu")
    biases = [4e-4 + 2e-6 * number for number in range(28)]

    def stepped() -> Iterator[BiasReading]:
        for one in biases:
            bias.move_to(one)
            twin.clock.sleep(SETTLING)
            yield bias.read()

    bias.prepare(1.2e-3, 1e-6, 0.04)
    one_by_one = list(stepped())
    bias.move_to(biases[0] - 2e-6)
    began = twin.clock.time()
    ahead = bias.read_along(biases, SETTLING)
    took = twin.clock.time() - began
    assert len(ahead) == 28
    assert [one.bias for one in ahead] == [one.bias for one in one_by_one]
    apart = np.array([a.current - b.current for a, b in zip(ahead, one_by_one, strict=True)])
    noise = np.std(np.diff(apart)) / np.sqrt(2)
    assert abs(apart.mean()) < 4 * noise / np.sqrt(28)
    assert noise < 3e-12
    assert took / (28 * (SETTLING + 0.04)) < 1.1
    assert all(a.current < b.current for a, b in pairwise(ahead[::4]))
    bias.shutdown()
