"""When a calibration is valid: from its measurement until a newer one, its expiry, or the end of its cooldown."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from labnis.ledger._records import Calibration, Cooldown, NewCalibration

__all__ = ["Validity", "difference_of", "normalized", "normalized_error", "valid_at", "validities"]

_COVERAGE = 2.0
"""Expanded uncertainty per standard uncertainty, in E_n."""

_Place = tuple[str, str, str, bool]


@dataclass(frozen=True)
class Validity:
    """From when (its measurement) until when a calibration counts; None where it still does.

    Attributes
    ----------
    calibration
        One result.
    until
        End of its validity; its measurement itself where it never counted.
    ended_by
        Why it ended, in words: "superseded by 12", "expired", "revoked: …", "in doubt: …", "end of the cooldown"; empty
        while it counts.
    error
        E_n with respect to the one that it supersedes; NaN without such a one, or where it is of the same data.

    """

    calibration: Calibration
    until: datetime | None
    ended_by: str
    error: float = math.nan


def normalized(difference: float, sigma: float) -> float:
    """E_n of a `difference` with the standard uncertainty `sigma`: its size over its expanded uncertainty (k = 2)."""
    return abs(difference) / (_COVERAGE * sigma) if sigma else (math.inf if difference else 0.0)


def difference_of(one: NewCalibration, other: NewCalibration) -> tuple[float, float] | None:
    """The second of two results less the first, and its standard uncertainty; None where one is a limit.

    Sources that both have in common cancel as far as they change both alike: with contributions c and noise s,
    σ² = s₁² + s₂² + Σ(c₁ − c₂)² over all sources.
    """
    if one.value is None or other.value is None or one.sigma is None or other.sigma is None:
        return None
    first, second = _contributions(one), _contributions(other)
    shared = sum((first.get(uid, 0.0) - second.get(uid, 0.0)) ** 2 for uid in first.keys() | second.keys())
    sigmas = ((one.sigma, one.systematic), (other.sigma, other.systematic))
    noise = sum(max(sigma**2 - (systematic or 0.0) ** 2, 0.0) for sigma, systematic in sigmas)
    return other.value - one.value, math.sqrt(shared + noise)


def normalized_error(one: NewCalibration, other: NewCalibration) -> float:
    """E_n of two results, see `normalized` and `difference_of`; NaN where one is a limit. Beyond 1 they contradict."""
    apart = difference_of(one, other)
    return math.nan if apart is None else normalized(*apart)


def _contributions(calibration: NewCalibration) -> dict[str, float]:
    return dict(json.loads(calibration.contributions)) if calibration.contributions else {}


def validities(
    calibrations: Sequence[Calibration],
    cooldowns: Sequence[Cooldown],
    expires: Mapping[str, timedelta],
    now: datetime,
) -> list[Validity]:
    """The validity of each of the `calibrations` of any devices and quantities, in their order of measurement.

    Real and simulated ones are apart, as are devices, cooldowns and quantities.

    Parameters
    ----------
    calibrations
        All that may supersede each other.
    cooldowns
        Those of the same devices.
    expires
        Quantity → time for which it is valid.
    now
        What expires later than this is still valid.

    """
    # Of a cooldown that was never in progress, as those of dry runs and imports, no end is known.
    ends = {(one.device, one.name): one.ended for one in cooldowns if one.ended != one.started}
    ordered = sorted(calibrations, key=lambda c: (c.measured, c.number))
    counting: dict[_Place, list[Calibration]] = {}
    for c in ordered:
        if not _never(c):
            counting.setdefault((c.device, c.cooldown, c.quantity, c.simulated), []).append(c)
    pairs = [pair for each in counting.values() for pair in pairwise(each)]
    before, after = {new.number: old for old, new in pairs}, {old.number: new for old, new in pairs}
    found = []
    for c in ordered:
        if why := _never(c):
            found.append(Validity(c, c.measured, why))
            continue
        older, newer, limit = before.get(c.number), after.get(c.number), expires.get(c.quantity)
        ended = ends.get((c.device, c.cooldown))
        causes = [
            (newer.measured, f"superseded by {newer.number}") if newer else None,
            (c.measured + limit, "expired") if limit is not None and c.measured + limit <= now else None,
            (ended, "end of the cooldown") if ended is not None and c.measured <= ended <= now else None,
        ]
        until, why = min((cause for cause in causes if cause is not None), default=(None, ""), key=lambda pair: pair[0])
        other = older is not None and older.run_id != c.run_id
        found.append(Validity(c, until, why, normalized_error(older, c) if older is not None and other else math.nan))
    return found


def _never(c: Calibration) -> str:
    """Why a calibration never counts; empty if it does."""
    if c.revoked is not None:
        return f"revoked: {c.reason}"
    return f"in doubt: {c.warnings}" if c.warnings else ""


def valid_at(found: Sequence[Validity], time: datetime) -> list[Validity]:
    """Those of the validities that contain `time`."""
    return [one for one in found if one.calibration.measured <= time and (one.until is None or time < one.until)]
