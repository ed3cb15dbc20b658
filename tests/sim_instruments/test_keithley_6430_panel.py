"""The 6430's front panel: the driver of qcodes_contrib_drivers, its low ranges, its filters."""

from collections.abc import Iterator

import pytest
from pyvisa.resources import MessageBasedResource
from qcodes_contrib_drivers.drivers.Tektronix.Keithley_6430 import Keithley_6430

from sim_instruments import Twin
from tests.single_instrument_twin import opened_wire, source_twin

NO_ERROR = '0,"No error"'


@pytest.fixture(name="twin")
def keithley_twin() -> Iterator[Twin]:
    with source_twin("Keithley_6430") as found:
        yield found


@pytest.fixture
def wire(twin: Twin) -> MessageBasedResource:
    return opened_wire(twin)


def rejected(wire: MessageBasedResource) -> str:
    return str(wire.query(":SYST:ERR?"))


def test_contrib_driver(twin: Twin, wire: MessageBasedResource) -> None:
    smu = Keithley_6430("smu", twin.addresses["source"], visalib=twin.visalib)
    assert smu.get_idn()["model"] == "6430"
    smu.source_mode("VOLT")
    smu.sense_mode("VOLT:DC,CURR:DC")  # it switches all functions off first
    assert smu.sense_mode() == "VOLT:DC,CURR:DC"
    smu.source_voltage_range(2.0)
    smu.source_current_compliance(1e-6)
    smu.source_voltage(0.5)
    smu.filter_auto(False)
    smu.filter_repeat_enabled(True)
    assert smu.filter_repeat_enabled() is False  # it queries the automatic filter
    smu.filter_repeat(5)
    smu.output_enabled(True)
    assert smu.output_auto_off_enabled() is True  # it queries the output
    assert smu.sense_voltage() == pytest.approx(0.5, abs=1e-3)
    assert 0 < smu.sense_current() < 1e-6
    smu.set_trigger_immediate()
    smu.nplc(1.0)
    smu.snapshot(update=True)
    assert rejected(wire) == NO_ERROR


def test_low_ranges(wire: MessageBasedResource) -> None:
    wire.write(":SENS:CURR:RANG 1e-12")
    assert float(wire.query(":SENS:CURR:RANG?")) == pytest.approx(1.05e-12)
    wire.write(":SENS:CURR:PROT 5e-15")
    assert float(wire.query(":SENS:CURR:PROT?")) == 5e-15
    wire.write(":SENS:CURR:PROT 5e-16")
    assert rejected(wire).startswith("-222")
    wire.write(":SENS:CURR:RANG 1e-9")
    assert rejected(wire) == '+824,"Cannot exceed compliance range"'
    wire.write(":SOUR:CURR 0.2")
    assert rejected(wire).startswith("-222")


def test_filters_follow_each_other(wire: MessageBasedResource, twin: Twin) -> None:
    wire.write(":FORM:ELEM STAT;:OUTP ON;:SYST:AZER OFF")
    durations, filtered = [], []
    for setting in (
        ":AVER:AUTO?",
        ":AVER:AUTO OFF",
        ":AVER:REP ON;:AVER:REP:COUN 4",
        ":MED ON;:MED:RANK 1",
        ":AVER ON;:AVER:COUN 2",
    ):
        wire.write(setting)
        if setting.endswith("?"):
            wire.read()
        before = twin.clock.time()
        filtered.append(bool(int(float(wire.query(":READ?"))) & 2))
        durations.append(twin.clock.time() - before)
    assert [round((duration - 0.002) / 0.02) for duration in durations] == [1, 1, 4, 12, 24]
    assert filtered == [True, False, True, True, True]


def test_it_has_no_terminals_at_its_front(wire: MessageBasedResource) -> None:
    wire.write(":ROUT:TERM REAR")
    assert rejected(wire).startswith("-113")
