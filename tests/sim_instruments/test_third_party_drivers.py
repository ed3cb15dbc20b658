"""Drivers of other packages open the twin, read right values and cause no error."""

import numpy as np
import pytest
from bare_wire import Wire
from pymeasure.instruments.keithley import Keithley2450 as PymeasureKeithley2450
from pymeasure.instruments.srs import SR830 as PymeasureSR830  # noqa: N811
from qcodes.instrument_drivers.Keithley import Keithley2450
from qcodes.instrument_drivers.Lakeshore import LakeshoreModel372
from qcodes.instrument_drivers.stanford_research import SR830

from sim_instruments import ADDRESSES
from sim_instruments.visa import LabnisVisaLibrary

pytestmark = pytest.mark.filterwarnings("ignore::qcodes.utils.QCoDeSDeprecationWarning")


@pytest.fixture(autouse=True)
def clean_status(bias: Wire, lockin: Wire, fridge: Wire) -> None:
    """Forget the power-on bit, so that what is left at the end comes from the driver."""
    for wire in (bias, lockin, fridge):
        wire.send("*CLS")


def rejected(wire: Wire) -> int:
    """Command, execution, device and query error bits of the event status register."""
    return int(wire.ask("*ESR?")) & 0b111100


def test_qcodes_keithley_2450(twin: LabnisVisaLibrary, visalib: str, bias: Wire) -> None:
    smu = Keithley2450("smu", ADDRESSES["bias"], visalib=visalib)
    smu.reset()
    smu.terminals("rear")
    smu.source_function("voltage")
    smu.sense_function("current")
    smu.source.range(0.02)
    smu.source.auto_range(False)
    smu.source.limit(1e-6)
    smu.source.delay(0.001)
    smu.source.read_back_enabled(True)
    smu.sense.range(1e-6)
    smu.sense.nplc(2)
    smu.sense.auto_zero_enabled(False)
    smu.sense.four_wire_measurement(True)
    smu.source.block_during_ramp(True)
    smu.source.voltage(1e-3)
    smu.output_enabled(True)
    smu.sense.current()
    current = smu.sense.current()

    assert smu.source.voltage() == pytest.approx(1e-3)
    assert current == pytest.approx(float(twin.world.device_state(1e-3).current), abs=1e-11)
    assert smu.source.limit_tripped() is False
    assert float(smu.sense.nplc()) == 2
    assert float(smu.line_frequency()) == 50
    for module in smu.submodules.values():
        if "user_number" in module.parameters:
            module.parameters["user_number"].set(1)
    smu.snapshot(update=True)
    assert rejected(bias) == 0
    assert bias.ask(":SYST:ERR:COUN?") == "0"


def test_qcodes_keithley_2450_asks_for_a_user_delay_without_a_number(visalib: str, bias: Wire) -> None:
    smu = Keithley2450("smu", ADDRESSES["bias"], visalib=visalib)
    smu.snapshot(update=True)  # `user_number` is None until somebody sets it: :SENS:VOLT:DEL:USERNone? and so on
    entries = [bias.ask(":SYST:ERR?").partition(",")[0] for _ in range(int(bias.ask(":SYST:ERR:COUN?")))]
    assert entries == ["-113", "-420"] * 5


def test_qcodes_keithley_2450_as_a_source_of_current(twin: LabnisVisaLibrary, visalib: str, bias: Wire) -> None:
    smu = Keithley2450("smu", ADDRESSES["bias"], visalib=visalib)  # as in QCoDeS's example notebook
    smu.reset()
    smu.terminals("front")
    smu.source.function("current")
    smu.source.current(1e-7)
    smu.sense.function("voltage")
    with smu.output_enabled.set_to(True):
        smu.sense.voltage()
        voltage = smu.sense.voltage()
    assert float(twin.world.device_state(voltage).current) == pytest.approx(1e-7, rel=1e-2)
    assert rejected(bias) == 0


def test_qcodes_keithley_2450_sweep(twin: LabnisVisaLibrary, visalib: str, bias: Wire) -> None:
    smu = Keithley2450("smu", ADDRESSES["bias"], visalib=visalib)
    smu.source_function("voltage")
    smu.sense_function("current")
    smu.source.sweep_setup(0, 2e-3, 11)
    buffer = smu.buffer("sweep", size=100)
    buffer.elements(["measurement", "source_value", "relative_time"])
    smu.source.sweep_setup(0, 2e-3, 11, buffer_name="sweep")
    currents = smu.sense.sweep()

    # The line's filter lags behind at the first points; the last one stands on the curve.
    expected = float(twin.world.device_state(2e-3).current)
    assert len(currents) == 11
    assert np.all(np.diff(currents[3:]) > 0)
    assert currents[-1] == pytest.approx(expected, rel=1e-2)
    assert len(smu.sense.sweep.get_selected() or []) == 33
    buffer.delete()
    assert rejected(bias) == 0


