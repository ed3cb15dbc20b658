"""Drift of gain and phase in the course of a run, which the traces themselves measure: one factor for each trace.

Away from the line a trace is known but for the factor by which instruments and amplifiers have changed since the
others. The factors of the traces are exp(Q·θ), with columns Q of mean zero: their common part belongs to what all
traces share, the background of a reflection or the noise of a chain. Both are linear or nearly so, and are eliminated:
for given parameters of a fit the best factors follow by Gauss and Newton (variable projection; Golub & Pereyra,
Inverse Problems 19, R1, with Kaufman's slopes).

A factor for each trace follows every drift, and costs little of σ where the band is a few linewidths. Where it costs
more, the drift is smooth, or none is fitted, unless the data demand it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from labnis.fit.arrays import Real
from labnis.fit.propagation import Evaluated, weight_and_covariance
from labnis.fit.result import FitError, FitResult

__all__ = [
    "NARROW",
    "SeenDrift",
    "Tangent",
    "best_factor",
    "drift_basis",
    "drift_terms",
    "follows_each_trace",
    "seen_drift",
    "widened",
    "with_drift_taken_out",
]

# Name of the number of terms among the inputs of a fit.
_TERMS = "drift_terms"
# Terms of a smooth drift: a straight line and a parabola in time. More are one factor for each trace.
_SMOOTH = 2
# A drift that the data do not demand may widen the uncertainties by this factor.
_WIDER = 1.05
#: A note where a factor for each trace would cost too much.
NARROW = (
    f"a level of its own for each trace would widen the uncertainties by more than {100 * (_WIDER - 1):.0f} %: only a "
    "drift that the data show is taken out; a wider span shows more, and with direction=up-down a drift matters less"
)
# A drift and none weigh the same where noise alone lowers χ² by as much with this probability. At 5 % the drifts found
# in noise make the gain scatter by 27 % more than it has to; at 1 % by 9 %.
_BY_CHANCE = 0.01
# Below this weight beside the others fewer terms are not tried: they fit worse still.
_NEGLIGIBLE = 1e-3
# A drift is told if noise alone looks like it with this probability. It is not smooth where it scatters about a
# parabola by more than its noise, as a ratio of variances.
_TOLD, _UNSTEADY = 1e-4, 3.0
# A standard uncertainty below this part of the largest is rounding.
_ROUNDED = 1e-6
# Steps of Gauss and Newton: at most so many, the longest, and the shortest.
_ROUNDS, _LONGEST, _SHORTEST = 20, 0.5, 1e-8

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


def follows_each_trace(fit: FitResult) -> bool:
    """Whether the fit has a factor for each trace, or so few traces that a parabola says the same."""
    return drift_terms(fit) > _SMOOTH


class SeenDrift(NamedTuple):
    """A drift beyond its noise: the difference of its largest and its smallest value, and whether it is smooth."""

    size: float
    smooth: bool


def seen_drift(course: Real, logarithm: Real, sigma: Real) -> SeenDrift | None:
    """What the logarithms of the factors show, of amplitude or phase, (n,) with their `sigma`; None if it is noise."""
    smooth = drift_basis(course, _SMOOTH)
    terms = smooth.T @ logarithm
    parabola = smooth @ terms
    freedom = max(logarithm.size - 1 - terms.size, 1)
    # Least squares with equal weights. What is not free has no σ, and no drift.
    even = _ratios(terms, np.sqrt((smooth**2).T @ sigma**2))
    rest = _ratios(logarithm - parabola, sigma)
    if rest > max(_UNSTEADY * freedom, chi2.isf(_TOLD, freedom)):
        return SeenDrift(float(np.ptp(logarithm)), smooth=False)
    if even > chi2.isf(_TOLD, terms.size):
        return SeenDrift(float(np.ptp(parabola)), smooth=True)
    return None


def _ratios(values: Real, sigma: Real) -> float:
    """Σ (value/σ)², where σ is more than rounding of the largest: a straight line has none in the middle of a run."""
    free = sigma > _ROUNDED * sigma.max(initial=0.0)
    return float(((values[free] / sigma[free]) ** 2).sum())


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
        drift = self._inverse @ (by_trace - self._follows.conj().T @ (self._power * shared))
        return drift, shared - self._follows @ drift

    def rest(self, change: Numbers) -> Numbers:
        """Part of a `change` (n, m) that neither the drift nor the common part describes."""
        drift, shared = self.split(change)
        return np.asarray(change - self.expected * (self.basis @ drift)[:, None] - self.common * shared)

    def sigma(self, noise: float) -> Real:
        """Standard uncertainty of the logarithm of each factor (n,), of either part of it, at this noise of a datum."""
        variance = np.einsum("ik,kl,il->i", self.basis, self._inverse.real, self.basis)
        return np.asarray(noise * np.sqrt(np.maximum(variance, 0.0)))

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
    def _inverse(self) -> Numbers:
        """Inverse of the normal equations of the drift alone, (k, k)."""
        strength = (self.weight * np.abs(self.expected) ** 2).sum(axis=1)
        whole = self.basis.T @ (strength[:, None] * self.basis)
        left = whole - self._follows.conj().T @ (self._power[:, None] * self._follows)
        # A trace of which no datum counts has any factor: the smallest.
        return np.asarray(np.linalg.inv(left + 1e-12 * np.trace(whole) * np.eye(len(left))))


def best_factor(basis: Real, data: Numbers, tangent: Callable[[Numbers], Tangent]) -> Numbers:
    """Factor of each trace (n,) that brings the expected data closest to the `data` (n, m); its logarithm has mean 0.

    `tangent` is that at given factors, where the common part is the best one for them. Glitches slow the steps down,
    until the fit leaves them out.
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
    traces: int, solved: Callable[[int, FitResult | None], FitResult], wider: Callable[[FitResult], float], parts: int
) -> FitResult:
    """Return the fit with the most general drift that costs little, or that the data demand.

    Where all that cost little are too few, those that cost more have weights exp(−χ²/2) less what noise alone does to
    χ². The values are those of the fit with the largest weight. As the data may not tell a drift of the size of its
    noise, their covariance is the mean square of the errors over all these fits (Burnham and Anderson, Model Selection
    and Multimodel Inference, sect. 4.3).

    Parameters
    ----------
    traces
        Number n of the traces.
    solved
        The fit with so many terms of the drift, begun at one with others.
    wider
        By how much the uncertainties of a fit are larger than those without a drift, as a factor.
    parts
        Real numbers for each term: 2 for amplitude and phase, 1 for a gain.

    Raises
    ------
    FitError
        As `solved` without a drift.

    """
    fits: list[FitResult] = []
    weights = np.ones(1)
    for fit in _fits(sorted({*range(_SMOOTH + 1), traces - 1}, reverse=True), solved):
        fits.append(fit)
        weights = _weights(fits, parts)
        if not drift_terms(fit) or weights[-1] < _NEGLIGIBLE or wider(fit) < _WIDER:
            break
    if not fits:
        return solved(0, None)
    best = fits[int(np.argmax(weights))]
    squares = [fit.covariance + np.outer(fit.values - best.values, fit.values - best.values) for fit in fits]
    return replace(best, covariance=np.average(squares, axis=0, weights=weights))


