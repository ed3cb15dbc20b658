"""The model of the power in a band: noise of the chain, and emission, as functions of all parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.constants import h, k

from labnis.fit.arrays import Real
from labnis.fit.estimate import number_text
from labnis.fit.models import Model, Suspect
from labnis.fit.resonator._band_data import BandPowerData
from labnis.fit.resonator._electrons import Island
from labnis.fit.resonator._lines import LINE_PHOTONS, Lines
from labnis.physics import NoOperatingPointError

__all__ = ["Powers"]

_PER_DECIBEL = float(np.log(10) / 10)
# Of the largest power: less is no chain whose noise is in it, and nothing is more precise there.
_LEAST = 0.02
# A sweep changes its direction at fewer than this part of its readings.
_FEW_TURNS = 0.3

_DRIFTS = (
    "the residuals look like a drift of the chain's gain by {:.2g} dB in the course of the readings, which band power "
    "cannot tell from emission: let the chain settle, and sweep the bias up and down, so that a drift averages out"
)
_COMPRESSED = (
    "the residuals look like a chain that the largest emission compresses by {:.2g} dB, and the gain is too low: "
    "attenuate before the last amplifiers and the meter, or sweep less far"
)
_EITHER = (
    "the residuals look like a gain of the chain that changes by {:.2g} dB with the time, or with the emitted power: "
    "it drifts, or the chain is compressed; sweep the bias up and down to distinguish, then let the chain settle, or "
    "attenuate before the last amplifiers and the meter"
)
# A sweep in which time and emitted power are so much alike does not distinguish the two.
_ONE_WAY = 0.8


@dataclass(frozen=True)
class Powers(Model):
    """Power in the band as a function of the parameters `names`; residuals are relative to the `expected` power (W)."""

    data: BandPowerData
    names: tuple[str, ...]
    expected: Real
    island: Island | None = None

    @classmethod
    def of(cls, data: BandPowerData, names: tuple[str, ...], x: Real, island: Island | None) -> "Powers":
        """All of the `data`, weighted for the noise at the parameters `x`; never by noisy data."""
        model = cls(data, names, np.ones_like(data.band_power), island, mask=np.ones(data.band_power.shape, bool))
        power = model.power(x)
        return replace(model, expected=np.maximum(power, _LEAST * power.max()))

    def power(self, x: Real) -> Real:
        """Expected power (W), shape (n,)."""
        gain, values, lines = self._at(x)
        return np.asarray(gain * (lines.in_band() + self._noise(values)))

    def emission(self, x: Real) -> Real:
        """The part of it that the junctions emit (W), shape (n,)."""
        gain, _, lines = self._at(x)
        return gain * lines.in_band()

    def residuals(self, x: Real) -> Real:
        try:
            return np.asarray((self.data.band_power - self.power(x)) / self.expected)
        except NoOperatingPointError:
            # Not finite: the solver takes a shorter step.
            return np.full(self.mask.shape, np.nan)

    def jacobian(self, x: Real) -> Real:
        gain, values, lines = self._at(x)
        other = [name for name in self.names if name != "noise_temperature"]
        slopes = dict(zip(other, lines.slopes_in_band(values, self.data.ends, other).T, strict=True))
        width, photons = self.data.bandwidth, values.get(LINE_PHOTONS, 0.0)
        slopes["noise_temperature"] = k * width * np.ones_like(self.expected)
        slopes["gain"] = slopes["gain"] + _PER_DECIBEL * self._noise(values)
        slopes["ohmic_frequency"] = slopes["ohmic_frequency"] + h * photons * width
        if LINE_PHOTONS in slopes:
            slopes[LINE_PHOTONS] = slopes[LINE_PHOTONS] + h * values["ohmic_frequency"] * width
        return np.stack([-gain * slopes[name] / self.expected for name in self.names], axis=-1)

    def rows(self) -> NDArray[np.intp]:
        """All data as one row: of sweeps in the order of measurement, else by rising voltage.

        Neighbours by voltage are apart by a drift where a bias is swept up and down.
        """
        way = np.sign(np.diff(self.data.device_voltage))
        swept = int((way[1:] != way[:-1]).sum()) < _FEW_TURNS * way.size
        return (np.arange(self.mask.size) if swept else np.argsort(self.data.device_voltage, kind="stable"))[None]

    def place(self, datum: int) -> str:
        return number_text(float(self.data.device_voltage[datum]), "V")

    def noise_shapes(self, x: Real) -> Mapping[str, Real]:
        """Noise of the meter, jitter of the voltage, and noise of the emission alone."""
        by_voltage = self.jacobian(x)[:, self.names.index("voltage_offset")]
        return {
            "noise that does not grow with the power, as that of the meter": 1 / self.expected,
            "a voltage that jitters from point to point": np.abs(by_voltage),
            "an emission that fluctuates": np.abs(self.emission(x)) / self.expected,
        }

    def suspects(self, x: Real) -> list[Suspect]:
        """A gain that drifts, or falls with the power."""
        drifts, falls = (one[:, None] for one in self.unseen(x))
        if abs(float(np.corrcoef(drifts[:, 0], falls[:, 0])[0, 1])) > _ONE_WAY:
            return [Suspect(_EITHER, drifts)]
        return [Suspect(_DRIFTS, drifts), Suspect(_COMPRESSED, falls, positive=True)]

    def unseen(self, x: Real) -> tuple[Real, Real]:
        """Change of the residuals by a drift of 1 dB from first to last, and a compression of 1 dB at most, (n,)."""
        relative = _PER_DECIBEL * self.power(x) / self.expected
        course, emitted = self.data.course, self.emission(x)
        drift = (course - course.mean()) / (float(np.ptp(course)) or 1.0)
        return relative * drift, -relative * (emitted - emitted.min()) / (float(np.ptp(emitted)) or 1.0)

    def _at(self, x: Real) -> tuple[float, dict[str, float], Lines]:
        """Gain as a ratio, all parameters by name, and the lines."""
        values = dict(zip(self.names, map(float, x), strict=True))
        return 10 ** (values["gain"] / 10), values, Lines.of(values, self.data.ends, self.island)

    def _noise(self, values: Mapping[str, float]) -> float:
        """Noise of the chain, and of the line's photons, referred to the device (W)."""
        photons = h * values["ohmic_frequency"] * values.get(LINE_PHOTONS, 0.0)
        return float((k * values["noise_temperature"] + photons) * self.data.bandwidth)
