"""Fisher information of one more measurement at each of some biases, before it is taken.

The slopes of the expected data, in units of their noise, are those of the fits. The part independent of the bias,
the background of a reflection or the noise of the chain, is unknown at every frequency and is eliminated here as in
the fits. Only differences between biases are informative: a spectrum at high bias needs one at zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from labnis.fit.arrays import Complex, Real, evenly_spread, real_array
from labnis.fit.result import FitResult

__all__ = ["Sensitivity", "expected_variance", "most_informative", "thinned"]

# Above this condition number the data leave some combination of the parameters undetermined.
_SINGULAR = 1e12
# This many frequencies represent a line; their information is scaled to that of all.
_FREQUENCIES = 101


@dataclass(frozen=True)
class Sensitivity:
    """Dependence of the data of one visit to each of n biases on p parameters.

    Attributes
    ----------
    names
        Of the parameters, length p.
    slopes
        ∂(data)/∂(parameter) over the noise of a datum, shape (n, m, p); complex where the data are.
    background
        Factor with which the unknown number that all biases share at each frequency enters the data, over their noise,
        shape (n, m); zeros where there is no such number.
    prior
        Information of the prior, shape (p, p): the inverse of a covariance.

    """

    names: tuple[str, ...]
    slopes: Complex
    background: Complex
    prior: Real

    def after_one_more(self, visits: Real) -> Real:
        """Fisher information, shape (n, p, p), when one more measurement at each bias in turn follows `visits` (n,)."""
        background = self.background[..., None]
        # Terms of each bias in Σ s̄s (n, p, p), Σ b̄s (n, m, p) and Σ|b|² (n, m, 1), with slopes s and background b.
        terms = (
            np.einsum("ijk,ijl->ikl", self.slopes.conj(), self.slopes).real,
            background.conj() * self.slopes,
            np.abs(background) ** 2,
        )
        own, common, power = ((visits[:, None, None] * term).sum(axis=0) + term for term in terms)
        # What remains after the background is eliminated.
        shared = common.conj() / np.where(power > 0, power, 1.0)
        return np.asarray(self.prior + own - np.einsum("...jk,...jl->...kl", shared, common).real)


def expected_variance(information: Real, gradient: Real) -> Real:
    """Variance of the quantity with `gradient` (p,) for each `information` (…, p, p); infinite where it is unknown."""
    # Scaled to 1 on the diagonal: rates and gaps differ by sixteen orders of magnitude.
    scale = np.sqrt(np.einsum("...ii->...i", information).clip(min=np.finfo(float).tiny))
    correlation = information / (scale[..., :, None] * scale[..., None, :])
    known = np.linalg.cond(correlation) < _SINGULAR
    correlation[~known] = np.eye(gradient.size)
    reduced = gradient / scale
    variance = np.einsum("...i,...i->...", reduced, np.linalg.solve(correlation, reduced[..., None])[..., 0])
    return np.where(known, variance, np.inf)


def most_informative(sensitivity: Sensitivity, visits: ArrayLike, fit: FitResult, wanted: str) -> int:
    """Return the index of the bias at which one more measurement makes `wanted` most precise.

    Parameters
    ----------
    sensitivity
        At all n biases that may be chosen.
    visits
        Number of measurements at each of them, shape (n,).
    fit
        The present fit.
    wanted
        A parameter of the fit, or a quantity derived from its parameters.

    """
    gradient = _gradient(fit, sensitivity.names, wanted)
    return int(np.argmin(expected_variance(sensitivity.after_one_more(real_array("visits", visits)), gradient)))


def _gradient(fit: FitResult, names: Sequence[str], wanted: str) -> Real:
    """∂(wanted)/∂(parameters); for a derived quantity from its covariance with the parameters."""
    if wanted in names:
        return np.array([float(name == wanted) for name in names])
    joint = fit.select([*names, wanted]).covariance
    scale = np.sqrt(np.diag(joint)[:-1])
    correlation = joint[:-1, :-1] / np.outer(scale, scale)
    return np.asarray(np.linalg.lstsq(correlation, joint[:-1, -1] / scale, rcond=1e-12)[0] / scale)


def thinned(frequency: Real) -> tuple[Real, float]:
    """Return evenly spread frequencies, and the number of original frequencies that each of them represents."""
    chosen = evenly_spread(frequency.size, _FREQUENCIES)
    return frequency[chosen], frequency.size / chosen.size
