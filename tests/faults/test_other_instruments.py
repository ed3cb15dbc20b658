"""Faults of the instruments other than the shipped ones: each kind of source, over TCP, with several readers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from labnis.errors import DataQualityError
from labnis.storage import open_rows, read_events, read_metadata
from sim_instruments.server import ServerProcess, largest_rate
from tests.faults.commands import Command, completed
from tests.faults.measuring import ENVIRONMENT, Lab, chance, kill, start_cooldown, wait_for

RATE = 0.02
"""Rate (V/s) of the bias behind the divider."""

STATION = """\
instruments:
{instruments}
labnis:
  roles:
{roles}
  wiring: {{divider: {divider}, series_resistance: 2000.0, amplifiers: {{femto: {{gain: -1.0e+7}}}}}}
  limits: {{maximum_bias: 6.0e-3, maximum_step: 1.0e-3, ramp_rate: {rate}, compliance: 5.0e-6}}
  visalib: "@py"
  packages: [lab_procedures]
  twin: {{file: {truth}}}
"""


@dataclass(frozen=True)
class Setup:
    """Instruments (type, and what is under `init`), in order, roles, divider, and words of the messages."""

    instruments: dict[str, tuple[str, str]]
    roles: tuple[str, ...]
    divider: float
    reader: str
    reading: str
    level: str
    on: str = ""


TYPES = {
    "gs200": ("drivers.yokogawa_gs200.YokogawaGS200", "timeout: 1"),
    "smu": ("drivers.keithley_2600b.Keithley2600B", "timeout: 1"),
    "qdac": ("drivers.qdac2.QDac2", "timeout: 1"),
    "sim900": ("drivers.sim928.SIM928", "timeout: 1"),
    "b2912": ("drivers.keysight_b29xx.KeysightB29xx", "timeout: 1"),
    "dmm": ("drivers.keysight_34461a.Keysight34461A", "timeout: 1"),
    "dmm65": ("drivers.keysight_34465a.Keysight34465A", "timeout: 1"),
    "sr860": ("drivers.sr860.SR860", "timeout: 1"),
    "bridge": ("drivers.lakeshore_336.LakeShore336", "channel: A, timeout: 1"),
}


def setup(roles: tuple[str, ...], *names: str, divider: float, words: tuple[str, ...]) -> Setup:
    return Setup({name: TYPES[name] for name in names}, roles, divider, names[1], *words)


CURRENT = "current: {instrument: %s, amplifier: femto}"
SETUPS = {
    "gs200": setup(
        ("bias: gs200", CURRENT % "dmm", "fridge: bridge"), "gs200", "dmm", "bridge",
        divider=100.0, words=(":READ?", ":SOUR:LEV ", ":OUTP"),
    ),
    "2600b": setup(
        ("bias: {instrument: smu, channel: smua}", "lockin: sr860", "fridge: bridge"), "smu", "sr860", "bridge",
        divider=1.0, words=("SNAP", "smua.source.levelv =", "smua.source.output ="),
    ),
    "qdac2": setup(
        ("bias: {instrument: qdac, channel: ch01}", CURRENT % "dmm", "lockin: {instrument: sr860, amplifier: femto}"),
        "qdac", "dmm", "sr860",
        divider=100.0, words=(":READ?", ":SOUR1:VOLT "),
    ),
    "sim928": setup(
        ("bias: {instrument: sim900, channel: port3}", CURRENT % "dmm65"), "sim900", "dmm65",
        divider=1000.0, words=(":READ?", "VOLT ", "OPON"),
    ),
    "b29xx": setup(
        ("bias: b2912", "lockin: sr860", "fridge: bridge"), "b2912", "sr860", "bridge",
        divider=1.0, words=("SNAP", ":SOUR1:VOLT ", ":OUTP1"),
    ),
}  # fmt: skip


def station_text(one: Setup, addresses: dict[str, str]) -> str:
    instruments = "\n".join(
        f'  {name}: {{type: {kind}, address: "{addresses[name]}", init: {{{init}}}}}'
        for name, (kind, init) in one.instruments.items()
    )
    roles = "\n".join(f"    {role}" for role in one.roles)
    truth = Path(__file__).resolve().parents[2] / "sim_instruments/nis_device.yaml"
    return STATION.format(instruments=instruments, roles=roles, divider=one.divider, rate=RATE, truth=truth)


@contextmanager
def served(one: Setup, folder: Path) -> Iterator[ServerProcess]:
    """The instruments of a station file, served over TCP."""
    placeholders = {name: f"GPIB0::{number}::INSTR" for number, name in enumerate(one.instruments, start=1)}
    (folder / "served.yaml").write_text(station_text(one, placeholders), encoding="utf-8")
    (folder / "lab_procedures.py").write_bytes(Path(__file__).with_name("lab_procedures.py").read_bytes())
    options = ("--seed", "1", "--station", "served.yaml", "--log", "twin.jsonl")
    process = subprocess.Popen(
        [sys.executable, "-m", "labnis.cli", "twin", "serve", *options],
        env=os.environ | ENVIRONMENT,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        addresses = dict(line.split() for line in iter(process.stdout.readline, "ready\n"))
        yield ServerProcess(process, int(next(iter(addresses.values())).split("::")[2]), addresses)
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


class OtherLab(Lab):
    """A lab whose source may be of any kind, behind a divider."""

    one: Setup

    def __post_init__(self) -> None:
        self.control(do="clear")
        self.found = None
        self.log_begins = self.log_file.stat().st_size

    @property
    def bias(self) -> str:
        """Name of the source."""
        return next(iter(self.one.instruments))

    def assert_safe(self, since: float = 0.0, *, within: float = 30.0) -> None:
        """To zero within the limits, and then off where there is a switch."""
        switched = bool(self.one.on)
        wait_for(lambda: self.source()["level"] == 0 and not (switched and self.source()["output"]), within=within)
        points = self.trajectory(since)
        scaled = RATE * self.one.divider
        # The steps of a coarse source are larger than what the rate allows within a window: the station warns of that.
        assert largest_rate(points) <= scaled * (1 + 1e-6), largest_rate(points) / scaled
        for before, after in pairwise(points):
            if switched and before.output != after.output:
                assert before.level == after.level == 0.0, (before, after)

    def assert_right_rows(self) -> None:
        """Each current is that of its bias, at a device of 20 kohm and more; and none is missing in a run done."""
        with open_rows(self.run_file) as run:
            good = run["quality"].values == 0
            bias, current = run["bias_reading"].values[good], run["current"].values[good]
            set_to = np.linspace(-4e-3, 4e-3, len(run["bias"]))
            assert np.abs(current[np.abs(bias) > 1e-3] / (bias[np.abs(bias) > 1e-3] / 22e3) - 1).max() < 0.5
            if read_metadata(self.run_file)["status"] == "done":
                np.testing.assert_allclose(run["bias"].values, set_to, atol=1e-5)


@pytest.fixture(scope="module", params=SETUPS)
def served_lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Setup, ServerProcess, Path]]:
    one = SETUPS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    with served(one, folder) as server:
        yield one, server, folder / "twin.jsonl"


@pytest.fixture
def other(served_lab: tuple[Setup, ServerProcess, Path], tmp_path: Path) -> OtherLab:
    return other_lab(*served_lab, tmp_path)


def other_lab(one: Setup, server: ServerProcess, log: Path, folder: Path) -> OtherLab:
    """A lab with the instruments of `one`, which `server` serves, and its `folder`."""
    OtherLab.one = one
    made = OtherLab(server, folder, log)
    (folder / "lab_procedures.py").write_bytes(Path(__file__).with_name("lab_procedures.py").read_bytes())
    made.station.write_text(station_text(one, server.addresses), encoding="utf-8")
    start_cooldown(made.data)
    return made


SWEEP = ("--set", "maximum_bias=4e-3", "--set", "time_constant=0.001", "--set", "settling_time=0")


def begun(lab: OtherLab, points: int = 2001) -> Command:
    return lab.under_way(lab.start("run", "IVSweep", "--yes", "--set", f"points={points}", *SWEEP))


def test_undisturbed(other: OtherLab) -> None:
    answer = other.run(points=41)
    assert answer.returncode in (0, DataQualityError.exit_code), answer.stderr  # few points may leave doubt
    assert read_metadata(other.run_file)["status"] == "done"
    other.assert_safe()
    other.assert_right_rows()


def test_a_killed_run(other: OtherLab) -> None:
    process = begun(other)
    time.sleep(chance(1).random())
    kill(process)
    other.assert_safe()
    assert completed(("recover", str(other.run_file)), ENVIRONMENT).returncode == 0
    other.assert_right_rows()


def test_ctrl_c(other: OtherLab) -> None:
    process = begun(other)
    process.send_signal(signal.SIGINT)
    other.ended(process, 130)
    other.assert_safe()
    other.assert_right_rows()


@pytest.mark.parametrize("kind", ["drop", "garble", "disconnect"])
def test_a_reader_that_fails_for_good(other: OtherLab, kind: str) -> None:
    more = {"seconds": 60} if kind == "disconnect" else {"count": None}
    other.fault(other.one.reader, kind, other.one.reading, after=8, **more)
    answer = other.run(points=41)
    assert answer.returncode == 5, answer.stderr
    assert other.one.reader in answer.stderr
    other.assert_safe()
    other.assert_right_rows()


@pytest.mark.parametrize("after", [12, 30])
def test_a_source_that_was_reset(other: OtherLab, after: int) -> None:
    other.fault(other.bias, "reset", other.one.level, after=after)
    answer = other.run(points=41)
    assert answer.returncode == 5, answer.stderr
    assert read_metadata(other.run_file)["status"] == "failed"
    assert other.bias in answer.stderr


@pytest.mark.parametrize("match", ["level", "reading"])
def test_a_connection_that_is_back_at_once(other: OtherLab, match: str) -> None:
    name = other.bias if match == "level" else other.one.reader
    for after in (15, 25):
        other.fault(name, "disconnect", getattr(other.one, match), after=after, seconds=0.3)
    answer = other.run(points=41)
    assert answer.returncode in (0, DataQualityError.exit_code), answer.stderr  # few points may leave doubt
    assert read_metadata(other.run_file)["status"] == "done"
    other.assert_safe()
    other.assert_right_rows()
    assert "connection" in [event.kind for event in read_events(other.run_file)]


def test_a_source_that_is_away_for_a_while(other: OtherLab) -> None:
    other.fault(other.bias, "disconnect", other.one.level, after=30, seconds=20)
    answer = other.run(points=41)
    assert answer.returncode == 5, answer.stderr
    assert "guardian" in answer.stderr
    assert "bias is at zero" not in answer.stderr
    assert read_metadata(other.run_file)["status"] == "failed"
    other.assert_safe()
