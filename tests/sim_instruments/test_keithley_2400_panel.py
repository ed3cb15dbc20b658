"""The 2400's front panel: drivers of QCoDeS, qcodes_contrib_drivers and pymeasure, ranges, errors, status, trigger."""

import math
import struct
from collections.abc import Iterator

import pytest
import pyvisa
from pymeasure.instruments.keithley import Keithley2400 as PymeasureKeithley2400
from pyvisa.resources import MessageBasedResource
from qcodes.instrument_drivers.Keithley import Keithley2400
from qcodes_contrib_drivers.drivers.Tektronix.Keithley_2401 import Keithley2400 as ContribKeithley2400

from sim_instruments import Twin
from sim_instruments.visa import LabnisVisaLibrary
from sim_instruments.world import World
from tests.single_instrument_twin import opened_wire, source_twin

NO_ERROR = '0,"No error"'


@pytest.fixture(name="twin")
def keithley_twin() -> Iterator[Twin]:
    with source_twin("Keithley2400") as found:
        yield found


@pytest.fixture
def wire(twin: Twin) -> MessageBasedResource:
    return opened_wire(twin)


def rejected(wire: MessageBasedResource) -> str:
    return str(wire.query(":SYST:ERR?"))


def world_of(wire: MessageBasedResource) -> World:
    library = wire.visalib
    assert isinstance(library, LabnisVisaLibrary)
    return library.world


def numbers(wire: MessageBasedResource, query: str) -> list[float]:
    return [float(part) for part in wire.query(query).split(",")]


def test_qcodes_driver(twin: Twin, wire: MessageBasedResource) -> None:
    smu = Keithley2400("smu", twin.addresses["source"], visalib=twin.visalib)
    assert smu.get_idn()["model"] == "2400"
    smu.mode("VOLT")
    smu.rangev(2.0)
    smu.compliancei(1e-4)
    smu.nplci(0.1)
    smu.volt(0.5)
    smu.output(1)
    assert smu.volt() == pytest.approx(0.5, abs=1e-3)
    assert 0 < smu.curr() < 1e-4
    assert smu.resistance() > 1e3
    smu.snapshot(update=True)
    assert rejected(wire) == NO_ERROR
    smu.volt(4e-9)  # it rounds to 10 nV: nothing is left
    assert float(wire.query(":SOUR:VOLT?")) == 0.0
    smu.compliancei(3e-7)  # it rounds to 1 µA: 0, which is refused
    assert float(wire.query(":SENS:CURR:PROT?")) == 1e-4
    assert rejected(wire) == '-222,"Parameter data out of range"'
    smu.rangev(20.0)  # the range of the source; the query is of the measurement
    assert smu.rangev() == pytest.approx(21.0)


def test_the_qcodes_driver_trusts_its_cache(twin: Twin, wire: MessageBasedResource) -> None:
    smu = Keithley2400("smu", twin.addresses["source"], visalib=twin.visalib, timeout=0.5)
    smu.output(1)
    wire.write(":OUTP OFF")
    with pytest.raises(pyvisa.VisaIOError):
        smu.volt()
    # Where the output is off, +803; the read that timed out is noted as well.
    assert rejected(wire) == '+803,"Not permitted with OUTPUT off"'
    assert rejected(wire).startswith("-420")


