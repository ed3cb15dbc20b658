"""What the command says about systematic uncertainty: table, JSON, `labnis budget`, ledger, priors in doubt."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from labnis.fit import FitResult
from labnis.fit.analyses import CurrentVoltage
from tests.run.bench import BUDGETED_TEXT, ROOT, Answer, Commands, changed, write_station

FEW = "--set points=41"


@pytest.fixture(autouse=True)
def station(tmp_path: Path) -> Path:
    """The shipped station, which states the uncertainties of its instruments."""
    return write_station(tmp_path, BUDGETED_TEXT)


def test_each_source_is_listed_with_what_it_contributes(labnis: Commands) -> None:
    measured = labnis(f"run IVSweep --dry-run --json {FEW}")
    assert measured.code == 0, measured.err
    report = json.loads(measured.out)
    gap = report["results"]["gap"]
    assert gap["sigma"] ** 2 == pytest.approx(gap["statistical"] ** 2 + gap["systematic"] ** 2)
    (run,) = report["runs"]
    shown = labnis(f"budget {run}").out
    for text in (
        "Keithley 2450, gain of voltage_measure in the range 20mV",
        "series resistance",
        "noise",
        "systematic",
    ):
        assert text in shown
    record = json.loads(labnis(f"budget --json {run}").out)["current_voltage"]
    squares = sum(source["contributions"]["gap"] ** 2 for source in record["sources"])
    assert squares**0.5 == pytest.approx(gap["systematic"])
    (entry,) = [one for one in json.loads(labnis("calibrations --simulated --json").out) if one["quantity"] == "gap"]
    assert entry["systematic"] == pytest.approx(gap["systematic"])
    assert entry["statistical"] == pytest.approx(gap["statistical"])
    assert entry["contributions"].keys() == {source["uid"] for source in record["sources"]}
    assert entry["warnings"] == []


def test_what_nobody_stated_is_told_with_the_results(tmp_path: Path, labnis: Commands) -> None:
    write_station(tmp_path, changed(BUDGETED_TEXT, "wiring: {series_resistance: {limit: 20.0}} ", ""))
    answer = labnis(f"run IVSweep --dry-run {FEW}")
    assert answer.code == 0, answer.err
    assert "note (current_voltage): not in the budget: the series resistance" in answer.out + answer.err


def test_without_the_section_nothing_is_stated(tmp_path: Path, labnis: Commands) -> None:
    write_station(tmp_path)
    report = json.loads(labnis(f"run IVSweep --dry-run --json {FEW}").out)
    gap = report["results"]["gap"]
    assert (gap["statistical"], gap["systematic"]) == (None, None)
    assert sum("σ is that of the noise, as if no instrument erred" in note for note in gap["notes"]) == 1
    assert "σ of the results will be that of the noise" in labnis("check").out
    assert json.loads(labnis("check --json").out)["uncertainty_stated"] is False
    refused = labnis(f"budget {report['runs'][0]}")
    assert refused.code == 2
    assert "neither labnis.uncertainty of its station file nor its analyses" in refused.err


def test_a_loss_of_gap_that_may_change_a_result_by_more_than_its_sigma_is_told(
    tmp_path: Path, labnis: Commands
) -> None:
    heating = (ROOT / "sim_instruments/nis_device.yaml").read_text(encoding="utf-8")
    (tmp_path / "truth.yaml").write_text(heating, encoding="utf-8")
    report = json.loads(labnis("run IVSweep --dry-run --json --set points=201").out)
    told = "superconductors that the bias warms, which may change "
    resistance = report["results"]["normal_resistance"]
    (note,) = [note for note in resistance["notes"] if note.startswith(f"not in the budget: {told}")]
    (change,) = re.findall(r"normal_resistance by up to (\S+) Ω.* \(95 %\), more than σ", note)
    assert float(change) > resistance["sigma"]
    assert note in labnis(f"budget {report['runs'][0]}").out
    assert sum("uncertainties are one-sided" in note for note in resistance["notes"]) <= 1


def replace_in_fits(monkeypatch: pytest.MonkeyPatch, **entries: Any) -> None:
    """Fits of curves have these entries of their records."""
    honest = CurrentVoltage.fit

    def replaced(self: CurrentVoltage, *arguments: Any, **named: Any) -> FitResult:
        return FitResult.from_record(honest(self, *arguments, **named).as_record() | entries)

    monkeypatch.setattr(CurrentVoltage, "fit", replaced)


def test_a_fit_in_doubt_is_no_prior_of_a_later_run_unless_accepted(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_station(tmp_path)
    first = json.loads(labnis(f"run IVSweep --dry-run --json {FEW}").out)["runs"][0]
    with monkeypatch.context() as patch:
        replace_in_fits(patch, warnings=["look at the residuals"])
        doubtful = labnis(f"run IVSweep --dry-run --json {FEW}")
    assert doubtful.code == 7
    second = json.loads(doubtful.out)["runs"][0]
    few = "--set points=5 --set frequencies=41"
    careful = labnis(f"run ReflectionVsBias --dry-run --json {few}")
    assert careful.code == 0, careful.err
    run_ids = [Path(path).stem[-8:] for path in (first, second)]
    notes = " ".join(json.loads(careful.out)["notes"])
    assert (
        f"does not use the current_voltage fit of run {run_ids[1]}, which is in doubt: look at the residuals" in notes
    )
    assert f"uses the current_voltage fit of the earlier run {run_ids[0]}" in notes
    accepted = labnis(f"run ReflectionVsBias --dry-run --json --accept {few}")
    assert accepted.code == 7
    assert f"uses the current_voltage fit of the earlier run {run_ids[1]}" in " ".join(
        json.loads(accepted.out)["notes"]
    )
    assert "it uses current_voltage, which is in doubt" in accepted.err
    assert "gap ?" in labnis("calibrations --simulated").out


def assert_shown_as_limit(labnis: Commands, answer: Answer) -> float:
    """The electron temperature is a limit (K), the returned one, in the answer of a run and in all tables."""
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)["results"]["electron_temperature"]
    assert (found["value"], found["sigma"], found["side"], found["confidence"]) == (None, None, "upper", 0.95)
    table = labnis("calibrations --simulated").out
    assert f"< {1e3 * found['limit']:.3g} mK (95 %)" in table
    (entry,) = [
        c for c in json.loads(labnis("calibrations --simulated --json").out) if c["quantity"] == "electron_temperature"
    ]
    assert (entry["value"], entry["limit"], entry["side"]) == (None, found["limit"], "upper")
    return float(found["limit"])


def test_a_limit_is_shown_as_one_everywhere(tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    write_station(tmp_path)
    replace_in_fits(monkeypatch, limits={"electron_temperature": 0.1144})
    assert assert_shown_as_limit(labnis, labnis(f"run IVSweep --dry-run --json {FEW}")) == 0.1144


@pytest.mark.long
def test_so_is_the_one_of_a_cooler_whose_temperature_the_data_do_not_determine(
    tmp_path: Path, labnis: Commands
) -> None:
    shutil.copy(ROOT / "sim_instruments" / "micro_cooler.yaml", tmp_path)
    answer = labnis(f"run IVSweep --dry-run --json --twin micro_cooler.yaml {FEW}")
    assert 0.090 < assert_shown_as_limit(labnis, answer) < 0.15
