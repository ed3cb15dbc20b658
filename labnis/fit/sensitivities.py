"""What one more measurement at each of some biases would tell, for the three measurements of a calibration.

The parameters are those of the fits, the slopes their models', and noise and background what the fit has found so far.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.constants import k

from labnis.fit._least_squares import prior_rows
from labnis.fit._resonator_model import JUNCTION_NAMES, RATE_NAMES
from labnis.fit._sinis_pair import device_share
from labnis.fit.current_voltage import _Sweep
from labnis.fit.emitted_power import EmissionData, _Lines
from labnis.fit.information import Sensitivity
from labnis.fit.reflection import ReflectionData, _Response, _with_fano
from labnis.fit.result import FitResult

__all__ = ["current_voltage_sensitivity", "emission_sensitivity", "reflection_sensitivity"]

Real = NDArray[np.float64]

# As many frequencies show the line; their information is scaled to that of all.
_FREQUENCIES = 101


def current_voltage_sensitivity(fit: FitResult, device_voltage: Real, *, series_resistance: float) -> Sensitivity:
    """Of one current reading at each of `device_voltage` (V), shape (n,), to the parameters of an I–V fit.

    The smearing by a lock-in's excitation changes little in what the biases tell and is left out.
    """
    share = device_share(fit.values, device_voltage, series_resistance)
    everything = np.ones(device_voltage.shape, bool)
    sweep = _Sweep(device_voltage, np.zeros_like(device_voltage), share, np.zeros((device_voltage.size, 1)), everything)
    slopes = sweep.jacobian(fit.values)[:, None, :] / fit.noise
    no_background, no_prior = np.zeros(slopes.shape[:2], complex), np.zeros((len(fit.names), len(fit.names)))
    return Sensitivity(fit.names, slopes.astype(complex), no_background, no_prior)


def reflection_sensitivity(
    fit: FitResult, data: ReflectionData, device_voltage: Real, *, prior: FitResult | None
) -> Sensitivity:
    """Of one trace at each of `device_voltage` (V), shape (n,), to the parameters of a reflection fit."""
    names = tuple(name for name in fit.names if name != "resonance_frequency")
    values, frequency, repeats = fit.by_name, *_thinned(data.frequency)
    there = ReflectionData(device_voltage, frequency, np.zeros((device_voltage.size, frequency.size), complex))
    response = _Response.of(values, there)
    # Far from the resonance |Γ| = 1, and what is measured there is the background.
    scale = float(np.median(np.abs(data.s11))) / fit.noise * np.sqrt(repeats)
    slopes = np.stack([*response.slopes(values, there, names)], axis=-1)
    matrix, _ = prior_rows(names, _with_fano(prior))
    return Sensitivity(names, scale * slopes, scale * response.gamma, matrix.T @ matrix)


def emission_sensitivity(fit: FitResult, data: EmissionData, device_voltage: Real, *, prior: FitResult) -> Sensitivity:
    """Of one spectrum at each of `device_voltage` (V), shape (n,), to the parameters of a gain fit."""
    names = ("gain", *RATE_NAMES, *JUNCTION_NAMES)
    values, frequency, repeats = fit.by_name, *_thinned(data.frequency)
    nothing = np.zeros((device_voltage.size, frequency.size))
    there = EmissionData(device_voltage, frequency, nothing, data.fridge_temperature)
    lines = _Lines.of(values, there)
    # Relative to the whole power density, with which a radiometer's noise grows; the gain cancels.
    noise = fit.noise * (k * values["noise_temperature"] + lines.density) / np.sqrt(repeats)
    matrix, _ = prior_rows(names, prior.select(names[1:]))
    whitened = lines.slopes(values, there, names) / noise[..., None]
    return Sensitivity(names, whitened.astype(complex), (1 / noise).astype(complex), matrix.T @ matrix)


def _thinned(frequency: Real) -> tuple[Real, float]:
    """Evenly spread frequencies, and how many of all each of them stands for."""
    kept = np.unique(np.linspace(0, frequency.size - 1, _FREQUENCIES).round().astype(int))
    return frequency[kept], frequency.size / kept.size