def _fits(terms: Iterable[int], solved: Callable[[int, FitResult | None], FitResult]) -> Iterator[FitResult]:
    """The fits that succeed, each begun at the one before; it keeps the number of terms of its drift."""
    fit = None
    for count in terms:
        with suppress(FitError):
            fit = solved(count, fit)
            yield replace(fit, inputs={**fit.inputs, _TERMS: float(count)})


def _weights(fits: Sequence[FitResult], parts: int) -> Real:
    """Weights of fits with different numbers of terms, (len(fits),), by their χ² with the data that count in all."""
    both = np.logical_and.reduce([fit.mask for fit in fits])
    # The noise is that of the most general fit, which no drift makes larger.
    by_noise = [float((fit.residuals[both] ** 2).sum()) / fits[0].noise ** 2 for fit in fits]
    freedom = [parts * drift_terms(fit) for fit in fits]
    by_chance = [float(chi2.isf(_BY_CHANCE, terms)) if terms else 0.0 for terms in freedom]
    criteria = np.add(by_noise, by_chance)
    weights = np.exp(-(criteria - criteria.min()) / 2)
    return np.asarray(weights / weights.sum())


def widened(fit: FitResult, without: Evaluated, results: tuple[str, ...]) -> float:
    """By how much the uncertainties of the `results` of a fit are larger than those of its model `without` a drift."""
    x = np.array([fit[name].value for name in without.names])
    slopes = without.model.jacobian(x)[without.model.mask] / fit.noise
    _, covariance = weight_and_covariance(fit, without, slopes)
    variance = dict(zip(without.names, np.diag(covariance), strict=True))
    ratios = [fit[name].sigma / np.sqrt(variance[name]) for name in results if variance.get(name, 0.0) > 0]
    return max(map(float, ratios), default=1.0)
