"""A real run against a twin in another process, whose log is checked."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import h5py

from labnis.ledger import open_ledger
from labnis.storage import ESTIMATE, read_events
from sim_instruments.server import LogEntry, ServerProcess, SourcePoint, bias_trajectory, control, largest_rate
from tests.faults.commands import Command, completed

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "COLUMNS": "160"}

# Fast enough for tests; still 50 times slower than a step would be.
RAMP_RATE = 0.02
SWEEP = (
    "--set",
    "maximum_bias=4e-3",
    "--set",
    "time_constant=0.001",
    "--set",
    "settling_time=0",
)

STATION = """\
instruments:
  keithley: {{type: drivers.keithley_2450.Keithley2450, address: "{bias}", init: {{timeout: 1}}}}
  sr830: {{type: drivers.sr830.SR830, address: "{lockin}", init: {{timeout: 1}}}}
  n9030b: {{type: drivers.keysight_n9030b.KeysightN9030B, address: "{analyzer}", init: {{timeout: 1}}}}
  n5222b: {{type: drivers.keysight_n5222b.KeysightN5222B, address: "{vna}", init: {{timeout: 1}}}}
  lakeshore: {{type: drivers.lakeshore_372.LakeShore372, address: "{fridge}", init: {{channel: 1, timeout: 1}}}}
