"""The result of a fit: values with one covariance, quality of the fit, assumptions, warnings and notes."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from html import escape
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from uncertainties import UFloat, correlated_values_norm, covariance_matrix, ufloat  # type: ignore[import-untyped]

from labnis.accuracy import Budget
from labnis.fit.estimate import Estimate

__all__ = ["FitError", "FitResult", "NotApplicableError", "result_from_mapping"]

Real = NDArray[np.float64]

_ARRAYS = ("values", "sigma", "covariance")
# The report leaves out correlations below this.
_REPORTED = 0.1


class FitError(Exception):
    """Data that cannot be fitted, or a fit that did not converge; the message has the reason and what to do."""


class NotApplicableError(FitError):
    """Data of another kind than the analysis is for; nothing is fitted, and nothing is reported."""


@dataclass(frozen=True, repr=False)
class FitResult:
    """The result of one fit. Its parts are converted to plain types; FitError names a part that cannot be right.

    Attributes
    ----------
    model
        Name of the model, as the ledger records it.
    names, units
        Of the parameters, in the order of `values` and `covariance`; a unit "" becomes "1".
    values
        Best values, shape (n,).
    covariance
        Their covariance, shape (n, n); parameters with a prior include it, fixed parameters have zeros.
    chi2, degrees_of_freedom
        Of the data alone, in units of the noise estimated from differences of neighbouring residuals: χ²/ν is 1 within
        1/√ν for random residuals, and larger where the model leaves structure.
    noise
        Standard deviation of one datum (unit of the data, or relative where the model says so), from all residuals.
    assumed
        Assumptions: name → statement.
    warnings
        Reasons to doubt the values or their uncertainties.
    notes
        What was done with the data that changes nothing, such as a few glitches that were left out.
    inputs
        Numbers that the model needs besides its parameters, such as series_resistance (ohm): name → value.
    limits
        Upper limits (95 %) of parameters that the data do not determine: name → limit.
    budget
        Systematic uncertainty by source; None where nothing is stated. `covariance` does not contain it, except for
        sources that the fit has as a prior.
    residuals, mask
        Data minus model, in the order of the data, in units of equal scatter, and which of the data count; not part of
        the record.

    """

    model: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Real
    covariance: Real
    chi2: float = 0.0
    degrees_of_freedom: int = 0
    noise: float = 0.0
    assumed: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    inputs: Mapping[str, float] = field(default_factory=dict)
    budget: Budget | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    residuals: Real = field(default_factory=lambda: np.zeros(0), compare=False)
    mask: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool), compare=False)

    def __post_init__(self) -> None:
        """Convert and check the parts."""
        for part, convert in _PLAIN.items():
            given = getattr(self, part)
            try:
                object.__setattr__(self, part, convert(given))
            except (TypeError, ValueError, AttributeError, OverflowError) as error:
                raise FitError(f"{self.model}: {part} of a FitResult cannot be {given!r:.200}: {error}") from error
        n = len(self.names)
        if len(set(self.names)) < n or len(self.units) != n:
            raise FitError(f"{self.model}: the names {self.names} must differ, and have one unit each: {self.units}")
        if self.values.shape != (n,) or self.covariance.shape != (n, n):
            raise FitError(
                f"{self.model}: values and covariance of {n} parameters must have the shapes {(n,)} and {(n, n)}, "
                f"not {self.values.shape} and {self.covariance.shape}"
            )
        if self.budget is not None and self.budget.columns.shape != (n, len(self.budget.sources)):
            raise FitError(f"{self.model}: the budget of {n} values has the shape {self.budget.columns.shape}")
        finite = np.isfinite(self.values) & np.isfinite(self.covariance).all(axis=1)
        for i in np.flatnonzero(~(finite & (np.diag(self.covariance) >= 0))):
            raise FitError(
                f"{self.model}: {self.names[i]} has the value {self.values[i]:g} and the variance "
                f"{self.covariance[i, i]:g}; values and covariances must be finite, and variances 0 or more"
            )

    def __getitem__(self, name: str) -> Estimate:
        """Return the estimate of one parameter, with its total uncertainty; KeyError names the known ones."""
        i = self._index(name)
        value, variance, limit = float(self.values[i]), float(self.covariance[i, i]), self.limits.get(name)
        if self.budget is None:
            return Estimate(value, math.sqrt(variance), self.units[i], limit=limit)
        systematic = float(self.budget.variance[i])
        noise = max(variance - float(self.budget.within[i, i]), 0.0)
        return Estimate(value, math.sqrt(noise + systematic), self.units[i], math.sqrt(systematic), limit)

    @property
    def sigma(self) -> Real:
        """Standard uncertainties by the covariance, without the budget, shape (n,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Parameter → estimate."""
        return {name: self[name] for name in self.names}

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are not known exactly (σ > 0)."""
        return tuple(name for name, sigma in zip(self.names, self.sigma, strict=True) if sigma > 0)

    @property
    def by_name(self) -> dict[str, float]:
        """Parameter → value."""
        return dict(zip(self.names, map(float, self.values), strict=True))

    def contributions(self, name: str) -> dict[str, float]:
        """Change of one parameter by one standard uncertainty of each source: uid → change; empty without a budget."""
        if self.budget is None:
            return {}
        column = self.budget.columns[self._index(name)].tolist()
        return dict(zip((source.uid for source in self.budget.sources), column, strict=True))

    def select(self, names: Sequence[str]) -> Self:
        """Return the same fit restricted to some of its parameters (for use as a prior)."""
        index = [self._index(name) for name in names]
        budget = self.budget
        return replace(
            self,
            budget=None if budget is None else replace(budget, columns=budget.columns[index]),
            names=tuple(names),
            units=tuple(self.units[i] for i in index),
            values=self.values[index],
            covariance=self.covariance[np.ix_(index, index)],
        )

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise KeyError(f"{self.model} has no parameter {name!r}; it has {', '.join(self.names)}")
        return self.names.index(name)

    def as_record(self) -> dict[str, Any]:
        """Return plain types, for storage and JSON."""
        return {
            "model": self.model,
            "parameters": list(self.names),
            "units": list(self.units),
            "values": self.values,
            "sigma": self.sigma,
            "covariance": self.covariance,
            "chi2": self.chi2,
            "dof": self.degrees_of_freedom,
            "noise": self.noise,
            "assumed": dict(self.assumed),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "inputs": dict(self.inputs),
            "budget": None if self.budget is None else self.budget.as_record(),
            "limits": dict(self.limits),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Inverse of `as_record`; records of earlier versions lack budget, limits, notes, inputs, or noise (NaN)."""
        budget = record.get("budget")
        return cls(
            record["model"],
            record["parameters"],
            record["units"],
            record["values"],
            record["covariance"],
            record["chi2"],
            record["dof"],
            record.get("noise", math.nan),
            record["assumed"],
            record["warnings"],
            record.get("notes", ()),
            record.get("inputs", {}),
            None if budget is None else Budget.from_record(budget),
            record.get("limits", {}),
        )

    def as_json(self) -> str:
        """Return the record as JSON; `from_json` reads it back."""
        return json.dumps({key: np.asarray(v).tolist() if key in _ARRAYS else v for key, v in self.as_record().items()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of `as_json`."""
        return cls.from_record(json.loads(text))

    def as_uncertainties(self) -> dict[str, UFloat]:
        """Return the parameters as numbers of the `uncertainties` package, which propagate their correlations.

        Fits of different runs share the variable of a source, so that in differences and ratios its effect cancels as
        far as it is the same.
        """
        if self.budget is None:
            pairs = list(zip(self.values.tolist(), self.sigma.tolist(), strict=True))
            return dict(zip(self.names, correlated_values_norm(pairs, self.correlation), strict=True))
        noise = replace(self, covariance=_without(self.covariance, self.budget.within), budget=None)
        shared = [_variable(source.uid) for source in self.budget.sources]
        return {
            name: number + sum(c * variable for c, variable in zip(row, shared, strict=True))
            for (name, number), row in zip(noise.as_uncertainties().items(), self.budget.columns.tolist(), strict=True)
        }

    @property
    def correlation(self) -> Real:
        """Correlation matrix, shape (n, n); a parameter without uncertainty correlates with none."""
        known = np.where(self.sigma > 0, self.sigma, 1.0)
        return np.where(np.eye(known.size, dtype=bool), 1.0, self.covariance / np.outer(known, known))

    def __repr__(self) -> str:
        """One line with all values."""
        return f"<{self.model}: {', '.join(f'{name} = {estimate}' for name, estimate in self.estimates.items())}>"

    def __str__(self) -> str:
        """As `report`."""
        return self.report()

    def report(self) -> str:
        """Return a report in the manner of lmfit: parameters, correlations, assumptions, warnings and notes."""
        width = max(map(len, self.names), default=0) + 1
        lines = _section("Model", [self.model])
        if self.degrees_of_freedom:
            lines += _section("Fit Statistics", [f"{name:<21} = {value}" for name, value in self._statistics()])
        lines += _section("Variables", [f"{name + ':':<{width}} {text}" for name, text in self._values()])
        lines += _section(f"Correlations (unreported are < {_REPORTED})", self._correlations())
        lines += _section("Assumed", [f"{name}: {statement}" for name, statement in self.assumed.items()])
        lines += _section("Warnings", self.warnings)
        lines += _section("Notes", self.notes)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """For a notebook."""
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in self._values())
        statistics = ", ".join(f"{name} {value}" for name, value in self._statistics())
        assumed = (f"assumed {name}: {statement}" for name, statement in self.assumed.items())
        texts = (*(f"warning: {text}" for text in self.warnings), *self.notes, *assumed)
        listed = "".join(f"<li>{escape(text)}</li>" for text in texts)
        return (
            f"<table><caption>{escape(self.model)}</caption><tr><th>parameter</th><th>value ± σ</th></tr>{rows}</table>"
            f"<p>{escape(statistics)}</p><ul>{listed}</ul>"
        )

    def _statistics(self) -> list[tuple[str, str]]:
        return [
            ("degrees of freedom", f"{self.degrees_of_freedom}"),
            ("χ²/ν", f"{self.chi2 / max(self.degrees_of_freedom, 1):.5g}"),
            ("noise of one datum", f"{self.noise:.4g}"),
        ]

    def _values(self) -> list[tuple[str, str]]:
        """Name and text of every parameter, with its relative uncertainty where that is below 100 %."""
        texts = []
        for name, found in self.estimates.items():
            known = found.limit is None and 0 < found.sigma < abs(found.value)
            part = f" ({100 * found.sigma / abs(found.value):.2g} %)" if known else ""
            texts.append((name, f"{found}{part if found.sigma else ' (fixed)'}"))
        return texts

    def _correlations(self) -> list[str]:
        first, second = np.triu_indices(len(self.names), 1)
        found = self.correlation[first, second]
        strong = sorted(zip(np.abs(found), found, first, second, strict=True), reverse=True)
        return [f"C({self.names[i]}, {self.names[j]}) = {c:+.3f}" for size, c, i, j in strong if size >= _REPORTED]


@cache
def _variable(uid: str) -> UFloat:
    """The error of a source, in its standard uncertainties: one variable for all fits."""
    return ufloat(0.0, 1.0, uid)


def _without(covariance: Real, part: Real) -> Real:
    """`covariance` less a `part` of it, without variances below 0."""
    rest = covariance - part
    at = np.arange(rest.shape[0])
    rest[at, at] = np.maximum(rest[at, at], 0.0)
    return np.asarray(rest)


def result_from_mapping(model: str, results: Mapping[str, Any], units: Mapping[str, str] | None = None) -> FitResult:
    """Return a FitResult from a mapping of names to numbers with uncertainties.

    Parameters
    ----------
    model
        Name of the model.
    results
        Name → number of the `uncertainties` package, pair (value, σ), or Estimate. Correlations between numbers of
        `uncertainties` are kept; pairs are independent.
    units
        Name → unit; those of an Estimate come first, and "1" where there is none.

    Raises
    ------
    FitError
        For a value of another kind, or one that is not finite.

    """
    if not isinstance(results, Mapping) or not results:
        raise FitError(
            f"{model} returned no results but {results!r}; return a mapping such as {{'threshold': (value, sigma)}}"
        )
    units, names = units or {}, tuple(map(str, results))
    pairs = [_pair(model, name, value) for name, value in results.items()]
    correlated = [i for i, value in enumerate(results.values()) if isinstance(value, UFloat)]
    covariance = np.diag([sigma**2 for _, sigma in pairs])
    if correlated:
        covariance[np.ix_(correlated, correlated)] = covariance_matrix([[*results.values()][i] for i in correlated])
    found = (getattr(value, "unit", units.get(name, "1")) for name, value in results.items())
    return FitResult(model, names, tuple(found), np.array([value for value, _ in pairs]), covariance)


def _pair(model: str, name: str, value: Any) -> tuple[float, float]:
    """Value and σ of a number with uncertainty."""
    try:
        if isinstance(value, UFloat):
            found, sigma = value.nominal_value, value.std_dev
        else:
            found, sigma = (value.value, value.sigma) if isinstance(value, Estimate) else map(_number, value)
    except (TypeError, ValueError) as error:
        raise FitError(
            f"{model} returned {value!r} for {name}; a number of `uncertainties` or a pair (value, sigma) is needed"
        ) from error
    if not (np.isfinite(found) and 0 <= sigma < np.inf):
        raise FitError(f"{model} returned {value!r} for {name}, which is not a finite value with a σ of 0 or more")
    return float(found), float(sigma)


def _number(value: Any) -> float:
    """As float(), but text is refused: the text "12" is no pair of numbers."""
    if isinstance(value, str):
        raise TypeError(f"the text {value!r} is no number")
    return float(value)


def _text(value: Any) -> str:
    if not (isinstance(value, str) and value):
        raise TypeError("a text is needed")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        raise TypeError("several texts are needed, as in ('gap',)")
    return tuple(map(_text, values))


# Part of a FitResult → its conversion to the plain type, which refuses what it cannot be.
_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "model": _text,
    "names": _texts,
    "units": lambda units: tuple("1" if unit == "" else _text(unit) for unit in units),
    "values": lambda values: np.asarray(values, dtype=np.float64),
    "covariance": lambda values: np.asarray(values, dtype=np.float64),
    "chi2": float,
    "degrees_of_freedom": int,
    "noise": float,
    "assumed": lambda assumed: {str(name): str(statement) for name, statement in assumed.items()},
    "warnings": _texts,
    "notes": _texts,
    "inputs": lambda inputs: {str(name): float(value) for name, value in inputs.items()},
    "limits": lambda limits: {str(name): float(value) for name, value in limits.items()},
}


def _section(title: str, lines: Sequence[str]) -> list[str]:
    """A headed part of the report; empty without lines."""
    return [f"[[{title}]]", *(f"    {line}" for line in lines)] if lines else []
