"""A run that fails anywhere: the bias goes to zero first, the rows are kept, and the record says why."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from labnis.errors import DataQualityError
from labnis.experiment.events import Ended, Fitted, RowRecorded, Started
from labnis.fit.analyses import CurrentVoltage
from labnis.ledger import Ledger, LedgerUnavailableError
from labnis.station import BiasUnknownError
from labnis.station.bias.ramped_bias import RampedBias
from labnis.storage import open_run, read_fits, read_metadata
from labnis.ui.terminal import TerminalDisplay
from tests.run.bench import BiasLog, Commands, fit_only_the_end

MINE = "tests.run.lab_procedures"


def only_run(folder: Path) -> Path:
    (path,) = folder.glob("data/dry-run/*/*.h5")
    return path


@pytest.fixture
def replace_fit(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Give the I–V sweep another fit."""

    def replace(fit: Callable[..., Any]) -> None:
        monkeypatch.setattr(CurrentVoltage, "fit", fit)

    return replace


def test_a_failing_procedure_leaves_zero_bias_and_its_rows(tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    answer = labnis(f"run {MINE}.FailsInTheMiddle --dry-run --set points=21")
    assert answer.code == 1
    assert answer.err.splitlines()[-1] == "labnis: the lock-in fell off the table"
    assert bias.moved
    assert bias.left_at_zero
    known = read_metadata(only_run(tmp_path))
    assert known["status"] == "failed"
    assert known["reason"] == "RuntimeError: the lock-in fell off the table"
    assert "in conductance" in known["traceback"]
    with open_run(only_run(tmp_path)) as run:
        assert run.sizes["bias"] == 21
        assert run["current"].notnull().sum() == 5
    assert " failed " in labnis("ls").out


@pytest.mark.parametrize(
    ("procedure", "told"),
    [("FailsWithoutWords", "Unspeakable: its text cannot be read"), ("FailsWithManyWords", "(30000000 characters)")],
)
def test_an_error_that_cannot_be_told_is_still_the_reason(
    tmp_path: Path, labnis: Commands, bias: BiasLog, procedure: str, told: str
) -> None:
    answer = labnis(f"run {MINE}.{procedure} --dry-run --set points=21")
    assert answer.code == 1
    assert told in answer.err.splitlines()[-1]
    assert len(answer.err) < 50_000
    assert bias.left_at_zero
    known = read_metadata(only_run(tmp_path))
    assert known["status"] == "failed"
    assert told in known["reason"]


def test_a_bias_not_known_to_be_zero_comes_before_everything_else(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_bias: RampedBias) -> None:
        raise BiasUnknownError("keithley", "bias UNKNOWN: no answer.", "Look at the front panel.")

    monkeypatch.setattr(RampedBias, "to_zero", lost)
    answer = labnis(f"run {MINE}.FailsTwice --dry-run --set points=21")
    assert answer.code == 5
    said = [line for line in answer.err.splitlines() if line.startswith("labnis: ")]
    assert said[0].startswith("labnis: keithley: bias UNKNOWN")
    assert "fell off the table" in said[1]
    assert "nothing to clean up" in said[2]
    known = read_metadata(only_run(tmp_path))
    assert known["status"] == "failed"
    assert known["reason"].startswith("BiasUnknownError")
    assert "fell off the table" in known["reason"]


def test_a_request_to_stop_is_named_beside_the_failure(tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    answer = labnis(f"run {MINE}.FailsWhenStopped --dry-run --set points=21")
    assert answer.code == 1
    failure, stop = [line for line in answer.err.splitlines() if line.startswith("labnis: ")]
    assert failure == "labnis: the lock-in fell off the table"
    assert "SIGINT" in stop
    assert "at zero" not in stop
    assert bias.left_at_zero
    known = read_metadata(only_run(tmp_path))
    assert known["status"] == "failed"
    assert "SIGINT" in known["reason"]


def test_the_log_of_a_run_that_failed_says_so(tmp_path: Path, labnis: Commands) -> None:
    labnis(f"run {MINE}.FailsInTheMiddle --dry-run --set points=21")
    (path,) = tmp_path.glob("data/*/*/*.h5")
    answer = labnis(f"log {path}")
    assert "nothing happened" not in answer.out
    status, more = answer.out.splitlines()[-2:]
    assert status.startswith("status: failed, ")
    assert more == f"what else was said during the run: {path.with_suffix('.log')}"


def test_a_failing_live_fit_changes_nothing(tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    fit_only_the_end(monkeypatch, 21, ZeroDivisionError)
    assert labnis("run IVSweep --dry-run --json --set points=21").code == 0
    assert read_metadata(only_run(tmp_path))["status"] == "done"
    assert read_metadata(only_run(tmp_path))["rows"] == 21
    assert set(read_fits(only_run(tmp_path))) == {"current_voltage"}


@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit])
def test_a_fit_that_always_fails_is_reported_and_the_data_are_kept(
    kind: type[BaseException], tmp_path: Path, labnis: Commands, replace_fit: Callable[..., None], bias: BiasLog
) -> None:
    def never(*_: Any) -> Any:
        raise kind("no fit today")

    replace_fit(never)
    answer = labnis("run IVSweep --dry-run --set points=21")
    assert answer.code == DataQualityError.exit_code
    assert f"no fit (current_voltage): {kind.__name__}: no fit today" in answer.err
    assert "the data are saved, but there is no fit by current_voltage; the reason is above" in answer.err
    assert bias.left_at_zero
    assert read_metadata(only_run(tmp_path))["rows"] == 21
    assert "current_voltage" not in read_fits(only_run(tmp_path))


@pytest.mark.parametrize("kind", [Started, RowRecorded, Fitted, Ended])
def test_a_failing_observer_changes_nothing(
    kind: type, tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch, bias: BiasLog
) -> None:
    shown = TerminalDisplay.__call__

    def broken(display: TerminalDisplay, event: Any) -> None:
        if isinstance(event, kind):
            raise OSError("the terminal is gone")
        shown(display, event)

    monkeypatch.setattr(TerminalDisplay, "__call__", broken)
    answer = labnis("run IVSweep --dry-run --json --set points=21")
    assert answer.code == 0
    assert bias.left_at_zero
    known = read_metadata(only_run(tmp_path))
    assert (known["status"], known["rows"]) == ("done", 21)
    if kind in (Started, RowRecorded):  # the others may come after the file was closed
        assert known["reason"].startswith("TerminalDisplay failed with OSError: the terminal is gone")


def test_data_that_cannot_be_written_end_the_run_at_zero_bias(
    tmp_path: Path, labnis: Commands, bias: BiasLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))  # where rescued rows may go
    answer = labnis(f"run {MINE}.LosesItsFolder --dry-run --set points=2000")
    assert answer.code == 6
    assert bias.left_at_zero
    assert str(tmp_path / "data" / "dry-run") in answer.err


