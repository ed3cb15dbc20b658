"""Instruments without the methods of roles, used through the names of their parameters, properties and methods."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError
from qcodes.instrument import Instrument, InstrumentChannel
from qcodes.validators import Enum, Numbers

from drivers.errors import CommunicationError, ComplianceError, OverloadError, ReadingError, SettingError
from drivers.roles import BiasSource
from labnis.station.parameter_source import ParameterSource
from labnis.station.parameters import Parameter
from labnis.station.players import player_of
from labnis.station.role_check import missing_members
from labnis.station.role_spec import KINDS, spec_input

RANGES = (10e-3, 0.1, 1.0, 10.0)


class Source(Instrument):
    """Like QCoDeS's driver of a Yokogawa GS200: words for the output, a few ranges, no current reading."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.held: dict[str, Any] = {"voltage": 0.0, "output": "off", "voltage_range": 10.0, "current_limit": 1e-3}
        for key in self.held:
            self.add_parameter(
                key,
                get_cmd=lambda key=key: self.held[key],
                set_cmd=lambda value, key=key: self.held.update({key: value}),
                vals=Enum(*RANGES) if key == "voltage_range" else None,
                unit="V" if key == "voltage" else "",
            )
        channel = InstrumentChannel(self, "ch1")
        channel.add_parameter("volt", get_cmd=lambda: 1.5, set_cmd=False, unit="V")
        self.add_submodule("ch1", channel)


class Meter:
    """Like a pymeasure class: properties; `triggered` counts how often it was asked."""

    def __init__(self, value: Any = 2.5) -> None:
        self.value = value
        self.triggered = 0

    @property
    def current(self) -> Any:
        self.triggered += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    @current.setter
    def current(self, value: float) -> None:
        if value > 10:
            raise ValueError("at most 10")
        self.value = value


@pytest.fixture
def source() -> Any:
    instrument = Source("yoko")
    yield instrument
    instrument.close()


def spec(role: str, **given: Any) -> Any:
    found = spec_input(role, {"instrument": "yoko", **given})
    assert isinstance(found, dict), found
    return KINDS[found["kind"]].spec.model_validate(found)


GS200 = {"level": "voltage", "output": "output", "range": "voltage_range", "compliance": "current_limit"}


def test_a_source_by_its_parameters_fills_the_role(source: Source) -> None:
    bias = player_of(spec("bias", **GS200), source, "yoko (GPIB0::1)")
    assert isinstance(bias, ParameterSource)
    assert missing_members(bias, BiasSource) == []
    bias.prepare(maximum_voltage=0.06, maximum_current=1e-6, compliance=5e-6, integration_time=0.02)
    assert source.held["voltage_range"] == 0.1  # the lowest that holds it
    assert source.held["current_limit"] == 5e-6
    assert not bias.output_enabled()
    bias.output_on()
    assert source.held["output"] == "on"
    bias.set_level(0.05)
    assert bias.level() == 0.05
    reading = bias.read()
    assert (reading.voltage, reading.voltage_range) == (0.05, 0.1)
    assert math.isnan(reading.current)
    bias.output_off()
    assert source.held["output"] == "off"


def test_a_range_that_fits_is_not_switched_over(source: Source) -> None:
    source.held["voltage_range"] = 0.1
    bias = ParameterSource(source, spec("bias", **GS200), "yoko (GPIB0::1)")
    bias.prepare(maximum_voltage=0.011, maximum_current=1e-6, compliance=5e-6, integration_time=0.02)
    assert source.held["voltage_range"] == 0.1


def test_a_level_beyond_every_range_is_refused(source: Source) -> None:
    bias = ParameterSource(source, spec("bias", **GS200), "yoko (GPIB0::1)")
    with pytest.raises(SettingError, match=r"voltage_range.*0\.01, 0\.1, 1, 10"):
        bias.prepare(maximum_voltage=30.0, maximum_current=1e-6, compliance=5e-6, integration_time=0.02)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_level_that_is_no_number_is_sent(source: Source, value: float) -> None:
    bias = ParameterSource(source, spec("bias", **GS200), "yoko (GPIB0::1)")
    with pytest.raises(SettingError, match="nothing was sent"):
        bias.set_level(value)


def test_an_output_that_stays_off_is_reported() -> None:
    stuck = SimpleNamespace(voltage=lambda: 0.0, output=lambda *_: "off")
    with pytest.raises(SettingError, match="output does not go on"):
        player_of(spec("bias", level="voltage", output="output"), stuck, "yoko (GPIB0::1)").output_on()


