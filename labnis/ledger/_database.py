"""Open the ledger's database, migrate its tables, and report its errors without secrets."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, Connection, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from labnis.ledger._engines import Mode, engine_of
from labnis.ledger.errors import LedgerBusyError, LedgerError, LedgerUnavailableError
from labnis.printable import sentence

__all__ = ["Database"]

NEWEST = "0006"
"""Version of the tables that this labnis uses; the last one in `migrations`."""

_HELD = ("55P03", "57014")
"""SQLSTATE of a lock, and of a statement, that took longer than its limit."""

_CONTENT = (TypeError, ValueError, LookupError, OverflowError)
"""What a value of the wrong type or form in a table raises."""

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


class Database:
    """An SQLite file or a PostgreSQL database with the tables of a ledger.

    Parameters
    ----------
    url
        SQLAlchemy URL, or the path of an SQLite file.
    wait
        Time (s) to wait for a connection, and for a process that holds the database.
    read_only
        Neither make nor change an SQLite file.

    Raises
    ------
    LedgerUnavailableError
        The URL cannot be used, or the folder of an SQLite file cannot be made.

    """

    def __init__(self, url: str | Path, wait: float, *, read_only: bool = False) -> None:
        parsed = _parsed(url)
        self.shown = _shown(parsed)
        self._secrets = _secrets(parsed)
        self._is_file = parsed.get_backend_name() == "sqlite"
        with self._faults():
            if self._is_file and read_only and parsed.database and "uri" not in parsed.query:
                file = Path(parsed.database).absolute().as_uri()
                parsed = parsed.set(database=file, query={"mode": "ro", "uri": "true"})
            elif self._is_file and parsed.database and parsed.database != ":memory:" and "uri" not in parsed.query:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = engine_of(parsed, wait, self.shown)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, mode: Mode) -> Iterator[Session]:
        """One transaction: committed at the end, or rolled back by an exception.

        Raises
        ------
        LedgerUnavailableError, LedgerBusyError
            The database fails, or another process holds it.

        """
        engine = self._engine.execution_options(labnis_mode=mode)
        with self._faults(), Session(engine) as session, session.begin():
            yield session

    def bring_up_to_date(self) -> None:
        """Run the missing migrations, if any. Of several processes one does, and the others wait for it."""
        with self.transaction("reading") as session:
            stored = _stored_version(session.connection())
        if stored != NEWEST:
            self.migrate(NEWEST)

    def check_version(self) -> None:
        """LedgerUnavailableError where the tables are not those of this labnis; nothing is changed."""
        with self.transaction("reading") as session:
            stored = _stored_version(session.connection())
        if stored != NEWEST:
            raise LedgerUnavailableError(
                f"ledger {self.shown}: its tables are of version {stored}, and this labnis has {NEWEST}. "
                "`labnis calibrations` of this labnis brings an older one up to date."
            )

    def migrate(self, version: str) -> None:
        """Change the tables to `version`, with all that is in them; all or nothing.

        Raises
        ------
        LedgerUnavailableError, InvalidEntryError
            A newer labnis wrote them, or there is no such version.

        """
        from labnis.ledger._migrating import migrate  # noqa: PLC0415  # rarely needed, and slow to import

        with self.transaction("migrating") as session:
            migrate(session.connection(), version, self.shown)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn exceptions of the database into LedgerErrors that name the ledger and hide its secrets."""
        try:
            yield
        except (SQLAlchemyError, ImportError, OSError, *_CONTENT) as error:
            # `from None`: the driver's own text may contain the secrets.
            raise self._in_words(error) from None

    def _in_words(self, error: Exception) -> LedgerError:
        original = error.orig if isinstance(error, DBAPIError) else error
        where = f"ledger {self.shown}"
        problem = self._public(str(original))
        state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
        if state in _HELD or "database is locked" in problem or "database table is locked" in problem:
            return LedgerBusyError(f"{where}: another process is writing to it. Try again when it has finished.")
        if isinstance(error, ImportError):
            return LedgerUnavailableError(f"{where}: {problem} Install the database's driver with pip.")
        if self._is_file and isinstance(error, _CONTENT):
            return LedgerUnavailableError(f"{where}: it has an entry that labnis does not write: {problem:.500}")
        advice = (
            "that it exists and is writable" if self._is_file else "that the server runs and accepts user and password"
        )
        return LedgerUnavailableError(f"{where}: {problem} Check {advice}.")

    def _public(self, problem: str) -> str:
        """Make a sentence of the words of the database, without the secrets."""
        for secret in self._secrets:
            escaped = quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]
            for form in (secret, *escaped):
                problem = problem.replace(form, _MASK)
        problem = " ".join(problem.split())
        return sentence(problem)


def _stored_version(connection: Connection) -> str | None:
    """Version of the tables; None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version
