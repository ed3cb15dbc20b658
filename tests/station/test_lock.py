"""One process at a time: the second gets the name of the first; a dead process does not block; no note is trusted."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labnis.errors import BusyError, ConfigurationError
from labnis.safety.make_safe import stop_holder
from labnis.station import lock_names
from labnis.station.lock import Holder, hold, holder_of_station, process_of
from labnis.station.lock_file import lock_file, shared_folder
from labnis.station.lock_names import (
    lock_name_of_address,
    lock_name_of_serial,
    lock_name_of_station,
    lock_names_of_address,
)

HOLDER = """
import sys
from pathlib import Path
from labnis.errors import BusyError
from labnis.station.lock import hold
sys.stdin.readline()
try:
    with hold(sys.argv[2:], Path(sys.argv[1]) if sys.argv[1] else None):
        print("holds", flush=True)
        sys.stdin.readline()
except BusyError as error:
    print("busy:", error, flush=True)
"""


def start(folder: Path | str, *names: str, script: str = HOLDER, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder), *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
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
    monkeypatch.setattr(sys, "argv", ["/opt/bin/labnis", "run", "IVSweep", "postgresql://me:h/u@n t 2@db/labnis"])
    with hold(["a"], tmp_path):
        (note,) = tmp_path.iterdir()
        holder = json.loads(note.read_text())
        assert holder["pid"] == os.getpid()
        assert holder["command"] == "labnis run IVSweep postgresql://***"
        assert holder.keys() == {"pid", "host", "command", "since"}
    assert list(tmp_path.iterdir()) == []


def test_a_lock_folder_that_cannot_be_used_is_no_free_pass(tmp_path: Path) -> None:
    (tmp_path / "locks").touch()
    with pytest.raises(ConfigurationError, match="cannot be used"), hold(["a"], tmp_path / "locks"):
        pass


def test_two_runs_with_two_temporary_folders_exclude_each_other(tmp_path: Path) -> None:
    name = f"instrument {tmp_path}"
    one, other = (start("", name, TMPDIR=str(tmp_path / each), TEMP=str(tmp_path / each)) for each in ("a", "b"))
    tell(one)
    assert hear(one) == "holds"
    tell(other)
    assert f"in use by process {one.pid} on " in hear(other)
    finish(one, other)


# --- a lock that another process could take ---------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["removed", "replaced", "replaced by a link"])
def test_the_holder_notices_that_its_lock_file_is_gone(tmp_path: Path, change: str) -> None:
    with hold(["a", "b"], tmp_path) as locks:
        assert {name: lock.problem() for name, lock in locks.items()} == {"a": "", "b": ""}
        file = lock_file("a", tmp_path)
        file.rename(tmp_path / "away")
        if change == "replaced":
            file.touch()
        elif change != "removed":
            file.symlink_to(tmp_path / "away")
        assert f"{file} of a was {change.split(maxsplit=1)[0]}" in locks["a"].problem()
        assert locks["b"].problem() == ""
    assert (tmp_path / "away").exists()  # the holder does not touch what is no longer its own


def test_a_file_that_is_removed_between_opening_and_locking_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, locked = lock_file("a", tmp_path), []

    def late(descriptor: int) -> bool:
        locked.append(descriptor)
        if len(locked) == 1:
            file.unlink()  # by its former holder
        return True

    monkeypatch.setattr("labnis.station.lock.locked", late)
    with hold(["a"], tmp_path) as locks:
        assert len(locked) == 2
        assert locks["a"].problem() == ""


FORKING = """
import os, sys, time
from pathlib import Path
from labnis.station.lock import hold
with hold(sys.argv[2:], Path(sys.argv[1])):
    if not os.fork():
        print(os.getpid(), flush=True)  # by the child: what Python does in it after the fork is then done
        if sys.stdin.readline() == "leave\\n":
            sys.exit()  # and leaves the context, too
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_neither_keeps_the_lock_nor_ends_it(tmp_path: Path) -> None:
    parent = start(tmp_path, "a", script=FORKING)
    child = int(hear(parent))
    with pytest.raises(BusyError, match=f"process {parent.pid} on"), hold(["a"], tmp_path):
        pass
    parent.kill()
    parent.wait(timeout=30)
    try:
        os.kill(child, 0)  # it is still there
        with hold(["a"], tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_that_leaves_does_not_end_the_lock(tmp_path: Path) -> None:
    parent = start(tmp_path, "a", script=FORKING)
    child = int(hear(parent))
    assert parent.stdin
    parent.stdin.write("leave\n")
    parent.stdin.flush()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}/fd").exists() and any(Path(f"/proc/{child}/fd").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(BusyError, match=f"process {parent.pid} on"), hold(["a"], tmp_path):
        pass
    parent.kill()
    parent.communicate()


