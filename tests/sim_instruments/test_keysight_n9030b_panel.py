"""The N9030B panel through PyVISA: the unmodified QCoDeS driver, trace formats, noise statistics, errors."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
import pyvisa
from numpy.typing import NDArray
from pyvisa.resources import MessageBasedResource
from qcodes.instrument_drivers.Keysight import KeysightN9030B

from sim_instruments import ADDRESSES
from sim_instruments.panels.keysight_n9030b import NOISE_BANDWIDTH_RATIO, KeysightN9030BPanel
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import VISALIB

NO_ERROR = '+0,"No error"'
CENTER, SPAN = 4.67e9, 100e6


@pytest.fixture
def panel(twin: LabnisVisaLibrary) -> KeysightN9030BPanel:
    found = twin.panels["analyzer"]
    assert isinstance(found, KeysightN9030BPanel)
    return found


@pytest.fixture
def visa(twin: LabnisVisaLibrary) -> Iterator[MessageBasedResource]:
    resource = pyvisa.ResourceManager(VISALIB).open_resource(ADDRESSES["analyzer"])
    assert isinstance(resource, MessageBasedResource)
    resource.read_termination = resource.write_termination = "\n"
    resource.timeout = 100_000
    for command in (
        "INIT:CONT OFF",
        "CORR:NOIS:FLO OFF",  # on after power-up
        "FORM REAL,64",
        "UNIT:POW W",
        f"FREQ:CENT {CENTER}",
        f"FREQ:SPAN {SPAN}",
        "BAND:TYPE NOIS",
        "BAND:RES 1 MHZ",
        "DET:TRAC AVER",
        "AVER:TYPE RMS",
        "SWE:TIME 1",
    ):
        resource.write(command)
    yield resource
    resource.close()


def watts(visa: MessageBasedResource) -> NDArray[np.float64]:
    values = visa.query_binary_values(":READ:SAN1?", datatype="d", is_big_endian=True, container=np.ndarray)
    return np.asarray(values)[1::2]


def true_density(twin: LabnisVisaLibrary, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise-free PSD (W/Hz): so many samples that the World's scatter vanishes."""
    return twin.world.power_spectral_density(frequencies, 1e14)


def test_unmodified_qcodes_driver_reads_the_noise_power(twin: LabnisVisaLibrary) -> None:
    analyzer = KeysightN9030B("analyzer", ADDRESSES["analyzer"], visalib=VISALIB)
    assert analyzer.get_idn()["model"] == "N9030B"
    assert analyzer.options()[0] == "526"
    analyzer.write(":CORR:NOIS:FLO OFF")  # which subtracts the analyzer's own noise, and is on after power-up
    analyzer.sa.setup_swept_sa_sweep(CENTER - SPAN / 2, CENTER + SPAN / 2, 201)
    analyzer.sa.res_bw_type("NOISE")
    analyzer.sa.res_bw(1e6)
    analyzer.sa.detector("AVER")
    analyzer.sa.average_type("RMS")
    analyzer.sa.auto_sweep_time_enabled(False)
    analyzer.sa.sweep_time(4.0)
    trace = analyzer.sa.trace()
    axis = analyzer.sa.freq_axis()
    expected = 10 * np.log10(true_density(twin, axis) * analyzer.sa.res_bw() / 1e-3)
    # 4 s / 200 points × 1 MHz = 2e4 samples per point: 0.03 dB scatter.
    assert trace.shape == (201,)
    np.testing.assert_allclose(trace, expected, atol=0.03 * 5)
    assert np.mean(trace - expected) == pytest.approx(0, abs=0.01)
    analyzer.auto_sweep(False)
    np.testing.assert_array_equal(analyzer.sa.trace(), trace)
    assert analyzer.ask(":SYST:ERR?") == NO_ERROR


