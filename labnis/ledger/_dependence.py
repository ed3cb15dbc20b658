"""Which calibrations need which: a fit that another one needed, of an earlier run, is the ground of its results."""

import json
from collections.abc import Callable, Collection, Sequence

from labnis.ledger._records import Calibration, NewCalibration

__all__ = ["dependants", "grounds", "named_as_used"]


def named_as_used(one: NewCalibration) -> set[tuple[str, str]]:
    """The fits that a result needed, each as its name in the file and the id of its run."""
    return {(name, run_id) for name, run_id in json.loads(one.used)} if one.used else set()


def dependants(every: Sequence[Calibration], of: Collection[Calibration]) -> list[Calibration]:
    """Those of `every` calibration whose fits needed one of these, or one that did."""

    def next_to(found: Collection[Calibration]) -> list[Calibration]:
        fits = {(c.name_in_file, c.run_id) for c in found}
        # A fit that is made again of a revoked run is in no ledger.
        revoked = {(c.analysis, c.run_id) for c in found if c.revoked is not None}
        bases = {c.number: {(name.partition("@")[0], run) for name, run in named_as_used(c)} for c in every if c.used}
        return [c for c in every if c.used and (fits & named_as_used(c) or revoked & bases[c.number])]

    return _reached(next_to, of)


def grounds(every: Sequence[Calibration], of: Collection[Calibration]) -> list[Calibration]:
    """Those of `every` calibration that the fits of these needed, and those that these needed in turn."""

    def next_to(found: Collection[Calibration]) -> list[Calibration]:
        needed = {pair for c in found for pair in named_as_used(c)}
        return [c for c in every if (c.name_in_file, c.run_id) in needed]

    return _reached(next_to, of)


def _reached(
    next_to: Callable[[Collection[Calibration]], list[Calibration]], of: Collection[Calibration]
) -> list[Calibration]:
    found, new = list[Calibration](), list(of)
    while new:
        known = {c.number for c in found}
        new = [c for c in next_to(new) if c.number not in known]
        found += new
    return found