def test_a_guardian_takes_no_notice_of_the_locks_of_its_own_run(tmp_path: Path) -> None:
    run, other = start(tmp_path, "a"), start(tmp_path, "b")
    for process in (run, other):
        tell(process)
        assert hear(process) == "holds"
    with hold(["a", "c"], tmp_path, of_run=run.pid) as locks:
        assert locks.keys() == {"c"}
    with pytest.raises(BusyError, match=f"b is in use by process {other.pid}"), hold("b", tmp_path, of_run=run.pid):
        pass
    lock_file("b", tmp_path).write_bytes(noted(run.pid))
    with pytest.raises(BusyError, match="b is in use"), hold("b", tmp_path, of_run=run.pid):
        pass
    finish(run, other)


# --- lock files in a folder that others can write to ------------------------------------------------------------------


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    lock_file("a", tmp_path).symlink_to(victim)
    with pytest.raises(ConfigurationError, match="cannot be used"), hold(["a"], tmp_path):
        pass
    lock_file("b", tmp_path).hardlink_to(victim)
    with pytest.raises(ConfigurationError, match="single name"), hold(["b"], tmp_path):
        pass
    lock_file("c", tmp_path).symlink_to(tmp_path / "nothing there")
    with pytest.raises(ConfigurationError, match="cannot be used"), hold(["c"], tmp_path):
        pass
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nothing there").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.timeout(10)
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(lock_file("a", tmp_path))
    with pytest.raises(ConfigurationError, match="not a regular file"), hold(["a"], tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork") or os.getuid() != 0, reason="needs a second user")
def test_users_share_the_locks(tmp_path: Path) -> None:
    name = f"instrument {tmp_path}"

    def as_nobody(keep: bool) -> int:
        """Take the lock as another user: 0 if it was free; `keep` dies with it."""
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        code = 1
        try:
            os.umask(0o077)
            os.setgid(65534)
            os.setuid(65534)
            with hold([name]):
                if keep:
                    os._exit(0)
            code = 0
        except BusyError:
            code = 3
        finally:
            os._exit(code)

    file = lock_file(name, shared_folder())
    try:
        assert as_nobody(keep=True) == 0  # leaves a file that is another user's
        assert file.stat().st_uid == 65534
        with hold([name]):
            assert as_nobody(keep=False) == 3
        file.touch()
        os.chown(file, 0, 0)
        file.chmod(0o666)
        assert as_nobody(keep=False) == 0
        assert file.stat().st_uid == 0  # nobody cannot remove the file
        assert file.read_bytes() == b""
    finally:
        file.unlink(missing_ok=True)


# --- notes are not trusted --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path, "subprocess.Popen[str]"]]:
    """A configuration, the lock file of its station, and the process that holds it."""
    path = tmp_path_factory.mktemp("held") / "station.yaml"
    holder = start("", lock_name_of_station(path))
    tell(holder)
    assert hear(holder) == "holds"
    yield SimpleNamespace(path=path), lock_file(lock_name_of_station(path), shared_folder()), holder
    finish(holder)


def noted(pid: Any, **other: Any) -> bytes:
    return json.dumps({"pid": pid, "host": "here", "command": "labnis run", "since": "today", **other}).encode()


@pytest.mark.parametrize(
    "note",
    [
        *(noted(pid) for pid in (-1, 0, 1, True, 2**31, 2**70, 4e3, "17", None)),
        noted(17, host=["a"]),
        noted(17, extra=1),
        noted(17, command="x" * 300),
        noted(17) + b" " * 10_000_000,
        b"x" * 10_000_000,
        b"[" * 4000,
        b"17",
        b"null",
        b"{}",
        b"\xff\xfe\x00",
    ],
    ids=lambda note: note[:30].decode("ascii", "replace"),
)
def test_of_a_note_that_is_not_valid_nobody_gets_a_signal(
    station: tuple[Any, Path, "subprocess.Popen[str]"], note: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, file, holder = station
    file.write_bytes(note)
    monkeypatch.setattr(os, "kill", lambda *what: pytest.fail(f"kill{what}"))
    with pytest.raises(BusyError, match="in use by an unknown process; the command `fuser"):
        stop_holder(config)
    assert holder.poll() is None


def test_nobody_but_the_holder_gets_a_signal(station: tuple[Any, Path, "subprocess.Popen[str]"]) -> None:
    config, file, holder = station
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as foreign:
        for pid in (os.getpid(), os.getppid(), foreign.pid, 2**22 + 1):
            file.write_bytes(noted(pid))
            found = holder_of_station(config.path)
            assert found is not None
            assert process_of(found, config.path) is None
            with pytest.raises(BusyError, match=r"does not confirm.*No signal was sent. End the run"):
                stop_holder(config)
        assert foreign.poll() is None
        assert holder.poll() is None


def test_a_process_that_has_the_file_open_without_the_lock_gets_no_signal(
    station: tuple[Any, Path, "subprocess.Popen[str]"],
) -> None:
    config, file, _ = station
    reader = "import sys; open(sys.argv[1]); file = open(sys.argv[1]); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", reader, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        hear(other)
        file.write_bytes(noted(other.pid))
        if sys.platform == "linux":
            with pytest.raises(BusyError, match="does not confirm"):
                stop_holder(config)
        assert other.poll() is None


def test_the_holder_gets_a_signal(tmp_path: Path) -> None:
    config: Any = SimpleNamespace(path=tmp_path / "station.yaml")
    holder = start("", lock_name_of_station(config.path))
    tell(holder)
    assert hear(holder) == "holds"
    ended = threading.Thread(target=holder.wait)  # a process that nobody waits for keeps its number
    ended.start()
    assert stop_holder(config) == f"the run (process {holder.pid}) was asked to stop and has ended"
    ended.join()
    assert holder.returncode == -signal.SIGTERM
    assert stop_holder(config) is None
    holder.communicate()


def test_a_note_is_shown_without_its_control_characters(station: tuple[Any, Path, "subprocess.Popen[str]"]) -> None:
    config, file, _ = station
    file.write_bytes(noted(17, host="\x1b[2J\u202e", command="\x07\r\nTürhof"))
    holder = holder_of_station(config.path)
    assert isinstance(holder, Holder)
    assert str(holder) == r"process 17 on \x1b[2J\u202e since today (\x07\r\nTürhof)"


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GPIB::8", "gpib0::8::INSTR"),
        ("TCPIP::10.0.0.5::INSTR", "TCPIP0::10.0.0.5::inst0::INSTR"),
        ("TCPIP::127.0.0.1::5025::SOCKET", "tcpip0::localhost::5025::socket"),
        ("TCPIP::127.0.0.1::5025::SOCKET", "TCPIP::127.0.1.1::5025::SOCKET"),
        ("TCPIP::127.0.0.1::5025::SOCKET", f"TCPIP::{socket.gethostname()}::5025::SOCKET"),
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


def test_a_host_is_locked_under_its_name_and_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(host: str, port: None) -> list[Any]:
        assert host == "smu.lab"
        return [(0, 0, 0, "", (address, 0)) for address in ("10.0.0.5", "10.0.0.6", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    names = lock_names_of_address("TCPIP::smu.lab::inst0::INSTR")
    hosts = ("SMU.LAB", "10.0.0.5", "10.0.0.6", "LOCALHOST")
    assert names == {f"instrument TCPIP0::{host}::INST0::INSTR" for host in hosts}


def test_an_address_of_this_machine_is_one_lock_by_any_of_its_names() -> None:
    names = [lock_names_of_address(f"TCPIP::{host}::5025::SOCKET") for host in ("127.0.0.1", "localhost")]
    assert names[0] == names[1] == {"instrument TCPIP0::LOCALHOST::5025::SOCKET"}


def test_a_name_service_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lock_names, "RESOLVED_WITHIN", 0.05)
    answers = threading.Event()

    def slow(*_: Any) -> list[Any]:
        answers.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert len(lock_names_of_address("TCPIP::smu.lab::inst0::INSTR")) == 1
    answers.set()
    assert "SMU.LAB was not resolved" in caplog.text


def test_an_unknown_host_is_locked_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert len(lock_names_of_address("TCPIP::smu.lab::inst0::INSTR")) == 1


def test_a_serial_number_is_a_lock_where_it_identifies_an_instrument() -> None:
    def name(serial: str | None) -> str | None:
        return lock_name_of_serial({"vendor": "Keithley", "model": "2450", "serial": serial})

    assert name("04123456 ") == name("04123456") == "instrument KEITHLEY 2450 serial number 04123456"
    assert name("04123457") != name("04123456")
    assert [name(serial) for serial in ("0", "000", "N/A", "", None)] == [None] * 5
    assert lock_name_of_serial({}) is None
