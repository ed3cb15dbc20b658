"""What one run needs besides its procedure: analyses, goals, priors and the context of its fits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import xarray
from pymeasure.experiment import Procedure

from labnis import __version__
from labnis.experiment.analysis import (
    Analysis,
    FitContext,
    analyse,
    declared_needs,
    fit_order,
    fitted,
    published_name,
)
from labnis.experiment.calibrations import Prior, records_of
from labnis.experiment.goals import PrecisionGoal
from labnis.experiment.preflight import needed_roles
from labnis.experiment.recorder import setpoint_columns
from labnis.fit import FitResult
from labnis.printable import without_passwords
from labnis.station import OpenStation
from labnis.station.amplifier import instruments_of
from labnis.storage import Environment, RunMetadata
from sim_instruments import Twin

__all__ = ["RunPlan", "code_version", "is_one_code", "metadata_of"]

_CHANGES = "+changes"


@dataclass(frozen=True)
class RunPlan:
    """What one run needs besides its procedure.

    Attributes
    ----------
    analyses
        The primary one first.
    goals
        Goals at which the run ends.
    priors
        Name of an analysis that one of `analyses` needs, and which is not among them → its fit and its run.
    context
        Context of the fits: what they need besides the data.
    passed_over
        Statements about newer fits that are no priors, as they are in doubt.

    """

    analyses: tuple[Analysis, ...]
    goals: tuple[PrecisionGoal, ...]
    priors: Mapping[str, Prior]
    context: FitContext
    passed_over: tuple[str, ...] = ()

    @property
    def known(self) -> dict[str, FitResult]:
        """Priors without those that failed."""
        return {name: prior.fit for name, prior in self.priors.items() if prior.fit is not None}

    def with_failures_told(self, fits: Mapping[str, FitResult]) -> dict[str, FitResult]:
        """The `fits`, with a first warning of those that they need and that have failed."""
        failed = {
            name: f"there is no {name} fit, as that of run {prior.run_id} failed, and this one does without: measure "
            "that again first"
            for name, prior in self.priors.items()
            if prior.fit is None
        }
        needs = {analysis.name: declared_needs(analysis) for analysis in self.analyses}
        told = {name: tuple(failed[need] for need in needs[name] if need in failed) for name in fits}
        return {name: replace(fit, warnings=(*told[name], *fit.warnings)) for name, fit in fits.items()}

    def notes(self, own: Mapping[str, Prior]) -> list[str]:
        """Where the fits have their priors from, except those that are the session's `own`."""
        if not self.analyses:
            return ["no analysis is declared (ANALYSES): nothing is fitted"]
        return [*self.passed_over] + [
            f"uses the {name} fit of the {'chosen' if prior.chosen else 'earlier'} run {prior.run_id}, {prior.run_path}"
            for name, prior in self.priors.items()
            if prior.chosen or own.get(name) is not prior
        ]

    def fit_primary(self, data: xarray.Dataset, start: FitResult | None) -> FitResult:
        """Fit `data` by the primary analysis, after those that it needs; raises FitError if that fails."""
        return fitted(self.analyses[0], data, self.context, self.known_with(data), start)

    def known_with(self, data: xarray.Dataset) -> dict[str, FitResult]:
        """Priors of the primary analysis: those known, and fits of `data` by other analyses that it needs."""
        *needed, _ = fit_order(self.analyses, self.analyses[:1])
        return analyse(needed, data, self.context, self.known)[0] | self.known


def code_version(environment: Environment) -> str:
    """Version, commit, and whether the checkout has uncommitted changes."""
    changed = _CHANGES if environment.git_dirty else ""
    return f"{__version__} ({environment.git_commit[:12]}{changed})"


def is_one_code(version: str, other: str) -> bool:
    """Whether two texts of `code_version` are of the same code: with uncommitted changes nobody knows."""
    return version == other and _CHANGES not in version


def metadata_of(
    procedure: Procedure,
    plan: RunPlan,
    station: OpenStation,
    *,
    environment: Environment,
    cooldown: str,
    simulated: bool,
    twin: Twin | None,
    tags: Sequence[str] = (),
    note: str = "",
) -> RunMetadata:
    """Context known when a run starts; a refit needs only this and the data."""
    config, kind = station.config, type(procedure)
    context: dict[str, Any] = {
        "fit": plan.context.as_json(),
        "priors": {name: fit.as_record() for name, fit in plan.known.items()},
        # So that the results can be read where an analysis cannot be imported.
        "results": {published_name(a, name): [a.name, name] for a in plan.analyses for name in a.results},
        # Of those that are open, which an earlier run of the session may have needed.
        "instruments": instruments_of(config.wiring, [config.roles[one] for one in needed_roles([procedure], config)]),
    }
    if plan.goals:
        context["until"] = list(map(str, plan.goals))
    if twin is not None:
        context["instrument_errors"] = dict(twin.instrument_errors)
    return RunMetadata(
        procedure=kind.__name__,
        procedure_class=f"{kind.__module__}.{kind.__qualname__}",
        parameters=procedure.parameter_values(),
        start=datetime.now().astimezone(),
        environment=environment,
        simulated=simulated,
        wiring=config.wiring_record(),
        station_snapshot=station.snapshot(),
        station_text=config.public_text,
        cooldown=cooldown,
        instruments=station.identities(),
        calibrations=records_of(plan.priors),
        seed=twin.seed if twin else None,
        truth_text=twin.truth_text if twin else None,
        tags=list(tags),
        note=without_passwords(note),
        setpoints=setpoint_columns(procedure),
        analyses=[f"{type(analysis).__module__}.{type(analysis).__qualname__}" for analysis in plan.analyses],
        context=context,
    )
