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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import xarray

from labnis.errors import ConfigurationError, RequestError
from labnis.fit import Estimate, FitContext, FitError, FitResult, result_from_mapping
from labnis.station import import_object

__all__ = [
    "Analysis",
    "FitContext",
    "analyse",
    "analyses_of",
    "analyses_of_run",
    "can",
    "fitted",
    "load_class",
    "published",
    "published_name",
    "result_units",
    "true_results",
]


class Analysis(Protocol):
    """Protocol of every analysis.

    Optional are `needs` (names of analyses whose results it takes as priors), `secondary` (True where another analysis
    of the same data is more precise: its results are published as `name.result` and are never a prior),
    `predict(fit, data)`, `sensitivity(fit, data, setpoints, context, priors)` and `truth(truth)`.

    Attributes
    ----------
    name
        Name of the fit in the file.
    results
        Result → unit.

    """

    name: str
    results: Mapping[str, str]

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Mapping[str, FitResult], start: FitResult | None
    ) -> FitResult | Mapping[str, Any]:
        """Fit `data`; raises FitError if they do not determine the results."""


def load_class(path: str, what: str) -> type:
    """The class at the dotted `path`; error messages call it a `what`.

    Raises
    ------
    RequestError
        The class does not exist, or its module cannot be imported.

    """
    try:
        found = import_object(path) if "." in path else None
    except ConfigurationError as error:
        raise RequestError(f"{what} {path!r}: {error}") from error
    if not inspect.isclass(found):
        raise RequestError(f"no {what} {path!r}: a dotted path to a class is needed")
    return found


def _loaded(path: str | type) -> Analysis:
    kind = load_class(path, "analysis") if isinstance(path, str) else path
    missing = [name for name in ("name", "results", "fit") if not hasattr(kind, name)]
    if missing:
        raise RequestError(f"{kind.__module__}.{kind.__qualname__} is not an analysis: it lacks {', '.join(missing)}")
    analysis: Analysis = kind()
    return analysis


def analyses_of(procedure: Any) -> tuple[Analysis, ...]:
    """The analyses that a procedure, or its class, declares; the primary one first.

    Raises
    ------
    RequestError
        One of them cannot be loaded, or two have one name.

    """
    found = tuple(_loaded(path) for path in getattr(procedure, "ANALYSES", ()))
    names = [analysis.name for analysis in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RequestError(f"two analyses are called {', '.join(sorted(twice))}; each needs a unique name")
    return found


def analyses_of_run(metadata: Mapping[str, Any]) -> tuple[Analysis, ...]:
    """The analyses named in a run's metadata; those that cannot be loaded here are omitted."""
    found = []
    for path in metadata["analyses"]:
        try:
            found.append(_loaded(path))
        except RequestError:  # a lab's own package may be missing where its files are read
            continue
    return tuple(found)


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
    """Fit `data` by `analysis`, and convert its results to a FitResult.

    Raises
    ------
    FitError
        The data do not determine the results, or the fit lacks declared results.

    """
    found = analysis.fit(data, context, priors, start)
    result = found if isinstance(found, FitResult) else result_from_mapping(analysis.name, found, analysis.results)
    absent = [name for name in analysis.results if name not in result.names]
    if absent:
        raise FitError(f"{analysis.name} declares {', '.join(absent)}, which its fit does not contain")
    return result


def analyse(
    analyses: Sequence[Analysis], data: xarray.Dataset | None, context: FitContext, priors: Mapping[str, FitResult]
) -> tuple[dict[str, FitResult], dict[str, str]]:
    """Fit `data` by each of `analyses`, from a fresh start.

    Returns
    -------
    tuple
        Fits by the analysis's name; reasons of the failed fits by the analysis's name.

    """
    fits: dict[str, FitResult] = {}
    problems: dict[str, str] = {}
    if data is None:
        return fits, problems
    for analysis in analyses:
        try:
            fits[analysis.name] = fitted(analysis, data, context, priors, None)
        except FitError as error:
            problems[analysis.name] = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the data are safe; a failing fit is only reported
            problems[analysis.name] = f"{type(error).__name__}: {error}"
    return fits, problems


def published(analyses: Iterable[Analysis], fits: Mapping[str, FitResult]) -> dict[str, Estimate]:
    """Results by name; those of a secondary analysis as `analysis.result`."""
    results = {}
    for analysis in analyses:
        fit = fits.get(analysis.name)
        for name in analysis.results if fit is not None else ():
            results[published_name(analysis, name)] = fit[name]  # type: ignore[index]  # not None here
    return results


def published_name(analysis: Analysis, result: str) -> str:
    """Name under which a `result` of `analysis` is published."""
    return f"{analysis.name}.{result}" if getattr(analysis, "secondary", False) else result


def result_units(analyses: Sequence[Analysis]) -> dict[str, str]:
    """Unit of every published result."""
    return {published_name(a, name): unit for a in analyses for name, unit in a.results.items()}


def true_results(analyses: Iterable[Analysis], truth: Mapping[str, float]) -> dict[str, float]:
    """True value of every published result of the twin; those of analyses without `truth` are omitted."""
    known: dict[str, float] = {}
    for analysis in analyses:
        if can(analysis, "truth"):
            found: Mapping[str, float] = analysis.truth(truth)  # type: ignore[attr-defined]  # optional
            known |= {published_name(analysis, name): value for name, value in found.items()}
    return known