def test_contrib_driver(twin: Twin, wire: MessageBasedResource) -> None:
    smu = ContribKeithley2400("smu", twin.addresses["source"], visalib=twin.visalib, timeout=0.5)
    smu.voltage(0.5)
    smu.output("on")
    assert smu.measured_voltage() == pytest.approx(0.5, abs=1e-3)
    assert 0 < smu.current() < 1e-4
    (first, second) = smu.sweep_voltage_measure(0.1, 0.2, 2)
    assert (first["voltage_measured"], second["voltage_measured"]) == pytest.approx((0.1, 0.2), abs=1e-3)
    smu.auto_range(True)
    assert rejected(wire) == NO_ERROR
    # It measures the resistance, whose automatic mode takes the source over: the output goes off.
    smu.snapshot(update=True)
    assert wire.query(":SOUR:FUNC?;:OUTP?") == "CURR;0"
    assert rejected(wire) == '+803,"Not permitted with OUTPUT off"'


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of names that pymeasure 0.16 still has
def test_pymeasure_driver(twin: Twin, wire: MessageBasedResource) -> None:
    smu = PymeasureKeithley2400(twin.addresses["source"], visa_library=twin.visalib)
    smu.apply_voltage(20, compliance_current=1e-4)
    smu.source_voltage = 0.5
    smu.enable_source()
    smu.measure_current(nplc=0.1)
    smu.wires = 2
    if hasattr(PymeasureKeithley2400, "measure_all"):  # not in an older pymeasure
        smu.enable_source()
        found = smu.measure_all()
        assert found["voltage"] == pytest.approx(0.5, abs=1e-3)
        assert 0 < found["current"] < 1e-4
        assert found["status"] & (1 << 14)
    smu.auto_zero = True
    smu.set_trigger_counts(2, 3)
    assert (smu.arm_count, smu.trigger_count) == (2, 3)
    smu.use_rear_terminals()
    assert wire.query(":ROUT:TERM?;:OUTP?") == "REAR;0"
    smu.shutdown()
    assert rejected(wire) == NO_ERROR


def test_defaults_after_a_reset_and_first_reading(wire: MessageBasedResource) -> None:
    wire.write("*RST")
    assert wire.query(":FORM:ELEM?") == "VOLT,CURR,RES,TIME,STAT"
    assert wire.query(":SENS:FUNC?") == '"CURR:DC"'
    assert wire.query(":SENS:CURR:PROT?;RANG?") == "+1.050000E-04;+1.050000E-04"
    wire.write(":SOUR:VOLT 0.2;:OUTP ON")
    voltage, _, resistance, _, status = numbers(wire, ":READ?")
    # The voltage is the level, because only the current is measured.
    assert (voltage, resistance, status) == (0.2, 9.91e37, 21508)


def test_ranges_and_compliance_depend_on_each_other(wire: MessageBasedResource) -> None:
    wire.write(":SENS:CURR:RANG 1e-3")
    assert rejected(wire) == '+824,"Cannot exceed compliance range"'
    wire.write(":SENS:CURR:PROT 1e-3;RANG 1e-3")
    assert wire.query(":SENS:CURR:RANG?") == "+1.050000E-03"
    wire.write(":SENS:CURR:PROT 1e-7")
    assert rejected(wire) == '+822,"Too small for sense range"'
    wire.write(":SENS:CURR:PROT 1e-6")
    assert float(wire.query(":SENS:CURR:RANG?")) == pytest.approx(1.05e-3)  # it stays
    wire.write(":SENS:CURR:PROT:RSYN ON;LEV 2e-6")
    assert float(wire.query(":SENS:CURR:RANG?")) == pytest.approx(1.05e-5)
    wire.write(":SOUR:VOLT:RANG 200;:SENS:CURR:PROT 0.5")
    assert rejected(wire) == '+826,"Attempt to exceed power limit"'
    wire.write(":SOUR:VOLT:RANG 2;:SOUR:VOLT 2.2")
    assert rejected(wire).startswith("-222")
    wire.write(":SOUR:VOLT 1.9;:SOUR:VOLT:RANG 0.2")
    assert rejected(wire).startswith("-221")
    assert rejected(wire) == NO_ERROR


