"""What a calibration says of other data: power at the analyzer as that at the device, S11 without its background.

With the gain G and the noise temperature T of the chain, a density S at the analyzer is S/G − kT at the device, which
is (S/G − kT)/hf photons per second and hertz.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray
from scipy.constants import h, k

from labnis.fit._points import Points
from labnis.fit._trace_data import traces_of
from labnis.fit.arrays import Complex, Real
from labnis.fit.junction._array import Junctions
from labnis.fit.junction._island import LOWER_BOUNDS
from labnis.fit.resonator._drift import drift_terms
from labnis.fit.resonator._traces import Response, Traces
from labnis.fit.result import FitResult
from labnis.fit.solver import without_outliers

__all__ = ["AtDevice", "Background", "background", "density_at_device", "photons"]

# Change of the logarithm of the gain per decibel.
_PER_DECIBEL = np.log(10) / 10
# Part of σ by which parameters are moved for a slope.
_STEP = 1e-3


class AtDevice(NamedTuple):
    """Values at the device, and both parts of their σ by the calibration, of one shape."""

    value: NDArray[Any]
    statistical: Real
    systematic: Real


def density_at_device(
    fit: FitResult, density: ArrayLike, drift: float = 0.0, *, same_analyzer: bool = False
) -> AtDevice:
    """The power density (W/Hz) that comes from the device, without the noise of the chain.

    Parameters
    ----------
    fit
        Of the emitted power: gain (dB) and noise_temperature (K).
    density
        At the analyzer (W/Hz), any shape.
    drift
        Standard uncertainty of the gain since then (dB); it counts as systematic.
    same_analyzer
        Whether the analyzer is that of the calibration, so that an error of its amplitude cancels.

    """
    referred = np.asarray(density, dtype=np.float64) / 10 ** (fit["gain"].value / 10)
    at = [fit.names.index(name) for name in ("gain", "noise_temperature")]
    slopes = np.stack([-_PER_DECIBEL * referred, np.full_like(referred, -k)], axis=-1)
    covariance = fit.covariance[np.ix_(at, at)]
    systematic = (_PER_DECIBEL * drift * referred) ** 2
    if fit.budget is not None:
        covariance = covariance - fit.budget.within[np.ix_(at, at)]
        for source, column in zip(fit.budget.sources, fit.budget.columns[at].T, strict=True):
            own = same_analyzer and source.acts_on == "analyzer.amplitude"
            read = _PER_DECIBEL * source.standard * referred if own else 0.0
            systematic = systematic + (slopes @ column + read) ** 2
    noise = np.einsum("...i,ij,...j->...", slopes, covariance, slopes)
    value = referred - k * fit["noise_temperature"].value
    return AtDevice(value, np.sqrt(np.maximum(noise, 0.0)), np.sqrt(systematic))


def photons(density: AtDevice, frequency: ArrayLike) -> AtDevice:
    """Photons per second and hertz of a power density (W/Hz) at frequencies (Hz) along its last axis."""
    return AtDevice(*(part / (h * np.asarray(frequency)) for part in density))


class Background(NamedTuple):
    """Of a trace at m frequencies (Hz), as a network analyzer measures it, with both parts of σ of it and of its phase.

    S11 of the device alone is S11 divided by it.
    """

    frequency: Real
    value: Complex
    statistical: Real
    systematic: Real


def background(fit: FitResult, data: xarray.Dataset, junctions: Junctions) -> Background:
    """That of the traces `s11` to which a reflection was fitted."""
    points = Points(data)
    usable = traces_of(points, points.measured("device_voltage", "s11"), junctions).finite().conjugate()
    values = {name: value for name, value in fit.by_name.items() if name != "resonance_frequency"}
    x, gamma = np.array([*values.values()]), Response.of(values, usable).gamma
    traces = without_outliers(Traces.of(usable, values, drift_terms(fit)), x)

    def at(moved: Real) -> Complex:
        one = dict(zip(values, moved, strict=True))
        return np.asarray((traces.model(moved) / Response.of(one, usable).gamma).mean(axis=0))

    found, free = at(x), [fit.names.index(name) for name in values]
    covariance = fit.covariance[np.ix_(free, free)]
    known = np.zeros((len(free), 0))
    if fit.budget is not None:
        known = fit.budget.columns[free]
        covariance = covariance - fit.budget.within[np.ix_(free, free)]
    # Of the whole: what is left of a variance that the budget has may be below 0 by rounding.
    scale = np.sqrt(np.maximum(np.diag(fit.covariance)[free], np.finfo(float).tiny))
    power, axes = np.linalg.eigh(covariance / np.outer(scale, scale))
    principal = scale[:, None] * axes * np.sqrt(np.maximum(power, 0.0))
    lowest = np.array([LOWER_BOUNDS.get(name, -np.inf) for name in values])

    def moved_by(column: Real) -> Real:
        # A part of it: a whole σ of what is hardly known leads to impossible devices. At a bound one side is one.
        either = [at(np.maximum(x + side * column, lowest)) - found for side in (_STEP, -_STEP)]
        return np.asarray(np.abs(either).max(axis=0) / _STEP)

    moves = [sum(moved_by(column) ** 2 for column in columns.T) for columns in (principal, known)]
    noise = fit.noise**2 / (np.abs(gamma) ** 2).sum(axis=0)
    return Background(usable.frequency, found.conj(), np.sqrt(noise + moves[0]), np.sqrt(moves[1] + 0.0 * noise))
