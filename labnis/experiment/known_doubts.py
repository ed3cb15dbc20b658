"""Doubts about the fits of a run that another fit of its data cannot know: by the ledger, and by other runs."""

from collections.abc import Container, Mapping
from pathlib import Path

from labnis.experiment.analysis import analyses_of_run, declared_needs, is_secondary
from labnis.experiment.calibrations import IS_IT_THE_SAME
from labnis.experiment.stored_fits import stored_fits
from labnis.fit import FitResult
from labnis.ledger import Ledger, later_doubts, of_fit, rests_on
from labnis.storage import newest_versions, read_fits, read_metadata

__all__ = ["known_doubts", "of_another_device"]


def of_another_device(fit: FitResult) -> tuple[str, ...]:
    """Warnings of a `fit` that another run contradicts it: no fit of its own data can clear them."""
    return tuple(text for text in fit.warnings if text.endswith(IS_IT_THE_SAME))


def known_doubts(
    path: Path, ledger: Ledger, chosen: Container[str], again: Container[str]
) -> dict[str, tuple[str, ...]]:
    """Analysis → doubts about any new fit of the data of the run at `path`.

    It was revoked, it needs a fit that was revoked or is in doubt, or it seems to be of another device.

    Parameters
    ----------
    path
        File of the run.
    ledger
        Where that is looked up.
    chosen
        Analyses whose fits are no longer those that the run used.
    again
        Ids of runs that are fitted again, too: doubts about their former fits are no longer counted.

    """
    metadata, names = read_metadata(path), newest_versions(read_fits(path))
    used = {one["fit"]: one for one in metadata["calibrations"] if one["fit"] not in chosen}
    fits, own = stored_fits(path)[0], ledger.calibrations(run_id=metadata["run_id"])
    found = {}
    for analysis in analyses_of_run(metadata):
        name = analysis.name
        if is_secondary(analysis) or name not in fits:
            continue
        texts = _of_device(fits[name], name, ledger)
        entries = [one for one in of_fit(own, names.get(name, name)) if one.revoked is not None]
        texts += later_doubts(entries, ())
        for need in set(declared_needs(analysis)) & used.keys():
            texts += _of_prior(ledger, used[need], again)
        found[name] = tuple(dict.fromkeys(texts))
    return {name: texts for name, texts in found.items() if texts}


def _of_device(fit: FitResult, analysis: str, ledger: Ledger) -> list[str]:
    """Warnings that another run contradicts a `fit`, unless that one was revoked."""
    if not (told := of_another_device(fit)):
        return []
    revoked = {one.run_id for one in ledger.calibrations(analysis=analysis) if one.revoked is not None}
    return [text for text in told if not any(f"run {run}" in text for run in revoked)]


def _of_prior(ledger: Ledger, used: Mapping[str, str], again: Container[str]) -> list[str]:
    entries = of_fit(ledger.calibrations(run_id=used["run_id"]), used.get("version", used["fit"]))
    told = [rests_on(one) for one in entries if one.revoked is not None]
    if used["run_id"] not in again:
        told += [one.warnings for one in entries if one.revoked is None and one.warnings]
    return list(dict.fromkeys(told))
