"""The tables of an opened ledger are those of the models, however old the file was."""

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from labnis.ledger import LedgerUnavailableError, NewCalibration, open_ledger
from labnis.ledger._models import Base


def test_migrations_from_empty_end_at_the_models(tmp_path):
    file = tmp_path / "ledger.db"
    open_ledger(file).close()
    with create_engine(f"sqlite:///{file}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert context.get_current_revision() == "0002"
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_keeps_everything(tmp_path):
    file = tmp_path / "ledger.db"
    first = open_ledger(file)
    first.start_cooldown("CD12")
    assert open_ledger(file).cooldowns() == first.cooldowns()


def test_a_failed_migration_leaves_the_file_as_it_was(tmp_path):
    """A table of ours in the way of the second half of the migration: the first half must not stay."""
    file = tmp_path / "ledger.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE calibrations (x)")
    connection.close()
    with pytest.raises(LedgerUnavailableError, match=r"ledger.db: table calibrations already exists"):
        open_ledger(file)
    with sqlite3.connect(file) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    connection.close()
    assert names == ["calibrations"]


def test_ledger_of_a_newer_labnis_is_refused_and_untouched(tmp_path):
    file = tmp_path / "ledger.db"
    open_ledger(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(LedgerUnavailableError, match=r"ledger.db: .*9999.*newer labnis"):
        open_ledger(file)
    assert file.read_bytes() == before


def test_tables_are_made_without_a_working_directory_or_an_ini_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_ledger("sqlite:///relative.db").start_cooldown("CD12")
    assert [found.name for found in tmp_path.iterdir()] == ["relative.db"]


def test_results_of_an_older_ledger_get_the_analysis_that_found_them(tmp_path):
    file = tmp_path / "ledger.db"
    ledger = open_ledger(file)
    ledger.start_cooldown("CD12")
    entry = NewCalibration(
        quantity="damping_line", value=1.6e7, sigma=1e5, unit="1/s", run_path="r.h5", run_id="r", model="m",
        code_version="c", simulated=False,
    )  # fmt: skip
    ledger.add_calibrations([entry])
    ledger.close()
    with sqlite3.connect(file) as connection:
        connection.execute("ALTER TABLE calibrations DROP COLUMN analysis")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    (found,) = open_ledger(file).calibrations()
    assert found.analysis == "reflection"
    assert open_ledger(file).latest("CD12", simulated=False, analysis="reflection") == found
    assert open_ledger(file).latest("CD12", simulated=False, analysis="current_voltage") is None
