"""Emission lines of a biased junction, and the model of noise spectra with the noise of the chain eliminated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.constants import h
from scipy.ndimage import median_filter

from labnis.fit._residuals import OUTLIER, robust_scale
from labnis.fit.arrays import Bool, Real
from labnis.fit.models import Suspect
from labnis.fit.resonator._drift import Tangent, best_factor, drift_basis
from labnis.fit.resonator._electrons import Island
from labnis.fit.resonator._emission_data import EmissionData
from labnis.fit.resonator._tunnelling import Tunnelling, tunnelling, tunnelling_slopes
from labnis.fit.solver import Model
from labnis.physics import NoOperatingPointError, thermal_photon_number

__all__ = ["EXCESS_PHOTONS", "LINE_PHOTONS", "Lines", "Spectra"]

#: Photons beyond those of the fridge's temperature, as parameters: in each mode of the line, and of what causes the
#: excess losses.
LINE_PHOTONS, EXCESS_PHOTONS = "line_photons", "excess_photons"

# Bins among which a spur stands out, and the fewest with which it can be told from the shape of the noise.
_NEIGHBOURS, _FEWEST_BINS = 15, 60


@dataclass(frozen=True)
class Lines:
    """The emitted Lorentzians at all biases: S = ħω γ_tr flow/(δ² + γ_Σ²/4) (W/Hz) and its factors.

    The flow is Σ_k γ_k(N_k − N_tr) of junctions and excess losses. `photons` is N_tr, `total` γ_Σ, (n,); `detuning` δ,
    `each`, which is S for a flow of one photon per second, and `density` S are (n, m).
    """

    junctions: Tunnelling
    photons: float
    total: Real
    detuning: Real
    each: Real
    density: Real
    island: Island | None

    @classmethod
    def of(cls, values: Mapping[str, float], data: EmissionData, island: Island | None = None) -> "Lines":
        """Lines of the parameters in `values`, for unit gain, at the biases and frequencies of `data`."""
        junctions = tunnelling(values, data.device_voltage, data.array, island)
        rate, frequency = values["damping_junction"], values["ohmic_frequency"]
        line, excess = _beyond(values)
        photons = float(thermal_photon_number(frequency, data.fridge_temperature)) + line
        total = values["damping_line"] + values["damping_excess"] + rate * junctions.damping
        flow = rate * (junctions.emission - photons * junctions.damping) + values["damping_excess"] * (excess - line)
        detuning = 2 * np.pi * (data.frequency - frequency) - rate * junctions.shift[:, None]
        each = h * frequency * values["damping_line"] / (detuning**2 + (total**2 / 4)[:, None])
        return cls(junctions, photons, total, detuning, each, each * flow[:, None], island)

    def slopes(self, values: Mapping[str, float], data: EmissionData, names: Sequence[str]) -> Real:
        """∂S/∂(parameter), shape (n, m, p); neglects the change of the baths' photon number with the frequency.

        By the gain (dB) it is the change of G·S at G = 1. Each parameter changes S through γ_Σ, δ, flow and a factor.
        """
        # ∂S by γ_Σ, by δ, by the flow and by ln of the factor.
        steep = self.density / (self.detuning**2 + (self.total**2 / 4)[:, None])
        by = [-self.total[:, None] / 2 * steep, -2 * self.detuning * steep, self.each, self.density]
        return np.asarray(np.stack(by, axis=-1) @ self._changes(values, data, names).transpose(2, 1, 0))

    def in_band(self) -> Real:
        """Power (W) between the first and the last frequency, shape (n,): the integral of S, whole Lorentzians.

        With δ at these, ∫df/(δ² + γ_Σ²/4) is [arctan(2δ/γ_Σ)]/(πγ_Σ).
        """
        return np.asarray(self._whole * self._flow * self.part_in_band / self.total)

    @property
    def part_in_band(self) -> Real:
        """Part of the area of each line between the first and the last frequency (1), shape (n,)."""
        ends = np.arctan(2 * self.detuning[:, [0, -1]] / self.total[:, None])
        return np.asarray((ends[:, 1] - ends[:, 0]) / np.pi)

    def slopes_in_band(self, values: Mapping[str, float], data: EmissionData, names: Sequence[str]) -> Real:
        """∂(power in the band)/∂(parameter), shape (n, p), as `slopes`."""
        detuning, integral = self.detuning[:, [0, -1]], self.part_in_band / self.total
        # 1/(δ² + γ²/4), and δ times it, from one end of the band to the other.
        height = 1 / (detuning**2 + (self.total**2 / 4)[:, None])
        rise, first = np.diff(height, axis=1)[:, 0], np.diff(detuning * height, axis=1)[:, 0]
        by_total = -(integral + first / (2 * np.pi)) / self.total
        scale = self._whole * self._flow
        by = [scale * by_total, scale * rise / (2 * np.pi), self._whole * integral, scale * integral]
        return np.asarray(np.einsum("kn,pkn->np", np.stack(by), self._changes(values, data, names)))

    @property
    def _whole(self) -> Real:
        """Photon energy times γ_tr (W), shape (n,)."""
        return np.asarray(self.each[:, 0] * (self.detuning[:, 0] ** 2 + self.total**2 / 4))

    @property
    def _flow(self) -> Real:
        return np.asarray(self.density[:, 0] / self.each[:, 0])

    def _changes(self, values: Mapping[str, float], data: EmissionData, names: Sequence[str]) -> Real:
        """Change of γ_Σ, δ, flow and ln of the factor at each bias, by each parameter in `names`, shape (p, 4, n)."""
        rate, frequency, ones = values["damping_junction"], values["ohmic_frequency"], np.ones_like(self.total)
        own, (line, excess) = self.junctions, _beyond(values)
        net, nothing = own.emission - self.photons * own.damping, 0 * ones
        changes = {
            name: (
                rate * slope.damping,
                -rate * slope.shift,
                rate * (slope.emission - self.photons * slope.damping),
                nothing,
            )
            for name, slope in tunnelling_slopes(values, data.device_voltage, data.array, self.island).items()
        }
        changes["damping_junction"] = (own.damping, -own.shift, net, nothing)
        changes["damping_excess"] = (ones, nothing, (excess - line) * ones, nothing)
        changes["damping_line"] = (ones, nothing, nothing, ones / values["damping_line"])
        total, detuning, flow, factor = changes["ohmic_frequency"]
        changes["ohmic_frequency"] = (total, detuning - 2 * np.pi, flow, factor + 1 / frequency)
        changes["gain"] = (nothing, nothing, nothing, ones * np.log(10) / 10)
        changes[LINE_PHOTONS] = (nothing, nothing, values["damping_line"] - self.total, nothing)
        changes[EXCESS_PHOTONS] = (nothing, nothing, values["damping_excess"] * ones, nothing)
        return np.array([changes[name] for name in names])


RIPPLE = (
    "the gain is not flat over the line: the emission follows the ripple of the chain's noise by a factor of {:.2g} "
    "(1 if it is all gain), and the true uncertainties are larger; improve the match of chain and device"
)


# By as much the emission follows the noise where its ripple is one of the gain.
_RIPPLES = (0.0, 2.0)


@dataclass(frozen=True)
class Spectra(Model):
    """The spectra with the noise of the chain eliminated, as functions of the parameters `names`.

    `expected` (n, m) is the power density (W/Hz) whose radiometer noise weights the data. Each spectrum, noise and
    emission, has the best factor of its own by the columns of the `drift`, shape (n, terms): see `_drift`.
    """

    data: EmissionData
    names: tuple[str, ...]
    expected: Real
    drift: Real = field(kw_only=True)
    island: Island | None = None

    @classmethod
    def of(
        cls,
        data: EmissionData,
        names: Sequence[str],
        gain: float,
        emitted: Real,
        terms: int = 0,
        island: Island | None = None,
    ) -> "Spectra":
        """All of the `data`, weighted for a `gain` (ratio) and an emission `emitted` (W/Hz).

        `island` is that at their biases, as of `tunnelling`.
        """
        # The noise of a radiometer is proportional to the power: weights come from the model, never from noisy data.
        expected = np.median(data.spectrum, axis=0) + gain * (emitted - np.median(emitted, axis=0))
        drift = drift_basis(data.course, terms)
        mask = np.ones(data.spectrum.size, bool)
        return cls(data, tuple(names), expected, mask=mask, drift=drift, island=island)

    @property
    def counts(self) -> Bool:
        """Which data count, shape (n, m)."""
        return self.mask.reshape(self.expected.shape)

    def rows(self) -> NDArray[np.intp]:
        return np.arange(self.mask.size).reshape(self.expected.shape)

    def suspects(self, x: Real) -> list[Suspect]:
        """A gain that varies over the line as the noise of the chain does."""
        gain, values = self._values(x)
        lines = Lines.of(values, self.data, self.island)
        emitted, noise = gain * self.data.through_filter(lines.density), self.background(x)
        change = emitted * (noise / np.median(noise) - 1)
        tangent = self._at(emitted, self._factor(emitted))
        if not change.any():
            return []
        return [Suspect(RIPPLE, (tangent.rest(change) / self.expected).reshape(-1, 1), _RIPPLES, positive=True)]

    def place(self, datum: int) -> str:
        return self.data.place(datum)

    def model(self, x: Real) -> Real:
        """Background plus gain times emission, times the factor of each spectrum (W/Hz), shape (n, m)."""
        emitted = self._emitted(x)
        return np.asarray(self._at(emitted, self._factor(emitted)).expected)

    def drifts(self, x: Real, noise: float) -> tuple[Real, Real]:
        """Logarithm of the factor of each spectrum, and its σ, shape (n,)."""
        emitted = self._emitted(x)
        factor = self._factor(emitted)
        return np.log(factor), self._at(emitted, factor).sigma(noise)

    def residuals(self, x: Real) -> Real:
        try:
            rest = self.data.spectrum - self.model(x)
        except NoOperatingPointError:
            # Not finite: the solver takes a shorter step.
            return np.full(self.mask.shape, np.nan)
        return np.asarray(rest / self.expected).ravel()

    def residuals_at_start(self, _x: Real) -> Real:
        return np.asarray((self.data.spectrum / self.expected - 1).ravel())

    def jacobian(self, x: Real) -> Real:
        tangent, slopes = self._tangent_and_slopes(x)
        for column in np.moveaxis(slopes, -1, 0):
            column[...] = tangent.rest(column) / self.expected
        return slopes.reshape(-1, x.size)

    def background(self, x: Real) -> Real:
        """Noise of the chain (W/Hz) in each bin."""
        emitted = self._emitted(x)
        return self._background(emitted, self._factor(emitted))

    def background_slopes(self, x: Real) -> Real:
        """∂(background)/∂x, shape (frequencies, parameters)."""
        tangent, slopes = self._tangent_and_slopes(x)
        return np.stack([tangent.split(column)[1] for column in np.moveaxis(slopes, -1, 0)], axis=-1)

    def _emitted(self, x: Real) -> Real:
        gain, values = self._values(x)
        return gain * self.data.through_filter(Lines.of(values, self.data, self.island).density)

    def _tangent_and_slopes(self, x: Real) -> tuple[Tangent, Real]:
        """The tangent, and ∂(data minus emission)/∂x at constant noise and factors, shape (n, m, p)."""
        gain, values = self._values(x)
        lines = Lines.of(values, self.data, self.island)
        emitted = gain * self.data.through_filter(lines.density)
        factor = self._factor(emitted)
        slopes = self.data.through_filter(lines.slopes(values, self.data, self.names))
        slopes *= -gain * factor[:, None, None]
        return self._at(emitted, factor), slopes

    def _factor(self, emitted: Real) -> Real:
        return best_factor(self.drift, self.data.spectrum, lambda factor: self._at(emitted, factor))

    def _at(self, emitted: Real, factor: Real) -> Tangent:
        common = np.broadcast_to(factor[:, None], emitted.shape)
        expected = common * (self._background(emitted, factor) + emitted)
        return Tangent(self.drift, expected, common, self._weight)

    def _background(self, emitted: Real, factor: Real) -> Real:
        """Noise of the chain (W/Hz) in each bin, as the mean over the spectra; 0 in a bin where no datum counts."""
        share = self._weight * factor[:, None]
        power = share.T @ factor
        rest = (share * (self.data.spectrum - factor[:, None] * emitted)).sum(axis=0)
        return np.asarray(rest / np.where(power > 0, power, 1.0))

    @cached_property
    def spurs(self) -> Bool:
        """Bins in which the noise of the chain stands out from that of the neighbours, shape (m,)."""
        # Of the expectation at the start of a fit only the part that changes with the bias counts.
        rise, weight = self.expected - self.expected.min(axis=0), self.expected**-2
        noise = (weight * (self.data.spectrum - rise)).sum(axis=0) / weight.sum(axis=0)
        if noise.size < _FEWEST_BINS:
            return np.zeros(noise.shape, bool)
        excess = noise / median_filter(noise, size=_NEIGHBOURS, mode="nearest") - 1
        # Second differences have √6 of the scatter of a bin, and hardly see a ripple.
        return np.asarray(excess > OUTLIER * robust_scale(np.diff(noise, 2) / noise[1:-1]) / np.sqrt(6))

    @cached_property
    def at_line(self) -> Real:
        """Weight of each bin in a mean over the line, shape (m,): the height of the emission there, and 0 for a spur.

        The gain is that over the line, and only there noise and gain make up a noise temperature: elsewhere the gain
        may be another one.
        """
        height = np.ptp(self.expected, axis=0) * (self.counts.any(axis=0) & ~self.spurs)
        return np.asarray(height / height.sum())

    @cached_property
    def _weight(self) -> Real:
        return np.asarray(self.counts * self.expected**-2)

    def _values(self, x: Real) -> tuple[float, dict[str, float]]:
        """Gain as a ratio, and all parameters by name."""
        values = dict(zip(self.names, map(float, x), strict=True))
        return 10 ** (values["gain"] / 10), values


def _beyond(values: Mapping[str, float]) -> tuple[float, float]:
    """Photons of line and excess losses beyond those of the fridge; none in fits of earlier versions."""
    return values.get(LINE_PHOTONS, 0.0), values.get(EXCESS_PHOTONS, 0.0)
