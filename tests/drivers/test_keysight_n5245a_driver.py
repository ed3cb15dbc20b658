"""Keysight's family of network analyzers: every state that an earlier user may have left, and every fault, named."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from drivers.capabilities import Segment, SegmentedSweep
from drivers.errors import CommunicationError, InstrumentError, ReadingError, SettingError
from drivers.keysight_n5245a import KeysightN5245A
from drivers.roles import VectorNetworkAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.scpi_values import ScpiError
from tests.acquiring import acquired
from tests.vna_twin import (
    SWEEP,
    panel_of,
    require_no_wrong_number,
    require_power_before_output,
    require_right,
    vna_twin,
)


@pytest.fixture(name="twin")
def n5245a_twin() -> Iterator[Twin]:
    with vna_twin("KeysightN5245A") as twin:
        yield twin


@pytest.fixture
def vna(twin: Twin) -> KeysightN5245A:
    return KeysightN5245A("vna", twin.addresses["vna"], visalib=twin.visalib)


def test_it_fills_the_role_and_measures(vna: KeysightN5245A) -> None:
    assert missing_members(vna, VectorNetworkAnalyzer) == []
    vna.prepare(**SWEEP)
    require_right(vna)
    assert vna.get_idn()["vendor"] == "Agilent Technologies"
    vna.prepare(**{**SWEEP, "center": 40e9, "power": -85.0})  # the attenuators of option 419
    assert vna.frequencies()[50] == 40e9


@pytest.mark.parametrize(
    "left",
    [
        "TRIG:SOUR EXT", "TRIG:SOUR MAN", "TRIG:SCOP CURR", "SENS:SWE:TRIG:MODE POIN", "SENS:SWE:TYPE CW",
        "SENS:SWE:TYPE LOG", "SENS:SWE:GEN ANAL", "SENS:SWE:SPE FAST", "SENS:SWE:DWEL 0.01", "SENS:SWE:DWEL:SDEL 1",
        "SENS:SWE:TIME 5", "SENS:AVER:MODE POIN;COUN 100", "SENS:AVER OFF", "SENS:SWE:MODE CONT", "FORM:BORD SWAP",
        "FORM ASC,0", "SOUR:POW:SLOP 2;SLOP:STAT ON", "SOUR:POW1:MODE OFF", "SENS:IF:FILT:AUTO OFF", "SENS:FOM ON",
        "CALC:EQU ON", "OUTP OFF", "SOUR:POW:COUP OFF", "CALC:SMO ON", "CALC:MATH:FUNC DIV", "CALC:OFFS:MAGN 6",
        "CALC:CORR:EDEL 1E-9", "CALC:FORM PHAS", "CALC:PAR:MOD:EXT 'S22'", "CALC:PAR:DEL:ALL",
        "SENS:SEGM1 ON;:SENS:SWE:TYPE SEGM",
    ],
)  # fmt: skip
def test_what_an_earlier_user_left_changes_nothing(vna: KeysightN5245A, left: str) -> None:
    panel = panel_of(vna)
    panel.execute(left)
    assert not panel.errors
    vna.prepare(**SWEEP)
    require_right(vna)


def test_other_channels_do_not_take_turns(vna: KeysightN5245A) -> None:
    panel = panel_of(vna)
    panel.other_channels = panel.running_channels = (2, 7)
    vna.prepare(**SWEEP)
    assert panel.running_channels == ()
    require_right(vna)


def test_a_channel_of_another_class_is_refused(vna: KeysightN5245A) -> None:
    panel_of(vna).measurement_class = "Gain Compression"
    with pytest.raises(SettingError, match=r"channel 1 is of the measurement class .*Gain Compression"):
        vna.prepare(**SWEEP)


@pytest.mark.parametrize(
    ("left", "name"),
    [("SENS:CORR ON", "correction"), ("SENS:CORR:EXT ON", "port_extensions"), ("CALC:FSIM:STAT ON", "fixture")],
)
def test_what_belongs_to_a_calibration_stays_and_is_recorded(
    vna: KeysightN5245A, left: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    panel = panel_of(vna)
    panel.calibration = "INT"
    panel.execute(left)
    with caplog.at_level(logging.WARNING):
        vna.prepare(**SWEEP)
    assert "as an earlier user has set it" in caplog.text
    acquired(vna)
    assert vna.snapshot(update=True)["parameters"][name]["value"] is True
    panel.execute(left.replace(" ON", " OFF"))
    with pytest.raises(SettingError, match="reads 0 after the measurement; 1 was confirmed"):
        acquired(vna)


def test_an_interpolated_calibration_is_logged_and_an_invalid_one_is_an_error(
    vna: KeysightN5245A, caplog: pytest.LogCaptureFixture
) -> None:
    panel = panel_of(vna)
    panel.calibration = "INT"
    panel.execute("SENS:CORR ON")
    vna.prepare(**SWEEP)
    with caplog.at_level(logging.WARNING):
        acquired(vna)
    assert "the correction of this sweep is INT" in caplog.text
    panel.calibration = "INV"
    with pytest.raises(ReadingError, match="calibration is not valid for this sweep"):
        acquired(vna)


@pytest.mark.parametrize(("bits", "said"), [(2, "phase lock is lost"), (4, "not leveled")])
def test_faults_of_the_source_are_errors(vna: KeysightN5245A, bits: int, said: str) -> None:
    vna.prepare(**SWEEP)
    panel_of(vna).hardware = bits
    with pytest.raises(ReadingError, match=said):
        acquired(vna)


def test_a_trigger_that_never_comes_ends_in_an_error(vna: KeysightN5245A) -> None:
    vna.prepare(**SWEEP)
    panel_of(vna).execute("TRIG:SOUR EXT")
    with pytest.raises(ReadingError, match=r"has not finished .* Check its trigger source"):
        acquired(vna)
    assert panel_of(vna).mode == "HOLD"  # aborted


@pytest.mark.parametrize(
    "header", ["TRIG:SOUR", "SWE:GEN", "DWEL:AUTO", "SDEL", "FREQ:CENT", "SOUR:POW1", "BAND", "FOM", "MODE AUTO"]
)
def test_an_ignored_setting_is_an_error(vna: KeysightN5245A, header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(vna)
    panel.execute("TRIG:SOUR MAN;:SENS:SWE:DWEL 0.1;DWEL:SDEL 1;:SENS:FOM ON;:SOUR:POW1:MODE OFF")
    honest = panel.execute_unit
    ignored = lambda unit: None if header in unit and "?" not in unit else honest(unit)  # noqa: E731
    monkeypatch.setattr(panel, "execute_unit", ignored)
    with pytest.raises(SettingError, match=r"reads .* where .* was requested"):
        vna.prepare(**SWEEP)


def test_a_long_block_is_whole_or_nothing(vna: KeysightN5245A, monkeypatch: pytest.MonkeyPatch) -> None:
    vna.prepare(**{**SWEEP, "points": 20001, "if_bandwidth": 1e5, "averages": 1})
    measured = acquired(vna)
    assert (measured.shape, measured.dtype) == ((20001,), np.complex128)
    panel = panel_of(vna)
    honest = panel.encode
    monkeypatch.setattr(panel, "encode", lambda values: honest(values)[:100_000] + honest(values)[100_032:])
    with pytest.raises(InstrumentError, match="before its 320016 bytes were complete"):
        acquired(vna)


def test_a_reset_in_mid_run_is_found(vna: KeysightN5245A) -> None:
    vna.prepare(**SWEEP)
    panel_of(vna).execute("*RST")
    with pytest.raises(InstrumentError):
        acquired(vna)


def test_a_silent_state_that_is_not_unknown_is_an_error(vna: KeysightN5245A, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost answer does not pass for a state that old firmware does not have."""
    panel = panel_of(vna)
    honest = panel.execute

    def execute(message: str) -> list[bytes]:
        answer: list[bytes] = honest(message)
        return [] if "SWE:GEN?" in message else answer

    monkeypatch.setattr(panel, "execute", execute)
    vna.timeout(0.1)
    with pytest.raises(CommunicationError, match="SWE:GEN"):
        vna.prepare(**SWEEP)


