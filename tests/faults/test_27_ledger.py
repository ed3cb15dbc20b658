"""27: the ledger is locked, or down: the run is done all the same, and its results are entered later, exactly once."""

import functools
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labnis.experiment.opening import open_session
from labnis.ledger import Ledger, NewCalibration, keep_pending, of_station, open_ledger
from labnis.ledger._pending import FOLDER
from labnis.storage import list_runs, read_metadata
from procedures import IVSweep
from tests.faults.commands import Command, completed
from tests.faults.measuring import ENVIRONMENT, ROOT, Lab, wait_for
from tests.faults.measuring import SWEEP as MEASURING
from tests.ledger.postgresql import Server, served
from tests.run.bench import STATION_TEXT, BiasLog, Commands, changed, write_station

SWEEP = "run IVSweep --dry-run --set points=101"


@contextmanager
def locked(database: Path, how: str = "IMMEDIATE") -> Iterator[None]:
    """Somebody else's transaction that does not end."""
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute(f"BEGIN {how}")
        yield
    finally:
        connection.close()


@pytest.fixture
def labnis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    """`labnis` that waits 50 ms for a locked ledger instead of 5 s; the lock lasts for the whole run in either case."""
    write_station(tmp_path)
    monkeypatch.setattr(of_station, "open_ledger", functools.partial(open_ledger, wait=0.05))
    commands = Commands(monkeypatch, capsys)
    assert commands("cooldown start CD1").code == 0
    return commands


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def waiting(data: Path) -> list[Path]:
    return sorted((data / FOLDER).glob("*.json"))


def entered(data: Path) -> list[tuple[str, str]]:
    return [(entry.run_id, entry.quantity) for entry in open_ledger(data / "ledger.sqlite").calibrations("CD1")]


