"""A recorded command, replayed without its instruments: the same messages, and the same rows bit for bit."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from drivers.sr830 import SR830
from labnis import cli
from labnis.cli import replaying
from labnis.errors import DataQualityError, InstrumentFault, RequestError
from labnis.storage import open_run, read_events, read_metadata
from labnis.visa_log import recording as traffic
from labnis.visa_log.replay import replay
from procedures import IVSweep
from sim_instruments.server import control, launched
from tests.faults.measuring import RAMP_RATE, STATION, start_cooldown, wait_for
from tests.run.bench import ROOT, Commands, write_station

TUESDAY = ROOT / "tests" / "data" / "iv_sweep.visa.jsonl"
"""`labnis run IVSweep --dry-run --record-visa --set points=10 --seed 3`, with a station that has no role `fridge`."""

SWEEP = "run IVSweep --dry-run --record-visa --set points=21"
SHORT = "--set IVSweep.points=21 --set ReflectionVsBias.points=4 --set EmittedPowerVsBias.points=4 --set frequencies=11"


def only_record(folder: Path) -> Path:
    (path,) = folder.glob("data/*/*/*.visa.jsonl")
    return path


def lines_of(record: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in record.read_text(encoding="ascii").splitlines()]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a short sweep."""
    folder = tmp_path_factory.mktemp("swept")
    write_station(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["labnis", *SWEEP.split()])
        with pytest.raises(SystemExit) as ended:
            cli.run()
    assert not ended.value.code
    return folder / "data"


@pytest.fixture
def sweep(tmp_path: Path, swept: Path) -> Path:
    """The record of that sweep, in a copy of its data folder."""
    shutil.copytree(swept, tmp_path / "data")
    return only_record(tmp_path)


@pytest.fixture
def at_sixth_point(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], pytest.MonkeyPatch]:
    """Let something happen at the sixth point of a sweep."""
    original = IVSweep.conductance

    def let(happen: Callable[[], None]) -> pytest.MonkeyPatch:
        done = iter(range(1000))

        def conductance(procedure: IVSweep) -> dict[str, float]:
            if next(done) == 5:
                happen()
            return original(procedure)

        monkeypatch.setattr(IVSweep, "conductance", conductance)
        return monkeypatch

    return let


# --- the same again --------------------------------------------------------------------------------------------------


def test_the_session_that_was_recorded_for_this_test(tmp_path: Path) -> None:
    found = replay(TUESDAY, tmp_path / "replayed")
    assert found.whole
    assert found.rows == 10


def test_a_sweep(tmp_path: Path, sweep: Path) -> None:
    found = replay(sweep, tmp_path / "replayed")
    assert (found.whole, found.rows) == (True, 21)
    (before,) = tmp_path.glob("data/*/*/*.h5")
    old, new = open_run(before), open_run(found.runs[0])
    old, new = old.drop_vars(["time_utc"]), new.drop_vars(["time_utc"])  # the time of day is another
    assert old.identical(new.assign_attrs(old.attrs))
    assert new.attrs["simulated"]


@pytest.mark.long
def test_a_calibration_is_one_record_that_all_its_runs_name(tmp_path: Path, labnis: Commands) -> None:
    labnis(f"calibrate --dry-run --record-visa {SHORT}")
    record = only_record(tmp_path)
    runs = sorted(tmp_path.glob("data/*/*/*.h5"))
    assert len(runs) == 3
    for run in runs:
        (named,) = [event.details["record"] for event in read_events(run) if event.kind == "visa"]
        assert (run.parent / named).samefile(record)
        assert record.name in labnis(f"log {run}").out
    found = replay(record, tmp_path / "replayed")
    assert (found.whole, found.rows, len(found.runs)) == (True, 29, 3)


def test_a_run_that_failed_and_was_resumed(
    tmp_path: Path, labnis: Commands, at_sixth_point: Callable[..., pytest.MonkeyPatch]
) -> None:
    def fail() -> None:
        raise LookupError("in mid-run")

    patch = at_sixth_point(fail)
    assert labnis(SWEEP.replace("--record-visa ", "")).code == 1
    patch.undo()
    patch.chdir(tmp_path)
    resumed = labnis("resume --dry-run --record-visa")
    assert resumed.code == 0, resumed.err
    found = replay(only_record(tmp_path), tmp_path / "replayed")
    assert (found.whole, found.rows) == (True, 21 - 5)


