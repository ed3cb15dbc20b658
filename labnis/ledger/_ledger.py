"""The ledger: cooldowns of devices, and their calibrations."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from labnis.ledger._database import Database
from labnis.ledger._doubts import doubt_dependants, with_doubts_of_grounds
from labnis.ledger._models import CalibrationRow, CooldownRow, DeviceRow, NoteRow, calibration_of, cooldown_of
from labnis.ledger._records import Calibration, Cooldown, NewCalibration, Note
from labnis.ledger.errors import CooldownExistsError, InvalidEntryError, NoCalibrationError, NoCooldownError

__all__ = ["Ledger", "migrate_ledger", "new_batch", "open_ledger"]


def new_batch() -> str:
    """Make an id for the results of one calibration: eight random hexadecimal digits."""
    return secrets.token_hex(4)


_IN_PROGRESS = CooldownRow.in_progress.is_(True)
# Of an integer in PostgreSQL.
_LARGEST_NUMBER = 2**31 - 1


class Ledger:
    """Cooldowns of devices and their calibrations, seen from the station of one device.

    What is current, new or latest is that of `device`; lists have those of all devices. Every call is one transaction,
    and raises LedgerUnavailableError where the database fails and LedgerBusyError where another process holds it.

    Attributes
    ----------
    device
        Name of the device; empty if the station gives none.
    valid_for
        Quantity → how long after its measurement a calibration of it is valid.

    """

    def __init__(self, database: Database, device: str, valid_for: Mapping[str, timedelta]) -> None:
        self._database = database
        self.valid_for = valid_for
        self.device = device

    @property
    def url(self) -> str:
        """The ledger's URL, without secrets."""
        return self._database.shown

    def of_device(self, device: str) -> "Ledger":
        """Look at the same ledger from the station of another device."""
        return Ledger(self._database, device, self.valid_for)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def start_cooldown(self, name: str, *, note: str = "") -> Cooldown:
        """Begin a cooldown of the device; its one in progress, if any, ends.

        Raises
        ------
        CooldownExistsError
            The device has had a cooldown of this name in progress already; nothing is changed.
        InvalidEntryError
            The name is empty or not printable.

        """
        if not name.strip() or not name.isprintable():
            raise InvalidEntryError(f"{name!r} is not a name of a cooldown; use printable characters")
        now = datetime.now(UTC)
        with self._database.transaction("writing") as session:
            found = session.scalar(self._own().where(CooldownRow.name == name))
            if found is not None and found.started != found.ended:
                raise CooldownExistsError(
                    f"cooldown {name!r} exists in the ledger {self.url}{self._for}; choose another name"
                )
            if (current := session.scalar(self._own().where(_IN_PROGRESS))) is not None:
                current.ended, current.in_progress = now, None
                session.flush()
            if found is None:
                return self._add(session, CooldownRow(name=name, note=note, started=now, in_progress=True))
            # It was never in progress: data of it have been imported before.
            found.started, found.ended, found.in_progress, found.note = now, None, True, note or found.note
            session.flush()
            return cooldown_of(found)

    def closed_cooldown(self, name: str, *, note: str = "") -> Cooldown:
        """Look up a cooldown of the device, or add it as ended; the one in progress is not changed."""
        now = datetime.now(UTC)
        with self._database.transaction("writing") as session:
            found = session.scalar(self._own().where(CooldownRow.name == name))
            if found is not None:
                return cooldown_of(found)
            return self._add(session, CooldownRow(name=name, note=note, started=now, ended=now))

    def end_cooldown(self) -> Cooldown:
        """End the device's cooldown in progress and return it.

        Raises
        ------
        NoCooldownError
            None is in progress.

        """
        with self._database.transaction("writing") as session:
            row = session.scalar(self._own().where(_IN_PROGRESS))
            if row is None:
                raise NoCooldownError(f"ledger {self.url}: no cooldown is in progress{self._for}")
            row.ended, row.in_progress = datetime.now(UTC), None
            session.flush()
            return cooldown_of(row)

    def current_cooldown(self) -> Cooldown | None:
        """Look up the device's cooldown in progress, if any."""
        with self._database.transaction("reading") as session:
            row = session.scalar(self._own().where(_IN_PROGRESS))
            return None if row is None else cooldown_of(row)

    def cooldowns(self) -> list[Cooldown]:
        """List the cooldowns of all devices, oldest first."""
        with self._database.transaction("reading") as session:
            return [cooldown_of(row) for row in session.scalars(select(CooldownRow).order_by(CooldownRow.id))]

    def add_calibrations(
        self,
        entries: Iterable[NewCalibration],
        *,
        cooldown: str | None = None,
        batch: str | None = None,
        created: datetime | None = None,
    ) -> list[Calibration]:
        """Enter results of the device, all or none, and never twice.

        Those whose fits needed one that is revoked, or in doubt, by now are in doubt.

        Parameters
        ----------
        entries
            The results.
        cooldown
            Name of their cooldown; by default the one in progress.
        batch
            Id that they share, from `new_batch`; by default a new one. Results of a run that are in the ledger with
            the same batch are not entered again.
        created
            Time at which they were found, with its zone; by default now.

        Returns
        -------
        list
            What was entered; empty if the ledger has it already.

        Raises
        ------
        NoCooldownError
            No cooldown of the device is in progress, or none has this name.

        """
        shared = {"batch": batch or new_batch(), "created": created or datetime.now(UTC)}
        with self._database.transaction("writing") as session:
            owner = session.scalar(
                self._own().where(_IN_PROGRESS if cooldown is None else CooldownRow.name == cooldown)
            )
            if owner is None:
                problem = "in progress" if cooldown is None else f"called {cooldown!r}"
                raise NoCooldownError(
                    f"ledger {self.url}: no cooldown is {problem}{self._for}; "
                    "start one with `labnis cooldown start NAME`"
                )
            rows = [
                CalibrationRow(
                    **asdict(entry) | {"measured": entry.measured or shared["created"]}, **shared, cooldown_id=owner.id
                )
                for entry in map(partial(with_doubts_of_grounds, session), entries)
            ]
            known = CalibrationRow.batch == shared["batch"], CalibrationRow.run_id.in_({row.run_id for row in rows})
            if session.scalar(select(CalibrationRow.id).where(*known).limit(1)) is not None:
                return []
            session.add_all(rows)
            session.flush()
            return [calibration_of(row) for row in rows]

    def calibrations(
        self,
        cooldown: str | None = None,
        quantity: str | None = None,
        simulated: bool | None = None,
        analysis: str | None = None,
        run_id: str | None = None,
    ) -> list[Calibration]:
        """List calibrations of all devices, oldest first: filtered by cooldown, quantity, origin, analysis or run."""
        query = _filtered(cooldown, quantity, simulated, analysis).order_by(CalibrationRow.id)
        if run_id is not None:
            query = query.where(CalibrationRow.run_id == run_id)
        with self._database.transaction("reading") as session:
            return [calibration_of(row) for row in session.scalars(query)]

    def latest(
        self,
        cooldown: str | None,
        simulated: bool,
        *,
        quantity: str | None = None,
        analysis: str | None = None,
        doubtful: bool = False,
        expired: bool = False,
    ) -> Calibration | None:
        """Look up the device's newest calibration of `quantity`, or that `analysis` found, in `cooldown` (None: any).

        One whose fit has warnings counts only if `doubtful`, one of whose fit a result has expired only if `expired`,
        and one that was revoked never does.
        """
        query = _filtered(cooldown, quantity, simulated, analysis).where(DeviceRow.name == self.device)
        query = query.where(CalibrationRow.revoked.is_(None))
        if not doubtful:
            query = query.where(CalibrationRow.warnings == "")
        now = datetime.now(UTC)
        with self._database.transaction("reading") as session:
            for name, time in self.valid_for.items() if not expired else ():
                old = _filtered(cooldown, name, simulated, None).where(CalibrationRow.measured < now - time)
                if quantity is None:  # the whole fit
                    query = query.where(CalibrationRow.run_id.not_in(old.with_only_columns(CalibrationRow.run_id)))
                elif quantity == name:
                    query = query.where(CalibrationRow.measured >= now - time)
            # A run that is fitted again later is as old as its data.
            newest = query.order_by(CalibrationRow.measured.desc(), CalibrationRow.id.desc())
            found = session.scalar(newest.limit(1))
            return None if found is None else calibration_of(found)

    def revoke(self, number: int, why: str) -> list[Calibration]:
        """Revoke the calibration with this `number`, and all other results of its fit: they never count again.

        What depends on it is in doubt from now on.

        Returns
        -------
        list
            What is revoked now.

        Raises
        ------
        NoCalibrationError
            There is no such calibration.
        InvalidEntryError
            There is no reason, or it is revoked already.

        """
        if not why.strip():
            raise InvalidEntryError("a calibration is not revoked without a reason")
        with self._database.transaction("writing") as session:
            one = self._numbered(session, number)
            if one.revoked is not None:
                raise InvalidEntryError(
                    f"calibration {number} was revoked on {one.revoked.astimezone():%Y-%m-%d}: {one.reason}"
                )
            same = (CalibrationRow.batch == one.batch, CalibrationRow.run_id == one.run_id)
            rows = list(session.scalars(select(CalibrationRow).where(*same, CalibrationRow.analysis == one.analysis)))
            for row in rows:
                row.revoked, row.reason = datetime.now(UTC), why
            session.flush()
            found = [calibration_of(row) for row in rows]
            doubt_dependants(session, found)
            return found

    def add_note(self, number: int, text: str) -> None:
        """Add a note to the calibration with this `number`.

        Raises
        ------
        NoCalibrationError
            There is no such calibration.
        InvalidEntryError
            The text is empty.

        """
        if not text.strip():
            raise InvalidEntryError("a note has a text")
        with self._database.transaction("writing") as session:
            owner = self._numbered(session, number)
            session.add(NoteRow(calibration_id=owner.id, written=datetime.now(UTC), text=text))

    def notes(self) -> dict[int, list[Note]]:
        """All notes, oldest first, by the number of their calibration."""
        found: dict[int, list[Note]] = {}
        with self._database.transaction("reading") as session:
            for row in session.scalars(select(NoteRow).order_by(NoteRow.id)):
                found.setdefault(row.calibration_id, []).append(Note(row.written, row.text))
        return found

    def calibration(self, number: int) -> Calibration:
        """Look up the calibration with this `number`; raises NoCalibrationError if there is none."""
        with self._database.transaction("reading") as session:
            return calibration_of(self._numbered(session, number))

    def _numbered(self, session: Session, number: int) -> CalibrationRow:
        row = session.get(CalibrationRow, number) if 0 < number <= _LARGEST_NUMBER else None
        if row is None:
            raise NoCalibrationError(
                f"ledger {self.url}: no calibration has the number {number}; `labnis calibrations` lists them"
            )
        return row

    @property
    def _for(self) -> str:
        return f" for device {self.device!r}" if self.device else ""

    def _own(self) -> Select[CooldownRow]:
        """The device's cooldowns."""
        return select(CooldownRow).join(CooldownRow.device).where(DeviceRow.name == self.device)

    def _add(self, session: Session, row: CooldownRow) -> Cooldown:
        """Add a cooldown of the device, which may be new."""
        device = session.scalar(select(DeviceRow).where(DeviceRow.name == self.device))
        row.device = device or DeviceRow(name=self.device)
        session.add(row)
        session.flush()
        return cooldown_of(row)


