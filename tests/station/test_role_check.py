"""Which methods an instrument, or its class alone, lacks for a role: the same answer on every version of Python."""

from typing import Any, Protocol

import pytest
from pymeasure.instruments.keithley import Keithley2400 as PymeasureKeithley2400
from qcodes.instrument import Instrument
from qcodes.instrument_drivers.stanford_research import SR830 as QcodesSR830  # noqa: N811  # an instrument's name

from drivers.capabilities import BufferedSweep, SelfRamping
from drivers.keithley_2450 import Keithley2450
from drivers.roles import BiasSource, LockIn, Thermometer
from labnis.station.plausible_role import PlausibleRole
from labnis.station.role_check import missing_members

from .fakes import FakeSource
from .test_buffered_sweep import MeasuringSource


class Ramp(Protocol):
    speed: float

    @property
    def longest(self) -> int: ...

    def start(self, levels: list[float], *, interval: float) -> None: ...


class LoggedRamp(Ramp, Protocol):
    def log(self) -> list[str]: ...


class Complete:
    speed = 1.0

    @property
    def longest(self) -> int:
        raise AssertionError("a property was evaluated")

    def start(self, steps: list[float], *, interval: float, repeats: int = 1) -> None: ...

    def log(self) -> list[str]:
        raise AssertionError("a method was called")


def variant(**members: Any) -> type:
    return type("Variant", (Complete,), members)


def test_nothing_is_missing_and_nothing_is_evaluated() -> None:
    for player in (Complete, Complete()):
        assert missing_members(player, LoggedRamp) == []
    assert missing_members(FakeSource, BiasSource) == missing_members(FakeSource(), BiasSource) == []
    assert missing_members(Keithley2450, BiasSource) == missing_members(Keithley2450, SelfRamping) == []


def test_functions_of_an_instance_count_as_its_methods() -> None:
    player: Any = PlausibleRole(MeasuringSource(), "bias", "bias, keithley")  # whose attributes are looked up
    assert missing_members(player, BufferedSweep) == []
    source: Any = MeasuringSource()
    source.fetch_sweep = lambda count: []
    assert missing_members(source, BufferedSweep) == []
    source.fetch_sweep = list
    source.start_sweep = lambda levels: None
    assert missing_members(source, BufferedSweep) == ["start_sweep(levels, settling)"]


def test_everything_that_is_missing_is_named_in_the_order_of_the_protocol() -> None:
    assert missing_members(object(), LoggedRamp) == ["speed", "longest", "start()", "log()"]
    assert missing_members(Keithley2450, LockIn) == [
        "prepare(amplitude=…, frequency=…, time_constant=…, sensitivity=…)",
        "quiet()",
        "settling_time()",
        "read_auxiliary()",
    ]


@pytest.mark.parametrize(
    ("start", "lack"),
    [
        (lambda self, levels: None, "start(interval=…)"),
        (lambda self, *, interval: None, "start(levels, interval=…)"),
        (lambda self, levels, needed, *, interval: None, "start(levels, interval=…)"),
        (property(lambda self: None), "start() (its attribute is not a method)"),
        (None, "start() (its attribute is not a method)"),
        (lambda self, *levels, **options: None, ""),
        (staticmethod(lambda levels, interval: None), ""),
        (classmethod(lambda cls, levels, *, interval: None), ""),
    ],
)
def test_a_method_of_the_right_name_has_to_take_what_the_role_gives(start: Any, lack: str) -> None:
    kind = variant(start=start)
    assert missing_members(kind, Ramp) == missing_members(kind(), Ramp) == ([lack] if lack else [])


def test_parameters_made_by_an_instrument_count_as_methods_and_its_class_gets_the_benefit_of_the_doubt() -> None:
    class Fridge(Instrument):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.add_parameter("temperature", get_cmd=lambda: 0.01)

    instrument = Fridge("fridge")
    try:
        assert missing_members(instrument, Thermometer) == []
    finally:
        instrument.close()
    assert missing_members(Fridge, Thermometer) == []


def test_drivers_of_others_are_distinguished_by_their_classes() -> None:
    assert missing_members(QcodesSR830, Thermometer) == ["temperature()"]
    lacking = missing_members(PymeasureKeithley2400, BiasSource)
    assert {"output_on()", "output_off()", "set_level()", "level()"} <= set(lacking)
