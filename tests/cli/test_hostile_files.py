"""Commands that look at files from elsewhere: no traceback, no control character, and the other files are shown."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from labnis import cli
from labnis.ledger import NewCalibration
from labnis.ledger.of_station import ledger_of
from labnis.station import load_station
from labnis.ui.log import LogFile
from tests.run.bench import ROOT, Answer, Commands

from .hostile import CONTROL, RECORDS, hostile_runs

pytestmark = pytest.mark.faults

TUESDAY = ROOT / "tests" / "data" / "iv_sweep.visa.jsonl"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Case → path of its run, all in one data folder."""
    return hostile_runs(tmp_path_factory.mktemp("hostile") / "data")


@pytest.fixture
def data(runs: dict[str, Path]) -> Path:
    return next(iter(runs.values())).parents[2]


def faults(answer: Answer) -> Iterator[str]:
    """What no file may cause."""
    if "Traceback" in answer.err:
        yield f"a traceback: {answer.err.splitlines()[-1]}"
    if answer.code not in (0, 2, 5, 6, 7):
        yield f"exit code {answer.code}"
    if found := {c for c in answer.out + answer.err if not c.isprintable() and c != "\n"}:
        yield f"unescaped {sorted(found)!r}"


def assert_none(found: dict[str, list[str]]) -> None:
    assert not {case: told for case, told in found.items() if told}


@pytest.mark.parametrize("options", ["", "--json"])
def test_every_file_is_listed(runs: dict[str, Path], data: Path, labnis: Commands, options: str) -> None:
    answer = labnis(f"ls --data {data} {options}")
    assert answer.code == 0
    assert not list(faults(answer))
    assert "good" in answer.out
    odd = runs["control characters in run_id"]
    names = [path.stem for path in runs.values() if path.stem.isprintable() and path != odd]
    assert [name for name in names if name.rpartition("-")[2] not in answer.out] == []
    assert len(answer.out) < 500_000


@pytest.mark.parametrize("command", ["show", "show --json", "log"])
def test_every_file_is_shown_or_named(runs: dict[str, Path], data: Path, labnis: Commands, command: str) -> None:
    found: dict[str, list[str]] = {}
    for case, path in runs.items():
        answer = labnis(f"{command} '{path}' --data {data}")
        found[case] = list(faults(answer))
        if answer.code and path.stem.isprintable() and path.name not in answer.err:
            found[case].append(f"not named: {answer.err}")
    assert_none(found)


def test_a_hostile_run_is_not_resumed(runs: dict[str, Path], data: Path, labnis: Commands) -> None:
    cases = (
        "control characters in procedure_class", "control characters in parameters", "deep parameters",
        "parameters of NaN",
    )  # fmt: skip
    found: dict[str, list[str]] = {}
    for case in cases:
        answer = labnis(f"resume {runs[case]} --dry-run --data {data}")
        found[case] = [*faults(answer), *(["resumed"] if answer.code == 0 else [])]
    assert_none(found)


def test_an_absurd_visa_record_is_refused_with_file_and_place(tmp_path: Path, labnis: Commands) -> None:
    good = TUESDAY.read_text(encoding="ascii").splitlines()
    found: dict[str, list[str]] = {}
    for number, (case, (change, words)) in enumerate(RECORDS.items()):
        path = tmp_path / f"odd{number}.visa.jsonl"
        path.write_bytes(b"".join(line.encode("utf-8", "surrogatepass") + b"\n" for line in change(good)))
        answer = labnis(f"replay {path} --data {tmp_path / f'again{number}'}")
        found[case] = [*faults(answer), *([] if words in answer.err else [f"told: {answer.err}"])]
        if answer.code == 2 and path.name not in answer.err and "again" not in answer.err:
            found[case].append(f"not named: {answer.err}")
    assert_none(found)


ENTRIES = {
    "update calibrations set model = ?": (CONTROL, "x" * 10_000, b"\xff\x00"),
    "update calibrations set unit = ?": (CONTROL, ""),
    "update calibrations set value = ?": ("x", float("inf"), 1e300),
    "update calibrations set created = ?": (CONTROL, 7, -1.0),
    "update cooldowns set note = ?": (CONTROL, "x" * 10_000),
    "update cooldowns set started = ?": (CONTROL, 10**18),
    "update devices set name = ? where id = 1": (CONTROL, b"\xff\x00"),
}


def test_odd_entries_of_a_ledger_are_shown_escaped_or_told(tmp_path: Path, labnis: Commands) -> None:
    labnis("cooldown start first --data data")
    ledger = ledger_of(load_station(tmp_path / "station.yaml"), tmp_path / "data")
    gain = NewCalibration(
        quantity="gain", value=1.0, sigma=0.1, unit="1", run_path="x", run_id="a", model="m", code_version="c",
        simulated=False,
    )  # fmt: skip
    ledger.add_calibrations([gain])
    ledger.close()
    database = tmp_path / "data" / "ledger.sqlite"
    whole = database.read_bytes()
    found: dict[str, list[str]] = {}
    for statement, values in ENTRIES.items():
        for value in values:
            database.write_bytes(whole)
            connection = sqlite3.connect(database)
            with connection:
                connection.execute(statement, (value,))
            connection.close()
            answers = [labnis(f"{command} --data data") for command in ("calibrations", "cooldown list")]
            found[f"{statement} {value!r:.20}"] = [fault for answer in answers for fault in faults(answer)]
    assert_none(found)


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_traceback_is_escaped(labnis: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError(CONTROL) from ValueError("postgresql://user:secret@host/x")

    monkeypatch.setattr("labnis.cli.looking.list_runs", fail)
    answer = labnis("ls")
    assert answer.code == 1
    assert "Traceback" in answer.err and "ZeroDivisionError" in answer.err
    assert "secret" not in answer.err
    assert all(c.isprintable() or c == "\n" for c in answer.err)


def test_warnings_and_log_files_are_escaped(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    cli._set_up_log()
    file = LogFile(tmp_path / "run.log")
    try:
        int(CONTROL)
    except ValueError:
        logging.getLogger("labnis").warning("a warning with %s", CONTROL, exc_info=True)
    file.close()
    for text in (capsys.readouterr().err, (tmp_path / "run.log").read_text(encoding="utf-8")):
        assert "a warning with" in text and "ValueError" in text
        assert all(c.isprintable() or c == "\n" for c in text)
