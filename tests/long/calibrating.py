"""Calibrations by the command that users run, several at a time."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from typer.testing import CliRunner

__all__ = ["Job", "calibrate_all"]

STATION = Path(__file__).parents[2] / "station.yaml"


@dataclass(frozen=True)
class Job:
    """One calibration: a truth (plain data) and the seed of its noise."""

    truth: dict[str, Any]
    seed: int


def calibrate_all(jobs: Sequence[Job], folder: Path) -> list[dict[str, dict[str, float]]]:
    """Results of every job, in their order: name → value, sigma, truth."""
    folders = [folder / f"{number:03}" for number in range(len(jobs))]
    # Spawned, not forked: the test process has threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_processes(), mp_context=context) as pool:
        return list(pool.map(_calibrate, jobs, folders))


def _processes() -> int:
    """Share of the cores for this test process (pytest-xdist runs several)."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _calibrate(job: Job, folder: Path) -> dict[str, dict[str, float]]:
    from labnis.cli import app  # noqa: PLC0415  # in the spawned process, which has a home directory of its own

    data, truth = folder / "data", folder / "truth.yaml"
    data.mkdir(parents=True)
    YAML().dump(job.truth, truth)
    command = ["calibrate", "--dry-run", "--json", "--station", str(STATION), "--twin", str(truth)]
    outcome = CliRunner().invoke(app, [*command, "--seed", str(job.seed), "--data", str(data)])
    if outcome.exit_code:
        raise RuntimeError(f"seed {job.seed}: {outcome.exception!r}\n{outcome.stderr}\n{job.truth}")
    results: dict[str, dict[str, float]] = json.loads(outcome.stdout)["results"]
    shutil.rmtree(folder)
    return results
