"""Cooldowns: what calibrations belong to, and what a real run cannot do without."""

import json
from pathlib import Path

import pytest

from labnis.fit.analyses import CurrentVoltage
from tests.run.bench import BiasLog, Commands

FEW = "run IVSweep --dry-run --json --set points=21"


def test_start_list_and_end(labnis: Commands) -> None:
    assert labnis("cooldown start CD12 --note 'new sample'").out == "cooldown CD12 started\n"
    listed = labnis("cooldown list").out
    assert "CD12" in listed
    assert "current" in listed
    assert "new sample" in listed
    assert labnis("cooldown end").code == 0
    assert "current" not in labnis("cooldown list").out


def test_starting_one_ends_the_one_before(labnis: Commands) -> None:
    labnis("cooldown start CD12")
    labnis("cooldown start CD13")
    lines = [line for line in labnis("cooldown list").out.splitlines() if "CD1" in line]
    assert ["current" in line for line in lines] == [False, True]


def test_a_name_is_given_once(labnis: Commands) -> None:
    labnis("cooldown start CD12")
    answer = labnis("cooldown start CD12")
    assert answer.code == 2
    assert answer.err.startswith("labnis: cooldown 'CD12' exists in the ledger")
    assert "choose another name" in answer.err


@pytest.mark.parametrize("name", ["''", "'  '", "'two\nlines'"])
def test_a_name_has_to_be_one(labnis: Commands, name: str) -> None:
    answer = labnis(f"cooldown start {name}")
    assert answer.code == 2
    assert "is not a name of a cooldown" in answer.err


def test_there_must_be_one_to_end(labnis: Commands) -> None:
    answer = labnis("cooldown end")
    assert answer.code == 2
    assert "no cooldown is in progress" in answer.err


def test_a_dry_run_outside_any_cooldown_gets_a_closed_one_of_its_own(tmp_path: Path, labnis: Commands) -> None:
    assert labnis(FEW).code == 0
    assert labnis(FEW).code == 0
    assert len(list((tmp_path / "data/dry-run").glob("*/*.h5"))) == 2
    listed = [line for line in labnis("cooldown list").out.splitlines() if "dry-run" in line]
    assert len(listed) == 1
    assert "current" not in listed[0]


def test_a_dry_run_during_a_cooldown_belongs_to_it_and_is_marked(labnis: Commands) -> None:
    labnis("cooldown start CD12")
    labnis(FEW)
    entries = json.loads(labnis("calibrations --simulated --json --cooldown CD12").out)
    assert {entry["quantity"] for entry in entries} == set(CurrentVoltage.results)
    assert all(entry["simulated"] for entry in entries)


@pytest.mark.parametrize("where", ["", " --data elsewhere"])
@pytest.mark.parametrize("asked", ["calibrate", "run IVSweep"])
def test_a_real_run_needs_a_cooldown_before_any_instrument_is_opened(
    labnis: Commands, bias: BiasLog, asked: str, where: str
) -> None:
    answer = labnis(asked + where)
    assert answer.code == 2
    assert "no cooldown is in progress" in answer.err
    assert f"`labnis cooldown start NAME{where}`" in answer.err
    assert not bias.states
