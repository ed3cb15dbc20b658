"""The bias moves only within the limits, from its read-back level, and zero is reported only if it is verified."""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.errors import CommunicationError, ComplianceError, InstrumentError, ReadingError, SettingError
from drivers.roles import DeviceBias, SourceReading
from drivers.wiring import Wiring
from labnis.errors import RequestError
from labnis.station import BiasMismatchError, BiasUnknownError, Limits, RampedBias
from labnis.station.amplifier import StatedAmplifier
from labnis.station.players import DeviceMeter
from labnis.station.role_check import missing_members

from .fakes import LIMITS, FakeSource

WINDOW = 0.1


def bias_of(source: FakeSource, wiring: Wiring | None = None, limits: Limits = LIMITS, **options: object) -> RampedBias:
    return RampedBias(source, wiring or Wiring(), limits, source.clock, name="keithley (GPIB0::1)", **options)


def prepared(source: FakeSource, wiring: Wiring | None = None, limits: Limits = LIMITS) -> RampedBias:
    bias = bias_of(source, wiring, limits)
    bias.prepare(limits.maximum_bias, limits.compliance, 0.02)
    return bias


def assert_rate(source: FakeSource, start: float, rate: float) -> None:
    """Mean |dV/dt| ≤ rate over every closed window of 100 ms; the fullest windows open just before a write."""
    levels = [start, *(level for _, level in source.writes)]
    times = [time for time, _ in source.writes]
    for i, opened in enumerate(times):
        reached = levels[i + 1 : bisect_right(times, opened + WINDOW) + 1]
        assert max(abs(level - levels[i]) for level in reached) <= rate * WINDOW * (1 + 1e-9)


def test_fills_the_role_of_a_device_bias() -> None:
    assert missing_members(bias_of(FakeSource()), DeviceBias) == []


@settings(max_examples=40, deadline=None)
@given(
    targets=st.lists(st.floats(-6e-3, 6e-3), min_size=1, max_size=5),
    step=st.floats(1e-5, 1e-3),
    rate=st.floats(1e-3, 5e-2),
    latency=st.floats(0, 0.2),
)
def test_every_ramp_keeps_step_and_rate_and_ends_on_target(
    targets: list[float], step: float, rate: float, latency: float
) -> None:
    limits = Limits(maximum_bias=6e-3, maximum_step=step, ramp_rate=rate, compliance=5e-6)
    source = FakeSource(latency=latency)
    bias = prepared(source, limits=limits)
    for target in targets:
        bias.move_to(target)
        assert source.value == target
    bias.shutdown()
    levels = [0.0, *(level for _, level in source.writes)]
    assert max(abs(b - a) for a, b in pairwise(levels)) <= step * (1 + 1e-9)
    assert_rate(source, 0.0, rate)
    assert levels[-1] == 0.0
    assert not source.output


def test_a_move_takes_the_time_of_all_its_steps() -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.to_zero()
    began = source.clock.now
    bias.move_to(2e-3)
    assert source.clock.now - began == pytest.approx(2e-3 / (0.8 * LIMITS.ramp_rate))


@given(st.floats(allow_nan=True, allow_infinity=True).filter(lambda v: not abs(v) <= 6e-3))
def test_a_bias_beyond_the_limit_sends_nothing(value: float) -> None:
    source = FakeSource()
    bias = prepared(source)
    before = list(source.calls)
    with pytest.raises(RequestError, match="maximum_bias"):
        bias.move_to(value)
    assert source.calls == before


@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_itself_is_allowed_and_one_ulp_more_is_not(sign: int) -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(sign * 6e-3)
    assert source.value == sign * 6e-3
    with pytest.raises(RequestError):
        bias.move_to(sign * math.nextafter(6e-3, 1))


def test_limits_are_those_of_the_device_behind_the_divider() -> None:
    source = FakeSource()
    limits = LIMITS
    bias = RampedBias(
        source,
        Wiring(divider=100),
        limits,
        source.clock,
        name="keithley",
        ammeter=DeviceMeter(
            FakeVoltmeter(2.0), StatedAmplifier("femto", -1e7)
        ),  # V at the output of an inverting amplifier
    )
    bias.prepare(6e-3, 1e-6, 0.02)
    bias.move_to(6e-3)
    assert source.value == pytest.approx(0.6)
    assert_rate(source, 0.0, 100 * limits.ramp_rate)
    reading = bias.read()
    assert reading.current == pytest.approx(-2.0 / 1e7)
    assert reading.amplifier_voltage == 2.0
    assert reading.source_voltage == pytest.approx(0.6)


