import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labnis.storage import Axis, Column, Environment, RunMetadata, RunWriter

START = datetime(2026, 3, 4, 15, 16, 17, tzinfo=timezone(timedelta(hours=2)))
ENVIRONMENT = Environment(
    "abc123", git_dirty=True, git_note="", packages={"numpy": "2"}, python="3.11", platform="p", host="h"
)
COLUMNS = (
    Column("bias", "V", "Bias"),
    Column("current", "A", "Current"),
    Column("s11", "1", "Reflection coefficient", axes=("frequency",), dtype=complex),
)
FREQUENCY = Axis("frequency", "Hz", "Frequency", np.linspace(4e9, 5e9, 7))


@pytest.fixture(autouse=True)
def _own_rescue_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that cannot be written in a run's folder go to the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def metadata(**changes: Any) -> RunMetadata:
    known: dict[str, Any] = {
        "procedure": "ReflectionVsBias",
        "parameters": {"points": 11},
        "start": START,
        "environment": ENVIRONMENT,
        "simulated": True,
        "cooldown": "CD12",
        "setpoints": ("bias",),
    }
    return RunMetadata(**{**known, **changes})


def row(index: int, bias: float | None = None) -> dict[str, Any]:
    return {
        "bias": float(index) if bias is None else bias,
        "current": -float(index),
        "s11": np.full(7, index * (1 + 2j)),
    }


@contextmanager
def finished(run: RunWriter) -> Iterator[RunWriter]:
    """A run that is done at the end of the block."""
    yield run
    run.finish("done")


def run_factory(data_root: Path) -> Callable[..., RunWriter]:
    """Makes writers with one real, one complex trace column; they flush only when asked unless told otherwise."""

    def make(**options: Any) -> RunWriter:
        settings: dict[str, Any] = {"axes": [FREQUENCY], "flush_interval": 1000.0}
        about = {key: options.pop(key) for key in list(options) if key in RunMetadata.__dataclass_fields__}
        return RunWriter(data_root, metadata(**about), COLUMNS, **{**settings, **options})

    return make


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., RunWriter]:
    return run_factory(tmp_path / "data")
