"""Power cuts at random moments of a run: `recover` from the sectors that reached the disk."""

import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from labnis.storage import open_run, recover
from tests.storage.conftest import run_factory
from tests.storage.power_cut import Recording, assert_rows, laid, recorded_run

__all__ = ["Cut", "cut_power", "recording"]

RECOVERY_WITHIN = 10.0


@dataclass(frozen=True)
class Cut:
    """One power cut: rows that were promised to be on disk, rows found, time (s) that recovery took, what failed."""

    seed: int
    promised: int
    found: int
    seconds: float
    problems: tuple[str, ...]


def recording(folder: Path) -> Recording:
    """Every write of one run, in order."""
    with pytest.MonkeyPatch.context() as patch:
        return recorded_run(patch, run_factory(folder / "recorded"))


def cut_power(recorded: Recording, seed: int, folder: Path) -> Cut:
    """Lay out what a power cut at a random moment leaves, recover it, and compare with what was promised."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    moment = chance.randrange(1, len(recorded.operations) + 1)
    path = laid(folder / str(seed), recorded.after_power_cut(moment, chance))
    promised = recorded.promised(moment)
    problems = []
    began = time.monotonic()
    recover(path, writer_is_gone=True)
    seconds = time.monotonic() - began
    if seconds > RECOVERY_WITHIN:
        problems.append(f"recovery took {seconds:.1f} s")
    run = open_run(path)
    found = int(run.sizes["point"])
    try:
        if found or promised:
            assert_rows(run, promised)
    except AssertionError as error:
        problems.append(str(error))
    shutil.rmtree(path.parent)
    return Cut(seed, promised, found, seconds, tuple(problems))
