"""Fits as calibrations: entries in the ledger, and priors of later runs."""

import json
import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from labnis.errors import RequestError
from labnis.experiment.analysis import Analysis, analyses_of_run, is_secondary
from labnis.experiment.run import device_of, stored_run
from labnis.experiment.stored_fits import stored_fits
from labnis.fit import Estimate, FitResult
from labnis.ledger import (
    Calibration,
    Ledger,
    LedgerUnavailableError,
    NewCalibration,
    difference_of,
    enter_pending,
    keep_pending,
    later_doubts,
    normalized,
    of_fit,
)
from labnis.storage import RunFileError, find_run, newest_versions, open_run, read_fits, read_metadata

__all__ = [
    "IS_IT_THE_SAME",
    "Logbook",
    "Prior",
    "checked_priors",
    "chosen_priors",
    "has_prior",
    "latest_prior",
    "passed_over",
    "priors_of",
    "records_of",
    "run_of",
]

logger = logging.getLogger(__name__)

IS_IT_THE_SAME = "is it the same device? If it has changed, revoke that one"
"""End of a warning that another run contradicts what no cooldown changes of a device."""

# E_n beyond which a property of a device is taken for that of another one: 6σ.
_OTHER_DEVICE = 3.0
# From these keys of the wiring follows the voltage across the device.
_LINE = ("divider", "series_resistance")


@dataclass(frozen=True)
class Prior:
    """A fit that another analysis needs (None if it failed), its run, and its name in the file of that.

    Whether a user has `chosen` it, and whether it was `simulated`, as far as that is known of one that was chosen. Of
    one that came with an imported run there is no file.
    """

    fit: FitResult | None
    run_path: Path | None
    run_id: str
    name: str
    chosen: bool = False
    simulated: bool = False


def priors_of(analyses: Iterable[Analysis], fits: Mapping[str, FitResult], path: Path, run_id: str) -> dict[str, Prior]:
    """Analysis → its fit as a prior of later runs, of all but secondary analyses."""
    return {a.name: Prior(fits.get(a.name), path, run_id, a.name) for a in analyses if not is_secondary(a)}


def latest_prior(
    ledger: Ledger,
    data: Path,
    analysis: str,
    cooldown: str,
    doubtful: bool,
    *,
    wiring: Mapping[str, Any],
    simulated: bool,
) -> Prior | None:
    """The newest fit of `analysis` in `cooldown`, with its whole covariance; None if the ledger has none.

    One with warnings counts only if `doubtful`. One that was measured with another line has a warning.

    Raises
    ------
    RunFileError, RunNotFoundError
        The ledger has it, but its run or the fit cannot be read.

    """
    latest = ledger.latest(cooldown, simulated, analysis=analysis, doubtful=doubtful)
    if latest is None:
        return None
    path = run_of(latest, data)
    fits, problems = stored_fits(path, {analysis: latest.name_in_file})
    if analysis not in fits:
        raise RunFileError(f"{path}: {problems[analysis]}")
    told = _with_line_told(fits[analysis], read_metadata(path), wiring)
    return Prior(told, path, latest.run_id, latest.name_in_file)


def run_of(calibration: Calibration, data: Path) -> Path:
    """File of the run of a `calibration`; as the folder `data` may have moved since, it is found by its id."""
    path = Path(calibration.run_path)
    return path if path.is_file() else find_run(data, calibration.run_id)


def _with_line_told(fit: FitResult, metadata: Mapping[str, Any], wiring: Mapping[str, Any]) -> FitResult:
    """A fit with a warning where its run, of this `metadata`, had another line than that of the `wiring`."""
    before = metadata["wiring"]
    other = [f"{key} was {before.get(key)}, now {wiring[key]}" for key in _LINE if before.get(key) != wiring[key]]
    if not other:
        return fit
    return replace(fit, warnings=(*fit.warnings, f"it was measured with another wiring: {'; '.join(other)}"))


def chosen_priors(
    runs: Sequence[Path],
    cooldown: str,
    *,
    device: str,
    wiring: Mapping[str, Any],
    dry_run: bool,
    ledger: Ledger | None,
) -> dict[str, Prior]:
    """Analysis → its fit in the `runs` that a user has chosen, of all but secondary analyses; a later run counts.

    Those of another cooldown or line, and those that were revoked, rest on a revoked one, or have expired, have a
    warning.

    Raises
    ------
    RequestError
        A run is that of another device, or has no fit; or a real one is chosen for a dry run.
    RunFileError
        It cannot be read.

    """
    found = {}
    for path in runs:
        stored = stored_run(path)
        metadata = stored.metadata
        measured = device_of(metadata)
        if measured != device:
            raise RequestError(
                f"{path} is a run of the device {measured!r}, and this one is {device!r}: no prior of it"
            )
        if dry_run and not metadata["simulated"]:
            raise RequestError(f"{path} is a run at a fridge; a dry run takes its priors from simulated ones")
        primary = [a.name for a in analyses_of_run(metadata) if not is_secondary(a)]
        fits = {name: stored.fits[name] for name in primary if name in stored.fits}
        if not fits:
            raise RequestError(f"{path} has no fit that may be a prior{': ' if stored.problem else ''}{stored.problem}")
        names = newest_versions(read_fits(path))
        for name, fit in fits.items():
            told = [*_with_line_told(fit, metadata, wiring).warnings]
            if metadata["cooldown"] != cooldown:
                told.append(f"it was measured in another cooldown, {metadata['cooldown']}")
            if ledger is not None:
                entries = of_fit(ledger.calibrations(run_id=stored.run_id), names[name])
                told += [*later_doubts(entries, fit.warnings), *_expiry(entries, ledger.valid_for)]
            known_fit = replace(fit, warnings=tuple(told))
            found[name] = Prior(known_fit, path, stored.run_id, names[name], True, metadata["simulated"])
    return found


