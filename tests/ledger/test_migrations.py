"""The tables of an opened ledger are those of the models, however old it was; and older versions can be had again."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from labnis.ledger import InvalidEntryError, LedgerError, LedgerUnavailableError, migrate_ledger, open_ledger
from labnis.ledger._database import NEWEST
from labnis.ledger._models import Base
from tests.ledger.test_ledger import entry


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def values(rows: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in rows]


def test_the_version_that_is_compared_with_is_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "labnis.ledger:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST


def test_migrations_from_empty_end_at_the_models(url: str) -> None:
    open_ledger(url).close()
    with connected(url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert context.get_current_revision() == NEWEST
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_keeps_everything_and_does_not_import_alembic(url: str) -> None:
    first = open_ledger(url)
    first.start_cooldown("CD12")
    code = (
        "import sys; from labnis.ledger import open_ledger; print(open_ledger(sys.argv[1]).cooldowns()[0].name); "
        "print(sorted(name for name in sys.modules if name.startswith('alembic')))"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["CD12", "[]"], done.stderr


def test_a_failed_migration_leaves_the_database_as_it_was(url: str) -> None:
    """A table of ours in the way of the second half of the migration: the first half must not stay."""
    with connected(url) as connection:
        connection.execute(text("CREATE TABLE calibrations (x INTEGER)"))
    with pytest.raises(LedgerUnavailableError, match=r'ledger \w+.*"?calibrations"? already exists'):
        open_ledger(url)
    with connected(url) as connection:
        assert inspect(connection).get_table_names() == ["calibrations"]


def test_ledger_of_a_newer_labnis_is_refused_and_untouched(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    open_ledger(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(LedgerUnavailableError, match=r"ledger.db: .*9999.*newer labnis"):
        open_ledger(file)
    assert file.read_bytes() == before


def test_tables_are_made_without_a_working_directory_or_an_ini_file(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    open_ledger("sqlite:///relative.db").start_cooldown("CD12")
    assert [found.name for found in tmp_path.iterdir()] == ["relative.db"]


def test_results_of_a_ledger_of_the_first_version_survive_the_way_up_and_down(url: str) -> None:
    migrate_ledger(url, "0001")
    started = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with connected(url) as connection:
        cooldown = text("INSERT INTO cooldowns (name, note, started, in_progress) VALUES ('CD12', 'µ', :at, true)")
        connection.execute(cooldown, {"at": started})
        connection.execute(
            text(
                "INSERT INTO calibrations (batch, cooldown_id, quantity, value, sigma, unit, run_path, run_id, model, "
                "code_version, simulated, assumed, created) VALUES ('b', 1, 'damping_line', 16123456.789012345, 1e5, "
                "'1/s', 'r.h5', 'r', 'm', 'c', false, 'loss 0.5 dB', :at)"
            ),
            {"at": started},
        )
        before = values(connection.execute(text("SELECT * FROM calibrations")))
        cooldowns = values(connection.execute(text("SELECT * FROM cooldowns")))

    ledger = open_ledger(url)
    (found,) = ledger.calibrations()
    assert (found.analysis, found.device, found.cooldown, found.created) == ("reflection", "", "CD12", started)
    assert (found.value, found.assumed) == (16123456.789012345, "loss 0.5 dB")
    assert ledger.latest("CD12", simulated=False, analysis="reflection") == found
    assert ledger.latest("CD12", simulated=False, analysis="current_voltage") is None
    assert ledger.of_device("A7").latest("CD12", simulated=False, analysis="reflection") is None
    current = ledger.current_cooldown()
    assert current is not None
    assert (current.name, current.note, current.started) == ("CD12", "µ", started)
    ledger.close()

    for version in ("0002", "0001"):
        migrate_ledger(url, version)
    with connected(url) as connection:
        assert values(connection.execute(text("SELECT * FROM calibrations"))) == before
        assert values(connection.execute(text("SELECT * FROM cooldowns"))) == cooldowns
    assert open_ledger(url).calibrations() == [found]


def test_the_way_down_keeps_the_cooldowns_of_all_devices_apart(url: str) -> None:
    for device in ("A7", "B2"):
        ledger = open_ledger(url, device=device)
        ledger.start_cooldown("CD12")
        ledger.add_calibrations([entry(quantity=f"gain of {device}")])
    with pytest.raises(LedgerError, match=r"ledger \w+.*'CD12' of 'A7', 'CD12' of 'B2'.*labnis cooldown end"):
        migrate_ledger(url, "0002")
    assert [c.device for c in ledger.cooldowns()] == ["A7", "B2"]  # nothing is changed
    ledger.of_device("A7").end_cooldown()
    ledger.close()
    migrate_ledger(url, "0002")
    with connected(url) as connection:
        query = "SELECT c.name, c.in_progress, k.quantity FROM calibrations k JOIN cooldowns c ON c.id = k.cooldown_id"
        found = values(connection.execute(text(f"{query} ORDER BY k.id")))
        assert [(name, bool(running), quantity) for name, running, quantity in found] == [
            ("CD12", False, "gain of A7"),
            ("CD12 (B2)", True, "gain of B2"),
        ]
    assert {c.device for c in open_ledger(url).cooldowns()} == {""}


def test_of_all_tables_nothing_is_left_below_the_first_version(url: str) -> None:
    """Each migration goes down; with a version that there is not, nothing is changed."""
    open_ledger(url).close()
    with pytest.raises(InvalidEntryError, match="'0099' is not a version of the ledger; allowed are 0001, 0002, 0003"):
        migrate_ledger(url, "0099")
    for version in ("0002", "0001", "0002", NEWEST):
        migrate_ledger(url, version)
        with connected(url) as connection:
            assert MigrationContext.configure(connection).get_current_revision() == version
    with connected(url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_way_down_from_revocations_leaves_what_counts(url: str) -> None:
    ledger = open_ledger(url)
    ledger.start_cooldown("CD12")
    bad, good = (ledger.add_calibrations([entry(run_id=run)])[0] for run in ("bad", "good"))
    ledger.revoke(bad.number, "the cable was loose")
    ledger.add_note(good.number, "warm")
    ledger.close()
    migrate_ledger(url, "0004")
    with connected(url) as connection:
        assert values(connection.execute(text("SELECT run_id FROM calibrations"))) == [("good",)]
    again = open_ledger(url)
    (found,) = again.calibrations()
    assert (found.run_id, found.measured, found.revoked, found.used) == ("good", found.created, None, "")
    assert again.notes() == {}