def test_qcodes_snapshot_finds_every_parameter(twin: LabnisVisaLibrary) -> None:
    analyzer = KeysightN9030B("analyzer", ADDRESSES["analyzer"], visalib=VISALIB)
    parameters = analyzer.snapshot(update=True)["submodules"]["sa"]["parameters"]
    values = {name: entry.get("value") for name, entry in parameters.items() if name not in ("trace", "freq_axis")}
    assert None not in values.values()
    assert values["stop"] - values["start"] == pytest.approx(values["span"])
    assert analyzer.ask(":SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize("border", ["NORM", "SWAP"])
@pytest.mark.parametrize(("form", "datatype", "digits"), [("REAL,64", "d", 1e-15), ("REAL,32", "f", 1e-6)])
def test_one_trace_in_every_format(
    visa: MessageBasedResource, form: str, datatype: Literal["d", "f"], digits: float, border: str
) -> None:
    reference = watts(visa)
    visa.write(f"FORM:BORD {border};:FORM {form}")
    values = visa.query_binary_values(":TRAC:DATA? TRACE1", datatype=datatype, is_big_endian=border == "NORM")
    np.testing.assert_allclose(values, reference, rtol=digits)
    visa.write("FORM ASC")
    np.testing.assert_allclose(visa.query_ascii_values(":TRAC? TRACE1"), reference, rtol=1e-11)
    assert visa.query(":SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(
    ("unit", "watt"),
    [
        ("DBM", lambda y: 1e-3 * 10 ** (y / 10)),
        ("V", lambda y: y**2 / 50),
        ("DBUV", lambda y: (1e-6 * 10 ** (y / 20)) ** 2 / 50),
        ("DBMA", lambda y: (1e-3 * 10 ** (y / 20)) ** 2 * 50),
    ],
)
def test_units_show_the_same_power(visa: MessageBasedResource, unit: str, watt: object) -> None:
    reference = watts(visa)
    visa.write(f"UNIT:POW {unit}")
    shown = visa.query_binary_values(":FETC:SAN1?", datatype="d", is_big_endian=True, container=np.ndarray)
    assert callable(watt)
    np.testing.assert_allclose(watt(np.asarray(shown)[1::2]), reference, rtol=1e-12)


def test_bandwidth_types_describe_one_filter(visa: MessageBasedResource, twin: LabnisVisaLibrary) -> None:
    """A DB3 filter of 100 kHz passes the noise of 105.67 kHz, whatever BAND:TYPE says."""
    visa.write("BAND:TYPE DB3;:BAND:RES 100 KHZ")
    power = watts(visa).mean()
    assert float(visa.query("BAND:RES?")) == 1e5
    visa.write("BAND:TYPE NOIS")
    assert float(visa.query("BAND:RES?")) == pytest.approx(1e5 * NOISE_BANDWIDTH_RATIO)
    density = true_density(twin, np.linspace(CENTER - SPAN / 2, CENTER + SPAN / 2, 1001)).mean()
    # 1001 points × 1 ms × 106 kHz: relative scatter 3e-3.
    assert power / density == pytest.approx(1e5 * NOISE_BANDWIDTH_RATIO, rel=0.015)


@pytest.mark.parametrize(("scale", "decibel"), [("RMS", 0.0), ("LOG", -2.507), ("SCAL", -1.049)])
def test_averaging_scales_bias_noise_as_published(
    visa: MessageBasedResource, twin: LabnisVisaLibrary, scale: str, decibel: float
) -> None:
    visa.write(f"AVER:TYPE {scale}")
    density = true_density(twin, np.linspace(CENTER - SPAN / 2, CENTER + SPAN / 2, 1001))
    level = 10 * np.log10(np.mean(watts(visa) / density) / float(visa.query("BAND:RES?")))
    assert level == pytest.approx(decibel, abs=0.02)


def test_noise_averages_down_with_bandwidth_and_time(visa: MessageBasedResource, twin: LabnisVisaLibrary) -> None:
    visa.write("SWE:POIN 5001;:TRAC1:TYPE AVER")
    axis = np.linspace(CENTER - SPAN / 2, CENTER + SPAN / 2, 5001)
    density = true_density(twin, axis)
    for bandwidth, sweep_time, averages in ((1e6, 1.0, 1), (1e5, 1.0, 1), (1e6, 4.0, 1), (1e6, 1.0, 30)):
        visa.write(f"BAND:RES {bandwidth};:SWE:TIME {sweep_time};:AVER:COUN {averages}")
        noise_bandwidth = float(visa.query("BAND:RES?"))
        before = twin.clock.time()
        relative = watts(visa) / density / noise_bandwidth - 1
        samples = noise_bandwidth * sweep_time / 5000 * averages
        # 5001 values fix their standard deviation to 1 %.
        assert relative.std() == pytest.approx(samples**-0.5, rel=0.05)
        assert twin.clock.time() - before == pytest.approx(sweep_time * averages, abs=0.05)


def test_channel_power_integrates_the_density(visa: MessageBasedResource, twin: LabnisVisaLibrary) -> None:
    visa.write("FORM ASC;:CHP:BAND:INT 20 MHZ;:CHP:FREQ:SPAN 30 MHZ;:CHP:SWE:TIME 5")
    power, density = visa.query_ascii_values(":READ:CHP?")
    true = true_density(twin, np.linspace(CENTER - 10e6, CENTER + 10e6, 1001)).mean()
    assert density == pytest.approx(10 * np.log10(true / 1e-3), abs=0.02)
    assert power - density == pytest.approx(10 * np.log10(20e6), abs=1e-9)
    assert visa.query_ascii_values(":FETC:CHP?") == [power, density]
    assert visa.query(":SYST:ERR?") == NO_ERROR


def test_initiate_is_overlapped_and_opc_waits(visa: MessageBasedResource, twin: LabnisVisaLibrary) -> None:
    before = twin.clock.time()
    visa.write("INIT:IMM")
    assert twin.clock.time() - before < 0.1
    assert visa.query("*OPC?") == "1"
    assert twin.clock.time() - before == pytest.approx(1.0, abs=0.01)


def test_start_beyond_stop_moves_stop(visa: MessageBasedResource) -> None:
    visa.write("FREQ:STOP 1 GHZ;START 2 GHZ")
    assert [float(part) for part in visa.query("FREQ:STAR?;STOP?;SPAN?").split(";")] == [2e9, 2e9 + 10, 10]


def test_overload_sets_and_latches_its_bit(visa: MessageBasedResource, panel: KeysightN9030BPanel) -> None:
    panel.overloaded = True
    watts(visa)
    assert visa.query("STAT:QUES:INT:COND?;:STAT:QUES:COND?") == "16;512"
    panel.overloaded = False
    watts(visa)
    assert visa.query("STAT:QUES:INT:COND?") == "0"
    assert visa.query("STAT:QUES:INT?") == "16"
    assert visa.query("STAT:QUES:INT?") == "0"


def test_too_much_power_overloads_until_it_is_attenuated(
    visa: MessageBasedResource, twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 1e-10 W/Hz over 100 MHz is 10 dBm; the mixer takes −10 dBm.
    monkeypatch.setattr(twin.world, "power_spectral_density", lambda axis, *_: np.full(axis.shape, 1e-10))
    for attenuation, bit in ((10, "16"), (30, "0")):
        visa.write(f"POW:ATT {attenuation}")
        watts(visa)
        assert visa.query("STAT:QUES:INT:COND?") == bit


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("FREQ:CENT 40 GHZ", -222),
        ("DET:TRAC QUICK", -224),
        ("INST:SEL PNOISE", -224),
        ("CONF:LPL", -113),
        ("SWE:POIN", -109),
        ("TRAC:DATA? TRACE2", -224),
    ],
)
def test_rejected_commands_reach_the_error_queue(visa: MessageBasedResource, message: str, code: int) -> None:
    visa.write(message)
    assert visa.query(":SYST:ERR?").startswith(f"{code},")
    assert visa.query(":SYST:ERR?") == NO_ERROR


