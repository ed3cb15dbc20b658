"""Doubts about calibrations that come up after their fits: a fit that they needed was revoked."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from labnis.ledger._dependence import dependants, named_as_used
from labnis.ledger._models import CalibrationRow, calibration_of
from labnis.ledger._records import Calibration, NewCalibration

__all__ = ["doubt_dependants", "later_doubts", "with_doubts_of_grounds"]


def later_doubts(entries: Iterable[Calibration], warnings: Sequence[str]) -> list[str]:
    """What the `entries` of one fit say against it besides its own `warnings`: what came up after it."""
    own = "; ".join(warnings)
    said = [
        f"it was revoked: {entry.reason}"
        if entry.revoked is not None
        else entry.warnings.removeprefix(own).lstrip("; ")
        for entry in entries
    ]
    return list(dict.fromkeys(filter(None, said)))


def doubt_dependants(session: Session, revoked: Sequence[Calibration]) -> None:
    """Put all that depends on the results of one fit, which are `revoked`, in doubt."""
    users = {row.id: row for row in session.scalars(select(CalibrationRow).where(CalibrationRow.used != ""))}
    for one in dependants([calibration_of(row) for row in users.values()], revoked):
        users[one.number].warnings = _joined(one.warnings, _revoked(revoked[0]))


def with_doubts_of_grounds(session: Session, entry: NewCalibration) -> NewCalibration:
    """With the doubts about the fits that it needed which came up since they were taken as priors."""
    needed = named_as_used(entry)
    rows = session.scalars(select(CalibrationRow).where(CalibrationRow.run_id.in_({run_id for _, run_id in needed})))
    found = [one for one in map(calibration_of, rows) if (one.name_in_file, one.run_id) in needed]
    told = [_revoked(one) if one.revoked is not None else one.warnings for one in found]
    return replace(entry, warnings=_joined(entry.warnings, *told))


def _revoked(one: Calibration) -> str:
    return f"it rests on the {one.analysis} fit of run {one.run_id}, which was revoked: {one.reason}"


def _joined(warnings: str, *more: str) -> str:
    """All warnings in one text, each once."""
    parts = [part for text in more for part in text.split("; ")]
    return "; ".join(filter(None, [warnings, *dict.fromkeys(part for part in parts if part not in warnings)]))
