"""Engines of the two databases that hold ledgers: transactions that exclude each other, and bounded waiting.

A transaction is reading, writing or migrating (`execution_options(labnis_mode=…)`). Those that write take one lock when
they begin, so they follow one another, also the first openings of a new ledger. Every wait for the database ends.
"""

import math
import socket
import threading
from contextlib import suppress
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, ExceptionContext, NullPool, create_engine, event

from labnis.ledger.errors import LedgerUnavailableError

__all__ = ["Mode", "engine_of"]

Mode = Literal["reading", "writing", "migrating"]

MIGRATION_WAIT = 30.0
"""Time (s) to wait for another process that migrates the ledger."""

LOCK = 0x6C61626E6973
"""Number of the advisory lock of those that write: "labnis" as bytes."""


def engine_of(url: URL, wait: float, shown: str) -> Engine:
    """Make the engine of the database at `url`; nothing is connected yet.

    Parameters
    ----------
    url
        Of SQLite or PostgreSQL.
    wait
        Time (s) to wait for a connection, and for a process that holds the database.
    shown
        The URL without secrets, for messages.

    Raises
    ------
    LedgerUnavailableError
        The database is of another kind: the lock and the limits would be missing.

    """
    match url.get_backend_name():
        case "sqlite":
            return _sqlite(url, wait)
        case "postgresql" if url.get_driver_name() in ("psycopg", "psycopg2"):
            return _postgresql(url, wait)
    raise LedgerUnavailableError(
        f"ledger {shown}: {url.drivername} cannot be used; allowed are sqlite, postgresql+psycopg, postgresql+psycopg2"
    )


def _mode(connection: Connection) -> Mode:
    mode: Mode = connection.get_execution_options().get("labnis_mode", "reading")
    return mode


def _wait(mode: Mode, wait: float) -> float:
    return max(wait, MIGRATION_WAIT) if mode == "migrating" else wait


def _sqlite(url: URL, wait: float) -> Engine:
    """Disable pysqlite's transaction handling, which excludes table changes (SQLAlchemy's recipe).

    A writer takes the lock at BEGIN and waits, instead of failing when it changes from reading to writing.
    """
    engine = create_engine(url, connect_args={"timeout": wait})

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = _mode(connection)
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * _wait(mode, wait):.0f}")
        # A migration copies and drops tables to which others refer.
        connection.exec_driver_sql(f"PRAGMA foreign_keys = {'OFF' if mode == 'migrating' else 'ON'}")
        connection.exec_driver_sql("BEGIN" if mode == "reading" else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL, wait: float) -> Engine:
    """One connection per transaction: none is old when it is used, whatever became of the server in the meantime.

    A pool would need a ping before each use, and would hold a connection during runs that last for days.

    The server ends statements and waits for locks that take too long, and transactions of clients that are stopped. A
    server that is silent is not waited for longer than a few times `wait` either.
    """
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": max(2, math.ceil(wait))})

    silent = threading.Event()

    @event.listens_for(engine, "connect", insert=True)
    def connect(connection: Any, record: Any) -> None:
        record.info["labnis_watch"] = watch = _Watch(connection.fileno(), silent)
        watch.limit(4 * wait)

    @event.listens_for(engine, "close")
    def close(_connection: Any, record: Any) -> None:
        record.info.pop("labnis_watch").close()

    @event.listens_for(engine, "handle_error", retval=True)
    def error(context: ExceptionContext) -> BaseException | None:
        if not silent.is_set():
            return None
        silent.clear()
        return TimeoutError("the server is connected but does not answer")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = _mode(connection)
        limit = _wait(mode, wait)
        connection.info["labnis_watch"].limit(4 * limit)
        milliseconds = [f"{1000 * seconds:.0f}" for seconds in (limit, 2 * limit, 2 * limit)]
        connection.exec_driver_sql(
            "SELECT set_config('lock_timeout', '{}', true), set_config('statement_timeout', '{}', true), "
            "set_config('idle_in_transaction_session_timeout', '{}', true)".format(*milliseconds)
        )
        if mode != "reading":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")

    return engine


class _Watch:
    """Cuts a connection after a time, unless it is closed before: drivers wait for answers without a bound."""

    def __init__(self, fileno: int, silent: threading.Event) -> None:
        # A duplicate: the number of a closed socket may belong to another file when the time has passed.
        self._socket = socket.socket(fileno=socket.dup(fileno))
        self._silent = silent
        self._timer = threading.Timer(0, self._cut)

    def limit(self, seconds: float) -> None:
        """Cut the connection `seconds` from now, and not before."""
        self._timer.cancel()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """End the watch."""
        self._timer.cancel()
        self._socket.close()

    def _cut(self) -> None:
        self._silent.set()
        with suppress(OSError):  # closed at the same moment
            self._socket.shutdown(socket.SHUT_RDWR)
