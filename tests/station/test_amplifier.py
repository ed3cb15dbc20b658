"""Amplifiers of the station file: their gain is the stated one, their overload an error, in front of any instrument."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pyvisa

from drivers.capabilities import GainReporting, GainSetting
from drivers.errors import CommunicationError, OverloadError, SettingError
from drivers.wiring import Amplifier
from labnis.errors import ConfigurationError
from labnis.station import load_station, open_station
from labnis.station.amplifier import StatedAmplifier, lacks_gain
from labnis.station.plausible_role import PlausibleRole
from labnis.station.players import DeviceMeter
from labnis.station.role_check import missing_members
from labnis.station.simulated import simulated_instruments
from sim_instruments import SHIPPED_TRUTH, open_twin
from tests.station.test_setups import opened, station_file


class Reporting:
    """An amplifier that reports its gain."""

    def __init__(self, gain: float = 1e7) -> None:
        self.gain, self.overload = gain, False

    def reported_gain(self) -> float:
        return self.gain

    def overloaded(self) -> bool:
        return self.overload


class Listening:
    """An amplifier that cannot answer."""

    def __init__(self) -> None:
        self.gains: list[float] = []

    def set_gain(self, gain: float) -> None:
        self.gains.append(gain)


def meter(output: float, amplifier: StatedAmplifier) -> DeviceMeter:
    return DeviceMeter(SimpleNamespace(read=lambda: output), amplifier)


def test_the_reported_gain_must_be_the_stated_one_of_either_sign() -> None:
    basel = Reporting()
    stated = StatedAmplifier("femto", -1e7, 10.0, basel, "basel (ASRL1)")
    current = meter(-2.0, stated)
    current.prepare(1e-6, 0.02)
    assert current.read() == 2e-7
    basel.gain = 1e6
    told = (
        r"basel \(ASRL1\): reports a gain of 1e\+06; the station file states -1e\+07 for the amplifier femto\. "
        r"Set the amplifier to 1e\+07, or write its gain under labnis\.wiring\.amplifiers\.femto\."
    )
    for use in (lambda: current.prepare(1e-6, 0.02), current.read):
        with pytest.raises(SettingError, match=told):
            use()
    assert math.isnan(current.amplifier_output)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.0])
def test_an_impossible_gain_is_not_the_stated_one(wrong: float) -> None:
    with pytest.raises(SettingError, match="reports a gain of"):
        StatedAmplifier("femto", 1e7, 10.0, Reporting(wrong), "basel").prepare()


def test_its_overload_makes_a_reading_an_error() -> None:
    basel = Reporting()
    current = meter(1.0, StatedAmplifier("femto", 1e7, 10.0, basel, "basel (ASRL1)"))
    current.prepare(1e-6, 0.02)
    basel.overload = True
    with pytest.raises(OverloadError, match=r"basel \(ASRL1\): the amplifier femto reports an overload"):
        current.read()


@pytest.mark.parametrize("output", [10.5, -10.5])
def test_an_output_beyond_the_largest_is_an_overload_although_a_multimeter_reads_it(output: float) -> None:
    with pytest.raises(OverloadError, match=r"the output of the amplifier femto reads -?10\.5 V; .* up to 10 V"):
        meter(output, StatedAmplifier("femto", 1e7, Amplifier(gain=1e7).largest_output)).read()
    assert meter(output, StatedAmplifier("femto", 1e7, 12.0)).read() == output / 1e7


def test_a_gain_that_cannot_be_read_is_set_when_a_measurement_is_prepared() -> None:
    srs = Listening()
    current = meter(1.0, StatedAmplifier("srs", -1e6, 5.0, srs))
    current.prepare(1e-6, 0.02)
    assert (current.read(), srs.gains) == (-1e-6, [1e6])


def test_a_lock_in_checks_the_amplifier_it_reads() -> None:
    basel, prepared = Reporting(), []
    lockin = SimpleNamespace(read=lambda: 1e-3 + 0j, prepare=lambda **asked: prepared.append(asked))
    role: Any = PlausibleRole(lockin, "lockin", "lockin, sr830")
    role.amplifier = StatedAmplifier("femto", 1e7, 10.0, basel, "basel")
    role.prepare(sensitivity=0.1)
    assert role.read() == 1e-3
    basel.overload = True
    with pytest.raises(OverloadError, match="reports an overload"):
        role.read()
    basel.gain = 1e6
    with pytest.raises(SettingError, match="reports a gain"):
        role.prepare(sensitivity=0.1)
    assert len(prepared) == 1


def test_a_class_reports_or_sets_a_gain() -> None:
    assert missing_members(Reporting, GainReporting) == missing_members(Listening, GainSetting) == []
    assert lacks_gain(Reporting) == lacks_gain(Listening) == ""
    assert lacks_gain(dict) == "reported_gain(), overloaded(), or set_gain()"


GS200 = "  yoko: {type: drivers.yokogawa_gs200.YokogawaGS200, address: GPIB0::1::INSTR}"
DMM = "  dmm: {type: drivers.keithley_dmm6500.KeithleyDMM6500, address: GPIB0::22::INSTR}"
BASEL = "  basel: {type: drivers.basel_sp983a.BaselSP983a, address: ASRL3::INSTR}"
SRS = "  srs: {type: drivers.sr570.SR570, address: ASRL4::INSTR}"
ROLES = "bias: yoko\n    current: {instrument: dmm, amplifier: femto}"


def wiring(instrument: str, gain: str = "-1.0e+7") -> str:
    amplifier = f"{{gain: {gain}, instrument: {instrument}}}"
    return f"series_resistance: 2000.0, divider: 100.0, amplifiers: {{femto: {amplifier}}}"


def test_a_station_with_a_remote_amplifier_measures_and_finds_another_gain(tmp_path: Path) -> None:
    path = station_file(tmp_path, "\n".join((GS200, DMM, BASEL)), ROLES, wiring("basel"))
    with opened(path) as station:
        library: Any = pyvisa.ResourceManager(station._twin.visalib).visalib  # type: ignore[union-attr]
        panel = library.panels["basel"]
        station.bias.prepare(2e-3, 1e-6, 0.02)
        station.bias.move_to(2e-3)
        station.clock.sleep(0.1)
        assert station.roles.current.read() == pytest.approx(75.1e-9, rel=0.02)
        panel.overloaded = True
        with pytest.raises(OverloadError, match="basel"):
            station.roles.bias.read()
        panel.overloaded, panel.gain = False, 1e8
        with pytest.raises(SettingError, match=r"basel \(ASRL.*reports a gain of 1e\+08"):
            station.roles.bias.read()
        panel.gain = 1e7
        station.make_safe()
        panel.gain = 1e6
        with pytest.raises(SettingError, match=r"reports a gain of 1e\+06"):
            station.bias.prepare(2e-3, 1e-6, 0.02)
        assert not station.source.output_enabled()


def test_a_rehearsal_finds_a_gain_that_is_not_the_true_one(tmp_path: Path) -> None:
    config = load_station(station_file(tmp_path, "\n".join((GS200, DMM, BASEL)), ROLES, wiring("basel")))
    true = config.wiring_record()
    true["amplifiers"]["femto"]["gain"] = -1e6
    with (
        open_twin(SHIPPED_TRUTH, seed=1, wiring=true, instruments=simulated_instruments(config)) as twin,
        open_station(config, twin=twin) as station,
    ):
        station.open([])
        with pytest.raises(SettingError, match=r"reports a gain of 1e\+06; the station file states -1e\+07"):
            station.bias.prepare(2e-3, 1e-6, 0.02)


def test_a_lock_in_of_a_station_checks_the_amplifier_when_it_is_prepared(tmp_path: Path) -> None:
    keithley = "  keithley: {type: drivers.keithley_2450.Keithley2450, address: GPIB0::18::INSTR}"
    sr830 = "  sr830: {type: drivers.sr830.SR830, address: GPIB0::8::INSTR}"
    roles = "bias: keithley\n    lockin: {instrument: sr830, amplifier: femto}"
    path = station_file(tmp_path, "\n".join((keithley, sr830, BASEL)), roles, wiring("basel").replace("100.0", "1.0"))
    asked = {"amplitude": 0.1, "frequency": 17.7, "time_constant": 0.1, "sensitivity": 1.0}
    with opened(path, "lockin") as station:
        library: Any = pyvisa.ResourceManager(station._twin.visalib).visalib  # type: ignore[union-attr]
        station.roles.lockin.prepare(**asked)
        library.panels["basel"].gain = 1e6
        with pytest.raises(SettingError, match="basel"):
            station.roles.lockin.prepare(**asked)


def test_a_station_with_an_amplifier_that_listens_sets_its_gain(tmp_path: Path) -> None:
    path = station_file(tmp_path, "\n".join((GS200, DMM, SRS)), ROLES, wiring("srs", "1.0e+6"))
    with opened(path) as station:
        library: Any = pyvisa.ResourceManager(station._twin.visalib).visalib  # type: ignore[union-attr]
        panel = library.panels["srs"]
        panel.receive(b"SUCM 1")
        station.bias.prepare(2e-3, 1e-6, 0.02)
        assert (panel.state["SENS"], panel.state["SUCM"]) == (18, 0)
        station.make_safe()


def test_what_the_station_file_may_name(tmp_path: Path) -> None:
    path = station_file(tmp_path, "\n".join((GS200, DMM)), ROLES, wiring("nobody"))
    with pytest.raises(ConfigurationError, match=r"amplifiers\.femto\.instrument.*no instrument 'nobody'"):
        load_station(path)
    path = station_file(tmp_path, "\n".join((GS200, DMM)), ROLES, wiring("dmm"))
    with pytest.raises(ConfigurationError, match=r"dmm is a KeithleyDMM6500, which has no reported_gain"):
        simulated_instruments(load_station(path))


def test_an_amplifier_that_does_not_answer_ends_the_preparation() -> None:
    class Silent(Reporting):
        def reported_gain(self) -> float:
            raise CommunicationError("basel", "no answer.")

    with pytest.raises(CommunicationError):
        meter(1.0, StatedAmplifier("femto", 1e7, 10.0, Silent(), "basel")).prepare(1e-6, 0.02)
    with pytest.raises(SettingError, match="neither reports a gain nor sets one"):
        StatedAmplifier("femto", 1e7, 10.0, object(), "basel")
