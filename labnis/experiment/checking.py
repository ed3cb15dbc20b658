"""Check of the planned measurements before anything is opened."""

from collections.abc import Callable, Sequence

from pymeasure.experiment import Procedure

from labnis.errors import RequestError
from labnis.experiment.analysis import Analysis, analyses_of, can, fit_order, needs_of, result_units
from labnis.experiment.goals import PrecisionGoal, check_informed, goals_of, parsed_goals
from labnis.experiment.preflight import check_request
from labnis.fit import FitContext
from labnis.station import StationConfig
from procedures import CALIBRATION

__all__ = ["checked"]


def checked(
    procedures: Sequence[Procedure], until: Sequence[str], config: StationConfig, has_prior: Callable[[str], bool]
) -> tuple[list[tuple[Analysis, ...]], tuple[PrecisionGoal, ...]]:
    """The analyses of each of the `procedures`, and the goals `until` which they measure.

    Parameters
    ----------
    procedures
        Configured, in the order in which they will run.
    until
        Goals, such as "gain=0.05dB".
    config
        Of the station.
    has_prior
        Whether an earlier run gave a fit of the analysis of that name.

    Raises
    ------
    RequestError
        A request that is refused; no instrument was touched.

    """
    for procedure in procedures:
        if not isinstance(procedure, Procedure):
            raise RequestError(f"{procedure!r} is not a configured procedure, such as IVSweep(points=101)")
    analyses = [analyses_of(procedure) for procedure in procedures]
    goals = parsed_goals(until, result_units([primary[0] for primary in analyses if primary]))
    coming: set[str] = set()
    context = FitContext(config.wiring_record(), config.device.model_dump(mode="json"))
    for procedure, found in zip(procedures, analyses, strict=True):
        for refusal in (one.refusal(context) for one in found if can(one, "refusal")):  # type: ignore[attr-defined]
            if refusal:
                raise RequestError(f"{type(procedure).__name__}: {refusal}. No instrument was touched.")
        check_informed(procedure, found, goals)
        if goals_of(found, goals):
            needs = [need for need in needs_of(fit_order(found, found[:1])) if need not in coming]
            _check_priors(procedure, found[0], [need for need in needs if not has_prior(need)])
        coming |= {analysis.name for analysis in found}
        check_request(procedure, config)
    return analyses, goals


def _check_priors(procedure: Procedure, analysis: Analysis, lacking: Sequence[str]) -> None:
    """Refuse a goal of `procedure` where its primary `analysis` needs fits that are `lacking`."""
    if not lacking:
        return
    first = [kind.__name__ for kind in CALIBRATION if {a.name for a in analyses_of(kind)} & {*lacking}]
    raise RequestError(
        f"{type(procedure).__name__} cannot reach the goal of --until: its analysis {analysis.name} needs a fit of "
        f"{', '.join(lacking)}, and this cooldown has none; run {', '.join(first) or 'a procedure with that analysis'} "
        "first. No instrument was touched."
    )
