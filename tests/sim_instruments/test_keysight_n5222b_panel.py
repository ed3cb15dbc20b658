"""The N5222B panel through PyVISA: the unmodified QCoDeS driver, formats, averaging, sweep modes, errors."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
import pyvisa
from numpy.typing import NDArray
from pyvisa.resources import MessageBasedResource
from qcodes.instrument_drivers.Keysight import KeysightN5222B

from sim_instruments import ADDRESSES, SHIPPED_TRUTH, load_truth
from sim_instruments.panels.keysight_n5222b import KeysightN5222BPanel
from sim_instruments.visa import LabnisVisaLibrary
from sim_instruments.world import World
from tests.shipped_twin import VISALIB

NO_ERROR = '+0,"No error"'
START, STOP, POINTS = 4.62e9, 4.72e9, 401
AXIS = np.linspace(START, STOP, POINTS)


@pytest.fixture
def visa(twin: LabnisVisaLibrary) -> Iterator[MessageBasedResource]:
    resource = pyvisa.ResourceManager(VISALIB).open_resource(ADDRESSES["vna"])
    assert isinstance(resource, MessageBasedResource)
    resource.read_termination = resource.write_termination = "\n"
    resource.timeout = 100_000
    resource.write(
        f"SENS:SWE:MODE HOLD;:FORM REAL,64;:SENS:FREQ:STAR {START};STOP {STOP};:SENS:SWE:POIN {POINTS};"
        ":SENS:BAND 1 KHZ;:SOUR:POW -10"
    )
    yield resource
    resource.close()


def sweep(visa: MessageBasedResource, mode: str = "SING") -> NDArray[np.complex128]:
    assert visa.query(f"SENS:SWE:MODE {mode};*OPC?") == "1"
    return sweep_data(visa)


def sweep_data(visa: MessageBasedResource) -> NDArray[np.complex128]:
    values = visa.query_binary_values("CALC:DATA? SDATA", datatype="d", is_big_endian=True, container=np.ndarray)
    return np.asarray(values).astype(np.float64).view(np.complex128)


def true_reflection(twin: LabnisVisaLibrary) -> NDArray[np.complex128]:
    """S11 without noise: in a vanishing bandwidth."""
    return twin.world.reflection(AXIS, 1e-4, 1e-12)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("magnitude", lambda s: 20 * np.log10(np.abs(s))),
        ("linear_magnitude", np.abs),
        ("real", np.real),
        ("imaginary", np.imag),
        ("polar", lambda s: s),
    ],
)
def test_unmodified_qcodes_driver_reads_the_reflection(twin: LabnisVisaLibrary, name: str, shown: object) -> None:
    vna = KeysightN5222B("vna", ADDRESSES["vna"], visalib=VISALIB)
    vna.start(START)
    vna.stop(STOP)
    vna.points(POINTS)
    vna.if_bandwidth(1000)
    vna.power(0)
    vna.averages_enabled(True)
    vna.averages(10)
    [trace] = vna.traces
    assert trace.trace() == "S11"
    assert callable(shown)
    expected = shown(true_reflection(twin))
    scale = np.max(np.abs(expected))
    np.testing.assert_allclose(getattr(trace, name)(), expected, atol=2e-3 * scale)
    assert vna.sweep_mode() == "CONT"
    assert vna.ask("SYST:ERR?") == NO_ERROR


def test_qcodes_phases_differ_by_whole_turns_only(twin: LabnisVisaLibrary) -> None:
    vna = KeysightN5222B("vna", ADDRESSES["vna"], visalib=VISALIB)
    vna.start(START)
    vna.stop(STOP)
    vna.auto_sweep(False)
    vna.run_sweep()
    wrapped, unwrapped = vna.traces[0].phase(), vna.traces[0].unwrapped_phase()
    turns = (unwrapped - wrapped) / 360
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-4)
    assert np.max(np.abs(np.diff(unwrapped))) < 180
    assert np.max(np.abs(np.diff(wrapped))) > 180  # 45 ns of cable turn the phase often in 100 MHz


def test_qcodes_snapshot_power_limits_and_options(twin: LabnisVisaLibrary) -> None:
    vna = KeysightN5222B("vna", ADDRESSES["vna"], visalib=VISALIB)
    assert "419" in vna.get_options()
    vna.power(-90)  # below −30 dBm only with the attenuators of option 419
    assert vna.ports[2].source_power() == -90
    parameters = vna.snapshot(update=True)["parameters"]
    assert parameters["power"]["value"] == -90
    assert parameters["points"]["value"] == 201
    assert vna.ask("SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize("border", ["NORM", "SWAP"])
@pytest.mark.parametrize(("form", "datatype", "digits"), [("REAL,64", "d", 1e-15), ("REAL,32", "f", 1e-6)])
def test_one_trace_in_every_format(
    visa: MessageBasedResource, form: str, datatype: Literal["d", "f"], digits: float, border: str
) -> None:
    reference = sweep(visa).view(np.float64)
    visa.write(f"FORM:BORD {border};:FORM {form}")
    values = visa.query_binary_values("CALC:DATA? SDATA", datatype=datatype, is_big_endian=border == "NORM")
    np.testing.assert_allclose(values, reference, rtol=digits)
    visa.write("FORM ASC,0")
    np.testing.assert_allclose(visa.query_ascii_values("CALC:DATA? SDATA"), reference, rtol=1e-11)
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_electrical_delay_flattens_the_formatted_data_only(visa: MessageBasedResource, twin: LabnisVisaLibrary) -> None:
    visa.write("FORM ASC;:CALC:FORM GDEL")
    visa.query("SENS:SWE:MODE SING;*OPC?")
    raw = visa.query("CALC:DATA? SDATA")
    delay = np.mean(visa.query_ascii_values("CALC:DATA? FDATA"))
    visa.write("CALC:CORR:EDEL:TIME 45 NS")
    assert np.mean(visa.query_ascii_values("CALC:DATA? FDATA")) == pytest.approx(delay - 45e-9, abs=1e-12)
    assert visa.query("CALC:DATA? SDATA") == raw


@pytest.mark.parametrize(
    ("setup", "mode", "bandwidth"),
    [
        ("SENS:BAND 1 KHZ", "SING", 1e3),
        ("SENS:BAND 10 KHZ", "SING", 1e4),
        ("SENS:AVER ON;AVER:COUN 16;:SENS:SWE:GRO:COUN 16", "GRO", 1e3 / 16),
        ("SENS:AVER ON;AVER:COUN 16;MODE POIN", "SING", 1e3 / 16),
    ],
)
def test_noise_follows_bandwidth_and_averages(
    visa: MessageBasedResource, twin: LabnisVisaLibrary, setup: str, mode: str, bandwidth: float
) -> None:
    visa.write(f"SOUR:POW -40;:{setup}")
    before = twin.clock.time()
    measured = sweep(visa, mode)
    elapsed = twin.clock.time() - before
    clean = true_reflection(twin)
    wide = 1e12  # so much noise that nothing else is left: its scatter, scaled, is the expected one
    noisy = twin.world.reflection(AXIS, 1e-7, wide)
    expected = np.std(noisy - clean) * np.sqrt(bandwidth / wide)
    assert np.std(measured - clean) == pytest.approx(expected, rel=0.15)
    assert elapsed > POINTS / bandwidth
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_single_sweeps_add_to_a_running_average(visa: MessageBasedResource, twin: LabnisVisaLibrary) -> None:
    visa.write("SOUR:POW -40;:SENS:AVER ON;AVER:COUN 4")
    clean = true_reflection(twin)
    first = np.std(sweep(visa) - clean)
    for _ in range(3):
        last = np.std(sweep(visa) - clean)
    assert last / first == pytest.approx(0.5, rel=0.2)
    visa.write("SENS:AVER:CLE")
    assert np.std(sweep(visa) - clean) == pytest.approx(first, rel=0.2)


def test_polling_detects_the_end_of_the_sweep(visa: MessageBasedResource) -> None:
    visa.write("SENS:SWE:MODE SING")
    for _ in range(3):
        if visa.query("SENS:SWE:MODE?") == "HOLD":
            break
    assert visa.query("SENS:SWE:MODE?") == "HOLD"
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_a_rejected_mode_does_not_stop_the_sweep(visa: MessageBasedResource) -> None:
    visa.write("SENS:SWE:MODE SING;:INIT:CONT MAYBE")
    assert visa.query("SYST:ERR?").startswith("-104,")
    assert len(sweep_data(visa)) == POINTS


def test_bandwidths_between_two_are_rounded_up(visa: MessageBasedResource) -> None:
    assert float(visa.query("SENS:BAND 1100;BAND?")) == 1500
    assert float(visa.query("SENS:BWID 15 MHZ;BWID?")) == 15e6


def test_unconnected_ports_read_noise_floor_only(visa: MessageBasedResource) -> None:
    visa.write("CALC:PAR:DEF:EXT 'through','S21';:CALC:PAR:SEL 'through'")
    assert visa.query("CALC:PAR:CAT:EXT?") == '"CH1_S11_1,S11,through,S21"'
    level = 10 * np.log10(np.mean(np.abs(sweep(visa)) ** 2))
    assert level == pytest.approx(-127 + 30 + 10, abs=1)  # −127 dBm/Hz in 1 kHz against −10 dBm


def test_a_switched_off_source_reflects_nothing(visa: MessageBasedResource) -> None:
    visa.write("OUTP OFF")
    assert np.max(np.abs(sweep(visa))) < 1e-3


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("SOUR:POW 20", -222),
        ("CALC:PAR:SEL 'none'", -224),
        ("CALC:PAR:MNUM MAX", -104),
        ("SENS:SWE:TYPE PHAS", -224),
        ("SENS:SWE:TYPE SEGM", -221),
        ("INIT:IMM", -213),
    ],
)
def test_rejected_commands_reach_the_error_queue(visa: MessageBasedResource, message: str, code: int) -> None:
    visa.write(message)
    assert visa.query("SYST:ERR?").startswith(f"{code},")
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_data_of_other_settings_are_gone(visa: MessageBasedResource) -> None:
    sweep(visa)
    visa.write("SENS:SWE:POIN 11")
    visa.timeout = 10
    with pytest.raises(pyvisa.VisaIOError):
        visa.query("CALC:DATA? SDATA")
    assert visa.query("SYST:ERR?").startswith("-230,")


class HandClock:
    """A clock that is not simulated time: a question costs only the time on the bus."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_in_real_time_a_poll_does_not_finish_the_sweep() -> None:
    clock = HandClock()
    panel = KeysightN5222BPanel(World(load_truth(SHIPPED_TRUTH), clock))
    panel.receive(b"SENS:BAND 100;:SENS:SWE:MODE SING")
    panel.receive(b"SENS:SWE:MODE?")
    assert panel.take(100) == (b"SING\n", True)
    clock.sleep(201 / 100 + 0.1)
    panel.receive(b"SENS:SWE:MODE?")
    assert panel.take(100) == (b"HOLD\n", True)
