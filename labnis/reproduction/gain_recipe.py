"""Gain of an amplifier chain by the published recipe: the slope of the power at high bias, and its uncertainty (H).

What the recipe needs of the reflection measurement, the rates, comes from labnis's own fit: reflection contains γ_tr
and the Fano factor only as (1 + φ)·γ_tr, so that another fit would rest on the same assumption. Their uncertainties are
found as the paper finds them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labnis.fit import FitResult, ReflectionData
from labnis.physics import NISJunction, PowerExpansion, Resonator, gain_from_slope, high_bias_power, noise_temperature

__all__ = ["BandPower", "RecipeResult", "published_recipe", "resonator_of"]

Real = NDArray[np.float64]

# The expansion is fitted from here on (in gaps).
_HIGH_BIAS = 3.0
_DECIBEL = 10 / np.log(10)


@dataclass(frozen=True)
class BandPower:
    """Power (W) in a band of the given bandwidth (Hz) against the voltage across one junction (V), shape (n,)."""

    voltage: Real
    power: Real
    bandwidth: float

    def high_bias(self, gap: float) -> "BandPower":
        """What the expansion is fitted to."""
        high = self.voltage > _HIGH_BIAS * gap
        return BandPower(self.voltage[high], self.power[high], self.bandwidth)


@dataclass(frozen=True)
class RecipeResult:
    """Gain ± σ (dB), noise temperature (K), the fitted expansion, and the relative σ of each ingredient."""

    gain: float
    sigma: float
    noise_temperature: float
    expansion: PowerExpansion
    shares: dict[str, float]


def resonator_of(rates: FitResult) -> Resonator:
    """The resonator that a reflection fit describes."""
    value = {name: rates[name].value for name in rates.names}
    return Resonator(
        value["ohmic_frequency"],
        value["damping_line"],
        value["damping_excess"],
        value["damping_junction"],
        complex(value.get("fano_real", 1.0), value.get("fano_imag", 0.0)),
    )


def published_recipe(measured: BandPower, traces: ReflectionData, rates: FitResult) -> RecipeResult:
    """Gain and noise temperature by H eqs. 8–10.

    Parameters
    ----------
    measured
        Power against bias, from zero to many gaps.
    traces, rates
        Reflection of the same device, and what was fitted to it.

    """
    resonator, gap = resonator_of(rates), rates["gap"].value
    junction = NISJunction(gap, 1.0, rates["dynes"].value)
    high = measured.high_bias(gap)
    expansion, fit_error = _fitted(high)
    gain = gain_from_slope(expansion.slope, resonator)
    exact = resonator.emitted_power(junction, high.voltage, rates["electron_temperature"].value)
    truncated, _ = _fitted(BandPower(high.voltage, exact, high.bandwidth))
    truncation = truncated.slope / high_bias_power(resonator, gap).slope - 1
    shares = {"fit of a₁": fit_error, "truncation of a₁": abs(truncation), **_rate_shares(traces, rates, resonator)}
    at_zero = float(measured.power[np.argmin(np.abs(measured.voltage))])
    return RecipeResult(
        _DECIBEL * float(np.log(gain)),
        _DECIBEL * float(np.sqrt(sum(share**2 for share in shares.values()))),
        noise_temperature(at_zero, gain, measured.bandwidth),
        expansion,
        shares,
    )


def _fitted(data: BandPower) -> tuple[PowerExpansion, float]:
    """H eq. 8 fitted to the power, with the relative σ of a₁; a radiometer scatters in proportion to what it sees."""
    matrix = np.stack([data.voltage, np.ones_like(data.voltage), 1 / data.voltage], axis=-1) / data.power[:, None]
    unit = np.abs(matrix).max(axis=0)
    solution, _, _, _ = np.linalg.lstsq(matrix / unit, np.ones_like(data.power), rcond=None)
    rest = matrix / unit @ solution - 1
    covariance = np.linalg.inv((matrix / unit).T @ (matrix / unit)) * float(rest @ rest) / (rest.size - 3)
    slope, constant, inverse = (float(c) for c in solution / unit)
    return PowerExpansion(slope, constant, inverse), float(np.sqrt(covariance[0, 0]) / abs(solution[0]))


def _rate_shares(traces: ReflectionData, rates: FitResult, resonator: Resonator) -> dict[str, float]:
    """What each rate adds to the relative σ of the gain, G ∝ (γ̄_T + γ_tr + γ_x)/(γ_tr γ̄_T)."""
    line, excess, junction = resonator.damping_line, resonator.damping_excess, resonator.damping_junction
    total = line + excess + junction
    model, ratio = _background_divided_out(traces, rates, resonator)
    radius = float(np.sqrt(np.mean(np.abs(ratio - model) ** 2)))
    # On resonance Γ = −1 + (1 + φ)γ_tr/total: how far each rate moves it out of a circle of that radius.
    strength = abs(1 + resonator.fano)
    line_error = radius * total**2 / (strength * (total - line))
    junction_error = radius * total**2 / (strength * line)
    # A trace with another γ_x alone, to first order: ∂Γ/∂γ_x = −(1 + Γ)²/((1 + φ)γ_tr).
    slope = -((1 + model) ** 2) / ((1 + resonator.fano) * line)
    each = ((slope.conj() * (ratio - model)).real.sum(axis=1)) / (np.abs(slope) ** 2).sum(axis=1)
    return {
        "γ_tr": line_error * (1 / line - 1 / total),
        "γ̄_T": junction_error * (1 / junction - 1 / total),
        "γ_x": float(each.std(ddof=1)) / total,
    }


def _background_divided_out(
    traces: ReflectionData, rates: FitResult, resonator: Resonator
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Γ by the fit, and as measured, above critical coupling; the best background is divided out of the latter."""
    junction = NISJunction(rates["gap"].value, 1.0, rates["dynes"].value)
    voltage = (traces.device_voltage + rates["voltage_offset"].value) / 2
    model = resonator.reflection(traces.frequency, junction, voltage[:, None], rates["electron_temperature"].value)
    # Network analyzers count phase the other way round.
    measured = traces.s11.conj()
    background = (model.conj() * measured).sum(axis=0) / (np.abs(model) ** 2).sum(axis=0)
    internal = resonator.damping_excess + resonator.damping_rate(junction, voltage, rates["electron_temperature"].value)
    above = internal > resonator.fano.real * resonator.damping_line
    return model[above], measured[above] / background