def test_a_run_with_a_locked_ledger_is_done_and_entered_once_by_the_next_command(
    labnis: Commands, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bias = BiasLog(monkeypatch)
    with locked(data / "ledger.sqlite"):
        first = labnis(SWEEP)
        assert first.code == 0, first.err
        assert "the results are saved in" in first.err
        second = labnis(SWEEP)  # the first one's results cannot be entered yet: a new run is possible
        assert second.code == 0, second.err
    assert bias.left_at_zero
    runs = list_runs(data)
    assert [run.status for run in runs] == ["done", "done"]
    assert len(waiting(data)) == 2
    assert entered(data) == []
    third = labnis(SWEEP)
    assert third.code == 0, third.err
    assert waiting(data) == []
    found = entered(data)
    assert len(found) == len(set(found))
    for run in list_runs(data):
        assert {(run.run_id, name) for name in ("gap", "normal_resistance", "electron_temperature")} <= set(found)


def test_a_ledger_that_goes_down_in_mid_run(labnis: Commands, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not locked but refused: another process holds the whole file, as a database server that is down would."""
    adding = Ledger.add_calibrations

    def down(self: Ledger, *arguments: object, **options: object) -> object:
        with locked(data / "ledger.sqlite", "EXCLUSIVE"):
            return adding(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "add_calibrations", down)
    answer = labnis(SWEEP)
    assert answer.code == 0, answer.err
    assert len(waiting(data)) == 1
    assert entered(data) == []


ENTERING = """\
import sys
from pathlib import Path
from labnis.ledger import enter_pending, open_ledger
data = Path(sys.argv[1])
ledger = open_ledger(data / "ledger.sqlite")
print("ready", flush=True)
sys.stdin.readline()
print(enter_pending(data, ledger)[0], flush=True)
"""


def result(run_id: str) -> NewCalibration:
    return NewCalibration(
        quantity="gap",
        value=215e-6,
        sigma=1e-6,
        unit="eV",
        run_path=f"/data/{run_id}.h5",
        run_id=run_id,
        model="model",
        code_version="0.1",
        simulated=True,
    )


def test_two_commands_that_start_at_the_same_time_enter_it_once(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    ledger.start_cooldown("CD1")
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", ENTERING, str(tmp_path)]
    with (
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as one,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as other,
    ):
        runs = [f"{number:08x}" for number in range(40)]
        for run_id in runs:
            keep_pending(tmp_path, [result(run_id)], cooldown="CD1", batch=run_id)
        for process in (one, other):
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in (one, other):
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        counts = [int(process.communicate(timeout=60)[0]) for process in (one, other)]
        assert (one.returncode, other.returncode) == (0, 0)
    assert sum(counts) == len(runs)
    assert sorted(entry.run_id for entry in ledger.calibrations("CD1")) == runs
    assert waiting(tmp_path) == []


def test_a_run_that_is_killed_before_its_results_are_in_the_ledger(
    labnis: Commands, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Ledger, *arguments: object, **options: object) -> object:
        raise KeyboardInterrupt("as if killed at this moment")

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "add_calibrations", killed)
        labnis(SWEEP)
    assert entered(data) == []
    (run,) = list_runs(data)
    assert labnis("calibrations").code == 0
    assert {run_id for run_id, _ in entered(data)} == {run.run_id}
    assert waiting(data) == []


def test_results_of_a_run_without_ledger_come_before_those_of_the_next_run(labnis: Commands, data: Path) -> None:
    """The latest calibration is that of the latest run, also if an earlier one was entered late."""
    with open_session(data.parent / "station.yaml", dry_run=True, seed=1) as session:
        with locked(data / "ledger.sqlite"):
            first = session.run(IVSweep(points=41))
        assert entered(data) == []
        second = session.run(IVSweep(points=41))
        latest = session.ledger.latest("CD1", simulated=True, quantity="gap")
        assert latest is not None
        assert latest.run_id == second.run_id
    runs = [run_id for run_id, _ in entered(data)]
    assert list(dict.fromkeys(runs)) == [first.run_id, second.run_id]
    assert waiting(data) == []


# --- a database server, lost and back ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as made:
        yield made


def begun_with(lab: Lab, server: Server) -> tuple[Ledger, Command]:
    """A ledger on the server, and a run whose results will be entered there; it halts until `go_on`."""
    url = server.new_database()
    ledger = open_ledger(url, device="A7")
    ledger.start_cooldown("CD1")
    lab.write_station(below=f"  device: A7\n  ledger: {url}\n")
    words = ("run", "lab_procedures.WaitsForFile", "--yes", "--set", "points=101", "--set", f"file={lab.folder / 'go'}")
    return ledger, lab.under_way(lab.start_without_data_option(*words, *MEASURING))


def go_on(lab: Lab, process: Command) -> str:
    """What the run says until its end, which has to be a good one."""
    assert process.poll() is None
    (lab.folder / "go").touch()
    return lab.ended(process, 0)


def test_a_server_that_is_lost_in_mid_run_and_back_later(lab: Lab, server: Server) -> None:
    ledger, process = begun_with(lab, server)
    server.stop()
    said = go_on(lab, process)
    ended = datetime.now(UTC)
    lab.assert_safe()
    assert read_metadata(lab.run_file)["status"] == "done"
    assert "Check that the server runs" in said
    assert "the results are saved in" in said
    assert len(waiting(lab.data)) == 1
    server.start()
    for _ in range(2):
        assert lab.without_data_option("calibrations").returncode == 0
    found = ledger.calibrations("CD1")
    assert len({c.quantity for c in found}) == len(found) >= 3
    assert all(c.device == "A7" and c.created <= ended for c in found)
    assert waiting(lab.data) == []


def test_a_server_that_is_lost_and_back_in_mid_run(lab: Lab, server: Server) -> None:
    ledger, process = begun_with(lab, server)
    server.stop()
    server.start()
    said = go_on(lab, process)
    lab.assert_safe()
    assert "saved in" not in said
    assert len({c.quantity for c in ledger.calibrations("CD1")}) >= 3
    assert waiting(lab.data) == []


def has_run(data: Path) -> bool:
    return any(data.glob("*/*/*.h5"))


def test_two_stations_measure_while_their_server_is_lost_and_back(tmp_path: Path, server: Server) -> None:
    """Both runs end well, and each is entered once, for its own device."""
    url = server.new_database()
    processes, devices = [], ("A7", "B2")
    for device in devices:
        folder = tmp_path / device
        text = changed(STATION_TEXT, "name: nis_device", f"name: {device}")
        station = write_station(
            folder, changed(text, "labnis:\n", f"labnis:\n  ledger: {url}\n  packages: [lab_procedures]\n")
        )
        shutil.copy(Path(__file__).with_name("lab_procedures.py"), folder)
        words = ("--dry-run", "--set", "points=101", "--set", f"file={folder / 'go'}", "--station", str(station))
        processes.append(Command(("run", "lab_procedures.WaitsForFile", *words), ENVIRONMENT))
    for device, process in zip(devices, processes, strict=True):
        wait_for(functools.partial(has_run, tmp_path / device / "data"), process)
    server.stop()
    for device, process in zip(devices, processes, strict=True):
        (tmp_path / device / "go").touch()
        out, said = process.communicate(timeout=60)
        assert process.returncode == 0, out + said
        assert "the results are saved in" in said
    server.start()
    for device in devices:
        assert (
            completed(("calibrations", "--station", str(tmp_path / device / "station.yaml")), ENVIRONMENT).returncode
            == 0
        )
        assert waiting(tmp_path / device / "data") == []
    found = [(entry.device, entry.run_id, entry.quantity) for entry in open_ledger(url).calibrations()]
    assert len(found) == len({*found})
    assert {device: len({run for name, run, _ in found if name == device}) for device in devices} == {"A7": 1, "B2": 1}


def test_stations_with_a_server_name_their_device(lab: Lab, server: Server) -> None:
    """Without names they would share the current cooldown."""
    lab.write_station(below=f"  ledger: {server.new_database()}\n")
    answer = lab.without_data_option("run", "IVSweep", "--yes")
    assert answer.returncode == 2
    assert "station.yaml" in answer.stderr
    assert "labnis.device" in answer.stderr
    assert lab.log == []


# --- 7, with the ledger in the place of the storage -------------------------------------------------------------------


def test_a_stop_while_the_ledger_is_locked_ends_at_once(lab: Lab) -> None:
    process = lab.begin_sweep()
    with locked(lab.data / "ledger.sqlite", "EXCLUSIVE"):
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        lab.ended(process, 143)
        lasted = time.monotonic() - asked
    lab.assert_safe()
    # Ramp, file, process end. The ledger is not waited for (5 s): an aborted run has nothing to enter.
    assert lasted < 4.5, lasted
    known = read_metadata(lab.run_file)
    assert (known["status"], known["rows"] > 5) == ("aborted", True)


def test_a_stop_while_results_are_being_entered_into_a_locked_ledger(
    labnis: Commands, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is complete and stays so; nothing hangs, and what could not be entered waits."""
    bias = BiasLog(monkeypatch)
    adding = Ledger.add_calibrations

    def stopped(self: Ledger, *arguments: object, **options: object) -> object:
        for _ in range(11):
            signal.raise_signal(signal.SIGTERM)
        with locked(data / "ledger.sqlite"):
            return adding(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "add_calibrations", stopped)
    answer = labnis(SWEEP)
    assert answer.code == 0, answer.err
    assert bias.left_at_zero
    assert len(waiting(data)) == 1
    assert [run.status for run in list_runs(data)] == ["done"]
