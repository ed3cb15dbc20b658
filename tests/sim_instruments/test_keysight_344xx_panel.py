"""The front panels of the Keysight Truevolt multimeters: unmodified drivers of others, ranges, math, triggers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import pyvisa
from pymeasure.instruments.agilent import Agilent34410A
from pymeasure.instruments.hp import HP34401A
from qcodes.instrument_drivers import Keysight

from sim_instruments import Twin
from tests.metered_twin import metered_twin, panel_of

MODELS = ("Keysight34460A", "Keysight34461A", "Keysight34465A", "Keysight34470A")
NO_ERROR = '+0,"No error"'


@pytest.fixture
def twin() -> Iterator[Twin]:
    with metered_twin("Keysight34465A") as found:
        yield found


@pytest.fixture
def wire(twin: Twin) -> Any:
    opened: Any = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["dmm"])
    opened.read_termination = opened.write_termination = "\n"
    return opened


def right(twin: Twin) -> float:
    return -1e7 * float(panel_of(twin).world.present_state().current[0])


@pytest.mark.parametrize("model", MODELS)
def test_qcodes_driver(model: str) -> None:
    with metered_twin(model) as twin:
        dmm = getattr(Keysight, model)("dmm", twin.addresses["dmm"], visalib=twin.visalib)
        assert dmm.volt() == pytest.approx(right(twin), rel=1e-3)
        dmm.NPLC(1)
        dmm.range(1)
        assert dmm.autorange() == "OFF"
        assert dmm.resolution() == pytest.approx(dmm._resolution_factors[dmm.NPLC_list.index(1)])
        dmm.autozero("OFF")
        dmm.sample.count(5)
        assert dmm.read() == pytest.approx(np.full(5, right(twin)), rel=1e-2)
        assert dmm.res() == np.inf
        dmm.display.text("measuring")
        dmm.display.clear()
        dmm.snapshot(update=True)
        assert dmm.sense_function() == "DC Voltage"
        assert dmm.error() == (0, "No error")
        if model in MODELS[2:]:
            dmm.aperture_time(0.05)
            assert dmm.aperture_mode() == "ON"
            dmm.timetrace_npts(7)
            dmm.timetrace_dt(0.2)
            assert dmm.timetrace() == pytest.approx(np.full(7, right(twin)), rel=1e-2)
        dmm.reset()
        assert (dmm.NPLC(), dmm.autorange(), dmm.trigger.source()) == (10, "ON", "IMM")
        assert dmm.error() == (0, "No error")


def test_pymeasure_drivers(twin: Twin, wire: Any) -> None:
    dmm = Agilent34410A(twin.addresses["dmm"], visa_library=twin.visalib)
    assert dmm.voltage_dc == pytest.approx(right(twin), rel=1e-3)
    assert dmm.current_dc == 0.0
    assert dmm.resistance == 9.9e37
    other = HP34401A(twin.addresses["dmm"], visa_library=twin.visalib)
    other.function_ = "DCV"
    other.nplc = 1
    other.trigger_source = "IMM"
    other.sample_count = 3
    assert other.reading == pytest.approx([right(twin)] * 3, rel=1e-2)
    assert other.terminals_used == "FRONT"
    assert wire.query("SYST:ERR?") == NO_ERROR


def test_a_range_overloads_beyond_one_fifth_more(twin: Twin, wire: Any) -> None:
    wire.write("VOLT:RANG 0.3")
    assert float(wire.query("VOLT:RANG?")) == 1.0
    wire.write("VOLT:RANG 0.1")
    assert wire.query("READ?") == "-9.90000000E+37"
    wire.write("VOLT:RANG:AUTO ONCE")
    assert (float(wire.query("VOLT:RANG?")), wire.query("VOLT:RANG:AUTO?")) == (1.0, "0")
    wire.write("VOLT:RANG 1001")
    assert wire.query("SYST:ERR?").startswith("-222")


def test_an_integration_lasts_its_cycles_twice_with_autozero(twin: Twin, wire: Any) -> None:
    wire.timeout = 10_000
    for zero, factor in (("ON", 2), ("OFF", 1)):
        wire.write(f"VOLT:NPLC 100;ZERO:AUTO {zero}")
        started = twin.clock.time()
        wire.query("READ?")
        assert twin.clock.time() - started == pytest.approx(2.0 * factor, abs=0.02)
    wire.write("VOLT:NPLC 5")
    assert wire.query("SYST:ERR?").startswith("-222")


def test_null_and_math(twin: Twin, wire: Any) -> None:
    wire.write("VOLT:NULL ON;NULL:VAL:AUTO ON")
    assert float(wire.query("READ?")) == pytest.approx(0.0, abs=1e-4)
    wire.write("VOLT:NULL:VAL 0.1")
    assert float(wire.query("READ?")) == pytest.approx(right(twin) - 0.1, rel=1e-3)
    wire.write("VOLT:NULL OFF;:CALC:SCAL:FUNC DB;STAT ON")
    assert float(wire.query("READ?")) == pytest.approx(20 * np.log10(-right(twin)), abs=0.1)
    wire.write("CALC:SCAL:FUNC PCT;REF -0.2")
    assert float(wire.query("READ?")) == pytest.approx((right(twin) + 0.2) / -0.2 * 100, rel=1e-2)


def test_triggers(twin: Twin, wire: Any) -> None:
    wire.timeout = 500
    wire.write("TRIG:SOUR BUS")
    wire.write("READ?")
    assert wire.query("SYST:ERR?") == '-214,"Trigger deadlock"'
    wire.write("*TRG")
    assert wire.query("SYST:ERR?") == '-211,"Trigger ignored"'
    wire.write("SAMP:COUN 2;:INIT;*TRG")
    assert len(wire.query("FETC?").split(",")) == 2
    assert int(wire.query("DATA:POIN?")) == 2
    wire.write("TRIG:SOUR EXT")
    with pytest.raises(pyvisa.VisaIOError):
        wire.query("READ?")
    with pytest.raises(pyvisa.VisaIOError):  # nothing is executed
        wire.query("*IDN?")
    wire.clear()
    assert "34465A" in wire.query("*IDN?")


def test_a_reading_without_a_measurement_is_stale(wire: Any) -> None:
    wire.write("FETC?")
    assert wire.query("SYST:ERR?").startswith("-230")


def test_real_data_have_a_byte_order(twin: Twin, wire: Any) -> None:
    wire.write("FORM REAL;:FORM:BORD SWAP;:SAMP:COUN 3")
    found = wire.query_binary_values("READ?", datatype="d", is_big_endian=False)
    assert found == pytest.approx([right(twin)] * 3, rel=1e-2)
