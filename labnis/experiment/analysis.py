"""The protocol of an analysis, and the functions that fit data by it.

An analysis is a class without arguments, named by a procedure in `ANALYSES` by its dotted path. Live fit, fit at the
end, refit, figure and report use the same object. Example of a lab's own analysis::

    class Thresholds:
        name = "thresholds"
        results = {"threshold": "V"}

        def fit(self, data, context, priors, start):
            return {"threshold": (0.31, 0.02)}      # or uncertainties numbers, or a FitResult

        def predict(self, fit, data):               # optional, for figures and residuals
            return {"current": ...}
"""

import inspect
import logging
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import xarray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from labnis.errors import ConfigurationError, RequestError
from labnis.fit import Estimate, FitContext, FitError, FitResult, NotApplicableError, result_from_mapping
from labnis.fit.refitted_budget import budget_by_refits
from labnis.fit.unstated import with_unstated_told
from labnis.station import import_named_in_file, import_object

# Names in files, figures and `analysis.result`.
_NAME = re.compile(r"\w[\w -]*")
# A doubt about what a fit needs begins with this.
_INHERITED = "it uses"

__all__ = [
    "Analysis",
    "FitContext",
    "adjustable",
    "analyse",
    "analyses_of",
    "analyses_of_run",
    "can",
    "declared_needs",
    "fit_order",
    "fitted",
    "is_secondary",
    "known_to",
    "load_class",
    "needs_of",
    "passed_on",
    "published",
    "published_name",
    "result_units",
    "true_results",
]

logger = logging.getLogger(__name__)

NO_BUDGET = "σ has no systematic part; `budget_by_refit = True` in the analysis takes in what the station file states"
"""Note of a fit of an analysis that states no budget."""


class Analysis(Protocol):
    """Protocol of every analysis.

    Optional are `parameters` (those that the fit holds at what `context.fixed` has, and takes with the σ of
    `context.given`: name → unit; without it these are the results), `needs` (names of analyses whose fits it takes as
    priors: of the same run where the procedure declares them, else the newest of the session or the cooldown),
    `secondary` (True where another analysis of the same data is more precise: its results are published as
    `name.result` and are never a prior), `predict(fit, data)`, `left_out(fit, data)`, `residuals(fit, data)` and
    `offsets(fit, data)` (column → values in its shape: expected ones, whether the fit leaves it out, measured less
    expected in units of σ, and what the meter adds), `curves(fit, data)` (a dataset along one coordinate, such as the
    electron temperature against the bias, with each σ as NAME_sigma; or along `point` at each `stage`, with the
    coordinates fridge_temperature of `stage` and device_voltage of both), `sensitivity(fit, data, setpoints, context,
    priors)`, `budgeted(fit, data, context, priors)` (the fit with its budget of systematic uncertainty) or, in its
    place, `budget_by_refit = True` (repeats the fit with data that err as stated), `truth(truth)`, `restarts(fit)`
    (whether a refit by the same code starts at this fit; no subclass inherits it), and `refusal(context)` (why no run
    on such a device can be fitted, said before it is measured; empty if one can).

    Attributes
    ----------
    name
        Name of the fit in the file: letters, digits, "_", "-" and spaces.
    results
        Result → unit; "1" or "" for a plain number. A fit may lack one if its `assumed` says why, as of a component
        that the device does not have.

    """

    name: str
    results: Mapping[str, str]

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Mapping[str, FitResult], start: FitResult | None
    ) -> FitResult | Mapping[str, Any]:
        """Fit `data`; raises FitError if they do not determine the results, NotApplicableError for none to fit."""


def load_class(path: str, what: str, *, in_file: bool) -> type:
    """The class at the dotted `path`, which may be named `in_file`; error messages call it a `what`.

    Raises
    ------
    RequestError
        The class does not exist, or its module cannot be imported.

    """
    try:
        found = (import_named_in_file if in_file else import_object)(path) if "." in path else None
    except ConfigurationError as error:
        raise RequestError(f"{what} {path!r}: {error}") from error
    if not inspect.isclass(found):
        raise RequestError(f"no {what} {path!r}: a dotted path to a class is needed")
    return found


