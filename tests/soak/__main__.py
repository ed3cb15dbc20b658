"""`python -m tests.soak`: run everything, print the failures, and write the table."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from sim_instruments.server import launched
from tests.faults.measuring import Lab, start_cooldown
from tests.soak.acquisitions import interlocked, signalled
from tests.soak.case import Case
from tests.soak.faulty_calibrations import Faulty, faulty_calibration, usual_messages
from tests.soak.kills import Kill, fresh_data, killed_run, usual_run
from tests.soak.lock_attacks import attacked
from tests.soak.long_run import Block, long_run
from tests.soak.power_cuts import Cut, cut_power, recording
from tests.soak.report import HEADING, Soak, report
from tests.soak.stops import stopped
from tests.temporary_folder import own_temporary_folder, remove

# Instruments ten times faster than real ones; the source's ramps take their real time.
SPEED = 10.0
# Seeds of one task: a twin server and a run without a mishap belong to each.
AT_ONCE = 20

Found = TypeVar("Found", Kill, Faulty, Cut, Case)
Task = Callable[[list[int]], list[Found]]

console = Console(stderr=True)


@contextmanager
def _lab() -> Iterator[Lab]:
    """A twin server, a station file that leads to it, and an empty data folder beside a fresh one to copy."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "twin.jsonl"
        with launched(log=log, speed=SPEED) as server:
            lab = Lab(server, folder, log)
            lab.write_station()
            start_cooldown(folder / "fresh")
            _as_new(lab)
            yield lab


def _as_new(lab: Lab) -> None:
    """No data, no faults, a cold fridge, the source off."""
    fresh_data(lab, lab.folder / "fresh")
    lab.control(do="clear")
    lab.control(do="temperatures", schedule=[])
    lab.leave(0.0, output=False)


def kills(seeds: list[int]) -> list[Kill]:
    """Kill one run per seed."""
    found = []
    with _lab() as lab:
        usual = usual_run(lab)
        for seed in seeds:
            _as_new(lab)
            found.append(killed_run(lab, seed, usual))
    return found


def faults(seeds: list[int]) -> list[Faulty]:
    """One calibration with a fault per seed."""
    found = []
    with _lab() as lab:
        messages = usual_messages(lab)
        for seed in seeds:
            _as_new(lab)
            found.append(faulty_calibration(lab, seed, messages))
    return found


def _cases(play: Callable[[Lab, int], Case], seeds: list[int]) -> list[Case]:
    """One run per seed; a case that cannot be played is a problem, and the others go on."""
    found = []
    with _lab() as lab:
        for seed in seeds:
            _as_new(lab)
            try:
                found.append(play(lab, seed))
            except Exception as error:  # noqa: BLE001  # reported in the table
                found.append(Case(seed, "not played", problems=(f"{type(error).__name__}: {error}",)))
    return found


def stops(seeds: list[int]) -> list[Case]:
    """Stop the run, its guardian or both."""
    return _cases(stopped, seeds)


def interlocks(seeds: list[int]) -> list[Case]:
    """Violate an interlock during an acquisition."""
    return _cases(interlocked, seeds)


def signals(seeds: list[int]) -> list[Case]:
    """Send a signal during an acquisition."""
    return _cases(signalled, seeds)


def locks(seeds: list[int]) -> list[Case]:
    """Attack the locks of a run."""
    return _cases(attacked, seeds)


def cuts(seeds: list[int]) -> list[Cut]:
    """One power cut per seed."""
    with tempfile.TemporaryDirectory() as name:
        recorded = recording(Path(name))
        return [cut_power(recorded, seed, Path(name)) for seed in seeds]


def _all(task: Task[Found], count: int, workers: int, found: list[Found], written: Callable[[], None]) -> None:
    """Add the results of `task` for the seeds below `count` to `found`, told of and `written` as they come."""
    if not count:
        return
    began = time.monotonic()
    parts = [list(range(first, min(first + AT_ONCE, count))) for first in range(0, count, AT_ONCE)]
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        for done in as_completed(pool.submit(task, part) for part in parts):
            found += done.result()
            failed = [problem for one in done.result() for problem in one.problems]
            each = (time.monotonic() - began) / len(found)
            said = (
                f"{task.__name__}: {len(found)} of {count}, {each:.1f} s each, {each * (count - len(found)):.0f} s left"
            )
            console.print(said, *failed, sep="\n  ", markup=False)
            found.sort(key=lambda one: one.seed)
            written()


def _long_run(rows: int) -> tuple[Block, ...]:
    with tempfile.TemporaryDirectory() as name:
        return long_run(Path(name), rows)


def main(  # noqa: PLR0917  # an option for the number of each kind
    kill: Annotated[int, typer.Option(help="Runs to kill.")] = 1000,
    fault: Annotated[int, typer.Option(help="Calibrations with a fault.")] = 200,
    stop: Annotated[int, typer.Option(help="SIGSTOP of run, guardian or both.")] = 200,
    interlock: Annotated[int, typer.Option(help="Interlocks during acquisitions.")] = 100,
    signal: Annotated[int, typer.Option(help="Signals during acquisitions.")] = 100,
    lock: Annotated[int, typer.Option(help="Attacks on locks.")] = 100,
    cut: Annotated[int, typer.Option(help="Power cuts.")] = 1000,
    rows: Annotated[int, typer.Option(help="Rows of the long run.")] = 1_000_000,
    workers: Annotated[int, typer.Option(help="Processes at once.")] = 2,
    write: Annotated[Path | None, typer.Option(help="Document whose table is replaced.")] = None,
) -> None:
    """Kill, disturb and wear out labnis; exit code 1 if anything did not hold."""
    began = time.monotonic()
    soak = Soak()

    def written() -> None:
        """The table so far: a soak that is stopped has not been in vain."""
        soak.minutes = (time.monotonic() - began) / 60
        if write is not None:
            kept = write.read_text(encoding="utf-8").partition(HEADING)[0]
            write.write_text(kept + report(soak), encoding="utf-8")

    soak.blocks = _long_run(rows) if rows else ()
    written()
    _all(kills, kill, workers, soak.kills, written)
    _all(faults, fault, workers, soak.faults, written)
    _all(stops, stop, workers, soak.cases["stop"], written)
    _all(interlocks, interlock, workers, soak.cases["interlock"], written)
    _all(signals, signal, workers, soak.cases["signal"], written)
    _all(locks, lock, workers, soak.cases["lock"], written)
    _all(cuts, cut, workers, soak.cuts, written)
    written()
    sys.stdout.write(report(soak))
    raise typer.Exit(1 if soak.problems else 0)


if __name__ == "__main__":
    temporary = own_temporary_folder()  # also what killed runs leave there
    try:
        typer.run(main)
    finally:
        remove(temporary)
