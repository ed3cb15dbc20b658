"""When a calibration is valid: from its measurement until a newer one, its expiry, or the end of its cooldown."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from labnis.ledger._records import Calibration, Cooldown, NewCalibration

__all__ = ["COVERAGE", "Validity", "normalized_error", "valid_at", "validities"]

COVERAGE = 2.0
"""Expanded uncertainty per standard uncertainty, in E_n."""

_DOUBTFUL, _REVOKED = "in doubt", "revoked"


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
        E_n with respect to the one that it supersedes; NaN without such a one.

    """

    calibration: Calibration
    until: datetime | None
    ended_by: str
    error: float = math.nan


def normalized_error(one: NewCalibration, other: NewCalibration) -> float:
    """E_n: the difference of two results over its expanded uncertainty (k = 2); NaN where one is a limit.

    Beyond 1 they contradict each other. Sources that both have in common cancel as far as they change both alike: with
    contributions c and noise s, σ² = s₁² + s₂² + Σ(c₁ − c₂)² over all sources.
    """
    if one.value is None or other.value is None or one.sigma is None or other.sigma is None:
        return math.nan
    first, second = _contributions(one), _contributions(other)
    shared = sum((first.get(uid, 0.0) - second.get(uid, 0.0)) ** 2 for uid in first.keys() | second.keys())
    noise = sum(max(c.sigma**2 - (c.systematic or 0.0) ** 2, 0.0) for c in (one, other) if c.sigma is not None)
    sigma = math.sqrt(shared + noise)
    difference = abs(one.value - other.value)
    return difference / (COVERAGE * sigma) if sigma else (math.inf if difference else 0.0)


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
    ends = {(cooldown.device, cooldown.name): cooldown.ended for cooldown in cooldowns}
    ordered = sorted(calibrations, key=lambda c: (c.measured, c.number))
    next_one: dict[tuple[str, str, str, bool], Calibration] = {}
    found: list[Validity] = []
    for c in reversed(ordered):
        place = (c.device, c.cooldown, c.quantity, c.simulated)
        if c.revoked is not None or c.warnings:
            why = f"{_REVOKED}: {c.reason}" if c.revoked is not None else f"{_DOUBTFUL}: {c.warnings}"
            found.append(Validity(c, c.measured, why))
            continue
        newer, limit, ended = next_one.get(place), expires.get(c.quantity), ends.get((c.device, c.cooldown))
        causes = [
            (newer.measured, f"superseded by {newer.number}") if newer else None,
            (c.measured + limit, "expired") if limit is not None and c.measured + limit <= now else None,
            # That of dry runs has ended before anything was measured in it.
            (ended, "end of the cooldown") if ended is not None and c.measured <= ended <= now else None,
        ]
        until, why = min((cause for cause in causes if cause is not None), default=(None, ""), key=lambda pair: pair[0])
        found.append(Validity(c, until, why))
        next_one[place] = c
    return _compared(found[::-1])


def _compared(ordered: Sequence[Validity]) -> list[Validity]:
    """The same with E_n of each that counts to the one before it."""
    before: dict[tuple[str, str, str, bool], Calibration] = {}
    found = []
    for one in ordered:
        c = one.calibration
        place = (c.device, c.cooldown, c.quantity, c.simulated)
        counts = c.revoked is None and not c.warnings
        error = normalized_error(before[place], c) if counts and place in before else math.nan
        found.append(Validity(c, one.until, one.ended_by, error))
        if counts:
            before[place] = c
    return found


def valid_at(found: Sequence[Validity], time: datetime) -> list[Validity]:
    """Those of the validities that contain `time`."""
    return [one for one in found if one.calibration.measured <= time and (one.until is None or time < one.until)]
