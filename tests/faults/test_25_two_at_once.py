"""25: two runs on one station, or two stations with one address: the second ends with 3 and sends nothing."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labnis.errors import BusyError, InterlockError
from labnis.station.lock_file import lock_file, shared_folder
from labnis.station.lock_names import lock_name_of_station, lock_names_of_address
from tests.faults.commands import completed
from tests.faults.measuring import ENVIRONMENT, ROOT, Lab, kill, start_cooldown

ROUNDS = 100

RACER = """\
import sys
from pathlib import Path
from labnis.errors import BusyError
from labnis.station import load_station, open_station

config = load_station(Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    try:
        with open_station(config) as station:
            station.open(["bias"])
            print("open", flush=True)
            sys.stdin.readline()
        print("closed", flush=True)
    except BusyError as error:
        print(f"busy {error.exit_code} {error}", flush=True)
"""


def test_the_second_run_names_the_first(lab: Lab, tmp_path: Path) -> None:
    first = lab.begin_sweep()
    clients = {entry.client for entry in lab.log}
    second = lab.run()
    assert second.returncode == 3, second.stderr
    assert f"process {first.pid}" in second.stderr
    other = tmp_path / "elsewhere.yaml"  # another station, with the same instruments
    other.write_text(lab.station.read_text(encoding="utf-8"), encoding="utf-8")
    third = lab.labnis("run", "IVSweep", "--yes", "--station", str(other))
    assert third.returncode == 3, third.stderr
    assert f"process {first.pid}" in third.stderr
    assert {entry.client for entry in lab.log} == clients
    assert first.poll() is None
    lab.assert_safe(kill(first))


def test_a_second_run_with_another_temporary_folder_or_host_name_is_refused(lab: Lab, tmp_path: Path) -> None:
    first = lab.begin_sweep()
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "other.yaml"  # another station file, which names the same instruments by another host name
    text = lab.station.read_text(encoding="utf-8")
    assert "127.0.0.1" in text
    other.write_text(text.replace("127.0.0.1", "localhost"), encoding="utf-8")
    # Each nameless station file has a data folder of its own.
    start_cooldown(tmp_path / "other data")
    for station, data in ((lab.station, lab.data), (other, tmp_path / "other data")):
        words = ("run", "IVSweep", "--yes", "--data", str(data), "--station", str(station))
        second = completed(words, ENVIRONMENT | {"TMPDIR": str(tmp_path / "elsewhere")})
        assert second.returncode == 3, second.stderr
        assert f"process {first.pid}" in second.stderr
    lab.assert_safe(kill(first))


@pytest.mark.parametrize("change", ["removed", "replaced"])
@pytest.mark.parametrize("lock", ["station", "source"])
def test_a_run_whose_lock_file_is_gone_ends_safely(lab: Lab, change: str, lock: str) -> None:
    (source,) = lock_names_of_address(lab.server.addresses["bias"])
    file = lock_file(lock_name_of_station(lab.station) if lock == "station" else source, shared_folder())
    process = lab.begin_sweep()
    at = time.monotonic()
    if change == "replaced":
        (other := file.with_suffix(".other")).touch()
        other.replace(file)
    else:
        file.unlink()
    said = lab.ended(process, InterlockError.exit_code)
    assert f"{file} of" in said
    assert change in said
    lab.assert_safe()
    zero = next(point.time for point in lab.trajectory(at) if point.level == 0.0)
    assert zero - at < 3.0  # the check at the next point, and a ramp from 4 mV
    assert "lock" in lab.event_kinds()
    file.unlink(missing_ok=True)


@contextmanager
def racers(*stations: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that open a station whenever they get a line."""
    command = [sys.executable, "-c", RACER]
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen([*command, str(station)], stdin=pipe, stdout=pipe, text=True, cwd=ROOT) for station in stations
    ]
    try:
        for process in running:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def race(running: list["subprocess.Popen[str]"]) -> list[str]:
    """One start signal to all; what each says. Whoever got in leaves again."""
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.stdout.readline() for process in running if process.stdout]
    for process, words in zip(running, said, strict=True):
        if words == "open\n":
            assert process.stdin
            assert process.stdout
            process.stdin.write("leave\n")
            process.stdin.flush()
            assert process.stdout.readline() == "closed\n"
    return said


@pytest.mark.parametrize("stations", ["one station", "two stations with one address"])
@pytest.mark.timeout(300)
def test_of_two_at_the_same_moment_never_both_get_in(lab: Lab, tmp_path: Path, stations: str) -> None:
    other = lab.station
    if stations != "one station":
        other = tmp_path / "elsewhere.yaml"
        other.write_text(lab.station.read_text(encoding="utf-8"), encoding="utf-8")
    winners: set[int] = set()
    with racers(lab.station, other) as running:
        pids = [process.pid for process in running]
        for _ in range(ROUNDS):
            said = race(running)
            entered = [number for number, words in enumerate(said) if words == "open\n"]
            assert len(entered) == 1, said
            (loser,) = {0, 1} - set(entered)
            assert said[loser].startswith(f"busy {BusyError.exit_code} "), said
            assert f"process {pids[entered[0]]}" in said[loser], said
            winners.update(entered)
    # The winner connects twice, to see whether the source is there and to use it; the loser never.
    connections = [entry for entry in lab.log if entry.instrument == "bias" and entry.text == "connected"]
    assert len(connections) == 2 * ROUNDS
    assert winners == {0, 1}, "one of them always came first: that was no race"