@pytest.mark.parametrize("channel", [{"channel": "ch1", "parameter": "volt"}, {"parameter": "ch1.volt"}])
def test_a_parameter_of_a_submodule_is_found(source: Source, channel: dict[str, str]) -> None:
    reading = player_of(spec("pressure", kind="reading", **channel), source, "yoko (GPIB0::1)")
    assert reading.read() == 1.5
    assert reading.unit == "V"


def test_a_parameter_that_is_not_there_is_named_with_those_there_are(source: Source) -> None:
    with pytest.raises(LookupError, match=r"Source has no amps; it has ch1, .*voltage"):
        Parameter(source, "amps", "yoko (GPIB0::1)")


def test_a_property_is_not_asked_before_it_is_read() -> None:
    meter = Meter()
    parameter = Parameter(meter, "current", "dmm (GPIB0::2)", "A")
    assert meter.triggered == 0
    assert parameter.read() == 2.5
    parameter.set_level(3.5)
    assert parameter.level() == 3.5
    assert parameter.unit == "A"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (9.9e37, OverloadError),
        (-9.9e37, OverloadError),
        (math.nan, ReadingError),
        (math.inf, ReadingError),
        ("off", ReadingError),
        (None, ReadingError),
        (ZeroDivisionError("driver"), CommunicationError),
        (TimeoutError("bus"), CommunicationError),
    ],
)
def test_what_is_no_number_is_an_error_of_the_instrument(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"dmm \(GPIB0::2\): current"):
        Parameter(Meter(value), "current", "dmm (GPIB0::2)").read()


@pytest.mark.parametrize("found", [None, "off", TimeoutError("bus"), VisaIOError(StatusCode.error_timeout)])
@pytest.mark.parametrize(
    ("role", "method", "given"),
    [
        ("current", "read", {}),
        ("voltage", "read", {}),
        ("fridge", "temperature", {}),
        ("fridge", "channel_temperature", {"channel": 3}),
        ("current", "read_auxiliary", {"channel": "aux1"}),
        ("pressure", "read", {"kind": "reading"}),
    ],
)
def test_the_methods_of_a_labs_own_meter_are_checked_like_parameters(
    role: str, method: str, given: dict[str, Any], found: Any
) -> None:
    def method_of(*arguments: Any) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    meter = SimpleNamespace(**{method: method_of}, unit="mbar")
    player = player_of(spec(role, **given), meter, f"{role}, yoko (GPIB0::2)")
    read = player.temperature if role == "fridge" else player.read
    error = CommunicationError if isinstance(found, Exception) else ReadingError
    with pytest.raises(error, match=rf"{role}, yoko \(GPIB0::2\): {method} (reads|cannot be read)"):
        read()
    if role == "pressure":
        assert player.unit == "mbar"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"get_cmd": lambda: 0.0, "set_cmd": False}, "can only be read"),
        ({"get_cmd": False, "set_cmd": lambda value: None}, "can only be set"),
        ({"vals": Numbers(-1.0, 0.1)}, r"does not take 0\.2, which the station file allows: .*0\.1"),
    ],
)
def test_a_parameter_that_cannot_be_moved_within_its_limits_is_refused_before_it_moves(
    source: Source, options: dict[str, Any], words: str
) -> None:
    source.add_parameter("gate", **({"get_cmd": lambda: 0.0, "set_cmd": lambda value: None} | options))
    with pytest.raises(LookupError, match=rf"gate, yoko: gate {words}"):
        Parameter(source, "gate", "gate, yoko").require_settable(-0.2, 0.2)
    Parameter(source, "voltage", "gate, yoko").require_settable(-0.2, 0.2)


def test_a_property_without_a_setter_is_refused_before_it_moves() -> None:
    class Fixed:
        field = property(lambda self: 0.0)

    with pytest.raises(LookupError, match="field can only be read"):
        Parameter(Fixed(), "field", "field, magnet").require_settable(0.0, 1.0)


def test_a_value_that_the_driver_refuses_is_a_setting_error() -> None:
    with pytest.raises(SettingError, match="at most 10"):
        Parameter(Meter(), "current", "dmm (GPIB0::2)").set_level(11.0)


def test_a_class_without_the_methods_of_its_role_says_what_helps(source: Source) -> None:
    with pytest.raises(LookupError, match=r"lacks .*output_on\(\).*name its channel .*parameters"):
        player_of(spec("bias"), source, "yoko")
    with pytest.raises(LookupError, match=r"lacks read\(\).*name its parameter"):
        player_of(spec("current"), Meter(), "dmm")


def test_a_thermometer_has_inputs_or_a_parameter() -> None:
    bridge = SimpleNamespace(channel_temperature=lambda channel: {3: 0.02, "still": 0.8}[channel])
    assert player_of(spec("fridge", channel=3), bridge, "bridge").temperature() == 0.02
    assert player_of(spec("fridge", channel="still"), bridge, "bridge").temperature() == 0.8
    assert player_of(spec("fridge", parameter="current"), Meter(0.1), "bridge").temperature() == 0.1


