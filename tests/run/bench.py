"""What the tests of the command line and of runs share: a station file in a folder of its own, and ways to use it."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from labnis.experiment.outcome import Display, RunOutcome
from pymeasure.experiment import Procedure

from labnis import cli
from labnis.experiment.goals import PrecisionGoal
from labnis.experiment.session import Bench, Simulation, open_bench
from labnis.fit import FitResult
from labnis.ledger import open_ledger
from labnis.station import load_station
from sim_instruments import SHIPPED_TRUTH, open_twin
from sim_instruments.world import World

ROOT = Path(__file__).parents[2]
STATION_TEXT = (ROOT / "station.yaml").read_text(encoding="utf-8")
TRUTH_TEXT = SHIPPED_TRUTH.read_text(encoding="utf-8")


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
    """The shipped station file, or `text`, as station.yaml in `folder`, with its truth file beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truth.yaml").write_text(TRUTH_TEXT, encoding="utf-8")
    file = folder / "station.yaml"
    file.write_text(text.replace("sim_instruments/nis_device.yaml", "truth.yaml"), encoding="utf-8")
    return file


def command(arguments: str, folder: Path, **environment: str) -> Answer:
    """`labnis ARGUMENTS` as a user runs it: a process of its own, in `folder`."""
    done = subprocess.run(
        [sys.executable, "-m", "labnis.cli", *shlex.split(arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


class Commands:
    """`labnis` in this process: `labnis("ls --data d")`, with the answer of a process of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, arguments: str) -> Answer:
        self._monkeypatch.setattr(sys, "argv", ["labnis", *shlex.split(arguments)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self._capsys.readouterr()
        return Answer(int(ended.value.code or 0), out, err)


class Watcher:
    """A display that only remembers."""

    def __init__(self) -> None:
        self.fits: list[FitResult] = []
        self.rows = 0
        self.outcomes: list[RunOutcome] = []

    def started(self, procedure: Procedure, path: Path) -> None:
        self.path = path

    def progressed(self, percent: float, rows: int) -> None:
        self.rows = rows

    def estimated(self, fit: FitResult) -> None:
        self.fits.append(fit)

    def finished(self, outcome: RunOutcome) -> None:
        self.outcomes.append(outcome)


@contextmanager
def dry_bench(
    folder: Path,
    procedure: Procedure,
    display: Display,
    truth: str = "truth.yaml",
    goals: Sequence[PrecisionGoal] = (),
    before: Sequence[Procedure] = (),
) -> Iterator[Bench]:
    """A bench at the twin for `procedure` and those `before` it, with station file and data below `folder`."""
    config = load_station(folder / "station.yaml")
    ledger = open_ledger(folder / "ledger.sqlite")
    ledger.start_cooldown("CD1")
    with (
        open_twin(folder / truth, seed=None, wiring={"series_resistance": config.wiring.series_resistance}) as twin,
        open_bench(
            config,
            [*before, procedure],
            data=folder / "data",
            ledger=ledger,
            cooldown="CD1",
            simulation=Simulation(twin.visalib, twin.addresses, twin.seed, twin.truth_text),
            goals=goals,
            display=display,
        ) as bench,
    ):
        yield bench


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
    """The shipped station in the test's own folder, which is also its working directory."""
    return write_station(tmp_path)


@pytest.fixture
def labnis(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(monkeypatch, capsys)


@pytest.fixture
def bias(monkeypatch: pytest.MonkeyPatch) -> BiasLog:
    return BiasLog(monkeypatch)