class FakeVoltmeter:
    def __init__(self, voltage: float) -> None:
        self.voltage = voltage

    def read(self) -> float:
        return self.voltage


class FakeRangedMeter(FakeVoltmeter):
    reading_range = 10.0

    def prepare_reading(self, *, unit: str, maximum: float, integration_time: float) -> None:
        self.prepared = unit, maximum, integration_time


def test_meters_are_prepared_for_what_they_read_behind_their_amplifiers() -> None:
    behind_amplifier, direct, at_device = FakeRangedMeter(0.1), FakeRangedMeter(1e-8), FakeRangedMeter(0.01)
    bias = bias_of(
        FakeSource(),
        ammeter=DeviceMeter(behind_amplifier, StatedAmplifier("femto", -1e7), ranged=behind_amplifier),
        voltmeter=DeviceMeter(at_device, StatedAmplifier("femto", 100.0), ranged=at_device, unit="V"),
    )
    bias.prepare(6e-3, 1e-7, 0.02)
    assert behind_amplifier.prepared == ("V", pytest.approx(1.0), 0.02)
    assert at_device.prepared == ("V", pytest.approx(0.6), 0.02)
    reading = bias.read()  # the ranges are those at the device
    assert (reading.current_range, reading.voltage_range) == (pytest.approx(10.0 / 1e7), pytest.approx(10.0 / 100.0))
    DeviceMeter(direct, ranged=direct).prepare(1e-7, 0.02)
    assert direct.prepared == ("A", 1e-7, 0.02)


def test_the_reading_of_a_voltmeter_at_the_device_is_used() -> None:
    source = FakeSource()
    bias = bias_of(
        source,
        Wiring(series_resistance=2000.0),
        voltmeter=DeviceMeter(FakeVoltmeter(0.08), StatedAmplifier("femto", 100.0)),
    )
    bias.prepare(6e-3, 1e-6, 0.02)
    bias.move_to(1e-3)
    assert bias.read().device_voltage == pytest.approx(0.8e-3)


def test_a_reading_is_in_device_units() -> None:
    source = FakeSource()
    bias = prepared(source, Wiring(series_resistance=2000.0))
    bias.move_to(1e-3)
    reading = bias.read()
    assert (reading.bias, reading.current) == (1e-3, 1e-7)
    assert reading.device_voltage == pytest.approx(1e-3 - 2000 * 1e-7)


# --- before the output goes on ---------------------------------------------------------------------------------------


def test_a_source_that_cannot_limit_so_little_ends_where_the_current_is_beyond_the_compliance() -> None:
    class Coarse(FakeSource):
        smallest_compliance = 1e-3

    class FakeAmmeter:
        current = 4e-6

        def read(self) -> float:
            return self.current

    meter, source = FakeAmmeter(), Coarse()
    bias = bias_of(source, limits=LIMITS, ammeter=DeviceMeter(meter))
    bias.prepare(1e-3, 1e-6, 0.02)
    assert bias.read().current == meter.current < LIMITS.compliance
    meter.current = -1.01 * LIMITS.compliance
    with pytest.raises(ComplianceError, match=r"its own current limit is 0\.001 A or more"):
        bias.read()


def test_a_forgotten_level_goes_to_zero_before_the_output_goes_on() -> None:
    source = FakeSource(value=20.0, output=False)
    prepared(source)
    assert source.value == 0.0
    assert source.output
    wrote, switched = source.calls.index("set_level"), source.calls.index("output_on")
    assert "level" in source.calls[wrote + 1 : switched]  # zero was read back in between
    assert source.settings["compliance"] == LIMITS.compliance


def test_an_output_that_would_not_go_to_zero_stays_off() -> None:
    source = FakeSource(value=1.0, ignores={"set_level"})
    with pytest.raises(SettingError, match="output still off"):
        prepared(source)
    assert "output_on" not in source.calls


def test_an_output_left_on_stays_where_it_is_and_ramps_from_there() -> None:
    source = FakeSource(value=3e-3, output=True)
    bias = prepared(source)
    assert source.writes == []
    bias.move_to(2.9e-3)
    assert_rate(source, 3e-3, LIMITS.ramp_rate)
    assert min(level for _, level in source.writes) >= 2.9e-3


def test_an_output_left_on_beyond_the_range_is_ramped_to_zero_first() -> None:
    source = FakeSource(value=8e-3, output=True)
    prepared(source)
    assert_rate(source, 8e-3, LIMITS.ramp_rate)
    assert source.value == 0.0
    assert source.calls.index("prepare") > source.calls.index("set_level")


