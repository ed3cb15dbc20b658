"""`labnis discover`: what VISA finds, by identity, as lines of a station file."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from drivers.models import MODELS, type_of
from labnis.station.lock import hold
from labnis.station.lock_names import lock_names_of_address
from sim_instruments.panels import ADDRESSES, PANELS
from tests.run.bench import Commands, labnis, write_station  # noqa: F401  # labnis is a fixture


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """PyVISA library of the twin in the working folder."""
    write_station(tmp_path)
    monkeypatch.chdir(tmp_path)
    return f"{tmp_path / 'truth.yaml'}@labnis"


def test_the_lines_for_a_station_file_name_class_and_address(truth: str, labnis: Commands) -> None:  # noqa: F811
    answer = labnis(f"discover --visalib {truth}")
    assert answer.code == 0
    table, _, lines = answer.out.partition("\n\n")
    assert "LSCI,MODEL372,TWIN0005" in table
    instruments = YAML(typ="safe").load(lines)["instruments"]
    keithley = {"type": "drivers.keithley_2450.Keithley2450", "address": ADDRESSES["bias"]}
    assert instruments["keithley_2450"] == keithley
    assert len(instruments) == len(ADDRESSES)


def test_an_address_without_an_instrument_and_one_in_use_are_told(truth: str, labnis: Commands) -> None:  # noqa: F811
    with hold(lock_names_of_address(ADDRESSES["lockin"])):
        answer = labnis(f"discover TCPIP0::127.0.0.1::9::SOCKET --visalib {truth} --json")
    found = {one["address"]: one for one in json.loads(answer.out)["instruments"]}
    assert found["TCPIP0::127.0.0.1::9::SOCKET"]["problem"].startswith("no answer to *IDN?: ")
    assert found[ADDRESSES["lockin"]]["problem"].startswith("not asked: ")
    assert found[ADDRESSES["bias"]]["problem"] == ""


def test_a_library_that_does_not_exist_is_refused(labnis: Commands) -> None:  # noqa: F811
    answer = labnis("discover --visalib nowhere.so")
    assert (answer.code, answer.out) == (2, "")
    assert "nowhere.so" in answer.err and "'@py' needs no installation" in answer.err


def test_every_class_is_found_by_the_identity_of_its_panel() -> None:
    found = {kind.rpartition(".")[2]: kind for kind in MODELS.values()}
    wrong = {
        name: panel.identification
        for name, panel in PANELS.items()
        if name in found and type_of(panel.identification) != found[name]
    }
    assert wrong == {}
    assert type_of("") is None
    assert type_of("SOMEBODY,SR830,1,1") is None
