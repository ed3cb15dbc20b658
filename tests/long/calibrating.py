"""Calibrations by the command that users run, several at a time."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np
from pydantic import TypeAdapter
from ruamel.yaml import YAML
from typer.testing import CliRunner
from uncertainties import UFloat  # type: ignore[import-untyped]

from tests.run.bench import BUDGETED_TEXT, RESULTS, STATION_TEXT

__all__ = ["Calibration", "Difference", "Job", "calibrate_all", "differences_of"]

# File of a folder with its answers, one in each line.
ANSWERS = "answers.jsonl"
# What is kept of a result.
KEPT = ("value", "sigma", "statistical", "limit", "truth", "warnings")
# Exit codes of a calibration that has results, certain or in doubt.
WITH_RESULTS = (0, 7)

Task = TypeVar("Task")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Job:
    """One calibration: a truth (plain data) and the seed of its noise."""

    truth: dict[str, Any]
    seed: int


@dataclass(frozen=True)
class Calibration:
    """What a calibration printed: results by name, as in its JSON; or why there are none."""

    results: dict[str, dict[str, Any]]
    problem: str = ""

    @property
    def doubts(self) -> tuple[str, ...]:
        """The warnings of all results, each once."""
        return tuple(dict.fromkeys(text for result in self.results.values() for text in result["warnings"]))

    def pull(self, name: str, sigma: str = "sigma") -> float:
        """(value − truth)/σ of a result; NaN where it is a limit or has no such σ."""
        found = self.results[name]
        if found["value"] is None or not found[sigma]:
            return float("nan")
        return float((found["value"] - found["truth"]) / found[sigma])


@dataclass(frozen=True)
class Difference:
    """Of a result of two devices: its deviation from the true one, and σ.

    `shared` counts the sources that both have in common once, `apart` as if there were none; `noise` is noise alone.
    """

    deviation: float
    shared: float
    apart: float
    noise: float


def calibrate_all(jobs: Sequence[Job], folder: Path) -> list[Calibration]:
    """The calibration of every job, in their order."""
    return _in_processes(_calibrate, jobs, folder)


def differences_of(pairs: Sequence[tuple[Job, Job]], folder: Path) -> list[dict[str, Difference]]:
    """The difference of each result, by name, of every pair of devices; without limits and doubtful results."""
    return _in_processes(_difference, pairs, folder)


def _in_processes(function: Callable[[Task, Path], Answer], tasks: Sequence[Task], folder: Path) -> list[Answer]:
    """The answer for every task; those that an earlier campaign has left in the folder are not computed again."""
    kind = get_type_hints(function)["return"]
    written: TypeAdapter[tuple[int, Answer]] = TypeAdapter(tuple[int, kind])  # type: ignore[valid-type]
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / ANSWERS
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    answers: dict[int, Answer] = dict(map(written.validate_json, lines))
    # Spawned, not forked: the test process has threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_processes(), mp_context=context) as pool, kept.open("a", encoding="utf-8") as file:
        numbers = {
            pool.submit(_cleared, function, task, folder / f"{number:03}"): number
            for number, task in enumerate(tasks)
            if number not in answers
        }
        try:
            for done in as_completed(numbers):
                answers[numbers[done]] = done.result()
                file.write(written.dump_json((numbers[done], done.result())).decode() + "\n")
                file.flush()
        finally:  # the rest is not worth waiting for
            pool.shutdown(cancel_futures=True)
    return [answers[number] for number in range(len(tasks))]


def _cleared(function: Callable[[Task, Path], Answer], task: Task, folder: Path) -> Answer:
    """The answer of the `function`, whose folder is removed; so is what an interrupted one has left."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return function(task, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _processes() -> int:
    """Share of the cores for this test process (pytest-xdist runs several)."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _calibrate(job: Job, folder: Path) -> Calibration:
    try:
        results = _answer(job, folder)["results"]
        if missing := [name for name in RESULTS if name not in results]:
            return Calibration({}, f"seed {job.seed}: no {', '.join(missing)}: {job.truth}")
        return Calibration({name: {key: found[key] for key in KEPT if key in found} for name, found in results.items()})
    except RuntimeError as error:
        return Calibration({}, str(error))


def _answer(job: Job, folder: Path) -> dict[str, Any]:
    """What the command prints; RuntimeError where it fails."""
    from labnis.cli import app  # noqa: PLC0415  # in the spawned process, which has a home directory of its own

    # A dry run is of a device with the name of the file: those of a pair are two.
    data, truth, station = folder / "data", folder / f"device_{job.seed}.yaml", folder / "station.yaml"
    data.mkdir(parents=True)
    YAML().dump(job.truth, truth)
    # Of instruments that do not err nothing is stated either: σ is that of noise and assumptions.
    text = STATION_TEXT if job.truth.get("instrument_errors") == "none" else BUDGETED_TEXT
    station.write_text(text, encoding="utf-8")
    command = ["calibrate", "--dry-run", "--json", "--station", str(station), "--twin", str(truth)]
    outcome = CliRunner().invoke(app, [*command, "--seed", str(job.seed), "--data", str(data)])
    if getattr(outcome.exception, "exit_code", outcome.exit_code) not in WITH_RESULTS:
        raise RuntimeError(f"seed {job.seed}: {outcome.exception!r}\n{outcome.stderr}\n{job.truth}")
    answer: dict[str, Any] = json.loads(outcome.stdout)
    return answer


def _difference(pair: tuple[Job, Job], folder: Path) -> dict[str, Difference]:
    import labnis  # noqa: PLC0415  # as above

    found = []
    for side, job in zip(("first", "second"), pair, strict=True):
        answer = _answer(job, folder / side)
        numbers: dict[str, UFloat] = {}
        for path in answer["runs"]:
            run = labnis.open_run(path)
            numbers |= {name: run.fit_of(name).as_uncertainties()[name] for name in run.results}
        found.append((answer["results"], numbers))
    (first, of_first), (second, of_second) = found
    sure = [n for n in first if all(r[n]["value"] is not None and not r[n]["warnings"] for r in (first, second))]
    differences = {}
    for name in sure:
        change = of_first[name] - of_second[name]
        true = first[name]["truth"] - second[name]["truth"]
        apart, noise = (float(np.hypot(first[name][kind], second[name][kind])) for kind in ("sigma", "statistical"))
        differences[name] = Difference(change.nominal_value - true, change.std_dev, apart, noise)
    return differences