@pytest.mark.parametrize("level", [math.nan, math.inf])
def test_an_unreadable_level_is_refused(level: float) -> None:
    source = FakeSource(value=level, output=True)
    with pytest.raises(ReadingError, match="level"):
        prepared(source)
    assert source.writes == []


def test_a_source_that_does_not_answer_is_refused() -> None:
    source = FakeSource(broken={"level"})
    with pytest.raises(CommunicationError):
        prepared(source)
    assert "output_on" not in source.calls


def test_an_output_that_does_not_go_on_is_an_error() -> None:
    with pytest.raises(SettingError, match="interlock"):
        prepared(FakeSource(ignores={"output_on"}))


@pytest.mark.parametrize(
    ("maximum_bias", "maximum_current", "integration_time"),
    [(7e-3, 1e-6, 0.02), (math.nan, 1e-6, 0.02), (-1e-3, 1e-6, 0.02), (1e-3, 6e-6, 0.02), (1e-3, 1e-6, 0.0)],
)
def test_preparing_beyond_the_limits_sends_nothing(
    maximum_bias: float, maximum_current: float, integration_time: float
) -> None:
    source = FakeSource()
    with pytest.raises(RequestError):
        bias_of(source).prepare(maximum_bias, maximum_current, integration_time)
    assert source.calls == []


class FailingSource(FakeSource):
    """Fails for good from the call number `fails_from` on, until it is mended."""

    fails_from: float = math.inf

    def _call(self, name: str) -> bool:
        if len(self.calls) >= self.fails_from:
            raise CommunicationError("fake", f"no answer to {name}.")
        return super()._call(name)


@pytest.mark.parametrize("left_at", [3e-3, 8e-3])
def test_a_source_left_on_is_ramped_to_zero_whatever_command_of_prepare_fails(left_at: float) -> None:
    calls = FakeSource(value=left_at, output=True)
    prepared(calls)
    for fails_from in range(len(calls.calls)):
        source = FailingSource(value=left_at, output=True)
        source.fails_from = fails_from
        bias = bias_of(source)
        with pytest.raises(InstrumentError):
            bias.prepare(6e-3, 5e-6, 0.02)
        source.fails_from = math.inf
        assert bias.in_use, calls.calls[fails_from]
        with pytest.raises(RequestError, match="the prepared range"):
            bias.move_to(1e-3)
        bias.shutdown()
        assert_rate(source, left_at, LIMITS.ramp_rate)
        assert (source.value, source.output) == (0.0, False)


def test_a_ramp_to_zero_that_is_interrupted_is_made_by_the_next_shutdown() -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(3e-3)
    sleep = source.clock.sleep

    def interrupted(seconds: float) -> None:
        sleep(seconds)
        if source.value < 2e-3:
            raise KeyboardInterrupt

    source.clock.sleep = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        bias.shutdown()
    assert bias.in_use
    assert source.value > 1e-3
    source.clock.sleep = sleep  # type: ignore[method-assign]
    bias.shutdown()
    assert (source.value, source.output) == (0.0, False)


def test_a_source_left_on_can_be_claimed_without_preparing_it() -> None:
    off, on, silent = FakeSource(), FakeSource(value=3e-3, output=True), FakeSource(broken={"output_enabled"})
    for source, claimed in ((off, False), (on, True), (silent, True)):
        bias = bias_of(source)
        bias.claim()
        assert bias.in_use is claimed
        assert source.writes == []


def test_a_bias_beyond_the_prepared_range_sends_nothing() -> None:
    source = FakeSource()
    bias = bias_of(source)
    bias.prepare(1e-3, 1e-6, 0.02)
    before = list(source.calls)
    with pytest.raises(RequestError, match="the prepared range"):
        bias.move_to(1.1e-3)
    assert source.calls == before


def test_moving_needs_a_prepared_source() -> None:
    source = FakeSource()
    with pytest.raises(RequestError, match="prepare"):
        bias_of(source).move_to(1e-3)
    assert source.calls == []


# --- faults in mid-run -----------------------------------------------------------------------------------------------


def test_an_ignored_level_is_found_by_reading_back() -> None:
    source = FakeSource()
    bias = prepared(source)
    source.ignores.add("set_level")
    with pytest.raises(SettingError, match="instead of"):
        bias.move_to(1e-3)