def test_real_and_range_compliance(wire: MessageBasedResource) -> None:
    wire.write(":FORM:ELEM CURR,STAT;:SOUR:VOLT 10;:SENS:CURR:PROT 1e-6;RANG 1e-6;:SENS:CURR:PROT 1e-7;:OUTP ON")
    current, status = numbers(wire, ":READ?")
    assert int(status) & (1 << 3)
    assert current == pytest.approx(1e-7, rel=0.01)
    assert wire.query(":SENS:CURR:PROT:TRIP?") == "1"
    wire.write(":SENS:CURR:PROT 1e-3;:SOUR:VOLT 40")
    _, status = numbers(wire, ":READ?")
    assert int(status) & (1 << 16 | 1 << 3) == 1 << 16


def test_functions(wire: MessageBasedResource) -> None:
    wire.write(':SENS:FUNC "VOLT:DC","RES"')
    assert wire.query(":SENS:FUNC?") == '"VOLT:DC","CURR:DC","RES"'
    wire.write(':SENS:FUNC:OFF "RES"')
    assert wire.query(":SENS:FUNC?") == '"VOLT:DC","CURR:DC"'
    wire.write(":SENS:FUNC:CONC OFF")
    assert wire.query(":SENS:FUNC?") == '"VOLT:DC"'
    wire.write(':SENS:FUNC "CURR"')
    assert wire.query(":SENS:FUNC?") == '"CURR:DC"'


def test_readings_as_bytes(wire: MessageBasedResource) -> None:
    wire.write(":FORM:ELEM VOLT;:SOUR:VOLT 0.5;:OUTP ON;:FORM REAL,32")
    for order, sign in (("NORM", ">"), ("SWAP", "<")):
        wire.write(f":FORM:BORD {order};:READ?")
        answer = wire.read_bytes(7)
        assert answer[:2] == b"#0"
        assert struct.unpack(f"{sign}f", answer[2:6])[0] == pytest.approx(0.5)


def test_autozero_and_averages_take_time(wire: MessageBasedResource, twin: Twin) -> None:
    wire.write(":OUTP ON;:SENS:CURR:NPLC 5")
    durations = []
    for setting in (":SYST:AZER ON", ":SYST:AZER OFF", ":SENS:AVER ON;AVER:COUN 4"):
        wire.write(setting)
        before = twin.clock.time()
        wire.query(":READ?")
        durations.append(twin.clock.time() - before)
    assert durations == pytest.approx([0.3, 0.1, 0.4], abs=0.02)


def test_without_autozero_a_reading_drifts(wire: MessageBasedResource, twin: Twin) -> None:
    wire.write(":FORM:ELEM CURR;:SENS:CURR:RANG 1e-4;:OUTP ON;:SYST:AZER OFF")
    first = numbers(wire, ":READ?")[0]
    twin.clock.sleep(3600.0)
    assert numbers(wire, ":READ?")[0] - first == pytest.approx(1e-7, rel=0.05)
    wire.write(":SYST:AZER ONCE")
    assert numbers(wire, ":READ?")[0] == pytest.approx(first, abs=1e-9)


def test_automatic_output_off(wire: MessageBasedResource) -> None:
    wire.write(":SOUR:CLE:AUTO ON")
    assert len(numbers(wire, ":READ?")) == 5
    assert wire.query(":OUTP?") == "0"
    wire.write(":SOUR:CLE:AUTO OFF;:READ?")
    assert rejected(wire) == '+803,"Not permitted with OUTPUT off"'


def test_a_trigger_moves_the_output_to_its_own_level(wire: MessageBasedResource) -> None:
    wire.write(":FORM:ELEM VOLT;:SOUR:VOLT 0.1;:SOUR:VOLT:TRIG 0.15;:OUTP ON")
    assert float(wire.query(":SOUR:VOLT?")) == 0.1
    assert numbers(wire, ":READ?") == pytest.approx([0.15])
    wire.write(":SOUR:VOLT 0.05")
    assert float(wire.query(":SOUR:VOLT:TRIG?")) == 0.05


