"""The front panel of the Keithley DMM6500: unmodified drivers of others, ranges, filter, math, buffers, languages."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import pyvisa
from pymeasure.instruments.keithley import KeithleyDMM6500 as PymeasureDMM6500
from qcodes.instrument_drivers.Keithley import Keithley6500
from qcodes.instrument_drivers.Keithley.Keithley_6500 import Keithley6500CommandSetError
from qcodes_contrib_drivers.drivers.Tektronix.Keithley_6500 import Keithley_6500

from sim_instruments import Twin
from tests.metered_twin import metered_twin, panel_of

NO_ERROR = '0,"No error;0;0 0"'


@pytest.fixture
def twin() -> Iterator[Twin]:
    with metered_twin("KeithleyDMM6500") as found:
        yield found


@pytest.fixture
def panel(twin: Twin) -> Any:
    return panel_of(twin)


@pytest.fixture
def wire(twin: Twin) -> Any:
    opened: Any = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["dmm"])
    opened.read_termination = opened.write_termination = "\n"
    return opened


def right(twin: Twin) -> float:
    return -1e7 * float(panel_of(twin).world.present_state().current[0])


def test_the_qcodes_driver(twin: Twin, wire: Any) -> None:
    dmm = Keithley6500("dmm", twin.addresses["dmm"], visalib=twin.visalib)
    assert dmm.get_idn()["model"] == "DMM6500"
    dmm.mode("dc current")
    dmm.mode("dc voltage")
    dmm.nplc(10)
    dmm.range(1)
    assert (dmm.nplc(), dmm.range()) == (10.0, 1.0)
    assert wire.query("VOLT:RANG:AUTO?") == "0"
    dmm.averaging_type("moving")
    dmm.averaging_count(4)
    assert (dmm.averaging_type(), dmm.averaging_count()) == ("moving", 4)
    assert dmm.amplitude() == pytest.approx(right(twin), rel=1e-3)
    dmm.display_backlight("On 25")
    dmm.trigger1_source("bus")
    dmm.trigger1_delay(2.0)
    found = dmm.snapshot(update=True)["parameters"]
    assert (found["digits"]["value"], found["trigger1_source"]["value"], found["trigger_count"]["value"]) == (
        6,
        "bus",
        1,
    )
    assert dmm.mode() == "dc voltage"
    assert wire.query("SYST:ERR?") == NO_ERROR
    dmm.reset()
    assert (dmm.nplc(), dmm.range()) == (1.0, 1000.0)


def test_the_qcodes_contrib_driver(twin: Twin, panel: Any, wire: Any) -> None:
    dmm = Keithley_6500("dmm", twin.addresses["dmm"], visalib=twin.visalib)
    assert dmm.voltage_dc() == pytest.approx(right(twin), rel=1e-3)
    assert dmm.volt.nplc() == 1.0
    assert dmm.resistance() == 9.9e37
    dmm.snapshot(update=True)
    panel.terminals = "REAR"
    with pytest.raises(RuntimeError, match="Rear terminal"):
        dmm.voltage_dc()
    assert wire.query("SYST:ERR?") == NO_ERROR


def test_the_qcodes_contrib_driver_with_a_scanner_card(
    twin: Twin, panel: Any, wire: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    panel.card, panel.terminals = "2000,10-Chan Mux,0.0.0a,00000000", "REAR"
    dmm = Keithley_6500("dmm", twin.addresses["dmm"], visalib=twin.visalib)
    assert "2000-SCAN detected" in capsys.readouterr().out
    assert dmm.submodules["ch3"].parameters["voltage_dc"]() == 0.0
    assert panel.closed == ["(@3)"]
    assert wire.query("ROUT:CLOS?") == "(@3)"
    wire.write("ROUT:OPEN:ALL")
    assert wire.query("ROUT:CLOS?") == "(@)"
    assert wire.query("SYST:ERR?") == NO_ERROR


def test_the_pymeasure_driver(twin: Twin, panel: Any, wire: Any) -> None:
    dmm = PymeasureDMM6500(twin.addresses["dmm"], visa_library=twin.visalib)
    for quoted in (False, True):
        type(panel).quoted = quoted
        try:
            dmm.mode = "resistance 4W"
            assert dmm.mode == "resistance 4W"
        finally:
            type(panel).quoted = False
    dmm.measure_voltage(1.0)
    dmm.nplc = 5
    assert dmm.aperture == pytest.approx(0.1)
    dmm.aperture = 0.02
    assert dmm.nplc == pytest.approx(1.0)
    assert dmm.voltage == pytest.approx(right(twin), rel=1e-3)
    assert (dmm.voltage_range, dmm.autorange_enabled, dmm.digits) == (1.0, False, 6)
    assert dmm.terminals_used == "FRONT"
    assert dmm.acquire_relative() == pytest.approx(right(twin), rel=1e-3)
    dmm.enable_relative()
    assert dmm.voltage == pytest.approx(0.0, abs=1e-4)
    dmm.disable_relative()
    assert dmm.enable_filter(count=10) == "1"
    dmm.displayed_text("measuring", "now")
    dmm.data_format = "ASC"
    dmm.autozero_enabled = False
    dmm.trigger_single_autozero()
    assert (dmm.line_frequency, dmm.command_set) == (50.0, "SCPI")
    assert (dmm.points_in_buffer, dmm.buffer_points) == (2, 100_000)
    dmm.beep(1000, 0.1)
    dmm.measure_current(1e-3)
    assert dmm.current == 0.0
    assert wire.query("SYST:ERR?") == NO_ERROR


def test_a_pseudo_scanner_card_of_the_pymeasure_driver(twin: Twin, wire: Any) -> None:
    dmm = PymeasureDMM6500(twin.addresses["dmm"], visa_library=twin.visalib)
    assert dmm.scan_id == "Empty Slot"
    dmm.pseudo_scanner_enabled = True
    assert "Pseudo" in dmm.scan_id
    assert (dmm.scan_vch_start, dmm.scan_vch_end) == (1, 10)
    assert dmm.channels[3].mode == "NONE"
    dmm.channels[3].mode = "resistance"
    assert dmm.channels[3].mode == "resistance"
    assert dmm.mode == "voltage"
    assert wire.query("SYST:ERR?") == NO_ERROR


def test_qcodes_refuses_another_language_which_comes_with_the_next_power_up(twin: Twin, panel: Any, wire: Any) -> None:
    wire.write("*LANG TSP")
    assert wire.query("*LANG?") == "SCPI"
    panel.switch_on()
    assert wire.query("*LANG?") == "TSP"
    with pytest.raises(Keithley6500CommandSetError, match="TSP"):
        Keithley6500("dmm", twin.addresses["dmm"], visalib=twin.visalib)
    wire.write("SENS:FUNC?")
    wire.write("*LANG SCPI")
    panel.switch_on()
    assert wire.query("SYST:ERR?") == NO_ERROR


def test_a_range_overloads_beyond_one_fifth_more(wire: Any) -> None:
    wire.write("VOLT:RANG 0.3")
    assert float(wire.query("VOLT:RANG?")) == 1.0
    wire.write("VOLT:RANG 0.1")
    assert wire.query("READ?") == "-9.900000E+37"
    wire.write("VOLT:RANG 1001")
    assert wire.query("SYST:ERR?").startswith('-222,"Data out of range;1;')
    wire.write("VOLT:RANG:AUTO ON")
    assert abs(float(wire.query("READ?"))) < 1.0
    assert float(wire.query("VOLT:RANG?")) == 1.0


def test_an_integration_lasts_its_cycles_twice_with_autozero(twin: Twin, wire: Any) -> None:
    wire.timeout = 10_000
    wire.write("VOLT:NPLC 12;:VOLT:DEL:AUTO OFF")
    for commands, seconds in (
        ("VOLT:AZER ON", 0.48),
        ("VOLT:AZER OFF", 0.24),
        ("VOLT:AVER:COUN 4;:VOLT:AVER ON", 0.96),
    ):
        wire.write(commands)
        started = twin.clock.time()
        wire.query("READ?")
        assert twin.clock.time() - started == pytest.approx(seconds, abs=0.01)
    wire.write("VOLT:NPLC 13")  # possible at 60 Hz only
    assert wire.query("SYST:ERR?").startswith("-222")


def test_units_offset_and_math(twin: Twin, wire: Any) -> None:
    wire.write("VOLT:UNIT DB")
    assert float(wire.query("READ?")) == pytest.approx(20 * np.log10(-right(twin)), abs=0.1)
    wire.write("VOLT:UNIT VOLT;:VOLT:REL 0.1;:VOLT:REL:STAT ON")
    assert float(wire.query("READ?")) == pytest.approx(right(twin) - 0.1, rel=1e-3)
    wire.write("VOLT:REL:STAT OFF;:CALC:VOLT:MATH:FORM MXB;MMF 2;MBF 5;STAT ON")
    assert float(wire.query("READ?")) == pytest.approx(2 * right(twin) + 5, rel=1e-3)


def test_few_digits_round_an_answer(twin: Twin, wire: Any) -> None:
    wire.write("FORM:ASC:PREC 2")
    assert wire.query("READ?") == format(right(twin), ".1E")
    wire.write("FORM REAL")
    found = wire.query_binary_values("READ?", datatype="d", is_big_endian=False)
    assert found == pytest.approx([right(twin)], rel=0.05)


def test_buffers(wire: Any) -> None:
    wire.timeout = 1000
    wire.write('COUN 3;:TRAC:MAKE "mine", 10')
    assert len(wire.query('READ? "mine", READ, REL').split(",")) == 2
    assert wire.query('TRAC:ACT? "mine"') == "3"
    assert (wire.query('TRAC:FILL:MODE? "mine"'), wire.query("TRAC:FILL:MODE?")) == ("ONCE", "CONT")
    wire.write("TRAC:POIN 10;:TRAC:FILL:MODE ONCE;:COUN 10")
    wire.query("READ?")
    with pytest.raises(pyvisa.VisaIOError):
        wire.query("READ?")
    wire.write("READ? 'defbuffer1', SOUR")
    assert [wire.query("SYST:ERR?").partition(",")[0] for _ in range(3)] == ["4915", "-420", "4915"]


def test_a_trigger_model_excludes_readings(wire: Any) -> None:
    wire.write('TRIG:LOAD "SimpleLoop", 1000, 1;:INIT')
    assert wire.query("TRIG:STAT?") == "RUNNING;RUNNING;1"
    wire.write("READ?")
    assert wire.query("SYST:ERR?").startswith("-221")
    wire.write("ABOR")
    assert wire.query("TRIG:STAT?").startswith("ABORTED")
    wire.write("INIT")
    assert wire.query("SYST:ERR?").startswith("-213")
    float(wire.query("READ?"))
