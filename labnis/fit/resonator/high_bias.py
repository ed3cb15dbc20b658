"""The published calibration of an amplifier chain: the slope of the power at high bias (Hyyppä et al., "H" below).

The power in the band, a₁V + a₀ + a₋₁/V far above the gap (H eq. 8), gives the gain by its slope a₁ alone (H eq. 9) and
the noise temperature by its value at zero bias (H eq. 10). The chain's own noise does not depend on the bias and is
part of a₀. `fit_emitted_power` is more precise with the same spectra; this fit is for comparison with it and with the
literature, with the uncertainty that the paper states: an error circle for γ_tr and γ̄_T, the scatter of γ_x over the
bias, and the truncation error of a₁ from simulated spectra.

Beyond the recipe, the tails of the emitted Lorentzian that the band cuts off are corrected for: eq. 7 is a total power,
and at a full width of 10 MHz a band of 140 MHz lacks 0.2 dB of it. And where the gain of the chain drifts beyond its
noise, each spectrum is divided by its factor, which the fit of all spectra finds by the noise away from the line. The
noise of the chain is then alike in all of them, so that σ of the slope is smaller as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.constants import k

from labnis.fit._residuals import are_few
from labnis.fit.arrays import Complex, Real
from labnis.fit.derived import with_derived
from labnis.fit.parameters import Given, Parameter, hold
from labnis.fit.resonator._biases import GOOD_BIAS, volts
from labnis.fit.resonator._electrons import JUNCTION_NAMES
from labnis.fit.resonator._emission_data import (
    HIGH_BIAS,
    EmissionData,
    refuse_impossible,
    spectra_warnings,
    without_bursts,
)
from labnis.fit.resonator._tunnelling import RATE_NAMES, unequal_input, unequal_warning
from labnis.fit.resonator.emitted_power import drift_factor, fit_emitted_power
from labnis.fit.resonator.reflection import ReflectionData
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import Model, solve
from labnis.physics import (
    NISJunction,
    Resonator,
    gain_from_slope,
    noise_temperature,
    thermal_photon_number,
)

__all__ = ["HIGH_BIAS", "fit_high_bias", "gain_uncertainty"]

MODEL = "band power at high bias"

_DECIBEL = float(10 / np.log(10))
_STATISTICS = "fit of a₁"
# Fewest high biases for three coefficients, and fewest for a reliable residual.
_FEWEST, _ENOUGH = 4, 8
# Fewest traces from which a scatter can be computed.
_FEWEST_TRACES = 3
# A slope below this many σ may be noise.
_LEAST_SLOPE = 3.0
# A noise that is not the same over the band is certain beyond so many standard deviations.
_FLAT = 5.0


def fit_high_bias(
    data: EmissionData,
    *,
    prior: FitResult,
    traces: ReflectionData,
    whole_line: bool = True,
    fixed: Mapping[str, float] | None = None,
    given: Given | None = None,
) -> FitResult:
    """Fit the band's power at high bias, and derive gain and noise temperature by the published recipe.

    Parameters
    ----------
    data
        Spectra at zero bias and at four biases or more beyond three gaps across one junction.
    prior
        The reflection fit of the same device.
    traces
        What it was fitted to; the recipe takes the uncertainties of the rates from its residuals.
    whole_line
        Correct for the tails of the emitted line beyond the band. Without it the gain is the published recipe's.
    fixed
        Coefficients of the power that are held at a value, such as {"inverse": 0.0} for a straight line.
    given
        Coefficients that are known with a standard uncertainty: name → (value, σ).

    Returns
    -------
    FitResult
        slope (W/V), constant (W) and inverse (W·V) of the power against the voltage across one junction, with their
        statistical uncertainties; gain (dB) and noise_temperature (K, mean over the band) with the recipe's, which
        `gain_uncertainty` separates.

    Raises
    ------
    FitError
        With too few high biases, a power that does not rise beyond its noise, fewer than three traces above critical
        coupling, or data that `fit_emitted_power` refuses, too.

    """
    usable = data.finite()
    device = _Device.of(prior, usable, whole_line=whole_line)
    refuse_impossible(data, prior)
    line = device.spectra(device.voltage(usable.device_voltage))
    gain = device.gain(_expansion(device, usable)["slope"].value)
    calm, replaced = without_bursts(usable, gain * line)
    factor, drift = drift_factor(fit_emitted_power(calm, prior=prior), calm)
    steady = replace(usable, spectrum=usable.spectrum / factor[:, None]) if drift else usable
    if drift:
        gain = device.gain(_expansion(device, steady)["slope"].value)
        calm, replaced = without_bursts(steady, gain * line)
    glitches = are_few(int((calm.spectrum != steady.spectrum).sum()), steady.spectrum.size)
    result = _expansion(device, calm, fixed, given)
    shares = _shares(result, calm, device, traces)
    # Statistics enter through the slope.
    others = sum(share**2 for name, share in shares.items() if name != _STATISTICS)
    result = with_derived(
        result, "gain", "dB", lambda v: _DECIBEL * float(np.log(device.gain(v["slope"]))), own_variance=others
    )
    result = _with_noise_temperature(result, device, calm)
    result = replace(result, warnings=(*result.warnings, *_uneven_noise(result, calm, gain * line)))
    gap, sigma, gain = device.junction.gap, result["gain"].sigma, device.gain(result["slope"].value)
    emitted = gain * line
    suspect = spectra_warnings(usable, emitted, gap=gap, gain_sigma=sigma, fewest_high=_ENOUGH, taken_out=bool(drift))
    suspect = (*unequal_warning(unequal_input(prior), sigma), *suspect)
    return replace(
        result,
        assumed={**_assumptions(shares, device), **result.assumed},
        warnings=(*result.warnings, *(() if glitches else replaced), *suspect),
        notes=(*result.notes, *drift, *(replaced if glitches else ())),
    )


def gain_uncertainty(
    fit: FitResult, data: EmissionData, *, prior: FitResult, traces: ReflectionData, whole_line: bool = True
) -> dict[str, float]:
    """Return the contributions (dB) to σ of the gain by the published recipe, the largest first.

    Parameters
    ----------
    fit
        By `fit_high_bias`, of which only the slope counts.
    data, prior, traces, whole_line
        As there.

    Raises
    ------
    FitError
        With fewer than three traces above critical coupling.

    """
    usable = data.finite()
    return _shares(fit, usable, _Device.of(prior, usable, whole_line=whole_line), traces)


def _shares(fit: FitResult, data: EmissionData, device: "_Device", traces: ReflectionData) -> dict[str, float]:
    high = _BandPower.of(device, data).high(device)
    # The power that the fitted rates give at the same biases, fitted in the same way, against H eq. 9.
    slope, _, _ = _coefficients(high.voltage, device.received(high.voltage), high.power)
    relative = {
        _STATISTICS: fit["slope"].sigma / fit["slope"].value,
        "truncation of a₁": abs(device.gain(slope) - 1),
        **_rate_shares(traces, device),
    }
    shares = sorted(relative.items(), key=lambda item: -item[1])
    return {name: _DECIBEL * float(share) for name, share in shares}


@dataclass(frozen=True)
class _Device:
    """The device of a reflection fit, the photon number of line and excess bath, and the frequency bins (Hz)."""

    resonator: Resonator
    junction: NISJunction
    temperature: float
    voltage_offset: float
    photons: float
    frequency: Real
    whole_line: bool
    series: int

    @classmethod
    def of(cls, prior: FitResult, data: EmissionData, *, whole_line: bool) -> "_Device":
        v = prior.select((*RATE_NAMES, *JUNCTION_NAMES, "fano_real", "fano_imag")).by_name
        fano = complex(v["fano_real"], v["fano_imag"])
        return cls(
            Resonator(v["ohmic_frequency"], v["damping_line"], v["damping_excess"], v["damping_junction"], fano),
            # The rate's shape does not depend on the tunnelling resistance.
            NISJunction(v["gap"], 1.0, v["dynes"]),
            v["electron_temperature"],
            v["voltage_offset"],
            float(thermal_photon_number(v["ohmic_frequency"], data.fridge_temperature)),
            data.frequency,
            whole_line,
            data.array.series,
        )

    @property
    def asymptotic_damping(self) -> float:
        """γ_tr + γ_x + γ̄_T (1/s)."""
        r = self.resonator
        return r.damping_line + r.damping_excess + r.damping_junction

    @property
    def asymptotic_part(self) -> float:
        """Part of the emitted power that is in the band at high bias."""
        if not self.whole_line:
            return 1.0
        detuning = 2 * np.pi * (self.frequency - self.resonator.frequency)
        density = self.asymptotic_damping / (detuning**2 + self.asymptotic_damping**2 / 4)
        return float(np.trapezoid(density, self.frequency))

    def voltage(self, device_voltage: Real) -> Real:
        """Across one junction (V)."""
        return (device_voltage + self.voltage_offset) / self.series

    def gain(self, slope: float) -> float:
        """Ratio (1) by H eq. 9; the part in the band is constant up to 1/V², so that it multiplies the slope alone."""
        return gain_from_slope(slope / self.asymptotic_part, self.resonator)

    def spectra(self, voltage: Real) -> Real:
        """Emitted spectral density (W/Hz), shape (n, m), at `voltage` (V) across one junction, shape (n,)."""
        return self.resonator.emitted_spectrum(
            self.frequency, self.junction, voltage[:, None], self.temperature, self.photons, self.photons
        )

    def received(self, voltage: Real) -> Real:
        """Power (W) that is emitted into the line: within the band, or all of it without `whole_line`."""
        if self.whole_line:
            return np.asarray(np.trapezoid(self.spectra(voltage), self.frequency, axis=-1))
        return self.resonator.emitted_power(self.junction, voltage, self.temperature, self.photons, self.photons)


@dataclass(frozen=True)
class _BandPower(Model):
    """Power (W) in the band against the voltage across one junction (V), of either polarity; model of H eq. 8.

    The noise of a radiometer is proportional to the power: residuals are relative.
    """

    voltage: Real
    power: Real

    @classmethod
    def of(cls, device: _Device, data: EmissionData) -> "_BandPower":
        """All biases."""
        power = np.asarray(np.trapezoid(data.spectrum, data.frequency, axis=-1))
        return cls(np.abs(device.voltage(data.device_voltage)), power, mask=np.ones(power.shape, bool))

    def high(self, device: _Device) -> "_BandPower":
        """Return the biases for which the expansion holds."""
        high = self.voltage > HIGH_BIAS * device.junction.gap
        return _BandPower(self.voltage[high], self.power[high], mask=self.mask[high])

    def residuals(self, x: Real) -> Real:
        return np.asarray(1 - _terms(self.voltage) @ x / self.power)

    def jacobian(self, _x: Real) -> Real:
        return -_terms(self.voltage) / self.power[:, None]


def _expansion(
    device: _Device, data: EmissionData, fixed: Mapping[str, float] | None = None, given: Given | None = None
) -> FitResult:
    """H eq. 8 fitted to the power at high bias."""
    high = _BandPower.of(device, data).high(device)
    if high.voltage.size < _FEWEST:
        raise FitError(
            f"{high.voltage.size} of {data.device_voltage.size} biases lie beyond {HIGH_BIAS:g} gaps and "
            f"{_FEWEST} are needed; sweep on to {volts(GOOD_BIAS * device.junction.gap, data.array)}"
        )
    power, voltage = float(high.power.mean()), float(high.voltage.max())
    start = map(float, _coefficients(high.voltage, high.power, high.power))
    parameters = [
        Parameter("slope", "W/V", next(start), power / voltage),
        Parameter("constant", "W", next(start), power),
        Parameter("inverse", "W*V", next(start), power * voltage),
    ]
    result = solve(hold(parameters, fixed, given), high, MODEL, {}, given=given)
    slope = result["slope"]
    if not slope.value > _LEAST_SLOPE * slope.sigma:
        raise FitError(
            f"the power in the band does not rise beyond its noise (slope {slope.value:.3g} ± {slope.sigma:.3g} W/V): "
            "is the resonance in the band, and are the spectra averaged enough?"
        )
    return result


def _terms(voltage: Real) -> Real:
    return np.stack([voltage, np.ones_like(voltage), 1 / voltage], axis=-1)


def _coefficients(voltage: Real, power: Real, sigma: Real) -> Real:
    """a₁, a₀ and a₋₁ of `power`, weighted by 1/`sigma`²."""
    matrix = _terms(voltage) / sigma[:, None]
    unit = np.abs(matrix).max(axis=0)
    solution, _, _, _ = np.linalg.lstsq(matrix / unit, power / sigma, rcond=None)
    return np.asarray(solution / unit)


def _with_noise_temperature(result: FitResult, device: _Device, data: EmissionData) -> FitResult:
    """Append T = (P_out/G − P_tr)/(kΔf) at the smallest bias (H eq. 10, but with P_tr subtracted)."""
    measured = _BandPower.of(device, data)
    nearest = int(np.argmin(measured.voltage))
    voltage, power = float(measured.voltage[nearest]), float(measured.power[nearest])
    bandwidth = float(data.frequency[-1] - data.frequency[0])
    emitted = float(device.received(measured.voltage)[nearest]) / (k * bandwidth)
    result = with_derived(
        result,
        "noise_temperature",
        "K",
        lambda v: noise_temperature(power, 10 ** (v["gain"] / 10), bandwidth) - emitted,
        own_variance=(result.noise * noise_temperature(power, 10 ** (result["gain"].value / 10), bandwidth)) ** 2,
    )
    if voltage < device.junction.gap / 2:
        return result
    warning = (
        f"no spectrum at zero bias, the nearest at {volts(voltage, data.array)}: noise_temperature rests "
        "on the emission that the rates predict there; take a spectrum at zero bias"
    )
    return replace(result, warnings=(*result.warnings, warning))


def _uneven_noise(result: FitResult, data: EmissionData, emitted: Real) -> tuple[str, ...]:
    """A warning where the chain's noise over the band is not that at the resonance, where its gain was measured.

    `emitted` is the emission behind the chain (W/Hz), shape (n, m).
    """
    noise, line = (data.spectrum - emitted).mean(axis=0), np.ptp(emitted, axis=0)
    at_line = line / line.sum()
    ratio = float(noise.mean() / (at_line @ noise))
    scatter = float(np.std(np.diff(noise) / noise.mean()) / np.sqrt(2) * np.linalg.norm(at_line))
    found = result["noise_temperature"]
    if abs(ratio - 1) < max(found.sigma / abs(found.value), _FLAT * scatter):
        return ()
    return (
        f"the chain's noise is {100 * (ratio - 1):+.2g} % in the mean over the band, against that at the resonance, "
        "and its gain is known there alone: noise_temperature may be off by as much; measure a narrower band",
    )


def _rate_shares(traces: ReflectionData, device: _Device) -> dict[str, float]:
    """Contribution of each rate to the relative σ of the gain, G ∝ (γ̄_T + γ_tr + γ_x)/(γ_tr γ̄_T)."""
    r, total = device.resonator, device.asymptotic_damping
    model, ratio = _background_divided_out(traces, device)
    radius = float(np.sqrt(np.mean(np.abs(ratio - model) ** 2)))
    # On resonance Γ = −1 + (1 + φ)γ_tr/total: change of each rate that moves it by that radius.
    strength = abs(1 + r.fano)
    line_error = radius * total**2 / (strength * (total - r.damping_line))
    junction_error = radius * total**2 / (strength * r.damping_line)
    # A trace with another γ_x alone, to first order: ∂Γ/∂γ_x = −(1 + Γ)²/((1 + φ)γ_tr).
    slope = -((1 + model) ** 2) / ((1 + r.fano) * r.damping_line)
    each = ((slope.conj() * (ratio - model)).real.sum(axis=1)) / (np.abs(slope) ** 2).sum(axis=1)
    return {
        "γ_tr": line_error * (1 / r.damping_line - 1 / total),
        "γ̄_T": junction_error * (1 / r.damping_junction - 1 / total),
        "γ_x": float(each.std(ddof=1)) / total,
    }


def _background_divided_out(traces: ReflectionData, device: _Device) -> tuple[Complex, Complex]:
    """Γ by the fit, and as measured, above critical coupling; the best background is divided out of the latter."""
    usable, r = traces.finite(), device.resonator
    voltage = device.voltage(usable.device_voltage)
    model = r.reflection(usable.frequency, device.junction, voltage[:, None], device.temperature)
    measured = usable.conjugate().s11
    background = (model.conj() * measured).sum(axis=0) / (np.abs(model) ** 2).sum(axis=0)
    internal = r.damping_excess + r.damping_rate(device.junction, voltage, device.temperature)
    above = internal > r.fano.real * r.damping_line
    if above.sum() < _FEWEST_TRACES:
        raise FitError(
            f"{above.sum()} of {voltage.size} reflection traces lie above critical coupling and {_FEWEST_TRACES} are "
            "needed for the scatter of γ_x; take more beyond the gap, or, where the junctions are too weak to get "
            "there, use fit_emitted_power"
        )
    return model[above], measured[above] / background


def _assumptions(shares: dict[str, float], device: _Device) -> dict[str, str]:
    part = device.asymptotic_part
    return {
        "gain": "flat over the resonance's width",
        "chain's noise": "the same at every bias, part of the constant",
        "bath photons": "line and excess losses are at the fridge's temperature",
        "band": f"holds {part:.4g} of the line at high bias, by the fitted rates, and is corrected for that"
        if device.whole_line
        else "holds the whole line",
        "sigma of the gain": f"as published: {', '.join(f'{name} {share:.2g} dB' for name, share in shares.items())}",
    }