def test_counts(wire: MessageBasedResource) -> None:
    wire.write(":FORM:ELEM CURR;:TRIG:COUN 3;:ARM:COUN 2;:OUTP ON")
    assert len(numbers(wire, ":READ?")) == 6
    assert len(numbers(wire, ":FETC?")) == 6
    wire.write(":TRIG:COUN 2500")
    assert rejected(wire).startswith("-221")


def test_a_reading_waits_for_its_trigger(wire: MessageBasedResource) -> None:
    wire.timeout = 200
    wire.write(":FORM:ELEM VOLT;:ARM:SOUR BUS;:SOUR:VOLT 0.1;:OUTP ON")
    with pytest.raises(pyvisa.VisaIOError):
        wire.query(":READ?")
    wire.write(":SOUR:VOLT 0.2")  # which is executed after the trigger
    wire.write("*TRG")
    assert float(wire.read()) == pytest.approx(0.1)
    assert float(wire.query(":SOUR:VOLT?")) == 0.2
    wire.write(":INIT")
    with pytest.raises(pyvisa.VisaIOError):
        wire.query("*IDN?")
    wire.clear()
    assert "MODEL 2400" in wire.query("*IDN?")
    wire.write(":INIT")
    wire.write(":ABOR")
    assert "MODEL 2400" in wire.query("*IDN?")


def test_what_switches_the_output_off(wire: MessageBasedResource) -> None:
    for change in (":ROUT:TERM REAR", ":ROUT:TERM FRON", ":SYST:RSEN ON", ":SYST:GUAR OHMS", ":SOUR:CLE"):
        wire.write(":OUTP ON")
        wire.write(change)
        assert wire.query(":OUTP?") == "0", change


def test_at_the_other_terminals_there_is_no_device(wire: MessageBasedResource) -> None:
    wire.write(':SENS:FUNC "VOLT";:FORM:ELEM VOLT,CURR,STAT;:ROUT:TERM REAR;:SOUR:VOLT 0.2;:OUTP ON')
    voltage, current, status = numbers(wire, ":READ?")
    assert (voltage, current) == (0.2, 0.0)
    assert not int(status) & 4


def test_a_limit_of_the_voltage(wire: MessageBasedResource) -> None:
    wire.write(":SOUR:VOLT:PROT 15")
    assert float(wire.query(":SOUR:VOLT:PROT?")) == 20.0
    wire.write(':SENS:FUNC "VOLT";:FORM:ELEM VOLT,STAT;:SENS:CURR:PROT 1;:SOUR:VOLT 50;:OUTP ON')
    voltage, status = numbers(wire, ":READ?")
    assert voltage == pytest.approx(20.0, abs=0.01)
    assert int(status) & 16


@pytest.mark.parametrize("level", [2e-7, -1e-7])
def test_a_current_source(wire: MessageBasedResource, level: float) -> None:
    wire.write(f":SOUR:FUNC CURR;:SOUR:CURR {level};:SENS:FUNC 'VOLT';:OUTP ON")
    voltage, current, _, _, status = numbers(wire, ":READ?")
    assert current == pytest.approx(level, rel=1e-3)
    assert float(world_of(wire).device_state(voltage / 1e3).current) == pytest.approx(level, rel=1e-2)
    assert int(status) & (1 << 15 | 1 << 14 | 1 << 3) == 1 << 15
    assert wire.query(":SENS:VOLT:PROT:TRIP?") == "0"
    wire.write(":SENS:VOLT:PROT 0.05;:SENS:VOLT:RANG?")
    assert float(wire.read()) == pytest.approx(0.21)
    voltage, _, _, _, status = numbers(wire, ":READ?")
    assert voltage == pytest.approx(math.copysign(0.05, level), rel=1e-2)
    assert int(status) & 1 << 3
    assert wire.query(":SENS:VOLT:PROT:TRIP?") == "1"
    assert rejected(wire) == NO_ERROR


