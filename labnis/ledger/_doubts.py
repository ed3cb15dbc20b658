"""Doubts about calibrations that come up after their fits: a fit that they needed was revoked."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from labnis.ledger._dependence import dependants, named_as_used
from labnis.ledger._models import CalibrationRow, calibration_of
from labnis.ledger._records import Calibration, NewCalibration

__all__ = ["doubt_dependants", "later_doubts", "of_fit", "rests_on", "with_doubts_of_grounds"]


def of_fit(entries: Iterable[Calibration], name: str) -> list[Calibration]:
    """Those of the `entries` of one run that are of the fit of this `name` in its file.

    Of one that is in the file only, as that of a revoked run, they are those of the fits before it, if all are revoked.
    """
    every = list(entries)
    before = [one for one in every if one.analysis == name.partition("@")[0]]
    return [one for one in every if one.name_in_file == name] or (
        before if all(one.revoked is not None for one in before) else []
    )


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
        users[one.number].warnings = _joined(one.warnings, rests_on(revoked[0]))


def with_doubts_of_grounds(session: Session, entry: NewCalibration) -> NewCalibration:
    """With the doubts about the fits that it needed which came up since they were taken as priors."""
    needed = named_as_used(entry)
    rows = session.scalars(select(CalibrationRow).where(CalibrationRow.run_id.in_({run_id for _, run_id in needed})))
    every = list(map(calibration_of, rows))
    found = [one for name, run_id in sorted(needed) for one in of_fit([c for c in every if c.run_id == run_id], name)]
    told = [rests_on(one) if one.revoked is not None else one.warnings for one in found]
    return replace(entry, warnings=_joined(entry.warnings, *told))


def rests_on(one: Calibration) -> str:
    """The doubt about what needed a revoked fit, of which `one` is a result."""
    return f"it rests on the {one.analysis} fit of run {one.run_id}, which was revoked: {one.reason}"


def _joined(warnings: str, *more: str) -> str:
    """All warnings in one text, each once."""
    parts = [part for text in more for part in text.split("; ")]
    return "; ".join(filter(None, [warnings, *dict.fromkeys(part for part in parts if part not in warnings)]))
