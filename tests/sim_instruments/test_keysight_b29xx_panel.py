"""The B2912A's front panel: QCoDeS's driver of the sister B2962A, ranges, compliance, readings that switch on."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from pyvisa.resources import MessageBasedResource
from qcodes.instrument_drivers.Keysight import KeysightB2962A

from sim_instruments import Twin
from tests.single_instrument_twin import opened_wire, source_twin

NO_ERROR = '+0,"No error"'


@pytest.fixture(name="twin")
def b29xx_twin() -> Iterator[Twin]:
    with source_twin("KeysightB2962A") as found:
        yield found


@pytest.fixture
def wire(twin: Twin) -> MessageBasedResource:
    return opened_wire(twin)


def rejected(wire: MessageBasedResource) -> str:
    return str(wire.query(":SYST:ERR?"))


def test_qcodes_driver(twin: Twin, wire: MessageBasedResource) -> None:
    smu = KeysightB2962A("smu", twin.addresses["source"], visalib=twin.visalib)
    assert smu.get_idn()["model"] == "B2912A"
    smu.ch1.source_mode("voltage")
    smu.ch1.current_limit(1e-6)
    smu.ch1.source_voltage(0.4)
    smu.ch1.enable("on")
    assert smu.ch1.voltage() == pytest.approx(0.4, abs=1e-4)
    assert 0 < smu.ch1.current() < 1e-6
    assert smu.ch1.resistance() > 1e3
    if "remote_sensing" in smu.ch1.parameters:  # not in an older QCoDeS
        smu.ch1.parameters["remote_sensing"]("on")
    smu.ch2.source_voltage(1.0)
    assert smu.ch2.enable() in (False, "off")  # in an older QCoDeS a word
    assert smu.ch2.source_voltage() == 1.0
    smu.snapshot(update=True)
    assert rejected(wire) == NO_ERROR


def test_a_reading_switches_the_output_on(wire: MessageBasedResource) -> None:
    wire.write(":FORM:ELEM:SENS VOLT,STAT")
    wire.write(":MEAS? (@1)")
    assert wire.read() == "+9.910000E+37,+0.000000E+00"
    assert wire.query(":OUTP?") == "0"
    wire.query(":READ? (@1)")
    assert wire.query(":OUTP1?") == "1"
    wire.write(":OUTP:ON:AUTO OFF;:OUTP OFF")
    wire.query(":READ? (@1)")
    assert wire.query(":OUTP?") == "0"


def test_ranges(wire: MessageBasedResource) -> None:
    wire.write(":VOLT:RANG 3")
    assert float(wire.query(":SOUR:VOLT:RANG?")) == 20.0
    assert wire.query(":VOLT:RANG:AUTO?") == "0"
    wire.write(":VOLT 21.1")
    assert rejected(wire).startswith("-222")
    wire.write(":VOLT 20.5")
    wire.write(":VOLT:RANG 2")
    assert rejected(wire).startswith("-221")
    wire.write(":VOLT:RANG:AUTO ON")
    wire.write(":VOLT 0.1")
    assert float(wire.query(":SOUR1:VOLT:RANG?")) == 0.2
    wire.write(":SENS:CURR:PROT 1e-6;:SENS:CURR:RANG 1e-3")  # not beyond the range of the compliance
    assert float(wire.query(":SENS:CURR:RANG?")) == 1e-6
    wire.write(":SOUR3:VOLT 1")
    assert rejected(wire).startswith("-114")
    assert rejected(wire) == NO_ERROR


def test_the_source_function_is_a_mode_and_another_is_the_shape(wire: MessageBasedResource) -> None:
    assert wire.query(":SOUR:FUNC?") == "DC"
    assert wire.query(":SOUR:FUNC:MODE?") == "VOLT"
    wire.write(":SOUR:FUNC:MODE CURR;:OUTP ON")
    assert wire.query(":OUTP?") == "1"
    assert rejected(wire) == NO_ERROR


def test_status_of_a_reading(wire: MessageBasedResource) -> None:
    wire.write(":FORM:ELEM:SENS CURR,STAT,VOLT")
    assert wire.query(":FORM:ELEM:SENS?") == "VOLT,CURR,STAT"  # always in this order
    wire.write(":SENS:CURR:PROT 1e-6;:SENS:CURR:RANG 1e-8;:VOLT 10;:OUTP ON")
    _, current, status = (float(part) for part in wire.query(":READ? (@1)").split(","))
    assert (current, status) == (9.9e37, 8192)
    wire.write(":SENS:CURR:PROT 1e-8")
    assert int(float(wire.query(":READ? (@1)").split(",")[2])) & 2
    assert wire.query(":SENS:CURR:PROT:TRIP?") == "1"


# --- current, sweeps, buffers -------------------------------------------------------------------------------------


def numbers(wire: MessageBasedResource, query: str) -> list[float]:
    return [float(part) for part in wire.query(query).split(",")]


def test_qcodes_driver_as_a_source_of_current(twin: Twin, wire: MessageBasedResource) -> None:
    smu = KeysightB2962A("smu", twin.addresses["source"], visalib=twin.visalib)
    smu.ch1.source_mode("current")
    smu.ch1.voltage_limit(10)
    smu.ch1.source_current(2e-7)
    smu.ch1.enable("on")
    assert smu.ch1.current() == pytest.approx(2e-7, rel=1e-2)
    assert 0.5 < smu.ch1.voltage() < 10
    assert wire.query(":SENS:VOLT:PROT:TRIP?") == "0"
    smu.ch1.voltage_limit(1)
    assert smu.ch1.voltage() == pytest.approx(1, rel=1e-2)
    assert wire.query(":SENS:VOLT:PROT:TRIP?") == "1"
    assert rejected(wire) == NO_ERROR


def test_a_sweep_with_a_timer(twin: Twin, wire: MessageBasedResource) -> None:
    wire.timeout = 10_000
    wire.write(":VOLT 0.05;:VOLT:MODE SWE;:VOLT:STAR 0.1;STOP 0.5;POIN 5;:FORM:ELEM:SENS VOLT,SOUR,TIME")
    assert numbers(wire, ":VOLT:STEP?") == pytest.approx([0.1])
    wire.write(":TRIG:SOUR TIM;TIM 0.5;COUN 5;:OUTP ON;:INIT (@1)")
    assert numbers(wire, ":FETC:ARR:SOUR? (@1)") == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    times = numbers(wire, ":FETC:ARR:TIME? (@1)")
    assert [b - a for a, b in pairwise(times)] == pytest.approx([0.5] * 4, abs=1e-3)
    assert len(numbers(wire, ":FETC:ARR:CURR? (@1)")) == 5
    assert numbers(wire, ":FETC? (@1)")[::2] == pytest.approx([0.5, 0.5], rel=1e-3)
    assert numbers(wire, ":VOLT?") == [0.05]
    wire.write(":SWE:DIR DOWN;STA DOUB;:TRIG:SOUR AINT;COUN 10")
    assert numbers(wire, ":READ:ARR:SOUR? (@1)") == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert len(numbers(wire, ":READ:SOUR? (@1)")) == 1  # the latest only
    wire.write(":VOLT:STEP -0.1")
    assert rejected(wire).startswith("-221")


def test_a_list_at_two_channels(wire: MessageBasedResource) -> None:
    wire.write(":VOLT:MODE LIST;:LIST:VOLT 0.1,0.2;:LIST:VOLT:APP 0.3;:TRIG1:COUN 3;:TRIG2:COUN 1;:SOUR2:VOLT 1")
    assert wire.query(":LIST:VOLT:POIN?") == "3"
    found = numbers(wire, ":READ:ARR:SOUR? (@1,2)")
    assert found == pytest.approx([0.1, 1.0, 0.2, 9.91e37, 0.3, 9.91e37])
    wire.write(":ABOR;:VOLT:MODE FIX;:OUTP OFF")
    assert rejected(wire) == NO_ERROR


def test_the_trace_buffer(wire: MessageBasedResource) -> None:
    wire.write(":FORM:ELEM:SENS SOUR;:TRAC:POIN 3;FEED SENS;FEED:CONT NEXT")
    wire.write(":TRAC:POIN 5")
    assert rejected(wire).startswith("-221")
    wire.write(":VOLT:MODE LIST;:LIST:VOLT 0.1,0.2,0.3;:TRIG:COUN 4;:INIT")
    assert wire.query(":TRAC:FEED:CONT?;:TRAC:POIN:ACT?;:TRAC:FREE?") == "NEV;3;0,3"
    assert numbers(wire, ":TRAC:DATA?") == pytest.approx([0.1, 0.2, 0.3])
    assert numbers(wire, ":TRAC:DATA? 1,1") == pytest.approx([0.2])
    assert numbers(wire, ":TRAC:STAT:FORM MAX;:TRAC:STAT:DATA?") == pytest.approx([0.3])
    wire.write(":TRAC:CLE")
    assert numbers(wire, ":TRAC:DATA?") == [9.91e37]
    assert rejected(wire) == NO_ERROR


@pytest.mark.parametrize(("bits", "order"), [(32, "NORM"), (64, "SWAP")])
def test_readings_as_a_block(wire: MessageBasedResource, bits: int, order: str) -> None:
    wire.write(f":VOLT:MODE LIST;:LIST:VOLT 0.25,0.5;:TRIG:COUN 2;:FORM REAL,{bits};:FORM:BORD {order};:INIT")
    found = wire.query_binary_values(
        ":FETC:ARR:SOUR? (@1)", datatype="f" if bits == 32 else "d", is_big_endian=order == "NORM"
    )
    assert found == pytest.approx([0.25, 0.5])
    assert wire.query(":FORM?") == f"REAL,{bits}"


def test_the_low_terminal(wire: MessageBasedResource) -> None:
    assert wire.query(":OUTP:LOW?") == "GRO"
    wire.write(":OUTP:LOW FLO")
    assert wire.query(":OUTP:LOW?") == "FLO"