@pytest.mark.parametrize("set_to", [20e-6, -5e-3])
def test_a_reset_is_found_with_the_next_reading(set_to: float) -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(set_to)
    source.value, source.output = 0.0, False
    with pytest.raises(BiasMismatchError, match=r"output OFF.*reset"):
        bias.read()


@pytest.mark.parametrize("set_to", [0.0, 1e-3])
def test_an_output_that_went_off_is_found_where_the_source_measures_nothing(set_to: float) -> None:
    """Its reading is its level, which is right with the output off, and at zero after a reset, too."""

    class Blind(FakeSource):
        def read(self) -> SourceReading:
            return SourceReading(self.value, math.nan)

    source = Blind()
    bias = prepared(source)
    bias.move_to(set_to)
    bias.read()
    source.output = False
    with pytest.raises(BiasMismatchError, match=r"output OFF.*reset"):
        bias.read()


def test_the_offset_of_the_source_s_own_meter_is_no_reset() -> None:
    source = FakeSource(meter_offset=380e-6)  # a little more than output and meter of a Keithley 2450 are specified to
    bias = prepared(source)
    bias.move_to(1e-3)
    assert bias.read().bias == pytest.approx(1.38e-3)
    source.meter_offset = 1e-3
    with pytest.raises(BiasMismatchError):
        bias.read()


def test_after_a_reset_the_next_ramp_starts_where_the_source_is() -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(2e-3)
    source.value = 1e-3
    source.writes.clear()
    bias.to_zero()
    assert source.writes[0][1] < 1e-3
    assert_rate(source, 1e-3, LIMITS.ramp_rate)


def test_a_lost_answer_is_asked_for_again_but_a_write_is_never_repeated() -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(1e-3)
    source.lost_answers = 2
    bias.to_zero()
    assert source.value == 0.0

    source.broken.add("set_level")
    before = source.calls.count("set_level")
    with pytest.raises(CommunicationError):
        bias.move_to(1e-3)
    assert source.calls.count("set_level") == before + 1


# --- ramping to zero -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["set_level", "level", "output_enabled"])
def test_a_failed_way_to_zero_never_claims_zero(fault: str) -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(1.5e-3)
    source.broken.add(fault)
    with pytest.raises(BiasUnknownError, match=r"keithley .*bias UNKNOWN: 0\.0015 V .*last seen.*front panel"):
        bias.shutdown()
    assert source.output  # switching it off at an unknown level would be a jump
    assert "output_off" not in source.calls


def test_a_source_that_ignores_the_way_to_zero_is_reported() -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(1.5e-3)
    source.ignores.add("set_level")
    with pytest.raises(BiasUnknownError, match=r"UNKNOWN: 0\.0015 V"):
        bias.shutdown()


@pytest.mark.parametrize("how", ["broken", "ignores"])
def test_an_output_that_does_not_go_off_is_reported_with_the_bias_at_zero(how: str) -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(1e-3)
    getattr(source, how).add("output_off")
    with pytest.raises(SettingError, match="bias is 0 V as read back"):
        bias.shutdown()
    assert source.value == 0.0


@pytest.mark.parametrize("executed", [False, True])
def test_an_output_whose_switching_off_is_not_confirmed_is_switched_off_again_from_zero(executed: bool) -> None:
    """As by a connection that breaks at that command and is back at once."""

    class Interrupted(FakeSource):
        def output_off(self) -> None:
            first = "output_off" not in self.calls
            self._call("output_off")
            if executed or not first:
                self.output = False
            if first:
                raise CommunicationError("fake", "the connection broke.")

    source = Interrupted()
    bias = prepared(source)
    bias.move_to(1e-3)
    bias.shutdown()
    assert not source.output
    assert not bias.in_use
    first, again = (number for number, call in enumerate(source.calls) if call == "output_off")
    assert "level" in source.calls[first:again], "zero is read back before"


def test_a_switching_off_that_is_interrupted_can_be_done_again() -> None:
    class Interrupted(FakeSource):
        def output_off(self) -> None:
            if not self._call("output_off"):
                self.ignores.clear()
                raise KeyboardInterrupt
            self.output = False

    source = Interrupted(ignores={"output_off"})
    bias = prepared(source)
    with pytest.raises(KeyboardInterrupt):
        bias.shutdown()
    assert bias.in_use
    bias.shutdown()
    assert not source.output


def test_the_output_goes_off_only_after_zero_was_read_back() -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(-2e-3)
    bias.shutdown()
    last_write = len(source.calls) - 1 - source.calls[::-1].index("set_level")
    off = source.calls.index("output_off")
    assert "level" in source.calls[last_write:off]
    assert source.calls[off:] == ["output_off", "output_enabled"]
    assert not bias.in_use


