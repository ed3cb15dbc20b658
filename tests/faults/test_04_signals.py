"""4 and 5: signals, once, twice, eleven times, at any moment: zero, rows kept, 130 or 143."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from labnis.storage import RunWriter, list_runs, read_metadata
from sim_instruments.panels import FrontPanel
from sim_instruments.world import World
from tests.faults.commands import Command
from tests.faults.measuring import SWEEP, Lab, chance
from tests.run.bench import BiasLog, Commands, write_station


def storm(process: "Command | subprocess.Popen[str]", signum: int, count: int, seed: int) -> None:
    """`count` signals within about a second: during a write, a read, the ramp, the last flush, the end."""
    moments = chance(seed)
    for _ in range(count):
        time.sleep(moments.uniform(0.0, 0.15))
        if process.poll() is None:
            process.send_signal(signum)


@pytest.mark.parametrize(
    ("signum", "count", "code"),
    [
        (signal.SIGINT, 1, 130),
        (signal.SIGINT, 2, 130),
        (signal.SIGINT, 11, 130),
        (signal.SIGTERM, 11, 143),
        (signal.SIGHUP, 1, 143),
    ],
)
def test_the_ramp_is_finished_whatever_comes(lab: Lab, signum: int, count: int, code: int) -> None:
    process = lab.begin_sweep()
    time.sleep(chance(signum * count).uniform(0.0, 1.0))
    storm(process, signum, count, seed=signum * count)
    said = lab.ended(process, code)
    lab.assert_safe()
    assert "the bias is at zero" in said
    known = read_metadata(lab.run_file)
    assert known["status"] == "aborted"
    assert signal.Signals(signum).name in known["reason"]
    assert known["rows"] > 5


@pytest.mark.parametrize("seconds", [0.3, 2.5])
def test_during_the_start_nothing_has_moved_or_it_goes_back(lab: Lab, seconds: float) -> None:
    process = lab.start_interpreter("run", "IVSweep", "--yes")
    time.sleep(seconds)
    storm(process, signal.SIGINT, 3, seed=int(10 * seconds))
    process.communicate(timeout=60)
    assert process.returncode != 0
    lab.assert_safe()


def test_a_terminal_that_is_gone(lab: Lab) -> None:
    process = lab.under_way(lab.start_interpreter("run", "IVSweep", "--yes", "--set", "points=4001", *SWEEP))
    assert process.stdout
    assert process.stderr
    process.stdout.close()  # later writes to it fail
    process.stderr.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 143
    lab.assert_safe()
    assert read_metadata(lab.run_file)["status"] == "aborted"


# --- each moment for certain: in this process, from within the very call ----------------------------------------------


@pytest.fixture
def _handlers() -> Iterator[None]:
    """A command that was stopped ignores further signals to its end; here it is not the process that ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Storms:
    """Eleven signals from within the first call at `moment`, and eleven more at every moment that comes after it.

    Moments: "ramping up" to the first point, "writing" a later one, "reading", "ramping back", "flushing", "finishing".
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, moment: str, signum: int) -> None:
        self.hit: list[str] = []
        self.levels = [0.0]
        self._moment = moment
        self._signum = signum
        self._reads = 0
        self._before(monkeypatch, World, "set_source", self._setting)
        self._before(monkeypatch, FrontPanel, "receive", self._receiving)
        self._before(monkeypatch, RunWriter, "flush", self._flushing)
        self._before(monkeypatch, RunWriter, "finish", lambda *_, **__: self._strike("finishing"))

    @staticmethod
    def _before(monkeypatch: pytest.MonkeyPatch, kind: type, method: str, hook: Callable[..., None]) -> None:
        original = getattr(kind, method)

        def hooked(*arguments: Any, **options: Any) -> Any:
            hook(*arguments, **options)
            return original(*arguments, **options)

        monkeypatch.setattr(kind, method, hooked)

    def _strike(self, now: str) -> None:
        if now not in self.hit and (self.hit or now == self._moment):
            self.hit.append(now)
            for _ in range(11):
                signal.raise_signal(self._signum)

    def _setting(self, _world: World, *, level: float, output: bool, **_: Any) -> None:
        before, now = self.levels[-1], level if output else 0.0
        self.levels.append(now)
        if before == now:
            return
        if self.hit and abs(now) < abs(before):
            self._strike("ramping back")
        elif not self.hit:
            self._strike("writing" if self._reads else "ramping up")

    def _flushing(self, _writer: RunWriter) -> None:
        if threading.current_thread() is threading.main_thread():  # the writer's own thread does so all the time
            self._strike("flushing")

    def _receiving(self, _panel: FrontPanel, message: bytes) -> None:
        self._reads += b":READ?" in message
        if b":READ?" in message and self._reads == 15 and not self.hit:
            self._strike("reading")


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
# The stop ends the wait for the lock-in's filter that follows the 15th reading: that row is not complete.
@pytest.mark.parametrize(("moment", "rows"), [("ramping up", 0), ("writing", 1), ("reading", 14), ("flushing", 41)])
def test_eleven_signals_in_the_very_middle(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
    rows: int,
    signum: int,
    code: int,
) -> None:
    write_station(tmp_path)
    bias, storms = BiasLog(monkeypatch), Storms(monkeypatch, moment, signum)
    answer = Commands(monkeypatch, capsys)("run IVSweep --dry-run --set points=41 --set maximum_bias=1e-3")
    assert answer.code == code, answer.err
    everything = [moment, "ramping back", "flushing", "finishing"]
    assert storms.hit == (["flushing", "finishing"] if moment == "flushing" else everything)
    assert bias.left_at_zero
    assert max(abs(after - before) for before, after in pairwise(storms.levels)) <= 0.1e-3 * (1 + 1e-9)
    (run,) = list_runs(tmp_path / "data")
    assert run.status == "aborted"
    assert signal.Signals(signum).name in run.reason
    assert run.rows == rows