def _filtered(
    cooldown: str | None, quantity: str | None, simulated: bool | None, analysis: str | None
) -> Select[CalibrationRow]:
    filters = (
        (CooldownRow.name, cooldown),
        (CalibrationRow.quantity, quantity),
        (CalibrationRow.simulated, simulated),
        (CalibrationRow.analysis, analysis),
    )
    query = select(CalibrationRow).join(CalibrationRow.cooldown).join(CooldownRow.device)
    return query.where(*(column == wanted for column, wanted in filters if wanted is not None))


def open_ledger(
    url: str | Path,
    *,
    device: str = "",
    wait: float = 5.0,
    valid_for: Mapping[str, timedelta] = MappingProxyType({}),
    read_only: bool = False,
) -> Ledger:
    """Open a ledger; create a new SQLite file with its folder, or migrate an older one.

    Parameters
    ----------
    url
        SQLAlchemy URL such as `sqlite:///data/ledger.db`, or the path of an SQLite file.
    device
        Name of the device whose station this is; empty if it has none.
    wait
        Time (s) to wait for a connection, and for a process that holds the database.
    valid_for
        Quantity → how long after its measurement a calibration of it is valid; any other one does not expire.
    read_only
        Create and migrate nothing.

    Raises
    ------
    LedgerUnavailableError
        It cannot be opened, reached or written, its driver is missing, or a newer labnis wrote it; with `read_only`
        also where it does not exist, or an older one did.
    LedgerBusyError
        Another process holds it.

    """
    database = Database(url, wait, read_only=read_only)
    if read_only:
        database.check_version()
    else:
        database.bring_up_to_date()
    return Ledger(database, device, valid_for)


def migrate_ledger(url: str | Path, version: str) -> None:
    """Change the tables of a ledger to another version, such as "0002" before an older labnis is installed again.

    Raises
    ------
    InvalidEntryError
        There is no such version.
    LedgerError
        An older version cannot hold what is in the ledger; nothing is changed.
    LedgerUnavailableError, LedgerBusyError
        It cannot be opened or written, a newer labnis wrote it, or another process holds it.

    """
    database = Database(url, wait=5.0)
    try:
        database.migrate(version)
    finally:
        database.close()
