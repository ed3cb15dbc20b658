"""Set-points move within their limits and rates, from the read-back level, to the end in the station file."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.errors import CommunicationError, SettingError
from drivers.roles import Setpoint
from labnis.errors import RequestError
from labnis.station.parameter_source import Switch
from labnis.station.role_check import missing_members
from labnis.station.role_spec import SetpointSpec
from labnis.station.setpoint import RampedSetpoint

from .fakes import FakeClock


@dataclass
class Gate:
    clock: FakeClock = field(default_factory=FakeClock)
    value: float = 0.0
    on: bool = False
    lag: float = 0.0
    broken: bool = False
    writes: list[tuple[float, float]] = field(default_factory=list)

    def set_level(self, value: float) -> None:
        if self.broken:
            raise CommunicationError("gate", "no answer.")
        self.value = value
        self.writes.append((self.clock.now, value))

    def level(self) -> float:
        late = self.writes and self.clock.now - self.writes[-1][0] < self.lag
        return self.value - 0.5 if late else self.value

    def output(self, *state: bool) -> bool:
        if state:
            self.on = state[0]
        return self.on


def setpoint(gate: Gate, **changes: Any) -> RampedSetpoint:
    given = {"maximum": 2.0, "rate": 0.5, "parameter": "voltage"} | changes
    spec = SetpointSpec(instrument="smu", kind="setpoint", **given)
    output = Switch(gate, "output", "smu (GPIB0::3)") if spec.output else None
    return RampedSetpoint(gate, spec, gate.clock, name="gate, smu (GPIB0::3)", unit="V", output=output)


def test_fills_its_role() -> None:
    assert missing_members(setpoint(Gate()), Setpoint) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=1, max_size=3), st.floats(0.05, 5.0), st.sampled_from([None, 0.1]))
def test_every_ramp_keeps_step_and_rate(targets: list[float], rate: float, step: float | None) -> None:
    gate = Gate(value=0.3)
    moved = setpoint(gate, rate=rate, step=step)
    began = gate.clock.now
    for target in targets:
        moved.move_to(target)
        assert gate.value == target
    levels = [0.3, *(level for _, level in gate.writes)]
    assert max(abs(b - a) for a, b in pairwise(levels)) <= (step or 0.2 * rate) * (1 + 1e-9)
    way = sum(abs(b - a) for a, b in pairwise([0.3, *targets]))
    assert gate.clock.now - began >= way / rate * (1 - 1e-9)


@pytest.mark.parametrize("value", [2.001, -2.001, float("inf")])
def test_beyond_the_limits_nothing_is_sent(value: float) -> None:
    gate = Gate()
    with pytest.raises(RequestError, match=r"gate, smu .*-2 to 2 V"):
        setpoint(gate).move_to(value)
    assert gate.writes == []


def test_a_value_that_is_no_number_is_refused_in_words() -> None:
    with pytest.raises(RequestError, match=r"value is not a number \(NaN\)\. Nothing was sent"):
        setpoint(Gate()).move_to(float("nan"))


def test_a_setpoint_without_a_unit_is_told_without_one() -> None:
    spec = SetpointSpec(instrument="smu", kind="setpoint", maximum=2.0, rate=0.5)
    gate = Gate()
    moved = RampedSetpoint(gate, spec, gate.clock, name="gate, smu", unit="")
    with pytest.raises(RequestError, match=r"^gate, smu: 3\.0 is not allowed; -2 to 2 are\. Nothing was sent\.$"):
        moved.move_to(3.0)
    assert moved.finish() == "gate, smu was 0; it is 0 now, read back"


def test_an_instrument_that_follows_slowly_is_waited_for() -> None:
    gate = Gate(lag=3.0)
    setpoint(gate).move_to(1.0)
    assert gate.value == 1.0
    assert gate.clock.now - gate.writes[-1][0] >= 3.0


def test_one_that_never_arrives_is_reported() -> None:
    gate = Gate(lag=1e6)
    with pytest.raises(SettingError, match=r"gate, smu .*after a ramp"):
        setpoint(gate).move_to(1.0)


@pytest.mark.parametrize(("at_end", "left", "on"), [("zero", 0.0, True), ("stay", 1.0, True), ("off", 0.0, False)])
def test_it_ends_as_the_station_file_says(at_end: str, left: float, on: bool) -> None:
    gate = Gate()
    moved = setpoint(gate, at_end=at_end, output="output")
    moved.move_to(1.0)
    assert gate.on
    assert moved.in_use
    assert "gate, smu (GPIB0::3)" in moved.finish()
    assert (gate.value, gate.on) == (left, on)
    assert not moved.in_use


def test_what_a_dead_run_has_left_is_ramped_down_from_the_read_back_value() -> None:
    gate = Gate(value=1.5)
    setpoint(gate).finish()
    assert gate.value == 0.0
    assert max(abs(b - a) for a, b in pairwise([1.5, *(level for _, level in gate.writes)])) <= 0.1


def test_an_end_that_is_interrupted_is_reached_by_the_next_attempt() -> None:
    gate = Gate()
    moved = setpoint(gate, at_end="zero")
    moved.move_to(1.0)
    sleep = gate.clock.sleep

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    gate.clock.sleep = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        moved.finish()
    assert moved.in_use
    gate.clock.sleep = sleep  # type: ignore[method-assign]
    moved.finish()
    assert gate.value == 0.0
    assert not moved.in_use


def test_an_output_that_is_off_goes_on_at_zero() -> None:
    gate = Gate(value=1.5)
    setpoint(gate, output="output").move_to(0.2)
    assert gate.writes[0][1] == 0.0


def test_the_minimum_may_be_positive_where_it_stays() -> None:
    gate = Gate(value=0.05)
    setpoint(gate, minimum=0.01, maximum=0.3, rate=0.01, at_end="stay").move_to(0.1)
    assert gate.value == 0.1