# --- readings that are not possible -----------------------------------------------------------------------------------


class Bridge:
    """A lab's own thermometer, which returns what it likes."""

    def __init__(self, kelvin: Any) -> None:
        self.kelvin = kelvin

    def temperature(self) -> Any:
        return self.kelvin

    def channel_temperature(self, _channel: int) -> Any:
        return self.kelvin


@pytest.mark.parametrize(
    "kelvin", [0.0, -1.0, 1e-9, 1e32, math.nan, math.inf, 9.9e37, None, "", pytest.param(10**400, id="long")]
)
@pytest.mark.parametrize("named", [{}, {"parameter": "temperature"}, {"channel": 5}])
def test_no_thermometer_says_that_all_is_cold_without_a_possible_temperature(
    kelvin: Any, named: dict[str, Any]
) -> None:
    with pytest.raises(ReadingError, match=r"temperature.*reads|temperature is over-range"):
        player_of(spec("fridge", **named), Bridge(kelvin), "mine (GPIB0::3)").temperature()


@pytest.mark.parametrize("value", [1e24, -1e24, 4e3])
def test_a_level_that_no_source_has_is_no_beginning_of_a_ramp(source: Source, value: float) -> None:
    source.held["voltage"] = value
    with pytest.raises(ReadingError, match="yoko"):
        ParameterSource(source, spec("bias", **GS200), "yoko (GPIB0::1)").level()


def test_a_reading_beyond_what_was_set_is_no_data(source: Source) -> None:
    source.add_parameter("current", get_cmd=lambda: source.held["now"])
    bias = ParameterSource(source, spec("bias", **GS200, current="current"), "yoko (GPIB0::1)")
    bias.prepare(maximum_voltage=0.06, maximum_current=1e-6, compliance=5e-6, integration_time=0.02)
    for now, level, beyond in ((1e-6, 0.2, "range"), (1e-3, 0.05, "compliance")):
        source.held |= {"now": now, "voltage": level}
        with pytest.raises(ReadingError, match=f"beyond its {beyond}"):
            bias.read()
    source.held |= {"now": 4e-6, "voltage": 0.1}
    assert bias.read().current == 4e-6
    source.held["now"] = -4.99e-6
    with pytest.raises(
        ComplianceError, match=r"yoko \(GPIB0::1\): is at its current limit of 5e-06 A.*raise the compl"
    ):
        bias.read()


@pytest.mark.parametrize("value", [9.9e37, -9.9e37, "OVLD", "-OVERLOAD", "OL", 1e38])
def test_over_range_is_told_as_over_range(value: Any) -> None:
    with pytest.raises(OverloadError, match=r"dmm \(GPIB0::2\): current .*over-range.*Choose a higher range"):
        Parameter(Meter(value), "current", "dmm (GPIB0::2)", "A").read()


def test_the_marker_for_not_a_number_is_not_told_as_over_range() -> None:
    with pytest.raises(OverloadError, match=r"current is not a number \(marker 9\.91e\+37\)") as caught:
        Parameter(Meter(9.91e37), "current", "dmm (GPIB0::2)", "A").read()
    assert "over-range" not in str(caught.value)


def test_what_was_set_and_read_is_told_with_its_unit(source: Source) -> None:
    source.add_parameter("field", get_cmd=lambda: 0.5, set_cmd=lambda _: None, unit="T")
    field = Parameter(source, "field", "magnet (GPIB0::2)")
    with pytest.raises(SettingError, match=r"field reads 0\.5 T where 0\.2 T was set\. The setting was ignored"):
        field.set_checked(0.2, 1e-3)


def test_the_limits_of_the_driver_are_those_of_a_reading(source: Source) -> None:
    source.add_parameter("field", get_cmd=lambda: source.held["now"], vals=Numbers(-3, 3), unit="T")
    field = Parameter(source, "field", "magnet (GPIB0::2)")
    source.held["now"] = 3.01
    assert field.read() == 3.01
    source.held["now"] = 12.0
    with pytest.raises(ReadingError, match=r"magnet \(GPIB0::2\): field reads 12 T; -3\.3 to 3\.3 T is possible"):
        field.read()


def test_a_range_that_the_source_does_not_have_is_no_range(source: Source) -> None:
    source.held["voltage_range"] = 0.05
    bias = ParameterSource(source, spec("bias", **GS200), "yoko (GPIB0::1)")
    with pytest.raises(ReadingError, match=r"voltage_range reads 0\.05.*0\.01, 0\.1, 1, 10"):
        bias.prepare(maximum_voltage=0.03, maximum_current=1e-6, compliance=5e-6, integration_time=0.02)