labnis:
  roles: {{bias: keithley, lockin: sr830, analyzer: n9030b, vna: n5222b, fridge: lakeshore}}
  wiring: {{series_resistance: 2000.0, amplifiers: {{preamplifier: {{gain: 1.0e+7}}}}}}
  limits: {{maximum_bias: 6.0e-3, maximum_step: 1.0e-3, ramp_rate: {rate}, compliance: 5.0e-6{more}}}
  visalib: "@py"
{below}"""

Process = TypeVar("Process", Command, "subprocess.Popen[str]")


def remove_rescue_copies(said: str) -> None:
    """Remove what a run put into the temporary folder when its disk failed; `said` are its messages."""
    for folder in set(re.findall(r"/\S*/labnis-rescue-[-\w]+", said)):
        shutil.rmtree(folder)


@dataclass
class Lab:
    """A twin server, a station file that leads to it, and a data folder."""

    server: ServerProcess
    folder: Path
    log_file: Path
    log_begins: int = 0
    found: SourcePoint | None = None

    def __post_init__(self) -> None:
        """The initial state of the instruments: no faults, cold, the source off at 0."""
        self.control(do="clear")
        self.control(do="temperatures", schedule=[])
        self.leave(0.0, output=False)

    @property
    def station(self) -> Path:
        return self.folder / "station.yaml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> list[LogEntry]:
        """What the twin noted since this test, or the last `leave`, began."""
        with self.log_file.open("rb") as file:
            file.seek(self.log_begins)
            lines = file.read().split(b"\n")[:-1]
        return [LogEntry(**json.loads(line)) for line in lines]

    def sent(self, role: str, part: str = "") -> list[str]:
        """Messages with `part` in them that reached the instrument in `role`, in order."""
        return [e.text for e in self.log if e.instrument == role and e.direction == "in" and part in e.text]

    def write_station(self, below: str = "", **more: object) -> None:
        """The station file, with `more` limits, `below` at its end, and `lab_procedures` as the lab's package."""
        extra = "".join(f", {key}: {json.dumps(value)}" for key, value in more.items())
        shutil.copy(Path(__file__).with_name("lab_procedures.py"), self.folder)
        below += "  packages: [lab_procedures]\n"
        text = STATION.format(**self.server.addresses, rate=RAMP_RATE, more=extra, below=below)
        self.station.write_text(text, encoding="utf-8")

    def control(self, **request: Any) -> dict[str, Any]:
        """A request to the twin itself."""
        return control(self.server.port, **request)

    def fault(self, instrument: str, kind: str, match: str = "", **more: Any) -> None:
        """Arm a fault of the twin."""
        self.control(do="fault", instrument=instrument, kind=kind, match=match, **more)

    def leave(self, level: float, *, output: bool) -> None:
        """Leave the source as a former run might have; the log begins anew."""
        self.control(do="leave", level=level, output=output)
        self.log_begins = self.log_file.stat().st_size
        left = self.source()  # rounded as the instrument does
        self.found = SourcePoint(time.monotonic(), left["level"], bool(left["output"]))

    def labnis(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A labnis command, to its end."""
        return completed(_arguments(self, words), ENVIRONMENT)

    def start(self, *words: str) -> Command:
        """A labnis command, begun."""
        return Command(_arguments(self, words), ENVIRONMENT)

    def start_interpreter(self, *words: str, python: Sequence[str] = ("-m", "labnis.cli")) -> "subprocess.Popen[str]":
        """A labnis command from its very start, imports included; `python` may be a program around it."""
        command = [sys.executable, *python, *_arguments(self, words)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ | ENVIRONMENT)

    def run(self, *more: str, points: int = 101, procedure: str = "IVSweep") -> subprocess.CompletedProcess[str]:
        """A short sweep, to its end, whatever that is."""
        return self.labnis("run", procedure, "--yes", "--set", f"points={points}", *SWEEP, *more)

    def safe(self) -> subprocess.CompletedProcess[str]:
        """`labnis safe`, from another terminal."""
        return self.without_data_option("safe")

    def without_data_option(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A labnis command with the data folder and the ledger that the station file names."""
        return completed((*words, "--station", str(self.station)), ENVIRONMENT)

    def start_without_data_option(self, *words: str) -> Command:
        """The same, begun."""
        return Command((*words, "--station", str(self.station)), ENVIRONMENT)

    def begin_sweep(self, *more: str, points: int = 4001) -> Command:
        """A long sweep, once it has rows on disk and a bias on the device."""
        return self.under_way(self.start("run", "IVSweep", "--yes", "--set", f"points={points}", *SWEEP, *more))

    def under_way(self, process: Process) -> Process:
        """`process`, once it has rows on disk and a bias on the device."""
        try:
            wait_for(lambda: self.rows() > 5 and bool(self.source()["output"]), process)
        except BaseException:
            process.kill()
            raise
        return process

    def source(self) -> dict[str, float]:
        """Level (V at the source) and output, as the instrument holds them."""
        return control(self.server.port, do="source")

    def trajectory(self, since: float = 0.0) -> list[SourcePoint]:
        """The source over time, from the twin's log, beginning with how it was found."""
        points = bias_trajectory(self.log)
        if self.found is not None:
            points.insert(0, self.found)
        return [point for point in points if point.time >= since]

    def untouched(self) -> bool:
        """Whether the source has always been as it was found."""
        return self.found is not None and all(point[1:] == self.found[1:] for point in self.trajectory())

    def ever_on(self) -> bool:
        """Whether the output was on at any time."""
        return any(point.output for point in self.trajectory())

    @property
    def run_file(self) -> Path:
        return next(self.data.glob("*/*/*.h5"))

    def rows(self) -> int:
        """Rows on disk, as a plain reader sees them."""
        try:
            with h5py.File(self.run_file, "r") as file:
                return int(file["data"].attrs["rows"])
        except (StopIteration, OSError, KeyError):
            return 0

    def attributes(self) -> dict[str, object]:
        with h5py.File(self.run_file, "r") as file:
            return dict(file.attrs)

    def assert_safe(self, since: float = 0.0, *, within: float = 20.0) -> None:
        """R: to zero from where it was, never faster than the limit, last write 0, read back, only then off."""
        wait_for(lambda: not self.source()["output"], within=within)
        assert self.source() == {"level": 0.0, "output": False}
        points = self.trajectory(since)
        rate = largest_rate(self.trajectory(), window=0.1)
        assert rate <= RAMP_RATE * (1 + 1e-9), f"the bias moved at {rate} V/s"
        for before, after in pairwise(points):
            if before.output and not after.output:
                assert before.level == 0.0, f"the output went off at {before.level} V"
                assert after.level == 0.0, f"the output went off to {after.level} V"
        if any(point.output for point in points):
            self._assert_read_back()

    def _assert_read_back(self) -> None:
        """The last level written is 0, and the source was asked for it before the output went off."""
        sent = self.sent("bias")
        off = max(number for number, text in enumerate(sent) if text.startswith(":OUTP OFF"))
        written = max(number for number, text in enumerate(sent) if text.startswith(":SOUR:VOLT "))
        assert sent[written].startswith(":SOUR:VOLT 0;"), sent[written]
        assert written < off
        assert any(text == ":SOUR:VOLT?" for text in sent[written:off]), "zero was never read back"

    def ended(self, process: "Command | subprocess.Popen[str]", code: int) -> str:
        """What a command said on standard error; it has to end with `code`, on a busy machine after two minutes."""
        _, said = process.communicate(timeout=120)
        assert process.returncode == code, (process.returncode, said)
        return said

    def event_kinds(self) -> list[str]:
        """What happened in the run, in one word each."""
        return [event.kind for event in read_events(self.run_file) if event.kind != ESTIMATE]


def _arguments(lab: Lab, words: tuple[str, ...]) -> tuple[str, ...]:
    return (*words, "--station", str(lab.station), "--data", str(lab.data))


def wait_for(
    condition: Callable[[], bool],
    process: "Command | subprocess.Popen[str] | None" = None,
    *,
    within: float = 40.0,
) -> None:
    """Wait for a condition; fail with the process's own words if it ends before."""
    deadline = time.monotonic() + within
    while not condition():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode}: {process.communicate()}")
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def chance(seed: int) -> random.Random:
    """Where the moment is what is random."""
    return random.Random(seed)  # noqa: S311  # no secret


def start_cooldown(data: Path) -> None:
    """What `labnis cooldown start faults` does, without a process of its own."""
    data.mkdir()
    open_ledger(f"sqlite:///{data / 'ledger.sqlite'}").start_cooldown("faults")


def kill(process: "Command | subprocess.Popen[str]") -> float:
    """SIGKILL, and the monotonic time at which it was sent."""
    at = time.monotonic()
    process.kill()
    process.wait()
    return at
