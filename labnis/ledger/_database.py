"""Open the ledger's database, migrate its tables, and report its errors without secrets."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from labnis.ledger.errors import LedgerBusyError, LedgerError, LedgerUnavailableError

__all__ = ["Database"]

_MASK = "***"
_SECRET_WORDS = ("pass", "pwd", "secret", "token", "key")


def _secrets(url: URL) -> list[str]:
    """Secrets in `url`: the password, and query values with secret names."""
    values = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if any(word in name.lower() for word in _SECRET_WORDS):
            values += [value] if isinstance(value, str) else list(value)
    return sorted(filter(None, values), key=len, reverse=True)


def _shown(url: URL) -> str:
    """Render `url` without its secrets, and an SQLite file's path unescaped."""
    query = {
        name: _MASK if any(word in name.lower() for word in _SECRET_WORDS) else value
        for name, value in url.query.items()
    }
    if url.get_backend_name() == "sqlite" and url.host is None:
        tail = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
        return f"{url.drivername}:///{url.database or ''}" + (f"?{tail}" if tail else "")
    return url.set(query=query).render_as_string(hide_password=True).replace(quote(_MASK), _MASK)


def _parsed(url: str | Path) -> URL:
    if isinstance(url, Path):
        return URL.create("sqlite", database=str(url))
    try:
        parsed = make_url(url)
        if "@" in (parsed.host or ""):  # SQLAlchemy would take the rest of the password for the server's name
            raise ArgumentError  # noqa: TRY301  # one message for both
    except (ArgumentError, ValueError):
        # Not quoted: text that cannot be parsed may hold a password anywhere.
        raise LedgerUnavailableError(
            "the ledger's URL cannot be parsed; an example is sqlite:///data/ledger.db "
            "or postgresql+psycopg://user@host/database; an @ in a password is written %40"
        ) from None
    return parsed


def _one_transaction_per_connection(engine: Engine) -> None:
    """Disable pysqlite's transaction handling, which excludes table changes (SQLAlchemy's recipe).

    A writer takes the lock at BEGIN and waits, instead of failing when it changes from reading to writing.
    """

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        writing = connection.get_execution_options().get("labnis_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


class Database:
    """An engine whose tables are up to date.

    Parameters
    ----------
    url
        SQLAlchemy URL, or the path of an SQLite file.
    wait
        Time (s) to wait for a process that holds an SQLite file.

    Raises
    ------
    LedgerUnavailableError, LedgerBusyError
        It cannot be opened or migrated.

    """

    def __init__(self, url: str | Path, wait: float) -> None:
        parsed = _parsed(url)
        self.shown = _shown(parsed)
        self._secrets = _secrets(parsed)
        sqlite = parsed.get_backend_name() == "sqlite"
        with self.faults():
            if sqlite and parsed.database and parsed.database != ":memory:" and "uri" not in parsed.query:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = create_engine(parsed, connect_args={"timeout": wait} if sqlite else {})
            if sqlite:
                _one_transaction_per_connection(self.engine)
            self.writing = self.engine.execution_options(labnis_writing=True)
            self._upgrade()

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turn exceptions of the database into LedgerErrors that name the ledger and hide its secrets."""
        try:
            yield
        except (LedgerError, IntegrityError):
            raise
        except (SQLAlchemyError, CommandError, ImportError, OSError, ValueError) as error:
            # `from None`: the driver's own text may contain the secrets.
            raise self._in_words(error) from None

    def _in_words(self, error: Exception) -> LedgerError:
        original = error.orig if isinstance(error, DBAPIError) else error
        text = str(original)
        for secret in self._secrets:
            escaped = quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]
            for form in (secret, *escaped):
                text = text.replace(form, _MASK)
        where = f"ledger {self.shown}"
        if "database is locked" in text or "database table is locked" in text:
            return LedgerBusyError(f"{where}: another process is writing to it. Try again when it has finished.")
        if isinstance(error, ImportError):
            return LedgerUnavailableError(f"{where}: {text}. Install the database's driver with pip.")
        if isinstance(error, CommandError):
            return LedgerUnavailableError(f"{where}: {text}. It was probably written by a newer labnis; update labnis.")
        return LedgerUnavailableError(f"{where}: {text}. Check that it exists and is writable.")

    def _upgrade(self) -> None:
        """Run the missing migrations. A second process waits and finds none missing."""
        config = Config()
        config.set_main_option("script_location", "labnis.ledger:migrations")
        newest = ScriptDirectory.from_config(config).get_current_head()
        with self.engine.connect() as connection:
            if MigrationContext.configure(connection).get_current_revision() == newest:
                return
        with self.writing.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
