"""One process at a time: the second gets the name of the first; a dead process does not block."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labnis.errors import BusyError, ConfigurationError
from labnis.station.lock import hold, lock_name_of_address, lock_name_of_station

HOLDER = """
import sys
from pathlib import Path
from labnis.errors import BusyError
from labnis.station.lock import hold
sys.stdin.readline()
try:
    with hold(sys.argv[2:], Path(sys.argv[1])):
        print("holds", flush=True)
        sys.stdin.readline()
except BusyError as error:
    print("busy:", error, flush=True)
"""


def start(folder: Path, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.communicate("done\n", timeout=30)


def test_of_racing_processes_exactly_one_gets_in_and_the_others_name_it(tmp_path: Path) -> None:
    racers = [start(tmp_path, "instrument A", "instrument B") for _ in range(4)]
    for racer in racers:
        tell(racer)
    answers = [hear(racer) for racer in racers]
    winners = [racer for racer, answer in zip(racers, answers, strict=True) if answer == "holds"]
    assert len(winners) == 1
    losers = [answer for answer in answers if answer != "holds"]
    assert all(f"instrument A is in use by process {winners[0].pid} on " in answer for answer in losers)
    finish(*racers)


def test_a_killed_process_does_not_block_and_is_not_named_again(tmp_path: Path) -> None:
    first = start(tmp_path, "instrument A")
    tell(first)
    assert hear(first) == "holds"
    first.kill()
    first.communicate(timeout=30)
    with hold(["instrument A"], tmp_path):
        second = start(tmp_path, "instrument A")
        tell(second)
        assert f"process {os.getpid()} on " in hear(second)
        finish(second)


def test_a_lock_ends_with_its_context_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(["a", "b"], tmp_path):
        _ = 1 / 0
    with hold(["a", "b"], tmp_path):
        pass


def test_all_locks_or_none(tmp_path: Path) -> None:
    with hold(["b"], tmp_path):
        with pytest.raises(BusyError, match=r"^b is in use"), hold(["a", "b"], tmp_path):
            pass
        with hold(["a"], tmp_path):  # given back by the failed attempt
            pass


def test_the_note_names_the_holder_but_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/bin/labnis", "run", "IVSweep", "postgresql://me:hunter2@db/labnis"])
    with hold(["a"], tmp_path):
        (note,) = tmp_path.glob("*.json")
        holder = json.loads(note.read_text())
        assert holder["pid"] == os.getpid()
        assert holder["command"] == "labnis run IVSweep postgresql://***@db/labnis"
        assert holder.keys() == {"pid", "host", "command", "since"}


def test_a_lock_folder_that_cannot_be_used_is_no_free_pass(tmp_path: Path) -> None:
    (tmp_path / "locks").touch()
    with pytest.raises(ConfigurationError, match="cannot be used"), hold(["a"], tmp_path / "locks"):
        pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GPIB::8", "gpib0::8::INSTR"),
        ("TCPIP::10.0.0.5::INSTR", "TCPIP0::10.0.0.5::inst0::INSTR"),
        ("my_alias", "MY_ALIAS"),
    ],
)
def test_one_address_written_in_two_ways_is_one_lock(one: str, other: str) -> None:
    assert lock_name_of_address(one) == lock_name_of_address(other)


def test_two_instruments_are_two_locks() -> None:
    assert lock_name_of_address("GPIB0::8::INSTR") != lock_name_of_address("GPIB0::9::INSTR")


def test_a_station_file_is_one_lock_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.yaml").symlink_to(tmp_path / "station.yaml")
    (tmp_path / "station.yaml").touch()
    names = {lock_name_of_station(Path(p)) for p in ("station.yaml", tmp_path / "station.yaml", "link.yaml")}
    assert len(names) == 1