# --- what changes the numbers of a trace -----------------------------------------------------------------------------


def trace_in_decibels(visa: MessageBasedResource) -> NDArray[np.float64]:
    visa.write("SWE:TIME 20")  # 20 s / 1000 points × 1 MHz: 0.03 dB of scatter
    return np.asarray(10 * np.log10(watts(visa)))


@pytest.mark.parametrize(
    ("commands", "decibel"),
    [
        ("DISP:WIND:TRAC:Y:RLEV:OFFS 12.7", 12.7),
        ("DISP:WIND:TRAC:Y:RLEV:OFFS 12.7;:DISP:WIND:TRAC:Y:RLEV:OFFS:STAT OFF", 0.0),
        ("CORR:SA:GAIN 20", -20.0),
        ("CORR:CSET1:DATA 1E9,-3,9E9,-3", 0.0),
        ("CORR:CSET1:DATA 1E9,-3,9E9,-3;:CORR:CSET1 ON", -3.0),
        ("CORR:CSET1:DATA 1E9,-3,9E9,-3;:CORR:CSET1 ON;:CORR:CSET:ALL OFF", 0.0),
        ("CALC:MATH TRACE1,LOFF,TRACE2,TRACE3,-6,0", -6.0),
        ("INP:COUP DC", 0.0),
        ("CORR:IMP 75", 0.0),  # of no effect in watts
    ],
)
def test_offsets_and_corrections_act_on_queried_data(visa: MessageBasedResource, commands: str, decibel: float) -> None:
    before = trace_in_decibels(visa)
    visa.write(commands)
    assert np.mean(trace_in_decibels(visa) - before) == pytest.approx(decibel, abs=0.01)
    assert visa.query(":SYST:ERR?") == NO_ERROR


def test_the_noise_floor_extension_is_on_after_power_up_and_survives_a_reset(
    visa: MessageBasedResource, panel: KeysightN9030BPanel
) -> None:
    without = watts(visa).mean()
    visa.write("CORR:NOIS:FLO ON")
    assert without - watts(visa).mean() == pytest.approx(4e-19 * float(visa.query("BAND:RES?")), rel=0.2)
    visa.write("CORR:SA:GAIN 7;:CORR:NOIS:FLO OFF;*RST")
    assert visa.query("CORR:NOIS:FLO?;:CORR:SA:GAIN?") == "0;+7.00000000000E+00"
    panel.switch_on()
    assert visa.query("CORR:NOIS:FLO?;:CORR:NOIS:FLO:ADAP?;:CORR:SA:GAIN?") == "1;1;+0.00000000000E+00"


