"""The ledger: cooldowns and their calibrations."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from labnis.ledger._database import Database
from labnis.ledger._models import CalibrationRow, CooldownRow
from labnis.ledger._records import Calibration, Cooldown, NewCalibration
from labnis.ledger.errors import CooldownExistsError, InvalidEntryError, LedgerBusyError, NoCooldownError

__all__ = ["Ledger", "new_batch", "open_ledger"]


def new_batch() -> str:
    """Make an id for the results of one calibration: eight random hexadecimal digits."""
    return secrets.token_hex(4)


_IN_PROGRESS = CooldownRow.in_progress.is_(True)


def _cooldown(row: CooldownRow) -> Cooldown:
    return Cooldown(row.name, row.note, row.started, row.ended)


def _calibration(row: CalibrationRow) -> Calibration:
    entered = {field.name: getattr(row, field.name) for field in fields(NewCalibration)}
    return Calibration(number=row.id, batch=row.batch, cooldown=row.cooldown.name, created=row.created, **entered)


class Ledger:
    """Cooldowns and their calibrations. Every call is one transaction; every LedgerError names the ledger.

    Methods raise LedgerUnavailableError where the database fails and LedgerBusyError where another process holds it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def url(self) -> str:
        """The ledger's URL, without secrets."""
        return self._database.shown

    def close(self) -> None:
        """Close the database."""
        self._database.engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._database.faults(), Session(self._database.engine) as session:
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with self._database.faults(), Session(self._database.writing) as session, session.begin():
            yield session

    def start_cooldown(self, name: str, *, note: str = "") -> Cooldown:
        """Begin a cooldown; the one in progress, if any, ends.

        Raises
        ------
        CooldownExistsError
            The name exists already; nothing is changed.
        InvalidEntryError
            The name is empty or not printable.

        """
        if not name.strip() or not name.isprintable():
            raise InvalidEntryError(f"{name!r} is not a name of a cooldown; use printable characters")
        now = datetime.now(UTC)
        try:
            with self._writing() as session:
                session.execute(update(CooldownRow).where(_IN_PROGRESS).values(ended=now, in_progress=None))
                row = CooldownRow(name=name, note=note, started=now, in_progress=True)
                session.add(row)
                session.flush()
                return _cooldown(row)
        except IntegrityError as error:
            if any(one.name == name for one in self.cooldowns()):
                raise CooldownExistsError(
                    f"cooldown {name!r} exists in the ledger {self.url}; choose another name"
                ) from error
            raise LedgerBusyError(
                f"ledger {self.url}: another process started a cooldown at the same moment; see which one"
            ) from error

    def end_cooldown(self) -> Cooldown:
        """End the cooldown in progress and return it.

        Raises
        ------
        NoCooldownError
            No cooldown is in progress.

        """
        with self._writing() as session:
            row = session.scalar(select(CooldownRow).where(_IN_PROGRESS))
            if row is None:
                raise NoCooldownError(f"ledger {self.url}: no cooldown is in progress")
            row.ended, row.in_progress = datetime.now(UTC), None
            session.flush()
            return _cooldown(row)

    def current_cooldown(self) -> Cooldown | None:
        """Look up the cooldown in progress, if any."""
        with self._reading() as session:
            row = session.scalar(select(CooldownRow).where(_IN_PROGRESS))
            return None if row is None else _cooldown(row)

    def cooldowns(self) -> list[Cooldown]:
        """List all cooldowns, oldest first."""
        with self._reading() as session:
            return [_cooldown(row) for row in session.scalars(select(CooldownRow).order_by(CooldownRow.id))]

    def add_calibrations(
        self, entries: Iterable[NewCalibration], *, cooldown: str | None = None, batch: str | None = None
    ) -> list[Calibration]:
        """Enter the results of one calibration, all or none.

        Parameters
        ----------
        entries
            The results.
        cooldown
            Name of their cooldown; by default the one in progress.
        batch
            Id that they share, from `new_batch`; by default a new one.

        Raises
        ------
        NoCooldownError
            No cooldown is in progress, or none has this name.

        """
        shared = {"batch": batch or new_batch(), "created": datetime.now(UTC)}
        with self._writing() as session:
            belongs = _IN_PROGRESS if cooldown is None else CooldownRow.name == cooldown
            owner = session.scalar(select(CooldownRow).where(belongs))
            if owner is None:
                problem = "no cooldown is in progress" if cooldown is None else f"no cooldown is called {cooldown!r}"
                raise NoCooldownError(f"ledger {self.url}: {problem}; start one with `labnis cooldown start NAME`")
            rows = [CalibrationRow(**asdict(entry), **shared, cooldown=owner) for entry in entries]
            session.add_all(rows)
            session.flush()
            return [_calibration(row) for row in rows]

    def calibrations(
        self,
        cooldown: str | None = None,
        quantity: str | None = None,
        simulated: bool | None = None,
        analysis: str | None = None,
    ) -> list[Calibration]:
        """List calibrations, oldest first: filtered by cooldown, quantity, origin or analysis."""
        query = select(CalibrationRow).join(CalibrationRow.cooldown).order_by(CalibrationRow.id)
        filters = (
            (CooldownRow.name, cooldown),
            (CalibrationRow.quantity, quantity),
            (CalibrationRow.simulated, simulated),
            (CalibrationRow.analysis, analysis),
        )
        query = query.where(*(column == wanted for column, wanted in filters if wanted is not None))
        with self._reading() as session:
            return [_calibration(row) for row in session.scalars(query)]

    def latest(
        self, cooldown: str, simulated: bool, *, quantity: str | None = None, analysis: str | None = None
    ) -> Calibration | None:
        """Look up the newest calibration of `quantity`, or that `analysis` found, in `cooldown`; None without one."""
        found = self.calibrations(cooldown, quantity, simulated, analysis)
        return found[-1] if found else None


def open_ledger(url: str | Path, *, wait: float = 5.0) -> Ledger:
    """Open a ledger; create a new SQLite file with its folder, or migrate an older one.

    Parameters
    ----------
    url
        SQLAlchemy URL such as `sqlite:///data/ledger.db`, or the path of an SQLite file.
    wait
        Time (s) to wait for a process that holds an SQLite file.

    Raises
    ------
    LedgerUnavailableError
        It cannot be opened, reached or written, its driver is missing, or a newer labnis wrote it.
    LedgerBusyError
        Another process holds it.

    """
    return Ledger(Database(url, wait))
