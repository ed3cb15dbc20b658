"""Panels of Keysight's network analyzers beside the N5222B: unmodified drivers of other packages, limits, states."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import pyvisa
from pymeasure.instruments.keysight import KeysightPNA as PymeasurePNA
from pyvisa.resources import MessageBasedResource
from qcodes.instrument_drivers.Keysight import KeysightN5230C, KeysightN5245A

from sim_instruments import Twin
from tests.vna_twin import panel_of, true_reflection, vna_twin

NO_ERROR = '+0,"No error"'


@pytest.fixture(name="twin", params=["KeysightN5245A"])
def any_twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    with vna_twin(request.param) as twin:
        yield twin


@pytest.fixture
def visa(twin: Twin) -> MessageBasedResource:
    resource = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["vna"])
    assert isinstance(resource, MessageBasedResource)
    resource.read_termination = resource.write_termination = "\n"
    resource.timeout = 100_000
    return resource


def use_qcodes(vna: Any) -> None:
    vna.start(4.62e9)
    vna.stop(4.72e9)
    vna.points(51)
    vna.if_bandwidth(1000)
    vna.power(-10)
    vna.averages_enabled(True)
    vna.averages(4)
    measured = vna.traces[0].polar()
    axis = np.linspace(4.62e9, 4.72e9, 51)
    np.testing.assert_allclose(measured, true_reflection(panel_of(vna), axis), atol=0.1 * np.max(np.abs(measured)))
    assert vna.snapshot(update=True)["parameters"]["points"]["value"] == 51
    assert vna.ask("SYST:ERR?") == NO_ERROR


def test_qcodes_n5245a(twin: Twin) -> None:
    vna = KeysightN5245A("vna", twin.addresses["vna"], visalib=twin.visalib)
    assert (vna.get_idn()["model"], len(vna.ports), vna.get_options()) == ("N5245A", 4, ["419", "080"])
    vna.power(-89)
    vna.aux_frequency(5e9)  # of option 080
    use_qcodes(vna)


@pytest.mark.parametrize("twin", ["KeysightN5230C"], indirect=True)
def test_qcodes_n5230c(twin: Twin) -> None:
    vna = KeysightN5230C("vna", twin.addresses["vna"], visalib=twin.visalib)
    assert (vna.get_idn()["model"], len(vna.ports)) == ("N5230C", 2)
    use_qcodes(vna)
    vna.write("CALC:PAR:DEF:EXT 'other','S33'")  # it has two ports
    assert vna.ask("SYST:ERR?").startswith("-224")


@pytest.mark.parametrize("twin", ["KeySight_E5080B"], indirect=True)
def test_contrib_e5080b(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # of 5 s, while the module is imported
    module = pytest.importorskip("qcodes_contrib_drivers.drivers.Keysight.Keysight_E5080B")
    vna = module.KeySight_E5080B("vna", twin.addresses["vna"], visalib=twin.visalib)
    for name, value in {
        "start_freq": 4.62e9, "stop_freq": 4.72e9, "points": 51, "source_power": -10.0, "if_bandwidth": 1e3,
        "sweep_type": "LIN", "trigger_source": "IMM", "trigger_type": "EDGE", "trigger_slope": "NEG",
        "accept_trigger_before_armed": True, "scattering_parameter": "S11", "averages_enabled": True,
        "averages_count": 4, "averages_mode": "SWE", "format_data": "REAL,32", "rf_on": True, "format_border": "SWAP",
        "sweep_group_count": 4, "sweep_time_auto": True,
    }.items():  # fmt: skip
        vna.parameters[name](value)
        found = vna.parameters[name]()
        assert (found.strip('"') if isinstance(found, str) else found) == value  # the S-parameter comes in quotes
    assert vna.operation_status() == 0
    vna.clear_averages()
    vna.sweep_mode("GRO")
    assert vna.ask("*OPC?") == "1"
    values = np.array(vna.get_data())
    axis = np.linspace(4.62e9, 4.72e9, 51)
    measured = values[::2] + 1j * values[1::2]
    np.testing.assert_allclose(measured, true_reflection(panel_of(vna), axis), atol=0.1 * np.max(np.abs(measured)))
    assert len(vna.get_frequencies()) == 2 * 51  # that driver takes 64-bit numbers for twice as many of 32 bits
    vna.snapshot(update=True)
    assert vna.ask("SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize("twin", ["KeysightN5222B", "KeysightE5080B"], indirect=True)
def test_pymeasure_pna(twin: Twin) -> None:
    vna = PymeasurePNA(twin.addresses["vna"], visa_library=twin.visalib)
    channel: Any = vna.ch_1
    vna.write("SENS:FREQ:STAR 4.62E9;STOP 4.72E9;:SENS:SWE:POIN 51")
    channel.single()
    assert vna.complete
    trace = channel.tr_1
    assert trace.parameter == "S11"
    x, y = trace.x_data, trace.y_data_complex
    np.testing.assert_allclose(x, np.linspace(4.62e9, 4.72e9, 51))
    shown = trace.y_data
    np.testing.assert_allclose(shown, 20 * np.log10(np.abs(y[:, 0] + 1j * y[:, 1])), rtol=1e-9)
    assert vna.output_enabled is True
    assert vna.ask("SYST:ERR?").strip() == NO_ERROR


def test_a_sweep_waits_for_its_trigger(visa: MessageBasedResource, twin: Twin) -> None:
    visa.write("SENS:SWE:POIN 11;:TRIG:SOUR EXT;:SENS:SWE:MODE SING;*OPC")
    twin.clock.sleep(1000.0)
    assert (visa.query("SENS:SWE:MODE?"), int(visa.query("*ESR?")) & 1) == ("SING", 0)
    visa.timeout = 10
    with pytest.raises(pyvisa.VisaIOError):
        visa.query("*OPC?")
    visa.write("TRIG:SOUR MAN;:INIT:IMM")
    twin.clock.sleep(10.0)
    assert visa.query("SENS:SWE:MODE?") == "HOLD"
    assert int(visa.query("*ESR?")) & 1


def test_data_are_before_what_is_only_shown(visa: MessageBasedResource) -> None:
    visa.write("FORM ASC,0;:SENS:SWE:POIN 11;:SENS:SWE:MODE SING")
    before, shown = visa.query("CALC:DATA? SDATA"), visa.query("CALC:DATA? FDATA")
    visa.write("CALC:SMO ON;SMO:POIN 5;:CALC:OFFS:MAGN 3;:CALC:FORM PHAS;:CALC:MATH:FUNC DIV;:CALC:FILT:TIME:STAT ON")
    assert visa.query("CALC:DATA? SDATA") == before
    assert visa.query("CALC:DATA? FDATA") != shown
    visa.write("CALC:EQU ON")  # the parameter that was measured last
    assert visa.query("CALC:DATA? SDATA") != before
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_port_extensions_turn_the_phase(visa: MessageBasedResource, twin: Twin) -> None:
    visa.write("FORM ASC,0;:SENS:FREQ:STAR 4.62E9;STOP 4.72E9;:SENS:BAND 10;:SENS:SWE:POIN 11;:CALC:FORM GDEL")
    visa.query("SENS:SWE:MODE SING;*OPC?")
    delay = np.mean(visa.query_ascii_values("CALC:DATA? FDATA"))
    visa.write("SENS:CORR:EXT:PORT1 5 NS;:SENS:CORR:EXT ON")
    visa.query("SENS:SWE:MODE SING;*OPC?")
    assert np.mean(visa.query_ascii_values("CALC:DATA? FDATA")) == pytest.approx(delay - 10e-9, abs=1e-10)


def test_dwell_of_zero_is_automatic_and_other_channels_take_turns(visa: MessageBasedResource, twin: Twin) -> None:
    fastest = float(visa.query("SENS:SWE:POIN 101;:SENS:BAND 1E3;:SENS:SWE:TIME?"))
    assert float(visa.query("SENS:SWE:DWEL 0.01;:SENS:SWE:TIME?")) == pytest.approx(fastest + 1.01)
    assert visa.query("SENS:SWE:DWEL:AUTO?") == "0"
    assert float(visa.query("SENS:SWE:DWEL 0;:SENS:SWE:TIME?")) == pytest.approx(fastest)
    assert visa.query("SENS:SWE:DWEL:AUTO?") == "1"


@pytest.mark.parametrize("twin", ["KeysightE5080B"], indirect=True)
def test_a_frequency_offset_needs_its_option(visa: MessageBasedResource) -> None:
    visa.write("SENS:FOM ON")
    assert visa.query("SYST:ERR?").startswith("-241,")


def test_segments_move_their_neighbours_unless_they_may_overlap(visa: MessageBasedResource) -> None:
    visa.write("SENS:SEGM:DEL:ALL;:SENS:SEGM1:ADD;:SENS:SEGM2:ADD")
    visa.write("SENS:SEGM1:FREQ:STAR 1E9;:SENS:SEGM1:FREQ:STOP 5E9;:SENS:SEGM2:FREQ:STAR 4E9;STOP 6E9")
    assert float(visa.query("SENS:SEGM1:FREQ:STOP?")) == 4e9
    visa.write("SENS:SEGM:ARB ON;:SENS:SEGM1:FREQ:STOP 5E9")
    assert float(visa.query("SENS:SEGM2:FREQ:STAR?")) == 4e9
    assert visa.query("SENS:SEGM:COUN?;:SENS:SEGM1?") == "2;0"
    visa.write("SENS:SEGM1 ON;:SENS:SEGM1:SWE:POIN 11;:SENS:SWE:TYPE SEGM;:FORM ASC,0")
    assert visa.query("SENS:SWE:MODE SING;*OPC?") == "1"
    assert len(visa.query_ascii_values("CALC:DATA? SDATA")) == 22
    np.testing.assert_allclose(visa.query_ascii_values("SENS:X?"), np.linspace(1e9, 5e9, 11))
    visa.write("SENS:SEGM:DEL:ALL")
    assert visa.query("SENS:SWE:TYPE?") == "LIN"
    assert visa.query("SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("SENS:CORR ON", -221),  # without a calibration
        ("SENS:FREQ:STOP 51E9", -222),
        ("SOUR:POW -91", -222),
        ("CALC:MEAS7:DATA:SDAT?", -114),
        ("SOUR:POW5:MODE ON", -114),
    ],
)
def test_rejected_commands(visa: MessageBasedResource, message: str, code: int) -> None:
    visa.write(message)
    assert visa.query("SYST:ERR?").startswith(f"{code},")