def test_a_frequency_offset_moves_the_axis_and_not_the_tuning(
    visa: MessageBasedResource, panel: KeysightN9030BPanel
) -> None:
    visa.write("FREQ:OFFS 1 GHZ")
    assert float(visa.query("FREQ:CENT?")) == CENTER + 1e9
    visa.write("FREQ:CENT 4.67 GHZ")  # is now 3.67 GHz at the connector
    assert panel.frequencies()[500] - panel.state["frequency offset"] == pytest.approx(3.67e9)


def test_a_viewed_trace_keeps_its_old_data(visa: MessageBasedResource) -> None:
    before = watts(visa)
    visa.write("TRAC1:UPD OFF")
    np.testing.assert_array_equal(watts(visa), before)
    visa.write("TRAC1:TYPE WRIT")  # which activates it
    assert np.all(watts(visa) != before)


@pytest.mark.parametrize("command", ["FEED AREF", "FEED:AREF REF50", "FEED EMIX"])
def test_another_input_shows_only_its_own_noise(visa: MessageBasedResource, command: str) -> None:
    visa.write(command)
    assert watts(visa).mean() == pytest.approx(4e-19 * float(visa.query("BAND:RES?")), rel=0.1)
    visa.write("FEED RF")
    assert visa.query("FEED:AREF?") == "OFF"


@pytest.mark.parametrize("command", ["TRIG:SOUR EXT1", "SWE:EGAT ON"])
def test_without_a_trigger_no_sweep_begins(visa: MessageBasedResource, twin: LabnisVisaLibrary, command: str) -> None:
    visa.write(command)
    visa.write("INIT:SAN;*OPC")
    twin.clock.sleep(100.0)
    assert visa.query("STAT:OPER:COND?;*ESR?") in ("32;0", "32;128")
    visa.write("ABOR")
    assert visa.query("STAT:OPER:COND?") == "0"


def test_an_alignment_interrupts_the_sweep(
    visa: MessageBasedResource, twin: LabnisVisaLibrary, panel: KeysightN9030BPanel
) -> None:
    visa.write("INIT:SAN")
    panel.align(30.0)
    twin.clock.sleep(10.0)
    assert int(visa.query("STAT:OPER:COND?")) & 1
    before = twin.clock.time()
    assert visa.query("*OPC?") == "1"
    assert twin.clock.time() - before == pytest.approx(21.0, abs=0.1)
    assert visa.query("STAT:OPER:COND?") == "0"


def test_a_sweep_faster_than_its_filter_is_uncalibrated(visa: MessageBasedResource) -> None:
    visa.write("BAND:RES 10 KHZ;:SWE:TIME 0.1")
    watts(visa)
    assert visa.query("STAT:QUES:INT:COND?") == "8"
    visa.write("SWE:TIME:AUTO ON")
    watts(visa)
    assert visa.query("STAT:QUES:INT:COND?") == "0"


def test_a_missing_external_reference_is_in_the_status(visa: MessageBasedResource, panel: KeysightN9030BPanel) -> None:
    assert visa.query("ROSC:SOUR?;:STAT:QUES:FREQ:COND?") == "INT;0"
    visa.write("ROSC:SOUR:TYPE EXT")
    assert visa.query("STAT:QUES:FREQ:COND?;:STAT:QUES:COND?") == "1026;32"
    panel.reference_connected = True
    assert visa.query("ROSC:SOUR?;:STAT:QUES:FREQ:COND?") == "EXT;0"


def test_the_scale_has_its_own_unit(visa: MessageBasedResource) -> None:
    visa.write("DISP:WIND:TRAC:Y:SPAC LIN")
    assert visa.query("UNIT:POW?") == "V"


def test_normalization_needs_a_reference(visa: MessageBasedResource) -> None:
    visa.write("CALC:NTD ON")
    assert visa.query(":SYST:ERR?").startswith("-221,")
    watts(visa)
    visa.write("CALC:NTD:STOR:REF;:CALC:NTD ON")
    assert watts(visa).mean() == pytest.approx(1e-3, rel=0.05)


def test_fetch_without_data_is_an_error_and_no_data(visa: MessageBasedResource) -> None:
    visa.timeout = 10
    with pytest.raises(pyvisa.VisaIOError):
        visa.query(":FETC:SAN1?")
    assert visa.query(":SYST:ERR?").startswith("-230,")
