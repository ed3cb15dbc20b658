"""The front panel of the SR860 and its relatives: unmodified drivers of other packages, grammar, ranges, overloads."""

import math

import numpy as np
import pytest
import pyvisa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymeasure.instruments.srs import SR860 as PymeasureSR860  # noqa: N811
from pyvisa.resources import MessageBasedResource
from qcodes.instrument_drivers.stanford_research import SR860, SR865, SR865A

from sim_instruments import Twin
from sim_instruments.visa import LabnisVisaLibrary
from sim_instruments.world.fridge import World
from tests.sr860_twin import lockin_model, sr860_twin  # noqa: F401  # fixtures

DRIVERS = {"SR860": SR860, "SR865": SR865, "SR865A": SR865A}


@pytest.fixture
def wire(twin: Twin) -> MessageBasedResource:
    opened = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["lockin"])
    assert isinstance(opened, MessageBasedResource)
    opened.read_termination = opened.write_termination = "\n"
    opened.write("*CLS")
    return opened


@pytest.fixture
def world(wire: MessageBasedResource) -> World:
    library = wire.visalib
    assert isinstance(library, LabnisVisaLibrary)
    library.world.set_source(level=2e-3, output=True, current_limit=1e-3)
    return library.world


def rejected(wire: MessageBasedResource) -> int:
    """Command, execution, device and query error bits of the event status register."""
    return int(wire.query("*ESR?")) & 0b111100


@pytest.mark.parametrize(("model", "highest"), [("SR860", 500e3), ("SR865", 2e6), ("SR865A", 4e6)])
def test_qcodes_driver(twin: Twin, wire: MessageBasedResource, world: World, model: str, highest: float) -> None:
    amplifier = DRIVERS[model]("lockin", twin.addresses["lockin"], visalib=twin.visalib)
    assert amplifier.get_idn()["model"] == model
    amplifier.frequency(77.7)
    amplifier.amplitude(0.1)
    amplifier.signal_input("voltage")
    amplifier.sensitivity(20e-3)
    amplifier.input_range(100e-3)
    amplifier.time_constant(30e-3)
    amplifier.filter_slope(24)
    amplifier.X_expand("X10")
    amplifier.data_channels[3].assigned_parameter("aux_in1")
    amplifier.aux_out1(1.5)
    twin.clock.sleep(2)
    expected = world.lockin_input(0.0).real
    assert amplifier.X() == pytest.approx(expected, rel=1e-2)
    assert amplifier.complex_voltage().real == pytest.approx(expected, rel=1e-2)
    assert amplifier.get_values("X", "frequency")[1] == pytest.approx(77.7)
    assert amplifier.get_data_channels_dict()["R"] == pytest.approx(expected, rel=1e-2)
    assert amplifier.sensitivity() == 20e-3
    assert amplifier.aux_out1() == 1.5
    amplifier.snapshot(update=True)
    assert rejected(wire) == 0
    amplifier.frequency(highest)
    assert amplifier.frequency() == highest


def test_qcodes_capture(twin: Twin, wire: MessageBasedResource, world: World) -> None:
    amplifier = SR860("lockin", twin.addresses["lockin"], visalib=twin.visalib)
    wire.write("SLVL 0.1;FREQ 77.7;SCAL 5;OFLT 8;OFSL 3")
    twin.clock.sleep(2)
    amplifier.buffer.capture_config("X,Y")
    amplifier.buffer.set_capture_rate_to_maximum()
    captured = amplifier.buffer.capture_samples(64)
    assert np.mean(captured["X"]) == pytest.approx(world.lockin_input(0.0).real, rel=1e-2)
    assert rejected(wire) == 0