@pytest.mark.faults
def test_a_record_of_sockets_with_late_and_lost_answers_after_the_instruments_are_gone(
    tmp_path: Path, labnis: Commands
) -> None:
    with launched(speed=10.0) as server:
        text = STATION.format(**server.addresses, rate=RAMP_RATE, more="", below="")
        (tmp_path / "station.yaml").write_text(text.replace("timeout: 1}", "timeout: 0.5}"), encoding="utf-8")
        start_cooldown(tmp_path / "data")
        control(server.port, do="fault", instrument="lockin", kind="drop", match="SNAP", after=3, count=1)
        control(server.port, do="fault", instrument="fridge", kind="garble", match="KRDG", after=4, count=1)
        answer = labnis("run IVSweep --yes --record-visa --data data --set points=20 --set settling_time=0.5")
        assert answer.code == 0, answer.err
    record = only_record(tmp_path)
    assert [line["instrument"] for line in lines_of(record) if line.get("failed") == "error_timeout"].count("sr830")
    found = replay(record, tmp_path / "replayed")
    assert (found.whole, found.rows) == (True, 20)
    (before,) = tmp_path.glob("data/*/*/*.h5")
    old, new = (open_run(path).drop_vars("time_utc") for path in (before, found.runs[0]))  # the time of day is another
    assert old.equals(new)


@pytest.mark.faults
def test_a_command_that_an_instrument_ended(tmp_path: Path, labnis: Commands) -> None:
    with launched(speed=10.0) as server:
        text = STATION.format(**server.addresses, rate=RAMP_RATE, more="", below="")
        (tmp_path / "station.yaml").write_text(text.replace("timeout: 1}", "timeout: 0.5}"), encoding="utf-8")
        start_cooldown(tmp_path / "data")
        control(server.port, do="fault", instrument="lockin", kind="disconnect", match="SNAP", after=3, seconds=60)
        answer = labnis("run IVSweep --yes --record-visa --data data --set points=15")
        assert answer.code == 5, answer.err
    found = replay(only_record(tmp_path), tmp_path / "replayed")
    assert found.whole
    (before,) = tmp_path.glob("data/*/*/*.h5")
    assert found.rows == read_metadata(before)["rows"] > 0
    assert "The recorded command ended with CommunicationError." in found.report
    assert read_metadata(found.runs[0])["status"] == "failed"


# --- what is not the same --------------------------------------------------------------------------------------------


