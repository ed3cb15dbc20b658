"""What commands print, in any encoding, to terminals, pipes and full disks; the exit code stays that of the run."""

import inspect
import json
import os
import pty
import subprocess
import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any

import pytest

from labnis.cli import COMMANDS
from labnis.fit.analyses import CurrentVoltage
from labnis.storage import read_metadata
from tests.run.bench import BUDGETED_TEXT, ROOT, Commands, command, forked, write_station

RUN = ("run", "IVSweep", "--set", "points=41", "--dry-run", "--seed", "1", "--data", "data")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a station and one finished run in its data folder."""
    folder = write_station(tmp_path_factory.mktemp("measured"), BUDGETED_TEXT).parent
    answer = forked(" ".join(RUN), folder)
    assert answer.code == 0, answer.err
    return folder


def file_in(folder: Path) -> Path:
    (file,) = (folder / "data").rglob("*.h5")
    return file


def labnis_to(out: Any, err: Any, folder: Path, *arguments: str, **environment: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "labnis.cli", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        timeout=100,
        check=False,
    )
    return done.returncode


def closed_pipe() -> int:
    """Writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def only_run(folder: Path) -> dict[str, Any]:
    return read_metadata(file_in(folder))


@pytest.mark.faults
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_output_does_not_change_the_exit_code_of_a_run(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, (tmp_path / "err").open("wb") as err:
        assert labnis_to(full, err, tmp_path, *RUN) == 0
    said = (tmp_path / "err").read_text(encoding="utf-8")
    assert "standard output cannot be written" in said and "No space left" in said
    assert "Traceback" not in said
    assert only_run(tmp_path)["status"] == "done"


@pytest.mark.faults
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_neither_a_closed_pipe_nor_a_full_standard_error_does(tmp_path: Path) -> None:
    writer = closed_pipe()
    with Path("/dev/full").open("wb") as full:
        assert labnis_to(writer, full, tmp_path, *RUN, "--json") == 0
    os.close(writer)
    found = only_run(tmp_path)
    assert (found["status"], found["reason"]) == ("done", "")


def test_a_closed_pipe_is_no_error_of_a_list(tmp_path: Path) -> None:
    writer = closed_pipe()
    with (tmp_path / "err").open("wb") as err:
        assert labnis_to(writer, err, tmp_path, "--help") == 0
    os.close(writer)
    assert (tmp_path / "err").read_bytes() == b""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_results_are_readable_in_every_encoding(encoding: str, measured: Path, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        code = labnis_to(out, err, measured, "show", str(file_in(measured)), PYTHONIOENCODING=encoding)
    assert (code, (tmp_path / "err").read_bytes()) == (0, b"")
    text = (tmp_path / "out").read_text(encoding=encoding)
    unit = {"ascii": "+- 0.0", "cp1252": "± 0.0", "utf-8": "± 0.0"}[encoding]
    assert unit in text and "\\u" not in text and "\\x" not in text


def on_terminal(columns: int, folder: Path, *arguments: str, **more: str) -> str:
    """What `labnis ARGUMENTS` shows on a terminal of so many columns."""
    terminal, inside = pty.openpty()
    environment = {"COLUMNS": str(columns), "LINES": "50", "TERM": "dumb"} | more
    process = subprocess.Popen(
        [sys.executable, "-m", "labnis.cli", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdin=subprocess.DEVNULL,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    text = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        text += part
    os.close(terminal)
    assert process.wait(timeout=60) == 0, text.decode()
    return text.decode(more.get("PYTHONIOENCODING", "utf-8")).replace("\r\n", "\n")


def test_tables_fit_into_80_columns_and_lose_nothing(measured: Path) -> None:
    for arguments in (("ls", "--data", "data"), ("calibrations", "--simulated", "--data", "data"), ("check",)):
        text = on_terminal(80, measured, *arguments)
        table = text.splitlines() if arguments[0] == "ls" else [line for line in text.splitlines() if line[0] in "│┃┏"]
        assert table and max(map(len, table)) <= 80, text
        assert "…" not in text, text
    assert file_in(measured).stem.rpartition("-")[2] in on_terminal(80, measured, "ls", "--data", "data")


def test_a_piped_table_has_one_line_for_each_row_without_lines_and_colours(measured: Path) -> None:
    listed = command("calibrations --simulated --data data", measured, COLUMNS="40")
    _title, heading, *rows = listed.out.splitlines()
    assert heading.split() == ["quantity", "value", "±", "σ", "noise", "systematic", "run", "model"]
    assert [row.split("  ")[0] for row in rows] == [name.replace("_", " ") for name in CurrentVoltage.results]
    assert "\x1b" not in listed.out and not set("─│┃━") & set(listed.out)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_columns_are_aligned_in_every_encoding(encoding: str, measured: Path) -> None:
    listed = on_terminal(
        80, measured, "calibrations", "--simulated", "--data", "data", PYTHONIOENCODING=encoding
    ).splitlines()[1:]
    assert len({len(line) for line in listed}) == 1 and "kohm" in "".join(listed)


@pytest.mark.parametrize("group", ["", "cooldown", "ledger", "twin"])
def test_no_summary_in_a_list_of_commands_is_cut(group: str, measured: Path) -> None:
    assert "..." not in on_terminal(80, measured, *group.split(), "--help").replace("COMMAND [ARGS]...", "")


LISTS = (
    "ls", "show {run}", "log {run}", "calibrations --simulated", "ledger at 2100-01-01 --simulated",
    "ledger history gap --simulated", "cooldown list", "procedures", "check",
)  # fmt: skip


def test_every_list_has_a_form_in_json(measured: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(measured)
    run = file_in(measured).stem.rpartition("-")[2]
    for text in LISTS:
        place = "" if text == "procedures" else " --data data"
        answer = labnis(f"{text.format(run=run)} --json{place}")
        assert answer.code == 0, answer.err
        found = json.loads(answer.out)
        if text == "check":
            assert found["ok"] and found["roles"]["bias"]["instrument"] == "keithley"
        elif not text.startswith("log"):
            assert found and isinstance(found[0], dict), text
    (shown,) = json.loads(labnis(f"show {run} --json --data data").out)
    assert shown["simulated"] is True and shown["fits"]["current_voltage"]["parameters"]


def test_a_run_has_a_log_beside_it_and_its_log_of_events_says_what_did_not_happen(
    measured: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = file_in(measured).with_suffix(".log").read_text(encoding="utf-8")
    assert "IVSweep starts" in text and "gap = 21" in text and text.rstrip().endswith("41 rows, done")
    monkeypatch.chdir(measured)
    events = labnis(f"log {file_in(measured)} --data data")
    assert "no interlock, fault or pause" in events.out


def test_the_summaries_in_the_list_of_commands_begin_their_own_help() -> None:
    for name, (module, summary) in COMMANDS.items():
        found = getattr(import_module(f"labnis.cli.{module}"), f"{name}_" if iskeyword(name) else name)
        text = inspect.getdoc(found) if inspect.isfunction(found) else found.info.help
        assert str(text).startswith(summary.rstrip(".")), name