def test_another_model_is_logged(twin: Twin, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeysightN5245A, "MODELS", ("N5222",))
    with caplog.at_level(logging.WARNING):
        KeysightN5245A("vna", twin.addresses["vna"], visalib=twin.visalib)
    assert "is a N5245A; its class is for" in caplog.text


def test_the_power_is_set_before_the_source_goes_on(vna: KeysightN5245A, monkeypatch: pytest.MonkeyPatch) -> None:
    require_power_before_output(vna, monkeypatch, ":SOUR:POW1 ", ":SOUR:POW1:MODE AUTO", ":OUTP 1")


def test_a_state_without_its_option_is_left_out(vna: KeysightN5245A, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(vna)
    honest = panel.execute_unit

    def execute(unit: str) -> Any:
        if "FOM" in unit:
            raise ScpiError(-241, "Hardware missing")
        return honest(unit)

    monkeypatch.setattr(panel, "execute_unit", execute)
    vna.timeout(0.2)
    vna.prepare(**SWEEP)
    require_right(vna)
    assert not vna.knows(":SENS:FOM?")


SEGMENTS = [Segment(4.67e9, 20e6, 51, 1e3), Segment(4.64e9, 2e6, 11, 1e4), Segment(4.67e9, 100e6, 21, 1e4)]


def test_one_sweep_of_several_bands(vna: KeysightN5245A) -> None:
    assert missing_members(vna, SegmentedSweep) == []
    panel = panel_of(vna)
    for _ in range(2):
        vna.prepare_segments(SEGMENTS, power=-10.0, averages=4)
        axis = vna.frequencies()
        assert len(axis) == 83
        assert (axis[0], axis[50], axis[51], axis[-1]) == (4.66e9, 4.68e9, 4.639e9, 4.72e9)
        require_right(vna)
        assert vna.duration() > 4 * (51 / 1e3 + 32 / 1e4)
        assert panel.state["sweep_type"] == "SEGM"
    vna.prepare(**SWEEP)
    assert len(vna.frequencies()) == 101
    require_right(vna)


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([], "the number of segments is 0; allowed are"),
        ([Segment(4.67e9, 20e6, 51, 1e3)] * 201, "the number of segments is 201"),
        ([Segment(4.67e9, 20e6, 60_000, 1e3)] * 2, "the number of points is 120000"),
        ([Segment(4.67e9, 20e6, 51, 1e3), Segment(51e9, 20e6, 51, 1e3)], "center is"),
        ([Segment(4.67e9, 20e6, 51, float("nan"))], "if_bandwidth is"),
    ],
)
def test_segments_out_of_range_send_nothing(
    vna: KeysightN5245A, segments: list[Segment], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(panel_of(vna), "receive", seen.append)
    with pytest.raises(ValueError, match=said):
        vna.prepare_segments(segments, power=-10.0, averages=4)
    assert seen == []


@pytest.mark.parametrize(
    "change", ["SEGM2:FREQ:STOP 4.65E9", "SEGM1 OFF", "SEGM3:BWID 1E3", "SEGM4:ADD", "SEGM:DEL:ALL", "SWE:TYPE LIN"]
)
def test_segments_that_somebody_changed_are_found(vna: KeysightN5245A, change: str) -> None:
    vna.prepare_segments(SEGMENTS, power=-10.0, averages=2)
    vna.timeout(0.2)
    panel_of(vna).execute(f"SENS:{change}")
    with pytest.raises(InstrumentError):
        acquired(vna)


@pytest.mark.parametrize("header", ["SEGM2:FREQ:STOP", "SEGM:ARB", "BWID:CONT", "SEGM1:SWE:POIN", "SEGM2:ADD", "TYPE"])
def test_an_ignored_setting_of_a_segment_is_an_error(
    vna: KeysightN5245A, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panel_of(vna)
    vna.timeout(0.2)
    honest = panel.execute_unit
    ignored = lambda unit: None if header in unit and "?" not in unit else honest(unit)  # noqa: E731
    monkeypatch.setattr(panel, "execute_unit", ignored)
    with pytest.raises(InstrumentError, match="SEGM"):
        vna.prepare_segments(SEGMENTS, power=-10.0, averages=2)


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_segment(twin: Twin) -> None:
    def segments(vna: KeysightN5245A) -> list[float]:
        found: list[float] = []
        for chosen in (SEGMENTS[1:], SEGMENTS[1:2]):
            vna.prepare_segments(chosen, power=-10.0, averages=4)
            trace, axis = acquired(vna), vna.frequencies()
            found += [axis[0], axis[-1], len(trace), abs(trace[0]), vna.duration()]
        return found

    require_no_wrong_number(KeysightN5245A, twin, segments)


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(twin: Twin) -> None:
    require_no_wrong_number(KeysightN5245A, twin)
