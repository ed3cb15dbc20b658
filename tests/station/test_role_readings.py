"""One reading of every role, as `labnis check --open` takes it: right, compared with limits, and nothing changes."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pyvisa

from labnis.experiment.twin import twin_of
from labnis.station import OpenStation, RoleReading, load_station, open_station, read_roles
from sim_instruments.visa import LabnisVisaLibrary
from tests.run.bench import write_station
from tests.run.test_every_instrument import COMBINATIONS


@pytest.fixture
def station(tmp_path: Path) -> Iterator[OpenStation]:
    config = load_station(write_station(tmp_path))
    with twin_of(config, None, 1) as twin, open_station(config, twin=twin) as opened:
        opened.open(config.roles)
        yield opened


def panels_of(station: OpenStation) -> dict[str, Any]:
    library = pyvisa.ResourceManager(f"{station.config.twin}@labnis").visalib
    assert isinstance(library, LabnisVisaLibrary)
    return library.panels


def readings(station: OpenStation, *roles: str) -> dict[str, RoleReading]:
    return {one.role: one for one in read_roles(station, roles or station.config.roles)}


def test_every_role_is_read_and_nothing_changes(station: OpenStation) -> None:
    panels = panels_of(station)
    before = {name: copy.deepcopy(panel.state) for name, panel in panels.items()}
    found = readings(station)
    assert list(found) == list(station.config.roles)
    assert [one.problem for one in found.values()] == [""] * len(found)
    assert (found["bias"].value, found["bias"].remark) == (0.0, "output off")
    assert found["fridge"].value == pytest.approx(0.010, abs=0.004)
    assert found["fridge"].unit == "K"
    assert found["vna"].value is None
    assert (found["stage"].allowed, found["stage"].remark) == ("0 to 0.4", "output off")
    assert {name: panel.state for name, panel in panels.items()} == before


def test_an_output_that_was_left_on_is_a_problem(station: OpenStation) -> None:
    source = panels_of(station)["keithley"]
    source.receive(b":SOUR:VOLT:RANG 2;:SOUR:VOLT 1e-3;:OUTP ON")
    found = readings(station)["bias"]
    assert found.value == pytest.approx(1e-3)
    assert "its output is on at 0.001 V, which an earlier run has left" in found.problem
    source.receive(b":SOUR:VOLT 0.5")
    assert "beyond limits.maximum_bias (0.006 V)" in readings(station)["bias"].problem


def test_a_reading_that_fails_does_not_hide_the_others(station: OpenStation) -> None:
    panels_of(station)["sr830"].overloaded = True
    found = readings(station)
    assert "overload" in found["lockin"].problem
    assert found["fridge"].problem == ""


@pytest.mark.parametrize(
    ("combination", "left", "told"),
    [
        ("keithley_2400_dmm6500", b"VOLT:REL 0.5;:VOLT:REL:STAT ON", ":SENS:VOLT:DC:REL:STAT? reads 1, not 0"),
        ("keithley_2400_dmm6500", b"CALC:VOLT:MATH:STAT ON", ":CALC:VOLT:DC:MATH:STAT? reads 1, not 0"),
        ("keithley_2400_dmm6500", b'SENS:FUNC "CURR"', ":SENS:FUNC? reads CURR:DC, not VOLT:DC"),
        ("gs200_34465a", b"VOLT:NULL:STAT ON;VAL 0.5", ":SENS:VOLT:DC:NULL:STAT? reads 1, not 0"),
        (
            "gs200_34465a",
            b"VOLT:NULL:STAT ON;VAL 0.5;:CALC:SCAL:FUNC SCAL;GAIN 100;STAT ON",
            "reads 1, not 0, :CALC:SC",
        ),
    ],
)
def test_what_somebody_left_at_a_meter_is_told_in_place_of_a_wrong_reading(
    tmp_path: Path, combination: str, left: bytes, told: str
) -> None:
    text = COMBINATIONS[combination].read_text(encoding="utf-8")
    config = load_station(write_station(tmp_path, text))
    with twin_of(config, None, 1) as twin, open_station(config, twin=twin) as opened:
        opened.open(["current"])
        panel = panels_of(opened)[config.roles["current"].instrument]
        assert readings(opened, "current")["current"].value is not None
        panel.receive(left)
        before = copy.deepcopy(panel.state)
        found = readings(opened, "current")["current"]
        assert (found.value, found.problem) == (None, "")
        assert found.remark.startswith("not read, it would be wrong: ")
        assert told in found.remark
        assert panel.state == before


def test_a_harmonic_that_somebody_left_is_told_in_place_of_a_wrong_reading(station: OpenStation) -> None:
    panels_of(station)["sr830"].receive(b"HARM 2")
    assert readings(station)["lockin"].remark == ("not read, it would be wrong: HARM? reads 2, not 1. A run sets it.")


def test_a_source_without_a_switch_at_0_volts_is_not_told_as_on(tmp_path: Path) -> None:
    text = COMBINATIONS["qdac2"].read_text(encoding="utf-8")
    config = load_station(write_station(tmp_path, text))
    with twin_of(config, None, 1) as twin, open_station(config, twin=twin) as opened:
        opened.open(["bias"])
        found = next(iter(read_roles(opened, ["bias"])))
    assert (found.value, found.problem) == (pytest.approx(0.0, abs=1e-5), "")
    assert found.remark == "it has no output switch: 0 V is off"