def _loaded(path: str | type, *, in_file: bool = False) -> Analysis:
    kind = load_class(path, "analysis", in_file=in_file) if isinstance(path, str) else path
    missing = [name for name in ("name", "results", "fit") if not hasattr(kind, name)]
    if missing:
        raise RequestError(f"{_path_of(kind)} is not an analysis: it lacks {', '.join(missing)}")
    try:
        analysis: Analysis = kind()
    except Exception as error:
        raise RequestError(
            f"the analysis {_path_of(kind)} cannot be made by {kind.__name__}(): {type(error).__name__}: {error}"
        ) from error
    if wrong := _wrong(analysis):
        raise RequestError(f"the analysis {_path_of(kind)}: {wrong}")
    return analysis


def _path_of(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _wrong(analysis: Any) -> str:
    """What is wrong with the declarations of `analysis`; empty if nothing is."""
    results, needs = analysis.results, declared_needs(analysis)
    if not _is_name(analysis.name):
        return f"name is {analysis.name!r}; a text of letters, digits, '_', '-' and spaces is needed"
    if not isinstance(results, Mapping) or not results:
        return f"results is {results!r}; a mapping of names to units is needed, such as {{'threshold': 'V'}}"
    for name, unit in results.items():
        if not _is_name(name) or not isinstance(unit, str):
            return (
                f"results has {name!r}: {unit!r}; a name is a text of letters, digits, '_', '-' and spaces, and a unit "
                "a text, that of a number '1'"
            )
    if isinstance(needs, str) or not isinstance(needs, Iterable) or not all(isinstance(need, str) for need in needs):
        return f"needs is {needs!r}; a sequence of names of analyses is needed, such as ('current_voltage',)"
    return ""


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def analyses_of(procedure: Any) -> tuple[Analysis, ...]:
    """The analyses that a procedure, or its class, declares; the primary one first.

    Raises
    ------
    RequestError
        One of them cannot be loaded, two have the same name or publish the same result, or they need each other.

    """
    paths = getattr(procedure, "ANALYSES", ())
    if (
        isinstance(paths, str)
        or not isinstance(paths, Iterable)
        or not all(isinstance(path, str | type) for path in paths)
    ):
        raise RequestError(f"ANALYSES is {paths!r}; a sequence of dotted paths is needed, as in ('ourlab.fits.Line',)")
    found = tuple(_loaded(path) for path in paths)
    if twice := _repeated([analysis.name for analysis in found]):
        raise RequestError(f"two analyses are called {', '.join(twice)}; each needs a unique name")
    if twice := _repeated([published_name(analysis, result) for analysis in found for result in analysis.results]):
        names = ", ".join(analysis.name for analysis in found if {*twice} & {*analysis.results})
        raise RequestError(f"{', '.join(twice)} is a result of several analyses, {names}; each result needs one")
    fit_order(found)
    return found


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def declared_needs(analysis: Analysis) -> Iterable[str]:
    """What `analysis` declares in `needs`, which is optional."""
    needs: Iterable[str] = getattr(analysis, "needs", ())
    return needs


def needs_of(analyses: Iterable[Analysis]) -> list[str]:
    """Names of the analyses that `analyses` need, without `analyses` themselves."""
    analyses = tuple(analyses)
    own = {analysis.name for analysis in analyses}
    needs = dict.fromkeys(need for analysis in analyses for need in declared_needs(analysis))
    return [need for need in needs if need not in own]


def fit_order(analyses: Sequence[Analysis], wanted: Sequence[Analysis] | None = None) -> list[Analysis]:
    """`wanted` (all by default) and those of `analyses` that they need, each after those that it needs.

    Raises
    ------
    RequestError
        Analyses need each other, or need a secondary one, which is never a prior.

    """
    own = {analysis.name: analysis for analysis in analyses}

    def chain(name: str, before: tuple[str, ...]) -> list[str]:
        if name in before:
            raise RequestError(f"analyses need each other: {' needs '.join((*before, name))}")
        if before and is_secondary(own[name]):
            raise RequestError(f"the analysis {before[-1]} needs {name}, which is secondary: its fit is never a prior")
        needs = [need for need in declared_needs(own[name]) if need in own]
        return [first for need in needs for first in chain(need, (*before, name))] + [name]

    return [own[name] for name in dict.fromkeys(name for one in wanted or analyses for name in chain(one.name, ()))]


def passed_on(analyses: Iterable[Analysis], fits: Mapping[str, FitResult]) -> dict[str, FitResult]:
    """Those `fits` that may be priors: of all but secondary analyses."""
    return {a.name: fits[a.name] for a in analyses if a.name in fits and not is_secondary(a)}


def is_secondary(analysis: Analysis) -> bool:
    """Whether the results of `analysis` are published as `name.result` and never a prior."""
    return bool(getattr(analysis, "secondary", False))


def analyses_of_run(metadata: Mapping[str, Any]) -> tuple[Analysis, ...]:
    """The analyses named in a run's metadata; those that cannot be loaded here, or must not be, are omitted."""
    found = []
    for path in metadata["analyses"]:
        try:
            found.append(_loaded(path, in_file=True))
        except RequestError:  # a lab's own package may be missing where its files are read
            continue
    return tuple(found)


def adjustable(analysis: Analysis) -> Mapping[str, str]:
    """Parameters of the fit that may be held, or given with a σ: name → unit."""
    found: Mapping[str, str] = getattr(analysis, "parameters", analysis.results)
    return found


def can(analysis: Analysis, ability: str) -> bool:
    """Whether `analysis` has the optional method `ability`."""
    return callable(getattr(analysis, ability, None))


def fitted(
    analysis: Analysis,
    data: xarray.Dataset,
    context: FitContext,
    priors: Mapping[str, FitResult],
    start: FitResult | None,
) -> FitResult:
    """Fit `data` by `analysis`, and convert its results to a FitResult; it inherits doubts about what it needs.

    Raises
    ------
    FitError
        The data do not determine the results, or the fit lacks declared results.

    """
    found = analysis.fit(data, known_to(analysis, context), priors, start)
    result = found if isinstance(found, FitResult) else result_from_mapping(analysis.name, found, analysis.results)
    absent = [name for name in analysis.results if name not in result.names and name not in result.assumed]
    if absent:
        raise FitError(f"{analysis.name} declares {', '.join(absent)}, which its fit does not contain")
    used = {need: priors[need] for need in declared_needs(analysis) if need in priors}
    # What an earlier fit has inherited itself is told once, of the fit that it is of.
    inherited = dict.fromkeys(
        text if text.startswith(_INHERITED) else f"{_INHERITED} {need}, which is in doubt: {text}"
        for need, fit in used.items()
        for text in fit.warnings
    )
    return replace(result, warnings=(*result.warnings, *inherited, *context.not_held(result, analysis.name)))


def known_to(analysis: Analysis, context: FitContext) -> FitContext:
    """The `context` with what is known of parameters of `analysis`; all of it where that declares none."""
    return context.of_parameters(analysis.parameters) if hasattr(analysis, "parameters") else context


def _budgeted(
    analysis: Analysis, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Mapping[str, FitResult]
) -> FitResult:
    """The fit with its budget, where uncertainties are stated and `analysis` can tell what they do to it."""
    own = can(analysis, "budgeted")
    if context.sources is None or (not own and fit.budget is not None):
        return with_unstated_told(fit)
    if not own and not getattr(analysis, "budget_by_refit", False):
        return replace(fit, notes=(*fit.notes, f"{analysis.name}: {NO_BUDGET}"))
    try:
        known = known_to(analysis, context)
        found: FitResult
        if own:
            found = analysis.budgeted(fit, data, known, priors)  # type: ignore[attr-defined]  # optional
        else:
            found = budget_by_refits(fit, lambda d, p: fitted(analysis, d, known, p, fit), data, known, priors)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the fit is valid without
        doubt = f"its systematic uncertainty is not known: {type(error).__name__}: {error}"
        return replace(fit, warnings=(*fit.warnings, doubt))
    return with_unstated_told(found)


def analyse(
    analyses: Sequence[Analysis],
    data: xarray.Dataset | None,
    context: FitContext,
    priors: Mapping[str, FitResult],
    starts: Mapping[str, FitResult] | None = None,
) -> tuple[dict[str, FitResult], dict[str, str]]:
    """Fit `data` by each of `analyses`, with the fits of those that it needs as priors.

    Parameters
    ----------
    analyses
        The primary one first.
    data
        Of the run; None if there are no rows.
    context, priors
        Passed to every fit; a fit in `priors` takes the place of the one made here.
    starts
        Analysis → earlier fit of the same data, at which its own starts.

    Returns
    -------
    tuple
        Fits, and reasons of failed ones, by the analysis's name; one that does not apply to the data is in neither.

    """
    fits: dict[str, FitResult] = {}
    problems: dict[str, str] = {}
    if data is None:
        return fits, problems
    for analysis in fit_order(analyses):
        logger.info("fitting: %s", analysis.name)
        known = {**passed_on(analyses, fits), **priors}
        try:
            with threadpool_limits(1):  # threads of narrow matrices wait for each other: up to three times as long
                fit = fitted(analysis, data, context, known, (starts or {}).get(analysis.name))
                fits[analysis.name] = _budgeted(analysis, fit, data, context, known)
        except NotApplicableError:
            continue
        except FitError as error:
            problems[analysis.name] = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the data are safe; a failing fit is only reported
            absent = ", ".join(need for need in declared_needs(analysis) if need not in known)
            told = f"{type(error).__name__}: {error}{_repair(error, analysis)}"
            problems[analysis.name] = f"it needs the fit of {absent}, and there is none" if absent else told
    return {analysis.name: fits[analysis.name] for analysis in analyses if analysis.name in fits}, problems


def _repair(error: BaseException, analysis: Analysis) -> str:
    """Where a fit raised `error`: file and line, the last one in the folder of the analysis; and what to do."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(Path(frames[0].filename).parent)]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    module = type(analysis).__module__
    again = "labnis.refit(PATH)" if module.startswith("labnis.") else f"`import {module}`, then labnis.refit(PATH)"
    return f"{place}. The rows are saved: once this is repaired, {again} fits them again."


def published(analyses: Iterable[Analysis], fits: Mapping[str, FitResult]) -> dict[str, Estimate]:
    """Results by name; those of a secondary analysis as `analysis.result`."""
    fitted_by = [(analysis, fits[analysis.name]) for analysis in analyses if analysis.name in fits]
    return {published_name(a, name): fit[name] for a, fit in fitted_by for name in a.results if name in fit.names}


def published_name(analysis: Analysis, result: str) -> str:
    """Name under which a `result` of `analysis` is published."""
    return f"{analysis.name}.{result}" if is_secondary(analysis) else result


def result_units(analyses: Sequence[Analysis]) -> dict[str, str]:
    """Unit of every published result."""
    return {published_name(a, name): unit or "1" for a in analyses for name, unit in a.results.items()}


def true_results(analyses: Iterable[Analysis], truth: Mapping[str, float]) -> dict[str, float]:
    """True value of every published result of the twin; those of analyses without `truth` are omitted."""
    known: dict[str, float] = {}
    for analysis in analyses:
        if can(analysis, "truth"):
            found: Mapping[str, float] = analysis.truth(truth)  # type: ignore[attr-defined]  # optional
            known |= {published_name(analysis, name): value for name, value in found.items()}
    return known
