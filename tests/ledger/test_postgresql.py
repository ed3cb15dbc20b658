"""A database server that is restarted, down, silent, or held by a process that was stopped."""

import time

import pytest

from labnis.ledger import LedgerUnavailableError, open_ledger
from labnis.ledger._database import Database
from tests.ledger.postgresql import Server
from tests.ledger.test_ledger import entry

WAIT = 0.5
"""Seconds; a connection is waited for 2 s at least, an answer four times this."""


@pytest.mark.faults
def test_a_server_that_was_restarted_is_used_as_if_nothing_had_been(postgresql: Server) -> None:
    ledger = open_ledger(postgresql.new_database(), wait=WAIT)
    ledger.start_cooldown("CD12")
    ledger.add_calibrations([entry()])
    postgresql.stop()
    postgresql.start()
    assert len(ledger.calibrations()) == 1
    postgresql.stop()
    postgresql.start()
    ledger.add_calibrations([entry()])
    assert len(ledger.calibrations()) == 2


def test_a_server_that_is_down_is_said_at_once_and_used_when_it_is_back(postgresql: Server) -> None:
    url = postgresql.new_database()
    ledger = open_ledger(url, wait=WAIT)
    ledger.start_cooldown("CD12")
    postgresql.stop()
    for attempt in (ledger.current_cooldown, lambda: ledger.add_calibrations([entry()]), lambda: open_ledger(url)):
        began = time.monotonic()
        with pytest.raises(LedgerUnavailableError, match=r"ledger postgresql.*Check that the server runs"):
            attempt()
        assert time.monotonic() - began < 2
    postgresql.start()
    assert ledger.calibrations() == []
    assert ledger.current_cooldown() is not None


def test_a_server_that_breaks_in_the_middle_of_a_transaction(postgresql: Server) -> None:
    url = postgresql.new_database()
    ledger = open_ledger(url, wait=WAIT)
    ledger.start_cooldown("CD12")

    def entries():
        yield entry()
        postgresql.stop()
        yield entry(quantity="noise_temperature", unit="K")

    with pytest.raises(LedgerUnavailableError, match="Check that the server runs"):
        ledger.add_calibrations(entries())
    postgresql.start()
    assert ledger.calibrations() == []


@pytest.mark.faults
def test_a_silent_server_is_not_waited_for_without_a_bound(postgresql: Server) -> None:
    url = postgresql.new_database()
    ledger = open_ledger(url, wait=WAIT)
    ledger.start_cooldown("CD12")
    with postgresql.frozen():
        for attempt in (ledger.current_cooldown, lambda: open_ledger(url, wait=WAIT)):
            began = time.monotonic()
            with pytest.raises(LedgerUnavailableError, match="timeout"):
                attempt()
            assert time.monotonic() - began < 4
    assert ledger.current_cooldown() is not None


@pytest.mark.faults
def test_a_server_that_falls_silent_in_the_middle_of_a_transaction(postgresql: Server) -> None:
    database = Database(postgresql.new_database(), wait=WAIT)
    database.bring_up_to_date()
    began = time.monotonic()
    with (
        pytest.raises(LedgerUnavailableError, match="the server is connected but does not answer"),
        database.transaction("reading") as session,
    ):
        connection = session.connection()
        with postgresql.frozen():
            began = time.monotonic()
            connection.exec_driver_sql("SELECT 1")
    assert time.monotonic() - began < 4 * WAIT + 2
    with database.transaction("reading") as session:
        assert session.connection().exec_driver_sql("SELECT 1").scalar() == 1


@pytest.mark.faults
def test_a_process_that_is_stopped_while_it_writes_does_not_hold_the_ledger(postgresql: Server) -> None:
    url = postgresql.new_database()
    open_ledger(url).close()
    stopped = Database(url, wait=WAIT)
    with (
        pytest.raises(LedgerUnavailableError, match="ledger postgresql"),
        stopped.transaction("writing") as session,
    ):
        session.connection()  # has the lock, and does nothing
        other = open_ledger(url, wait=20)
        assert other.start_cooldown("CD12").name == "CD12"
        session.connection().exec_driver_sql("SELECT 1")


def test_other_databases_and_drivers_are_refused() -> None:
    for kind in ("mysql+pymysql", "postgresql+pg8000"):
        with pytest.raises(LedgerUnavailableError, match=r"cannot be used; allowed are sqlite, postgresql\+psycopg"):
            open_ledger(f"{kind}://me@host/x")
