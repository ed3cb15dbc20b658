"""The QDAC-II's front panel: the unmodified driver of qcodes_contrib_drivers, ranges, lists, the current sensor."""

from collections.abc import Iterator

import pytest
from pyvisa.resources import MessageBasedResource
from qcodes_contrib_drivers.drivers.QDevil.QDAC2 import QDac2

from sim_instruments import Twin
from tests.single_instrument_twin import opened_wire, source_twin

NO_ERROR = '0, "No error"'


@pytest.fixture(name="twin")
def qdac_twin() -> Iterator[Twin]:
    with source_twin("QDac2", "ch05") as found:
        yield found


@pytest.fixture
def wire(twin: Twin) -> MessageBasedResource:
    return opened_wire(twin)


@pytest.fixture
def upstream(twin: Twin) -> QDac2:
    return QDac2("qdac", twin.addresses["source"], visalib=twin.visalib)


def test_qcodes_contrib_driver(upstream: QDac2, twin: Twin) -> None:
    assert upstream.IDN()["model"] == "QDAC-II"
    channel = upstream.ch05
    channel.output_mode(range="low", filter="dc")
    channel.dc_constant_V(0.5)
    assert channel.dc_constant_V() == pytest.approx(0.5, abs=1e-6)
    assert channel.dc_last_V() == 0.5
    channel.dc_slew_rate_V_per_s(1.0)
    channel.dc_constant_V(1.0)
    twin.clock.sleep(0.25)
    assert channel.dc_constant_V() == pytest.approx(0.75, abs=0.03)
    twin.clock.sleep(0.5)
    assert channel.dc_constant_V() == pytest.approx(1.0, abs=1e-6)
    channel.measurement_range("low")
    channel.measurement_aperture_s(0.1)
    channel.measurement_count(3)
    assert len(channel.read_current_A()) == 3
    assert len(channel.fetch_current_A()) == 3
    assert upstream.errors() == NO_ERROR
    upstream.snapshot(update=True)
    assert upstream.errors() == NO_ERROR


def test_a_list_of_the_contrib_driver_runs_and_is_clipped(upstream: QDac2, twin: Twin) -> None:
    channel = upstream.ch05
    channel.output_range("low")
    dc_list = channel.dc_list([0.5, 1.0, 5.0], dwell_s=0.1)
    assert dc_list.points() == 3
    dc_list.start()
    seen = []
    for _ in range(3):
        seen.append(channel.dc_constant_V())
        twin.clock.sleep(0.1)
    assert seen == pytest.approx([0.5, 1.0, 2.0], abs=1e-5)
    assert upstream.errors() == NO_ERROR


def test_a_waveform_of_the_contrib_driver_stays_until_it_is_aborted(upstream: QDac2) -> None:
    sine = upstream.ch05.sine_wave(frequency_Hz=10.0, span_V=0.1)
    sine.start()
    assert upstream.errors() == NO_ERROR
    upstream.ch05.abort()
    assert upstream.errors() == NO_ERROR


def test_the_query_of_the_level_gives_what_the_converter_has(wire: MessageBasedResource) -> None:
    wire.write("sour5:volt 1.2345678")
    assert float(wire.query("sour5:volt:last?")) == 1.2345678
    present = float(wire.query("sour5:volt?"))
    assert 0 < abs(present - 1.2345678) < 1e-6


def test_channels_as_a_list(wire: MessageBasedResource) -> None:
    wire.write("sour:volt 0.25,(@1,3:4)")
    levels = [float(level) for level in wire.query("SOURce:VOLTage? (@1:5)").split(",")]
    assert levels == pytest.approx([0.25, 0, 0.25, 0.25, 0], abs=1e-6)
    wire.write("sour25:volt 1")
    assert wire.query("syst:err?").startswith("-114")


def test_a_current_beyond_the_low_range_reads_as_its_end(wire: MessageBasedResource) -> None:
    wire.write("sour5:volt 8")
    assert float(wire.query("read5?")) > 200e-9
    wire.write("sens5:rang low")
    assert float(wire.query("read5?")) == 150e-9
    assert float(wire.query("read4?")) == 0.0


def test_a_level_beyond_the_range_is_refused(wire: MessageBasedResource) -> None:
    wire.write("sour5:rang low")
    wire.write("sour5:volt 2.5")
    assert wire.query("syst:err?").startswith("-222")
    assert wire.query("syst:err:all?") == NO_ERROR
