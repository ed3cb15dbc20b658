"""A finished run: its file, its data, its fits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import xarray

from labnis.errors import RequestError
from labnis.experiment.analysis import analyses_of_run
from labnis.experiment.curves import stored_curves
from labnis.experiment.goals import GoalOutcome
from labnis.experiment.stored_fits import stored_fits
from labnis.fit import Estimate, FitContext, FitResult
from labnis.storage import RunFileError, Status, open_run, read_metadata

__all__ = ["Run", "device_of", "of_device", "stored_run"]


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes
    ----------
    path
        Its file.
    run_id, procedure, status
        Attributes of the file.
    rows
        Number of rows in it.
    fits
        Name of the analysis → fit; the primary one first.
    problems
        Name of the analysis → why its fit failed.
    results
        Result name → estimate; those of a secondary analysis as `analysis.result`.
    notes
        Remarks that do not affect the data, in sentences.
    goals
        Outcome of each goal at which the run was to end (`--until`).

    """

    path: Path
    run_id: str
    procedure: str
    status: Status
    rows: int
    fits: Mapping[str, FitResult] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Estimate] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    goals: tuple[GoalOutcome, ...] = ()

    @property
    def fit(self) -> FitResult | None:
        """The fit of the primary analysis; None if there is none."""
        return next(iter(self.fits.values()), None)

    def fit_of(self, result: str) -> FitResult:
        """The fit that a result belongs to; KeyError for an unknown one."""
        if result not in self.results:
            raise KeyError(f"{self.path.name} has no result {result!r}; it has {', '.join(self.results) or 'none'}")
        analysis = result.rpartition(".")[0]
        return self.fits[analysis] if analysis else next(fit for fit in self.fits.values() if result in fit.names)

    @property
    def warnings(self) -> dict[str, tuple[str, ...]]:
        """Name of the analysis → warnings of its fit."""
        return {name: fit.warnings for name, fit in self.fits.items()}

    @property
    def doubtful(self) -> frozenset[str]:
        """Names of the results whose fit has warnings."""
        return frozenset(name for name in self.results if self.fit_of(name).warnings)

    @cached_property
    def curves(self) -> dict[str, xarray.Dataset]:
        """Name of the analysis → what its fit says along a set-point, such as the electron temperature, with its σ."""
        return stored_curves(self.path)

    @cached_property
    def data(self) -> xarray.Dataset:
        """The data, on their grid."""
        return open_run(self.path)

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the run."""
        return read_metadata(self.path)

    @property
    def problem(self) -> str:
        """Why there is no fit, in one sentence; empty if every analysis has one."""
        return "; ".join(self.problems.values())

    def doubted(self, doubts: Mapping[str, Sequence[str]]) -> "Run":
        """The run with `doubts` (analysis → texts; of all of them for "") among the warnings of its fits.

        They are what the ledger says against it, which is not in its file.
        """
        every = tuple(doubts.get("", ()))
        fits = {
            name: replace(fit, warnings=(*fit.warnings, *doubts.get(name, ()), *every))
            for name, fit in self.fits.items()
        }
        return replace(self, fits=fits)

    def plot(self, column: str | None = None) -> Any:
        """Draw data, fit and residuals into a matplotlib Figure; of another `column` than the signal if it is named.

        RequestError for a column that the run does not have.
        """
        from labnis.ui.figures import figure_of  # noqa: PLC0415  # drawing is loaded on demand

        return figure_of([self], column)

    def _mark(self, result: str) -> str:
        return " ?" if result in self.doubtful else ""

    def __repr__(self) -> str:
        found = "".join(f"\n  {name}{self._mark(name)} = {estimate}" for name, estimate in self.results.items())
        return f"<{self.procedure} {self.run_id}: {self.status}, {self.rows} rows, {self.path}>{found}"

    def _repr_html_(self) -> str:
        from html import escape  # noqa: PLC0415  # only notebooks need it

        cells = ((f"{name}{self._mark(name)}", str(estimate)) for name, estimate in self.results.items())
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in cells)
        head = f"{self.procedure} {self.run_id}: {self.status}, {self.rows} rows"
        return f"<b>{escape(head)}</b><br><code>{escape(str(self.path))}</code><table>{rows}</table>"


def stored_run(path: Path | str, versions: Mapping[str, str] = MappingProxyType({})) -> Run:
    """The run in the file at `path`, with its newest fits; a stored fit that cannot be used is one of its problems.

    Of analyses in `versions` it has the fit of the name there, such as "emitted_power@2".

    Raises
    ------
    RunFileError
        It cannot be read, or has no such version.

    """
    path = Path(path)
    if path.is_dir():
        raise RunFileError(f"{path}: a folder; give the file of a run")
    known = read_metadata(path)
    analyses = analyses_of_run(known)
    found, problems = stored_fits(path, versions)
    fits = {analysis.name: found[analysis.name] for analysis in analyses if analysis.name in found} | found
    named = known["context"].get("results", {})
    results = {
        name: fits[analysis][result] for name, (analysis, result) in named.items() if _has(fits, analysis, result)
    }
    return Run(
        path, known["run_id"], known["procedure"], known["status"], known["rows"], fits, problems, results
    )  # fmt: skip


def device_of(metadata: Mapping[str, Any]) -> str:
    """Name of the device of a run, by its metadata; empty where none was given."""
    return str(FitContext.from_json(metadata["context"].get("fit", "{}")).device.get("name", ""))


def _has(fits: Mapping[str, FitResult], analysis: str, result: str) -> bool:
    """Whether the fit of an `analysis` exists, and has the `result`: a component may be absent."""
    return analysis in fits and result in fits[analysis].names


def of_device(paths: Sequence[Path], cooldown: str, device: str) -> list[Path]:
    """Of the runs of a cooldown those of the station's `device`, where several devices have one of that name."""
    devices = {path: device_of(read_metadata(path)) for path in paths}
    if len({*devices.values()}) < 2:
        return list(paths)
    own = [path for path, name in devices.items() if name == device]
    if not own:
        raise RequestError(
            f"the devices {', '.join(sorted({*devices.values()}))} have a cooldown {cooldown!r}, and {device!r} of the "
            "station file has not: name runs, or the station file of one"
        )
    return own