def _expiry(entries: Iterable[Calibration], valid_for: Mapping[str, timedelta]) -> list[str]:
    now = datetime.now(UTC)
    old = [e for e in entries if (limit := valid_for.get(e.quantity)) is not None and e.measured + limit <= now]
    return ["it has expired (labnis.valid_for)"] if old else []


def checked_priors(found: Mapping[str, Prior | None], *, simulated: bool) -> dict[str, Prior]:
    """Those that there are; RequestError where one is simulated, and the data, which are not `simulated`, are not."""
    priors = {name: prior for name, prior in found.items() if prior is not None}
    for prior in priors.values():
        if prior.simulated and not simulated:
            raise RequestError(f"{prior.run_path} is a simulated run; real data take their priors from real ones")
    return priors


def records_of(priors: Mapping[str, Prior]) -> list[dict[str, str]]:
    """What a run's metadata say of the `priors` that it used."""
    return [
        {"fit": name, "version": prior.name, "run": str(prior.run_path or ""), "run_id": prior.run_id}
        for name, prior in priors.items()
    ]


def passed_over(
    used: Mapping[str, Prior | None], own: Container[str], ledger: Ledger, cooldown: str, *, simulated: bool
) -> tuple[str, ...]:
    """Statements about fits that are newer than those `used`, by analysis, but in doubt or expired.

    Of those that are the session's `own`, as measured or chosen, nothing is said; RequestError if one is simulated, and
    the data, which are not `simulated`, are not.
    """
    checked_priors(used, simulated=simulated)
    found = []
    for analysis, prior in [(name, prior) for name, prior in used.items() if name not in own]:
        newest = ledger.latest(cooldown, simulated, analysis=analysis, doubtful=True, expired=True)
        if newest is not None and (prior is None or prior.run_id != newest.run_id):
            doubt = f"is in doubt: {newest.warnings} (--accept uses it)" if newest.warnings else ""
            found.append(
                f"does not use the {analysis} fit of run {newest.run_id}, which "
                + (doubt or "has expired (labnis.valid_for)")
            )
    return tuple(found)


def has_prior(
    fits: Mapping[str, Prior], ledger: Ledger, cooldown: str, doubtful: bool, analysis: str, *, dry_run: bool
) -> bool:
    """Whether `analysis` has a fit among those of the session, `fits`, or else in the ledger.

    Unless it is a dry run, only open instruments say whether they are simulated: before, either kind counts.
    """
    if analysis in fits:
        return fits[analysis].fit is not None
    either = (True,) if dry_run else (True, False)
    found = (ledger.latest(cooldown, simulated, analysis=analysis, doubtful=doubtful) for simulated in either)
    return any(one is not None for one in found)


