"""Drift of gain and phase in the course of a run, which the traces themselves measure: one factor for each trace.

Away from the line a trace is known but for the factor by which instruments and amplifiers have changed since the
others. The factors of the traces are exp(Q·θ), with columns Q of mean zero: their common part belongs to what all
traces share, the background of a reflection or the noise of a chain. Both are linear or nearly so, and are eliminated:
for given parameters of a fit the best factors follow by Gauss and Newton (variable projection; Golub & Pereyra,
Inverse Problems 19, R1, with Kaufman's slopes).

A factor for each trace follows every drift, and costs little of σ where the band is a few linewidths. Where it costs
more, the drift is smooth, or none is fitted, unless the data demand it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from labnis.fit.arrays import Real
from labnis.fit.propagation import Evaluated, weight_and_covariance
from labnis.fit.result import FitError, FitResult

__all__ = ["Tangent", "best_factor", "drift_basis", "drift_terms", "widened", "with_drift_taken_out"]

# Name of the number of terms among the inputs of a fit.
_TERMS = "drift_terms"
# Terms of a smooth drift: a straight line and a parabola in time. More are one factor for each trace.
_SMOOTH = 2
# A drift that the data do not demand may widen the uncertainties by this factor.
_WIDER = 1.05
# The data demand a drift where noise alone lowers χ² by as much with this probability.
_BY_CHANCE = 1e-4
# Steps of Gauss and Newton: at most so many, the longest, and the shortest.
_ROUNDS, _LONGEST, _SHORTEST = 20, 0.5, 1e-12

Numbers = NDArray[Any]  # real or complex


def drift_basis(time: Real, terms: int) -> Real:
    """Orthonormal columns of mean zero: polynomials in `time` (n,), or any factor for each trace.

    Returns
    -------
    Real
        Shape (n, terms), or (n, n − 1) for any factors.

    """
    n = time.size
    centred = time - time.mean()
    if terms <= _SMOOTH:
        scaled = centred / max(float(np.abs(centred).max()), np.finfo(float).tiny)
        columns = scaled[:, None] ** np.arange(1, min(terms, n - 1) + 1)
    else:
        columns = np.eye(n)[:, 1:]
    return np.asarray(np.linalg.qr(columns - columns.mean(axis=0))[0])


def drift_terms(fit: FitResult) -> int:
    """Number of terms of the drift in a fit; 0 in fits of earlier versions."""
    return int(fit.inputs.get(_TERMS, 0))


@dataclass(frozen=True)
class Tangent:
    """Changes of expected data by factors of the traces and by what all traces share at each frequency.

    Attributes
    ----------
    basis
        Columns of the drift, shape (n, k).
    expected
        Expected data, shape (n, m): their change by the logarithm of a factor.
    common
        Change of the expected data by the part that all traces share, shape (n, m).
    weight
        Of the data, shape (n, m); 0 where a datum does not count.

    """

    basis: Real
    expected: Numbers
    common: Numbers
    weight: Real

    def split(self, change: Numbers) -> tuple[Numbers, Numbers]:
        """Coefficients of the drift (k,) and common part (m,) that together are closest to a `change` (n, m)."""
        shared = (self._common * change).sum(axis=0) / self._power
        if not self.basis.shape[1]:
            return np.zeros(0), shared
        by_trace = self.basis.T @ (self.weight * self.expected.conj() * change).sum(axis=1)
        drift = np.linalg.solve(self._normal, by_trace - self._follows.conj().T @ (self._power * shared))
        return drift, shared - self._follows @ drift

    def rest(self, change: Numbers) -> Numbers:
        """Part of a `change` (n, m) that neither the drift nor the common part describes."""
        drift, shared = self.split(change)
        return np.asarray(change - self.expected * (self.basis @ drift)[:, None] - self.common * shared)

    @cached_property
    def _common(self) -> Numbers:
        return self.weight * self.common.conj()

    @cached_property
    def _power(self) -> Real:
        """Information about the common part, (m,); 1 at a frequency where no datum counts."""
        power = (self.weight * np.abs(self.common) ** 2).sum(axis=0)
        return np.where(power > 0, power, 1.0)

    @cached_property
    def _follows(self) -> Numbers:
        """By how much the common part takes each column of the drift over, (m, k)."""
        return np.asarray((self._common * self.expected).T @ self.basis / self._power[:, None])

    @cached_property
    def _normal(self) -> Numbers:
        """Normal equations of the drift alone, (k, k)."""
        strength = (self.weight * np.abs(self.expected) ** 2).sum(axis=1)
        whole = self.basis.T @ (strength[:, None] * self.basis)
        left = whole - self._follows.conj().T @ (self._power[:, None] * self._follows)
        # A trace of which no datum counts has any factor: the smallest.
        return np.asarray(left + 1e-12 * np.trace(whole) * np.eye(len(left)))


def best_factor(basis: Real, data: Numbers, tangent: Callable[[Numbers], Tangent]) -> Numbers:
    """Factor of each trace (n,) that brings the expected data closest to the `data` (n, m); its logarithm has mean 0.

    `tangent` is that at given factors, where the common part is the best one for them. Glitches slow the steps down, until the fit leaves them out.
    """
    logarithm = np.zeros(len(data), data.dtype)
    for _ in range(_ROUNDS if basis.shape[1] else 0):
        at = tangent(np.exp(logarithm))
        step = basis @ at.split(data - at.expected)[0]
        size = float(np.abs(step).max())
        logarithm = logarithm + step * min(1.0, _LONGEST / max(size, _SHORTEST))
        if size < _SHORTEST:
            break
    return np.asarray(np.exp(logarithm))


def with_drift_taken_out(
    traces: int, solved: Callable[[int], FitResult], wider: Callable[[FitResult], float], parts: int
) -> FitResult:
    """Return the fit with the most general drift that costs little, or that the data demand.

    Parameters
    ----------
    traces
        Number n of the traces.
    solved
        The fit with so many terms of the drift.
    wider
        By how much the uncertainties of a fit are larger than those without a drift, as a factor.
    parts
        Real numbers for each term: 2 for amplitude and phase, 1 for a gain.

    Raises
    ------
    FitError
        As `solved` without a drift.

    """
    fits = _fits(sorted({*range(_SMOOTH + 1), traces - 1}, reverse=True), solved)
    found = next(fits, None) or solved(0)
    while drift_terms(found) and wider(found) >= _WIDER:
        fewer = next(fits, None)
        if fewer is None or _demanded(found, fewer, parts):
            break
        found = fewer
    return found


def _fits(terms: Iterable[int], solved: Callable[[int], FitResult]) -> Iterator[FitResult]:
    """The fits that succeed; each keeps the number of terms of its drift."""
    for count in terms:
        with suppress(FitError):
            fit = solved(count)
            yield replace(fit, inputs={**fit.inputs, _TERMS: float(count)})


def _demanded(more: FitResult, fewer: FitResult, parts: int) -> bool:
    """Whether the data contradict the smaller number of terms."""
    both = more.mask & fewer.mask
    before, after = (float((fit.residuals[both] ** 2).sum()) for fit in (fewer, more))
    freedom = parts * (drift_terms(more) - drift_terms(fewer))
    return (before - after) / more.noise**2 > float(chi2.isf(_BY_CHANCE, freedom))


def widened(fit: FitResult, without: Evaluated, results: tuple[str, ...]) -> float:
    """By how much the uncertainties of the `results` of a fit are larger than those of its model `without` a drift."""
    x = np.array([fit[name].value for name in without.names])
    slopes = without.model.jacobian(x)[without.model.mask] / fit.noise
    _, covariance = weight_and_covariance(fit, without, slopes)
    variance = dict(zip(without.names, np.diag(covariance), strict=True))
    ratios = [fit[name].sigma / np.sqrt(variance[name]) for name in results if variance.get(name, 0.0) > 0]
    return max(map(float, ratios), default=1.0)