# --- between the steps of a ramp ---


class _EndError(Exception):
    pass


def test_a_slow_ramp_is_looked_at_between_its_steps_and_ends_where_that_raises() -> None:
    source = FakeSource()
    bias = prepared(source, limits=LIMITS.model_copy(update={"ramp_rate": 1e-4}))
    looked: list[float] = []

    def between() -> None:
        looked.append(source.clock.now)
        if len(looked) > 100:
            raise _EndError

    with pytest.raises(_EndError):
        bias.move_to(5e-3, between=between)
    assert max(b - a for a, b in pairwise(looked)) <= 1.0
    assert 0 < source.value < 5e-3
    bias.shutdown()
    assert source.value == 0.0


def test_a_ramp_to_zero_is_not_looked_at() -> None:
    source = FakeSource()
    bias = prepared(source)
    bias.move_to(5e-3)

    def between() -> None:
        raise AssertionError

    bias.move_to(0.0, between=between)
    assert source.value == 0.0


# --- a source that an earlier user left as a current source ---


@dataclass
class CurrentSource(FakeSource):
    """Its voltage level is 0, whatever its current is."""

    current: float = 2e-6
    currents: list[tuple[float, float]] = field(default_factory=list)
    off_at: float = math.nan

    def sources_current(self) -> bool:
        self._call("sources_current")
        return True

    def set_current(self, current: float) -> None:
        self._call("set_current")
        self.current = current
        self.currents.append((self.clock.now, current))

    def current_level(self) -> float:
        self._call("current_level")
        return self.current

    def output_off(self) -> None:
        self.off_at = self.current
        super().output_off()


@pytest.mark.parametrize("current", [2e-6, -1e-3])
def test_the_current_of_a_current_source_is_ramped_to_zero_before_it_goes_off(current: float) -> None:
    source = CurrentSource(output=True, current=current)
    bias = bias_of(source)
    began = source.clock.now
    bias.shutdown()
    assert (source.current, source.off_at, source.output) == (0.0, 0.0, False)
    assert bias.ended_current == current
    levels = [current, *(level for _, level in source.currents)]
    assert max(abs(b - a) for a, b in pairwise(levels)) <= 0.02 * max(abs(current), LIMITS.compliance)
    assert source.clock.now - began <= 2 * LIMITS.maximum_bias / LIMITS.ramp_rate


def test_a_source_that_does_not_say_what_it_sources_is_ramped_as_a_voltage_source(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = CurrentSource(output=True, broken={"sources_current"})
    bias_of(source).shutdown()
    assert not source.output
    assert caplog.text.count("does not say what it sources") == 3


@pytest.mark.parametrize("broken", ["current_level", "set_current"])
def test_a_current_that_is_not_zero_is_unknown_and_the_output_stays_on(broken: str) -> None:
    source = CurrentSource(output=True, broken={broken})
    with pytest.raises(BiasUnknownError):
        bias_of(source).shutdown()
    assert source.output


class InterruptedSource(FakeSource):
    """A network source whose connection breaks at write number `at`, which is `executed` or not; then it is back."""

    reconnections = 0
    at = 5
    executed = False

    def set_level(self, voltage: float) -> None:
        self.at -= 1
        if self.at == 0:
            if self.executed:
                super().set_level(voltage)
            self.reconnections += 1
            raise CommunicationError("fake", "the connection is lost.")
        super().set_level(voltage)


@pytest.mark.parametrize("executed", [True, False])
def test_a_level_whose_write_was_interrupted_is_read_back_and_no_step_is_left_out(executed: bool) -> None:
    source = InterruptedSource()
    source.executed = executed
    bias = prepared(source)
    bias.move_to(2e-3)
    levels = [0.0, *(level for _, level in source.writes)]
    assert levels[-1] == 2e-3
    assert max(abs(b - a) for a, b in pairwise(levels)) <= LIMITS.maximum_step * (1 + 1e-9)
    assert len(levels) == len(set(levels))  # none was written twice


def test_a_level_that_is_neither_the_former_nor_the_new_one_ends_the_ramp() -> None:
    class Reset(InterruptedSource):
        def level(self) -> float:
            return 5e-3 if self.reconnections else super().level()

    bias = prepared(Reset())
    with pytest.raises(InstrumentError, match="after its connection was lost"):
        bias.move_to(2e-3)
