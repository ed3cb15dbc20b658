"""Ledgers in both kinds of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.postgresql import Server, served


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with served() as made:
        yield made


@pytest.fixture
def postgresql(server: Server) -> Iterator[Server]:
    """The server, running again after a test that stopped it."""
    yield server
    if not server.running:
        server.start()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    made: str = request.getfixturevalue("server").new_database()
    return made