def test_a_driver_that_sends_something_else_is_found_at_that_message(
    tmp_path: Path, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_raw = SR830.ask_raw
    monkeypatch.setattr(SR830, "ask_raw", lambda self, cmd: ask_raw(self, cmd.replace("SNAP?1,2,9", "SNAP? 1,2,9")))
    with pytest.raises(InstrumentFault) as caught:
        replay(sweep, tmp_path / "replayed")
    line = next(n for n, line in enumerate(lines_of(sweep), start=1) if line.get("text") == "SNAP?1,2,9\n")
    assert str(caught.value).startswith(
        f"sr830 (GPIB0::8::INSTR): the VISA record has 'SNAP?1,2,9\\n' sent (line {line}); "
        "now it was 'SNAP? 1,2,9\\n' sent"
    )
    assert caught.value.exit_code == 5


def test_a_driver_that_sends_less_is_found(tmp_path: Path, sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IVSweep, "shutdown", lambda self: None)  # which takes the lock-in's excitation away
    with pytest.raises(InstrumentFault, match=r"continues after the end of the replay: sr830 .*SLVL"):
        replay(sweep, tmp_path / "replayed")


def test_the_same_messages_with_other_rows_are_a_matter_of_data(
    tmp_path: Path, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = SR830.read
    monkeypatch.setattr(SR830, "read", lambda self: read(self) * (1 + 4e-16))
    with pytest.raises(DataQualityError) as caught:
        replay(sweep, tmp_path / "replayed")
    assert caught.value.exit_code == 7
    assert "row 0 (from 0) of " in str(caught.value)
    assert "columns that differ: conductance, lockin_x, lockin_y. " in str(caught.value)


# --- records that are not whole --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_record_that_breaks_off_is_replayed_as_far_as_it_goes(tmp_path: Path, sweep: Path, share: float) -> None:
    whole = sweep.read_bytes()
    sweep.write_bytes(whole[: int(share * len(whole))])  # in the middle of a line
    found = replay(sweep, tmp_path / "replayed")
    assert not found.whole
    assert found.messages > 100
    assert (found.rows > 0) == (share == 0.9)
    assert "to its last line; it is incomplete" in found.report[-1]


@pytest.mark.faults
def test_the_record_of_a_killed_run_has_everything_up_to_the_kill(tmp_path: Path) -> None:
    words = ["run", "IVSweep", "--dry-run", "--record-visa", "--set", "points=100000"]
    pipe = subprocess.PIPE
    run = subprocess.Popen(
        [sys.executable, "-m", "labnis.cli", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=pipe,
        stderr=pipe,
        text=True,
    )
    wait_for(lambda: any(file.stat().st_size > 500_000 for file in tmp_path.glob("data/*/*/*.visa.jsonl")), run)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    found = replay(only_record(tmp_path), tmp_path / "replayed")
    assert not found.whole
    assert found.messages > 2000


def test_a_command_that_somebody_stopped_is_replayed_up_to_there(
    tmp_path: Path, labnis: Commands, at_sixth_point: Callable[..., pytest.MonkeyPatch]
) -> None:
    patch = at_sixth_point(lambda: os.kill(os.getpid(), signal.SIGINT))
    assert labnis(SWEEP).code == 130
    patch.undo()
    found = replay(only_record(tmp_path), tmp_path / "replayed")
    assert not found.whole
    (run,) = tmp_path.glob("data/*/*/*.h5")
    assert found.rows == open_run(run).attrs["rows"] < 8
    assert "a signal stopped it" in found.report[-1]


def test_a_disk_that_is_full_ends_the_record_and_not_the_run(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written = iter(range(10_000))
    original = traffic._write_whole

    def write(file: Any, data: bytes) -> None:
        if next(written) < 1000:
            original(file, data)
            return
        with Path("/dev/full").open("wb", buffering=0) as full:
            original(full, data)

    monkeypatch.setattr(traffic, "_write_whole", write)
    with caplog.at_level(logging.WARNING, "labnis"):
        answer = labnis(SWEEP)
    assert answer.code == 0
    said = [record.getMessage() for record in caplog.records if "writing the VISA record" in record.getMessage()]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    (run,) = tmp_path.glob("data/*/*/*.h5")
    assert read_metadata(run)["status"] == "done"
    assert any("No space left on device" in event.message for event in read_events(run))
    assert not replay(only_record(tmp_path), tmp_path / "replayed").whole


# --- what cannot be replayed -----------------------------------------------------------------------------------------


def test_what_is_no_record_is_a_bad_request(tmp_path: Path) -> None:
    file = tmp_path / "no.visa.jsonl"
    for content, reason in (("", "line 1"), ("{}\n", "line 1"), ("[1]\n", "be an object"), ("x\n", "Invalid JSON")):
        file.write_text(content)
        with pytest.raises(RequestError, match=reason):
            replay(file, tmp_path / "replayed")
    with pytest.raises(RequestError, match=r"ends with \.visa\.jsonl"):
        replay(tmp_path / "truth.yaml", tmp_path / "replayed")
    with pytest.raises(RequestError, match="cannot be read"):
        replay(tmp_path / "none.visa.jsonl", tmp_path / "replayed")


def test_the_command_says_what_was_found(
    tmp_path: Path, sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = typer.Typer()
    command.command()(replaying.replay)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    capsys.readouterr()
    command([str(sweep)], standalone_mode=False)
    out, err = capsys.readouterr()
    assert "21 rows, identical bit for bit." in out
    assert "messages, all as recorded" in out
    assert f"replayed into {tmp_path / 'labnis-replay-'}" in err


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="give an empty folder"):
        replay(TUESDAY, tmp_path)  # there is a station file


def test_a_record_that_cannot_be_begun_is_refused_before_anything_is_opened(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "dry-run").mkdir(parents=True)
    day = "data/dry-run"
    monkeypatch.setattr(Path, "mkdir", _refusing(Path.mkdir, day))
    answer = labnis(SWEEP)
    assert answer.code == 6
    assert "labnis: the VISA record" in answer.err
    assert "cannot be written" in answer.err
    assert not list(tmp_path.glob("data/*/*/*.h5"))


def _refusing(original: Callable[..., None], part: str) -> Callable[..., None]:
    def mkdir(path: Path, *arguments: Any, **options: Any) -> None:
        if part in path.as_posix():
            raise OSError(28, "No space left on device", str(path))
        original(path, *arguments, **options)

    return mkdir