def test_pymeasure_driver(twin: Twin, wire: MessageBasedResource, world: World) -> None:
    amplifier = PymeasureSR860(twin.addresses["lockin"], visa_library=twin.visalib)
    amplifier.frequency = 77.7
    amplifier.sine_voltage = 0.1
    amplifier.sensitivity = 20e-3
    amplifier.time_constant = 30e-3
    amplifier.filter_slope = 3
    amplifier.input_range = "100M"
    amplifier.aux_out_2 = -2.0
    twin.clock.sleep(2)
    assert amplifier.x == pytest.approx(world.lockin_input(0.0).real, rel=1e-2)
    assert amplifier.snap("X", "Y")[0] == pytest.approx(amplifier.x, rel=1e-2)
    assert len(amplifier.snap_all()) == 4
    assert amplifier.sensitivity == 20e-3
    assert amplifier.aux_out_2 == pytest.approx(-2.0)
    assert amplifier.get_noise_bandwidth == pytest.approx(5 / 64 / 30e-3)
    assert rejected(wire) == 0
    amplifier.filter_advanced = "On"  # it sends ADVFIL, which is none of the instrument's commands
    assert rejected(wire) == 32


def test_answers_of_one_message_come_in_one_line(wire: MessageBasedResource) -> None:
    assert wire.query("SCAL?;OFLT?;IVMD?") == "0;10;0"
    wire.write("IVMD CURRent;RSRC EXT;SLVL 20 MV")
    assert wire.query("IVMD?;RSRC?;SLVL?") == "1;1;0.02"


@pytest.mark.parametrize(
    ("message", "bit"),
    [("SLVL0.1", 32), ("SLVL ?", 32), ("SCAL 28", 16), ("SLVL 2.1", 16), ("SOFF 6", 16), ("OUTP? 17", 16), ("FOO", 32)],
)
def test_what_is_rejected(wire: MessageBasedResource, message: str, bit: int) -> None:
    wire.write(message)
    assert rejected(wire) == bit


def test_the_amplitude_has_three_digits(wire: MessageBasedResource) -> None:
    wire.write("SLVL 0.12345")
    assert float(wire.query("SLVL?")) == pytest.approx(0.123)


def test_an_input_range_overloads_but_a_scale_only_says_so(
    twin: Twin, wire: MessageBasedResource, world: World
) -> None:
    wire.write("SLVL 0.1;FREQ 77.7;SCAL 8;IRNG 2;OFLT 8")  # 4 mV, scale 2 mV
    twin.clock.sleep(2)
    expected = world.lockin_input(0.0).real
    assert float(wire.query("OUTP? X")) == pytest.approx(expected, rel=1e-2)
    assert int(wire.query("LIAS?")) & 0b10011 == 1
    wire.write("SCAL 5;SLVL 0.5;IRNG 4")  # 20 mV rms in a range of 10 mV
    twin.clock.sleep(2)
    assert float(wire.query("OUTP? X")) <= 1.001 * 10e-3 / math.sqrt(2)
    assert int(wire.query("CUROVLDSTAT?")) & 16
    assert int(wire.query("LIAS?")) & 16
    wire.write("IRNG 1")
    wire.query("LIAS?")
    assert int(wire.query("LIAS?")) & 16 == 0


def test_direct_current_is_in_the_input_range_only_with_direct_coupling(
    twin: Twin, wire: MessageBasedResource, world: World
) -> None:
    world.set_source(level=1e-2, output=True, current_limit=1e-3)
    wire.write("IRNG 4;ICPL DC")
    assert int(wire.query("CUROVLDSTAT?")) & 16
    wire.write("ICPL AC")
    assert int(wire.query("CUROVLDSTAT?")) & 16 == 0


@pytest.mark.faults
@settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_it_survives_any_message(wire: MessageBasedResource, data: st.DataObject) -> None:
    library = wire.visalib
    assert isinstance(library, LabnisVisaLibrary)
    panel = library.panels["lockin"]
    words = st.sampled_from(sorted(panel.commands()))
    parameters = st.lists(st.sampled_from(["0", "1", "2", "-1", "1e9", "0.5", "ON", "nan", "X", "IMM", "'", "1 MV"]))
    texts = st.tuples(words, parameters).map(lambda parts: f"{parts[0]} {','.join(parts[1])}".encode())
    for message in data.draw(st.lists(texts | st.binary(max_size=30), max_size=8)):
        panel.receive(message)
    panel.device_clear()
    panel.receive(b"*IDN?")
    assert panel.take(200)[0].startswith(b"Stanford_Research_Systems,SR860,TWIN")
