"""A twin server for each module, which outlives its clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim_instruments.server import ServerProcess, launched
from tests.faults.measuring import Lab, start_cooldown
from tests.faults.test_34_random_answers import opened  # noqa: F401  # a fixture of two modules


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder has the marker `faults`: it takes minutes, and a command of its own."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Path]]:
    log = tmp_path_factory.mktemp("twin") / "twin.jsonl"
    # Readings of a resistance bridge take 0.1 s each: ten times faster instruments, the same time for the ramps.
    with launched(log=log, speed=10.0) as server:
        yield server, log


@pytest.fixture
def lab(twin: tuple[ServerProcess, Path], tmp_path: Path) -> Lab:
    server, log = twin
    made = Lab(server, tmp_path, log)
    made.write_station()
    start_cooldown(made.data)
    return made