def test_a_ledger_that_fails_at_the_end_does_not_touch_the_run(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch, bias: BiasLog
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise LedgerUnavailableError("ledger: the network is down")

    with monkeypatch.context() as down:
        down.setattr(Ledger, "add_calibrations", gone)
        answer = labnis("run IVSweep --dry-run --set points=21")
    assert answer.code == 0
    assert "the network is down" in answer.err
    assert "the results are saved in" in answer.err
    assert bias.left_at_zero
    assert read_metadata(only_run(tmp_path))["status"] == "done"
    with h5py.File(only_run(tmp_path)) as file:
        assert "current_voltage" in file["fit"]


def test_results_of_a_complete_run_are_shown_where_the_command_fails_after_it(
    labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("the record has no end")

    monkeypatch.setattr("labnis.experiment.session.Logbook.enter", failing)
    answer = labnis("run IVSweep --dry-run --set points=21")
    assert answer.code == 1
    assert "the record has no end" in answer.err
    assert answer.err.count("value ± σ") == 1


@pytest.mark.parametrize("setting", ["maximum_bias=1e-5 --set points=21", "maximum_bias=3e-4 --set points=102"])
def test_biases_finer_than_the_source_can_set_are_rounded_by_it(setting: str, labnis: Commands, bias: BiasLog) -> None:
    answer = labnis(f"run IVSweep --dry-run --set {setting}")
    assert answer.code == DataQualityError.exit_code, answer.err  # these sweeps end inside the gap
    assert bias.left_at_zero