def test_limits_of_a_current_source(wire: MessageBasedResource) -> None:
    wire.write(":SOUR:FUNC CURR;:SENS:VOLT:PROT 2;:SENS:VOLT:RANG 20")
    assert rejected(wire) == '+824,"Cannot exceed compliance range"'
    wire.write(":SOUR:CURR:RANG 1;:SENS:VOLT:PROT 40")
    assert rejected(wire) == '+826,"Attempt to exceed power limit"'
    wire.write(":SOUR:CURR:RANG 1e-6;:SOUR:CURR 2e-6")
    assert rejected(wire).startswith("-222")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_pymeasure_driver_as_a_source_of_current(twin: Twin, wire: MessageBasedResource) -> None:
    smu = PymeasureKeithley2400(twin.addresses["source"], visa_library=twin.visalib)  # as in its documentation
    smu.reset()
    smu.source_mode = "current"
    smu.apply_current()
    smu.source_current_range = 10e-6
    smu.compliance_voltage = 10
    smu.source_current = 0
    smu.enable_source()
    smu.measure_voltage()
    smu.ramp_to_current(2e-7)
    found = smu.voltage
    voltage = found[0] if isinstance(found, list) else found
    assert float(world_of(wire).device_state(voltage / 1e3).current) == pytest.approx(2e-7, rel=1e-2)
    smu.shutdown()
    assert rejected(wire) == NO_ERROR


