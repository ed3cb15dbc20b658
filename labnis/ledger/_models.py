"""Tables of the ledger. A change here needs a migration beside it; a test compares the two."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Double, ForeignKey, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from labnis.ledger._records import Calibration, Cooldown, NewCalibration

__all__ = [
    "Base",
    "CalibrationRow",
    "CooldownRow",
    "DeviceRow",
    "NoteRow",
    "UTCDateTime",
    "calibration_of",
    "cooldown_of",
]


class UTCDateTime(TypeDecorator[datetime]):
    """Times with a zone, stored and returned in UTC; SQLite itself drops the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Restore the zone where the database has none."""
        if value is None:
            return None
        time: datetime = value
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


class Base(DeclarativeBase):
    """Constraints have names, so that migrations can change them in every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class DeviceRow(Base):
    """A device; its name is empty where the station file gives none, and in rows of earlier versions."""

    __tablename__ = "devices"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)


class CooldownRow(Base):
    """A cooldown of a device.

    `in_progress` is true or NULL, and unique: at most one cooldown of each device is in progress.
    """

    __tablename__ = "cooldowns"
    __table_args__ = (
        UniqueConstraint("name", "device_id", name="uq_cooldowns_name"),
        UniqueConstraint("in_progress", "device_id", name="uq_cooldowns_in_progress"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"))
    name: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    started: Mapped[datetime] = mapped_column(UTCDateTime)
    ended: Mapped[datetime | None] = mapped_column(UTCDateTime)
    in_progress: Mapped[bool | None]

    device: Mapped[DeviceRow] = relationship(lazy="joined", innerjoin=True)


class CalibrationRow(Base):
    """One result of one calibration."""

    __tablename__ = "calibrations"

    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[str] = mapped_column(Text, index=True)
    cooldown_id: Mapped[int] = mapped_column(ForeignKey("cooldowns.id"), index=True)
    analysis: Mapped[str] = mapped_column(Text, server_default="")
    fit: Mapped[str] = mapped_column(Text, server_default="")
    quantity: Mapped[str] = mapped_column(Text, index=True)
    value: Mapped[float | None] = mapped_column(Double)
    sigma: Mapped[float | None] = mapped_column(Double)
    unit: Mapped[str] = mapped_column(Text)
    run_path: Mapped[str] = mapped_column(Text)
    run_id: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    code_version: Mapped[str] = mapped_column(Text)
    simulated: Mapped[bool]
    assumed: Mapped[str] = mapped_column(Text)
    limit: Mapped[float | None] = mapped_column(Double)
    systematic: Mapped[float | None] = mapped_column(Double)
    contributions: Mapped[str] = mapped_column(Text, server_default="")
    warnings: Mapped[str] = mapped_column(Text, server_default="")
    created: Mapped[datetime] = mapped_column(UTCDateTime)
    measured: Mapped[datetime] = mapped_column(UTCDateTime)
    conditions: Mapped[str] = mapped_column(Text, server_default="")
    used: Mapped[str] = mapped_column(Text, server_default="")
    revoked: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reason: Mapped[str] = mapped_column(Text, server_default="")

    cooldown: Mapped[CooldownRow] = relationship(lazy="joined", innerjoin=True)


class NoteRow(Base):
    """A note on a calibration."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    calibration_id: Mapped[int] = mapped_column(ForeignKey("calibrations.id"), index=True)
    written: Mapped[datetime] = mapped_column(UTCDateTime)
    text: Mapped[str] = mapped_column(Text)


def cooldown_of(row: CooldownRow) -> Cooldown:
    """The record of a row."""
    return Cooldown(row.device.name, row.name, row.note, row.started, row.ended)


def calibration_of(row: CalibrationRow) -> Calibration:
    """The record of a row."""
    entered = {field.name: getattr(row, field.name) for field in fields(NewCalibration)}
    owner = row.cooldown
    return Calibration(
        number=row.id, batch=row.batch, device=owner.device.name, cooldown=owner.name, created=row.created,
        revoked=row.revoked, reason=row.reason, **entered,
    )  # fmt: skip