def test_pymeasure_keithley_2450(twin: LabnisVisaLibrary, visalib: str, bias: Wire) -> None:
    smu = PymeasureKeithley2450(ADDRESSES["bias"], visa_library=visalib)
    smu.reset()
    smu.apply_voltage(voltage_range=0.02, compliance_current=1e-6)
    smu.measure_current(nplc=1, current=1e-6, auto_range=False)
    smu.source_voltage = 1e-3
    smu.enable_source()
    assert smu.current > 0  # the line's filter still settles
    assert smu.current == pytest.approx(float(twin.world.device_state(1e-3).current), abs=1e-11)
    assert smu.source_voltage == pytest.approx(1e-3)
    assert smu.compliance_current == pytest.approx(1e-6)
    assert smu.source_voltage_range == pytest.approx(0.02)
    smu.current_filter_count = 5
    assert smu.current_filter_count == 5
    smu.disable_source()
    smu.check_errors()
    assert rejected(bias) == 0


def test_qcodes_sr830(twin: LabnisVisaLibrary, visalib: str, bias: Wire, lockin: Wire) -> None:
    amplifier = SR830("lockin", ADDRESSES["lockin"], visalib=visalib)
    amplifier.amplitude(0.1)
    amplifier.frequency(77.7)
    amplifier.sensitivity(20e-3)
    amplifier.time_constant(30e-3)
    amplifier.filter_slope(24)
    amplifier.ch1_display("R")
    amplifier.ch2_ratio("Aux In 3")
    amplifier.aux_out1(1.5)
    bias.send(":SOUR:VOLT 2e-3;:OUTP ON")
    twin.clock.sleep(1)

    expected = twin.world.lockin_input(0.0).real
    assert amplifier.X() == pytest.approx(expected, rel=1e-2)
    assert amplifier.complex_voltage().real == pytest.approx(expected, rel=1e-2)
    assert amplifier.R() == pytest.approx(expected, rel=1e-2)
    assert amplifier.frequency() == pytest.approx(77.7)
    assert amplifier.sensitivity() == 20e-3
    assert amplifier.time_constant() == 30e-3
    assert amplifier.ch1_display() == "R"
    assert amplifier.ch2_ratio() == "Aux In 3"
    assert amplifier.aux_out1() == 1.5
    assert amplifier.snap("x", "y", "freq")[2] == pytest.approx(77.7)
    amplifier.snapshot(update=True)
    assert rejected(lockin) == 0


def test_pymeasure_sr830(twin: LabnisVisaLibrary, visalib: str, bias: Wire, lockin: Wire) -> None:
    amplifier = PymeasureSR830(ADDRESSES["lockin"], visa_library=visalib)
    amplifier.sine_voltage = 0.1
    amplifier.frequency = 77.7
    amplifier.sensitivity = 20e-3
    amplifier.time_constant = 30e-3
    amplifier.filter_slope = 12
    amplifier.channel1 = "R"
    amplifier.sample_frequency = 64
    amplifier.aux_out_1 = -2.0
    amplifier.set_scaling("X", 10)
    bias.send(":SOUR:VOLT 2e-3;:OUTP ON")
    twin.clock.sleep(1)

    assert amplifier.x == pytest.approx(twin.world.lockin_input(0.0).real, rel=1e-2)
    assert amplifier.magnitude == pytest.approx(amplifier.x, rel=1e-2)
    assert amplifier.xy[0] == pytest.approx(amplifier.x, rel=1e-2)
    assert amplifier.sine_voltage == pytest.approx(0.1)
    assert amplifier.sensitivity == 20e-3
    assert amplifier.sample_frequency == 64
    assert amplifier.aux_out_1 == pytest.approx(-2.0)
    assert amplifier.get_scaling("X") == (10.0, 10)
    assert amplifier.lia_status == 0
    assert amplifier.is_out_of_range() is False
    assert "SR830" in amplifier.id
    assert rejected(lockin) == 0


def test_qcodes_lakeshore_372(twin: LabnisVisaLibrary, visalib: str, fridge: Wire) -> None:
    bridge = LakeshoreModel372("bridge", ADDRESSES["fridge"], visalib=visalib)
    assert bridge.ch01.temperature() == pytest.approx(twin.truth.fridge.mixing_chamber_temperature, rel=0.02)
    assert bridge.ch03.temperature() == pytest.approx(twin.truth.fridge.four_kelvin_temperature, rel=0.02)
    assert bridge.ch01.sensor_status() == "OK"
    assert bridge.ch01.sensor_name() == "Mixing chamber"
    assert bridge.ch07.sensor_status() != "OK"
    bridge.sample_heater.P(20.0)
    bridge.sample_heater.mode("closed_loop")
    bridge.sample_heater.output_range("1mA")
    bridge.ch02.units("kelvin")
    assert bridge.sample_heater.P() == 20.0
    assert bridge.sample_heater.mode() == "closed_loop"
    assert bridge.sample_heater.output_range() == "1mA"
    bridge.snapshot(update=True)
    assert rejected(fridge) == 0


def test_two_programs_share_one_device(visalib: str, bias: Wire) -> None:
    first = Keithley2450("first", ADDRESSES["bias"], visalib=visalib)
    second = PymeasureKeithley2450(ADDRESSES["bias"], visa_library=visalib)
    first.source.voltage(3e-3)
    first.output_enabled(True)
    assert second.source_voltage == pytest.approx(3e-3)
    first.close()
    assert second.source_voltage == pytest.approx(3e-3)
    assert rejected(bias) == 0