@dataclass(frozen=True)
class Logbook:
    """Enters the results of a session in the ledger.

    Attributes
    ----------
    ledger, cooldown, batch
        The ledger, the name of the cooldown, and the batch id of all results of the session.
    data
        Data folder; results are saved there until the ledger has them.
    code_version, simulated
        Stored with every result.

    """

    ledger: Ledger
    cooldown: str
    batch: str
    data: Path
    code_version: str
    simulated: bool

    def enter(
        self,
        analyses: Iterable[Analysis],
        fits: Mapping[str, FitResult],
        path: Path,
        metadata: Mapping[str, Any],
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> list[str]:
        """Save the results of all but secondary analyses, and enter them, after those of earlier runs.

        Parameters
        ----------
        analyses, fits, path, metadata
            Those of the run.
        names
            Name of the analysis → name of its fit in the file, where it is another one.

        Returns
        -------
        list
            Sentences on results that cannot be entered, which stay saved for later, and on those that contradict the
            calibrations before them.

        Raises
        ------
        LedgerUnavailableError
            The results cannot be saved.

        """
        primary = [a for a in analyses if a.name in fits and not is_secondary(a)]
        known = [_of_run(path, metadata) | {"fit": names.get(a.name, a.name)} for a in primary]
        entries = [
            entry for a, more in zip(primary, known, strict=True) for entry in self._entries(a, fits[a.name], more)
        ]
        if not entries:
            return []
        of_device = {name for analysis in primary for name in getattr(analysis, "of_device", ())}
        told = [text for entry in entries if (text := self._contradiction(entry, of_device))]
        keep_pending(self.data, entries, device=self.ledger.device, cooldown=self.cooldown, batch=self.batch)
        entered, problems = enter_pending(self.data, self.ledger)
        if entered:
            logger.info("the results are in the ledger %s", self.ledger.url)
        return [*problems, *told]

    def compared(
        self, analyses: Iterable[Analysis], fits: Mapping[str, FitResult], path: Path, metadata: Mapping[str, Any]
    ) -> dict[str, FitResult]:
        """The `fits` of a run, with a warning where what a cooldown does not change of a device has changed.

        These are the results that an analysis lists in `of_device`: another device may be at the end of the line.
        """
        found = dict(fits)
        for analysis in analyses:
            of_device = getattr(analysis, "of_device", ())
            if analysis.name not in fits or is_secondary(analysis) or not of_device:
                continue
            entries = self._entries(analysis, fits[analysis.name], _of_run(path, metadata))
            device_only = [entry for entry in entries if entry.quantity in of_device]
            apart = [self._apart(entry, _OTHER_DEVICE, self.cooldown) for entry in device_only]
            told = tuple(f"{one}: {IS_IT_THE_SAME}" for one in apart if one)
            found[analysis.name] = replace(fits[analysis.name], warnings=(*fits[analysis.name].warnings, *told))
        return found

    def _contradiction(self, entry: NewCalibration, of_device: Container[str]) -> str:
        """What a result and the newest one before it that counts say of each other, if that is a contradiction.

        One of a device, such as a resistance, is also compared with that of an earlier cooldown, between which it ages.
        """
        if apart := self._apart(entry, 1.0, self.cooldown):
            return f"{apart}: it has changed, or an assumption of one of them is wrong"
        if entry.quantity in of_device and (apart := self._apart(entry, _OTHER_DEVICE, None)):
            return f"{apart}, of an earlier cooldown: has it aged since, or is it another device?"
        return ""

    def _apart(self, entry: NewCalibration, limit: float, cooldown: str | None) -> str:
        """By how much a result differs from the newest one before it that counts, if that is beyond an E_n.

        In one cooldown, or in any.
        """
        try:
            before = self.ledger.latest(cooldown, self.simulated, quantity=entry.quantity, expired=True)
        except LedgerUnavailableError:  # entering it says so
            return ""
        apart = difference_of(before, entry) if before is not None and not entry.warnings else None
        if before is None or apart is None or before.run_id == entry.run_id or (error := normalized(*apart)) <= limit:
            return ""
        return (
            f"{entry.quantity} differs by {Estimate(*apart, entry.unit)} from that of run {before.run_id}, "
            f"{before.measured.astimezone():%Y-%m-%d %H:%M} (E_n = {error:.3g})"
        )

    def _entries(self, analysis: Analysis, fit: FitResult, known: Mapping[str, Any]) -> list[NewCalibration]:
        """An entry for every result of `analysis`, with what is `known` of its run, model and code."""
        assumed = "; ".join(f"{name}: {statement}" for name, statement in fit.assumed.items())
        return [
            NewCalibration(
                analysis=analysis.name,
                quantity=name,
                value=fit[name].value if name not in fit.limits else None,
                sigma=fit[name].sigma if name not in fit.limits else None,
                limit=fit.limits.get(name),
                unit=fit[name].unit,
                model=fit.model,
                code_version=self.code_version,
                simulated=self.simulated,
                assumed=assumed,
                systematic=fit[name].systematic if name not in fit.limits else None,
                contributions=json.dumps(fit.contributions(name)) if fit.budget is not None else "",
                warnings="; ".join(fit.warnings),
                **known,
            )
            for name in analysis.results
            if name in fit.names
        ]


def _of_run(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """What all calibrations of a run have in common: time and conditions of the measurement, and the fits it used."""
    fit = json.loads(known["context"]["fit"])
    data = open_run(path)
    ranges = {name: np.unique(data[name].values) for name in map(str, data.variables) if name.endswith("_range")}
    conditions = {
        "fridge_temperature": fit["fridge_temperature"],
        "wiring": known["wiring"],
        "instruments": known["instruments"],
        "ranges": {name: used[np.isfinite(used)].tolist() for name, used in ranges.items()},
        "host": known["host"],
    }
    used = [[one.get("version", one["fit"]), one["run_id"]] for one in known["calibrations"]]
    return {
        "run_path": str(path),
        "run_id": known["run_id"],
        "measured": known["start"],
        "conditions": json.dumps(conditions),
        "used": json.dumps(used) if used else "",
    }
