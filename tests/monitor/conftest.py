"""The monitor as a process of its own, and files for it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.monitor.serving import Monitor, monitored
from tests.run.bench import labnis, station  # noqa: F401  # fixtures


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Monitor]]:
    """Starts monitors of the data folder in the test's own folder, with further options and environment."""
    with monitored(tmp_path) as begin:
        yield begin
