"""What the tests of the command line and of runs share: a station file in a folder of its own, and ways to use it."""

import gc
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labnis import cli
from labnis.experiment.analysis import analyses_of
from labnis.experiment.events import Ended, Event, Fitted, Observer, RowRecorded, Started
from labnis.experiment.opening import open_session
from labnis.experiment.run import Run
from labnis.experiment.session import Session
from labnis.fit import FitError, FitResult
from labnis.fit.analyses import CurrentVoltage
from procedures import CALIBRATION
from sim_instruments.world import World
from tests.faults.commands import completed
from tests.isothermal_device import ISOTHERMAL_TEXT

ROOT = Path(__file__).parents[2]
BUDGETED_TEXT = (ROOT / "station.yaml").read_text(encoding="utf-8")
"""The shipped station file."""
STATION_TEXT = re.sub(r"  uncertainty:.*(?=  twin:)", "", BUDGETED_TEXT, flags=re.DOTALL)
"""The same without uncertainties of instruments: a third of a short run's time would pass with their budgets."""
# One temperature and instruments that do not err: what a seed draws for them would be another station in each run of a
# test, and the fit of an island that heats takes longer than all the rest.
TRUTH_TEXT = ISOTHERMAL_TEXT.replace("instrument_errors: stated", "instrument_errors: none")
RESULTS = tuple(name for kind in CALIBRATION for name in analyses_of(kind)[0].results)
"""The nine results of a full calibration."""


@dataclass(frozen=True)
class Answer:
    """What a command ended with."""

    code: int
    out: str
    err: str


def changed(text: str, old: str, new: str) -> str:
    """`text` with `new` for `old`, which must be there exactly once."""
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)


def write_station(folder: Path, text: str = STATION_TEXT) -> Path:
    """A station file of this `text`, as station.yaml in `folder`, with its truth file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truth.yaml").write_text(TRUTH_TEXT, encoding="utf-8")
    file = folder / "station.yaml"
    file.write_text(text.replace("sim_instruments/nis_device.yaml", "truth.yaml"), encoding="utf-8")
    return file


def command(arguments: str, folder: Path, **environment: str) -> Answer:
    """`labnis ARGUMENTS` as a user runs it: a process of its own, in `folder`."""
    return python(["-m", "labnis.cli", *shlex.split(arguments)], folder, **environment)


def python(arguments: Sequence[str], folder: Path, **environment: str) -> Answer:
    """Python with `arguments`, in `folder`, in a process of its own that can import this project."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=250,  # that of the test itself is shorter, except where it is known to be slow
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def forked(arguments: str, folder: Path) -> Answer:
    """As `command`, without the two seconds of its imports."""
    with chdir(folder):
        done = completed(tuple(shlex.split(arguments)), {})
    return Answer(done.returncode, done.stdout, done.stderr)


class Commands:
    """`labnis` in this process: `labnis("ls --data d")`, with the answer of a process of its own.

    Signals, which a command that was stopped ignores from then on, are heeded again, and QCoDeS logs warnings again.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, arguments: str) -> Answer:
        self._monkeypatch.setattr(sys, "argv", ["labnis", *shlex.split(arguments)])
        self._monkeypatch.setattr(gc, "freeze", lambda: None)  # this process continues
        self._capsys.readouterr()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        qcodes = logging.getLogger("qcodes")
        level = qcodes.level
        with pytest.raises(SystemExit) as ended:
            cli.run()
        qcodes.setLevel(level)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        out, err = self._capsys.readouterr()
        return Answer(int(ended.value.code or 0), out, err)


class Watcher:
    """An observer that remembers; subclasses do something at an event."""

    def __init__(self) -> None:
        self.fits: list[FitResult] = []
        self.rows = 0
        self.runs: list[Run] = []

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self.path = event.path
            case RowRecorded():
                self.progressed(event.rows)
            case Fitted():
                self.estimated(event.fit)
            case Ended():
                self.runs.append(event.run)

    def progressed(self, rows: int) -> None:
        self.rows = rows

    def estimated(self, fit: FitResult) -> None:
        self.fits.append(fit)


@contextmanager
def dry_session(folder: Path, *observers: Observer, truth: str = "truth.yaml") -> Iterator[Session]:
    """A session at the twin, with station file and data below `folder`."""
    with open_session(
        folder / "station.yaml", dry_run=True, twin=folder / truth, data=folder / "data", observers=observers
    ) as session:
        yield session


def fit_only_the_end(monkeypatch: pytest.MonkeyPatch, rows: int, kind: type[Exception] = FitError) -> None:
    """Fits of a curve of fewer rows fail at once: with a goal, every row of a dry run is fitted, which takes long."""
    fit = CurrentVoltage.fit

    def at_the_end(self: CurrentVoltage, data: Any, *others: Any) -> FitResult:
        if data.attrs["rows"] < rows:
            raise kind("not all rows are there")
        return fit(self, data, *others)

    monkeypatch.setattr(CurrentVoltage, "fit", at_the_end)


class BiasLog:
    """Every state that the twin's source was ever in: (level, output)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: list[tuple[float, bool]] = []
        original = World.set_source

        def logged(world: World, **state: Any) -> None:
            self.states.append((state["level"], state["output"]))
            original(world, **state)

        monkeypatch.setattr(World, "set_source", logged)

    @property
    def moved(self) -> bool:
        """Whether a voltage other than zero ever reached the device."""
        return any(level != 0 and output for level, output in self.states)

    @property
    def left_at_zero(self) -> bool:
        """Whether the last states are: ramped to zero with the output still on, then off."""
        last_on = [level for level, output in self.states if output][-1]
        return last_on == 0 and self.states[-1] == (0.0, False)


@pytest.fixture(autouse=True)
def station(tmp_path: Path) -> Path:
    """A station file in the test's own folder, which is also its working directory."""
    return write_station(tmp_path)


@pytest.fixture
def labnis(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(monkeypatch, capsys)


@pytest.fixture
def bias(monkeypatch: pytest.MonkeyPatch) -> BiasLog:
    return BiasLog(monkeypatch)
