"""A run that is stopped from outside. The twin keeps real time here, so that there is something to stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import h5py
import pytest

from labnis.errors import StoppedBySignal
from labnis.safety.stop_requests import StopRequest
from labnis.station import OpenStation
from labnis.storage import list_runs, read_metadata
from procedures import IVSweep
from tests.run.bench import ROOT, TRUTH_TEXT, BiasLog, Watcher, dry_session

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

PATIENCE = 60.0


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A dry run of two minutes in a process of its own."""
    (tmp_path / "real.yaml").write_text(TRUTH_TEXT + "time: real\n", encoding="utf-8")
    arguments = "run IVSweep --dry-run --twin real.yaml --set time_constant=1e-3 --set settling_time=0.01"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.run.logged_cli", "bias.log", *arguments.split(), "--set", "points=4000"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "waited too long"
        threading.Event().wait(0.05)


def rows_on_disk(folder: Path) -> int:
    """What any other program sees of the run while it goes on."""
    for path in folder.glob("data/dry-run/*/*.h5"):
        try:
            with h5py.File(path) as file:
                return int(file["data"].attrs["rows"])
        except OSError:  # caught in the middle of an update; the next look will do
            return 0
    return 0


def bias_states(folder: Path) -> list[tuple[float, bool, float]]:
    lines = (folder / "bias.log").read_text(encoding="utf-8").splitlines()
    return [(float(level), output == "1", float(when)) for level, output, when in map(str.split, lines)]


@pytest.mark.faults
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ramps_to_zero_and_keeps_the_rows(
    signum: signal.Signals, code: int, tmp_path: Path, child: subprocess.Popen[str]
) -> None:
    wait_for(lambda: rows_on_disk(tmp_path) > 0, child)
    child.send_signal(signum)
    for _ in range(5):  # an impatient user; none of these may cut the ramp short
        child.send_signal(signum)
    _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == code
    assert f"labnis: stopped by {signum.name}: the bias is at zero" in err

    states = bias_states(tmp_path)
    at_the_signal = max(abs(level) for level, _, _ in states)
    assert at_the_signal > 0.5e-3
    assert states[-1][:2] == (0.0, False)
    last_on = [(level, when) for level, output, when in states if output]
    assert last_on[-1][0] == 0.0
    steps = [abs(b[0] - a[0]) for a, b in pairwise(last_on)]
    assert max(steps) <= 0.1e-3 * 1.001

    (path,) = tmp_path.glob("data/dry-run/*/*.h5")
    known = read_metadata(path)
    assert known["status"] == "aborted"
    assert signum.name in known["reason"]
    assert 0 < known["rows"] < 4000
    assert str(path) in err


@pytest.mark.faults
def test_kill_9_leaves_a_file_that_plain_h5py_opens(tmp_path: Path, child: subprocess.Popen[str]) -> None:
    wait_for(lambda: rows_on_disk(tmp_path) > 20, child)
    child.kill()
    child.communicate(timeout=PATIENCE)
    (path,) = tmp_path.glob("data/dry-run/*/*.h5")
    with h5py.File(path, "r") as file:
        rows = int(file["data"].attrs["rows"])
        assert rows > 20
        assert file.attrs["status"] == "running"
        for name in ("bias", "current", "conductance"):
            values = file["data"][name][:rows]
            assert values.shape == (rows,)
            assert (values == values).all(), f"{name} has holes"  # noqa: PLR0124  # NaN is not itself
    (summary,) = list_runs(tmp_path / "data")
    assert summary.rows == rows
    assert summary.status in ("running", "interrupted")


def test_a_stop_that_is_asked_for_between_runs_refuses_the_next_one_only(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        session.stop.signum = signal.SIGTERM  # as by a signal in the last instant of a run
        with pytest.raises(StoppedBySignal, match="IVSweep was not started") as stopped:
            session.run(IVSweep(points=11))
        assert stopped.value.exit_code == 143
        assert not list(tmp_path.rglob("*.h5"))
        assert session.run(IVSweep(points=11)).status == "done"


def test_between_runs_ctrl_c_is_an_ordinary_interrupt_and_one_in_a_run_ends_that_run_only(
    tmp_path: Path, bias: BiasLog
) -> None:
    class Impatient(Watcher):
        def progressed(self, rows: int) -> None:
            if rows == 15:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), dry_session(tmp_path, Impatient()) as session:
        with pytest.raises(StoppedBySignal):
            session.run(IVSweep(points=21))
        assert bias.left_at_zero
        assert session.run(IVSweep(points=11)).status == "done"
        signal.raise_signal(signal.SIGINT)
    assert bias.left_at_zero


def test_a_sweep_that_ctrl_c_ends_before_the_gap_says_why_it_has_no_results(tmp_path: Path) -> None:
    class Hasty(Watcher):
        def progressed(self, rows: int) -> None:
            if rows == 12:
                signal.raise_signal(signal.SIGINT)

    watcher = Hasty()
    with dry_session(tmp_path, watcher) as session, pytest.raises(StoppedBySignal):
        session.run(IVSweep(points=51))
    (run,) = watcher.runs
    assert not watcher.fits, "nor has it live results"
    assert not run.results
    assert run.problem == (
        "only 12 of 51 points were measured, from -1.2 mV to -672 µV: the fit needs the curve down to 0 V; "
        "`labnis resume` continues the run, `labnis resume --dry-run` one of a dry run"
    )


def test_no_signal_interrupts_the_closing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_safe = OpenStation.make_safe

    def interrupted(station: OpenStation) -> None:
        signal.raise_signal(signal.SIGINT)
        make_safe(station)

    handler = signal.getsignal(signal.SIGINT)
    with dry_session(tmp_path, Watcher()) as session:
        session.run(IVSweep(points=11))
        monkeypatch.setattr(OpenStation, "make_safe", interrupted)
    assert signal.getsignal(signal.SIGINT) is handler


def test_under_nohup_a_hangup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = StopRequest()
        with stop.on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.signum == signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
