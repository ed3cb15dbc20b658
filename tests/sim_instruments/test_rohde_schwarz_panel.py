"""The FSV and FSW panels: unmodified drivers of pymeasure and qcodes_contrib_drivers, statistics of noise, quirks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import pyvisa
from numpy.typing import NDArray
from pyvisa.resources import MessageBasedResource

from sim_instruments import Twin
from sim_instruments.panels.rohde_schwarz_spectrum import GAUSSIAN
from sim_instruments.visa import LabnisVisaLibrary
from tests.analyzer_twin import analyzer_twin  # noqa: F401  # a fixture

NO_ERROR = '0,"No error"'


@pytest.fixture
def visa(twin: Twin) -> Iterator[MessageBasedResource]:
    resource = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["fsw"])
    assert isinstance(resource, MessageBasedResource)
    resource.read_termination = resource.write_termination = "\n"
    resource.timeout = 100_000
    for command in ("INIT:CONT OFF", "FREQ:CENT 4.67 GHZ;SPAN 100 MHZ", "BAND 1 MHZ;:DET RMS;:SWE:TIME 2;TYPE SWE"):
        resource.write(command)
    yield resource
    resource.close()


def levels(visa: MessageBasedResource) -> NDArray[np.float64]:
    """The trace (dBm) of one measurement."""
    visa.write("FORM REAL,32;:INIT;*WAI")
    return np.asarray(visa.query_binary_values("TRAC? TRACE1", datatype="f", is_big_endian=False))


def true_levels(visa: MessageBasedResource) -> NDArray[np.float64]:
    library: Any = visa.visalib
    assert isinstance(library, LabnisVisaLibrary)
    axis = np.linspace(4.62e9, 4.72e9, 1001)
    return np.asarray(10 * np.log10(library.world.power_spectral_density(axis, 1e14) * 1e6 * GAUSSIAN / 1e-3))


def test_pymeasure_reads_the_trace_of_an_fsw(twin: Twin) -> None:
    rohdeschwarz = pytest.importorskip("pymeasure.instruments.rohdeschwarz")
    adapters = pytest.importorskip("pymeasure.adapters")
    if not hasattr(rohdeschwarz, "FSW"):
        pytest.skip("this pymeasure has no FSW")
    adapter = adapters.VISAAdapter(twin.addresses["fsw"], visa_library=twin.visalib, timeout=20_000)
    fsw = rohdeschwarz.FSW(adapter)
    fsw.continuous_sweep_enabled = False
    fsw.freq_center, fsw.freq_span = "4.67 GHz", 1e8
    fsw.res_bandwidth, fsw.video_bandwidth, fsw.sweep_time = 1e6, "AUTO", 1.0
    fsw.attenuation, fsw.trace_mode = 10, "WRIT"
    assert (fsw.freq_start, fsw.freq_stop, fsw.res_bandwidth) == (4.62e9, 4.72e9, 1e6)
    fsw.single_sweep()
    axis, trace = fsw.read_trace()
    assert (axis[0], axis[-1], len(trace)) == (4.62e9, 4.72e9, 1001)
    assert -120 < np.mean(trace) < -60
    assert fsw.active_channel == "Spectrum"
    marker = fsw.create_marker()
    marker.to_peak()
    assert marker.y == pytest.approx(np.max(trace), abs=1e-6)
    marker.disable()
    assert fsw.ask("SYST:ERR?").strip() == NO_ERROR


def test_pymeasure_reads_the_trace_of_an_fsv(twin: Twin) -> None:
    """The class of its predecessor FSL, which has the same commands."""
    rohdeschwarz = pytest.importorskip("pymeasure.instruments.rohdeschwarz")
    adapters = pytest.importorskip("pymeasure.adapters")
    if not hasattr(rohdeschwarz, "FSL"):
        pytest.skip("this pymeasure has no FSL")
    fsv = rohdeschwarz.FSL(adapters.VISAAdapter(twin.addresses["fsv"], visa_library=twin.visalib, timeout=20_000))
    fsv.continuous_sweep_enabled = False
    fsv.freq_start, fsv.freq_stop = 4.62e9, 4.72e9
    fsv.single_sweep()
    axis, trace = fsv.read_trace()
    assert (axis[0], axis[-1], trace.shape) == (4.62e9, 4.72e9, (1001,))
    assert fsv.ask("SYST:ERR?").strip() == NO_ERROR


def test_contrib_reads_the_trace_of_an_fsv(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("qcodes_contrib_drivers.drivers.RohdeSchwarz.FSV_3013")
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    fsv = module.RFSpectrumAnalyzer("contrib", twin.addresses["fsv"], visalib=twin.visalib, terminator="\n", timeout=20)
    fsv.frequency(4.67e9)
    fsv.span(1e8)
    fsv.resolution_bandwidth(1e6)
    fsv.reference_level(-20)
    assert fsv.trigger_source() == "IMM"
    fsv.sweep_mode("OFF")
    fsv.write(":FORM ASC")
    trace = np.asarray(fsv.trace_amplitudes())
    assert trace.shape == (1001,)
    assert -120 < trace.mean() < -60
    # It writes :FORM:TRAC ASC, which an FSV does not have: an entry of the queue for each trace.
    assert fsv.ask("SYST:ERR?").strip() == '-113,"Undefined header"'
    assert fsv.ask("SYST:ERR?").strip() == NO_ERROR
    fsv.timeout(0.05)
    fsv.snapshot(update=True)
    # :CORR:STAT?, :TRIG:LEV? (an FSV has levels by source only) and :INIT:IMM? are no queries of an FSV, and are read
    # nevertheless; each of its six parameters of the trace takes one, with :FORM:TRAC.
    entries = fsv.ask("SYST:ERR:ALL?").replace('",-', '";-').split(";")
    assert set(entries) == {'-113,"Undefined header"', '-420,"Query UNTERMINATED"'}
    assert entries.count('-420,"Query UNTERMINATED"') == 3


def test_the_noise_bandwidth_is_that_of_a_gaussian_filter(visa: MessageBasedResource) -> None:
    assert np.mean(levels(visa) - true_levels(visa)) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(("scale", "decibel"), [("POW", 0.0), ("LIN", -1.05), ("VID", -2.51)])
def test_one_sample_per_point_shows_the_biases_of_sample_detection(
    visa: MessageBasedResource, scale: str, decibel: float
) -> None:
    visa.write(f"DET SAMP;:DISP:TRAC:MODE AVER;:SWE:COUN 2000;TIME 2;:AVER:TYPE {scale}")
    assert np.mean(levels(visa) - true_levels(visa)) == pytest.approx(decibel, abs=0.05)


def test_trace_averaging_of_the_rms_detector_reads_too_low_unless_it_averages_power(
    visa: MessageBasedResource,
) -> None:
    # 4.3 samples per point: 10·log10(exp(ψ(n))/n) = −0.52 dB.
    visa.write("SWE:TIME 4E-3;:DISP:TRAC:MODE AVER;:SWE:COUN 1000;:AVER:TYPE VID")
    assert np.mean(levels(visa) - true_levels(visa)) == pytest.approx(-0.52, abs=0.05)
    visa.write("AVER:TYPE POW")
    assert np.mean(levels(visa) - true_levels(visa)) == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("commands", "decibel"),
    [
        ("DISP:TRAC:Y:RLEV:OFFS 12", 12.0),
        ("INP:IMP 75", 1.76),
        ("CORR:TRAN:DATA 1E9,-3", 0.0),
        ("CORR:TRAN:DATA 1E9,-3;STAT ON", -3.0),
        ("INP:COUP DC", 0.0),
    ],
)
def test_offsets_and_factors_act_on_queried_data(visa: MessageBasedResource, commands: str, decibel: float) -> None:
    visa.write(commands)
    assert np.mean(levels(visa) - true_levels(visa)) == pytest.approx(decibel, abs=0.02)
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_formats_and_filters(visa: MessageBasedResource) -> None:
    single = levels(visa)
    visa.write("FORM REAL,64")
    double = visa.query_binary_values("TRAC? TRACE1", datatype="d", is_big_endian=False)
    np.testing.assert_allclose(single, double, rtol=1e-6)
    visa.write("FORM ASC")
    np.testing.assert_allclose(visa.query_ascii_values("TRAC:DATA? TRACE1"), double, rtol=1e-9)
    for asked, found in (("140 KHZ", 1e5), ("150 KHZ", 2e5), ("4 KHZ", 5e3)):
        visa.write(f"BAND {asked}")
        assert float(visa.query("BAND?")) == found


def test_a_viewed_trace_keeps_its_old_data(visa: MessageBasedResource) -> None:
    before = levels(visa)
    visa.write("DISP:TRAC:MODE VIEW")
    np.testing.assert_array_equal(levels(visa), before)


@pytest.mark.parametrize(
    ("message", "code"),
    [("FREQ:CENT 40 GHZ", -222), ("DET QUICK", -224), ("FORM:BORD SWAP", -113), ("SWE:POIN", -109)],
)
def test_rejected_commands_reach_the_error_queue(visa: MessageBasedResource, message: str, code: int) -> None:
    visa.write(message)
    assert visa.query("SYST:ERR?").startswith(f"{code},")
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_only_the_fsw_has_the_register_of_the_sweep_time(visa: MessageBasedResource, twin: Twin) -> None:
    visa.write("SWE:TIME 1E-3;:BAND 10 KHZ")
    assert visa.query("STAT:QUES:TIM:COND?") == "2"
    fsv = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["fsv"])
    assert isinstance(fsv, MessageBasedResource)
    fsv.read_termination = fsv.write_termination = "\n"
    fsv.write("STAT:QUES:TIM:COND?")
    assert fsv.query("SYST:ERR?") == '-113,"Undefined header"'