def test_automatic_ohms_source_current(wire: MessageBasedResource) -> None:
    wire.write(":SOUR:VOLT 0.5;:OUTP ON")
    resistance = numbers(wire, ":MEAS:RES?")[2]
    assert wire.query(":SOUR:FUNC?;:OUTP?") == "CURR;1"
    assert float(wire.query(":SOUR:CURR?")) in (1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
    assert 0.1 * float(wire.query(":SENS:RES:RANG?")) < resistance < 1.06 * float(wire.query(":SENS:RES:RANG?"))
    assert wire.query(":SENS:CURR:PROT?") == "+1.050000E-04"
    wire.write(":SOUR:CURR 1e-6")
    assert rejected(wire) == '+825,"Invalid with auto-ohms on"'
    wire.write(":SENS:RES:MODE MAN;:SENS:FUNC 'VOLT','CURR';:SOUR:CURR 1e-7")
    voltage, current, resistance, _, _ = numbers(wire, ":READ?")
    assert (current, resistance) == pytest.approx((1e-7, voltage / 1e-7), rel=1e-2)
    assert rejected(wire) == NO_ERROR


def test_a_measurement_by_one_command_sets_the_compliance_to_its_default(wire: MessageBasedResource) -> None:
    wire.write(":SENS:CURR:PROT 1e-6;:SOUR:VOLT 0.1")
    numbers(wire, ":MEAS:CURR?")
    assert wire.query(":SENS:CURR:PROT?") == "+1.050000E-04"  # basil issue 121


# --- data store, sweeps, setups ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_buffer_of_pymeasure(twin: Twin, wire: MessageBasedResource) -> None:
    smu = PymeasureKeithley2400(twin.addresses["source"], visa_library=twin.visalib)
    smu.reset()
    smu.source_mode = "current"
    smu.source_current = 1e-7
    smu.measure_voltage(0.1)
    smu.enable_source()
    smu.config_buffer(10)
    assert not smu.is_buffer_full()
    smu.start_buffer()
    smu.wait_for_buffer(timeout=2)
    assert smu.buffer_data.size in (10, 50)  # an older pymeasure has one element of each reading
    assert smu.mean_current == pytest.approx(1e-7, rel=1e-3)
    assert 0 < smu.std_voltage < 0.01 * smu.mean_voltage
    smu.reset_buffer()
    smu.start_buffer()
    assert not smu.is_buffer_full()  # it is, but :STAT:PRES has disabled the event
    assert int(wire.query(":STAT:MEAS:COND?")) & 512
    smu.disable_buffer()
    smu.shutdown()
    assert rejected(wire) == NO_ERROR


def test_the_data_store(wire: MessageBasedResource) -> None:
    wire.write(":TRAC:DATA?")
    assert rejected(wire).startswith("-230")
    wire.write(":FORM:ELEM VOLT,TIME;:TRAC:POIN 4;:TRAC:FEED SENS1;FEED:CONT NEXT")
    wire.write(":TRAC:POIN 5")
    assert rejected(wire) == '+800,"Illegal with storage active"'
    wire.write(":TRIG:COUN 2;:SOUR:VOLT 0.1;:OUTP ON;:INIT")
    assert wire.query(":TRAC:POIN:ACT?;:TRAC:FEED:CONT?;:STAT:MEAS?") == f"2;NEXT;{64 + 256}"
    wire.write(":TRIG:COUN 5;:INIT")
    assert wire.query(":TRAC:POIN:ACT?;:TRAC:FEED:CONT?;:STAT:MEAS?;:STAT:MEAS?") == f"4;NEV;{64 + 512};0"
    stored = numbers(wire, ":TRAC:DATA?")
    assert stored[::2] == pytest.approx([0.1] * 4)
    assert stored[1] == 0
    wire.write(":TRAC:TST:FORM DELT")
    assert sum(numbers(wire, ":TRAC:DATA?")[1::2]) == pytest.approx(stored[-1])
    wire.write("*RST")
    assert wire.query(":TRAC:POIN?;:TRAC:POIN:ACT?") == "4;4"
    wire.write(":TRAC:FEED:CONT NEXT;:SOUR:VOLT 0.2;:OUTP ON;:INIT;:FORM:ELEM VOLT")
    assert numbers(wire, ":TRAC:DATA?") == pytest.approx([0.2])  # the old ones are overwritten
    wire.write(":TRAC:CLE")
    assert rejected(wire).startswith("+800")
    wire.write(":TRAC:FEED:CONT NEV;:TRAC:CLE")
    assert wire.query(":TRAC:POIN:ACT?;:STAT:MEAS:COND?") == "0;0"
    assert rejected(wire) == NO_ERROR


def test_statistics_of_the_data_store(wire: MessageBasedResource) -> None:
    wire.write(":SENS:FUNC 'VOLT';:SOUR:VOLT:MODE LIST;:SOUR:LIST:VOLT 0.1,0.2,0.3;:TRIG:COUN 3")
    wire.write(":TRAC:POIN 3;:TRAC:FEED:CONT NEXT;:OUTP ON;:INIT")
    for word, expected in (("MEAN", 0.2), ("MAX", 0.3), ("MIN", 0.1), ("PKPK", 0.2), ("SDEV", 0.1)):
        assert numbers(wire, f":CALC3:FORM {word};:CALC3:DATA?")[0] == pytest.approx(expected, rel=1e-3)


def test_a_sweep(wire: MessageBasedResource) -> None:
    wire.write(":FORM:ELEM VOLT;:SOUR:VOLT 0.05;:SOUR:VOLT:MODE SWE;STAR 0.1;STOP 0.5;STEP 0.1")
    assert wire.query(":SOUR:SWE:POIN?") == "5"
    wire.write(":SOUR:SWE:POIN 3")
    assert numbers(wire, ":SOUR:VOLT:STEP?") == [0.2]
    wire.write(":TRIG:COUN 4;:OUTP ON")
    assert numbers(wire, ":READ?") == pytest.approx([0.1, 0.3, 0.5, 0.1])
    wire.write(":SOUR:SWE:DIR DOWN;:TRIG:COUN 3")
    assert numbers(wire, ":READ?") == pytest.approx([0.5, 0.3, 0.1])
    assert (world_of(wire).source.level, float(wire.query(":SOUR:VOLT?"))) == (pytest.approx(0.1), 0.05)
    wire.write(":SOUR:VOLT:MODE FIX")
    assert world_of(wire).source.level == 0.05
    wire.write(":SOUR:VOLT:MODE SWE;:SOUR:SWE:SPAC LOG;DIR UP;RANG FIX;:SOUR:VOLT:STAR 0.01;STOP 1;RANG 0.2")
    assert numbers(wire, ":READ?") == pytest.approx([0.01, 0.1, 0.21])
    wire.write(":SOUR:VOLT:CENT 0;SPAN 2;STEP -0.1")
    assert rejected(wire).startswith("-221")
    assert wire.query(":SOUR:VOLT:STAR?;STOP?") == "-1.000000E+00;+1.000000E+00"
    wire.write(":READ?")  # no logarithm leads through 0
    assert rejected(wire).startswith("-221")


def test_a_list_of_currents_ends_at_the_compliance(wire: MessageBasedResource) -> None:
    wire.write(":SOUR:FUNC CURR;:SOUR:CURR:MODE LIST;:SOUR:LIST:CURR 1e-9,5e-9;CURR:APP 1e-3,3e-9")
    assert wire.query(":SOUR:LIST:CURR:POIN?") == "4"
    wire.write(":SENS:FUNC 'VOLT';:FORM:ELEM CURR;:TRIG:COUN 4;:SENS:VOLT:PROT 1;:OUTP ON")
    assert len(numbers(wire, ":READ?")) == 4
    wire.write(":SOUR:SWE:CAB LATE")
    assert len(numbers(wire, ":READ?")) == 3
    assert rejected(wire) == NO_ERROR


def test_a_timer_of_the_arm_layer(wire: MessageBasedResource) -> None:
    wire.write(":FORM:ELEM TIME;:ARM:SOUR TIM;TIM 2;COUN 3;:SYST:TIME:RES;:OUTP ON")
    wire.timeout = 10_000
    times = numbers(wire, ":READ?")
    assert [times[1] - times[0], times[2] - times[1]] == pytest.approx([2, 2], abs=1e-3)


def test_setups(wire: MessageBasedResource) -> None:
    wire.write(":SOUR:VOLT 0.5;:SENS:FUNC 'VOLT';:FORM:ELEM VOLT;*SAV 3;*RST;*RCL 3")
    assert wire.query(":SOUR:VOLT?;:SENS:FUNC?;:FORM:ELEM?;:OUTP?") == '+5.000000E-01;"VOLT:DC","CURR:DC";VOLT;0'
    wire.write("*RCL 0")
    assert float(wire.query(":SOUR:VOLT?")) == 0
    wire.write("*SAV 5")
    assert rejected(wire).startswith("-222")


def test_a_frequency_of_the_mains_and_the_error_queue(wire: MessageBasedResource) -> None:
    assert wire.query(":SYST:LFR?;LFR:AUTO?") == "50;1"
    wire.write(":SYST:LFR 60")
    assert wire.query(":SYST:LFR?;LFR:AUTO?") == "60;0"
    wire.write(":NONSENSE")
    wire.write(":SYST:CLE")
    assert rejected(wire) == NO_ERROR


def test_no_answer_to_a_reading_without_end(wire: MessageBasedResource) -> None:
    wire.write(":ARM:COUN INF;:OUTP ON;:READ?")
    assert rejected(wire) == '+830,"Invalid with INF ARM:COUNT"'


def test_a_measurement_by_one_command_switches_the_output_on(wire: MessageBasedResource) -> None:
    wire.write(":ARM:SOUR BUS;:TRIG:COUN 3;:FORM:ELEM CURR;:SOUR:VOLT 0.1")
    assert len(numbers(wire, ":MEAS:CURR?")) == 1
    assert wire.query(":OUTP?;:ARM:SOUR?;:TRIG:COUN?") == "1;IMM;1"


def test_a_message_after_an_error_is_not_executed(wire: MessageBasedResource) -> None:
    wire.write(":NONSENSE;:SOUR:VOLT 0.1")
    assert float(wire.query(":SOUR:VOLT?")) == 0.0
    assert rejected(wire) == '-113,"Undefined header"'
