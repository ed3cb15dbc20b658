"""Start values of a reflection fit: an earlier fit, or a coarse grid of rates in the band that depends on the bias."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import median_filter

from labnis.fit.arrays import Real
from labnis.fit.parameters import Parameter
from labnis.fit.resonator._spacing import band_median, represented
from labnis.fit.resonator._traces import ReflectionData, Traces
from labnis.fit.result import FitError, FitResult

__all__ = ["rate_parameters"]

# An earlier fit is no start where its residuals exceed their differences by this factor.
_RANDOM = 1.2
_SIZES = ("damping_line", "damping_excess", "damping_junction")


def rate_parameters(
    data: ReflectionData, junction: Sequence[Parameter], start: FitResult | None, fixed: Mapping[str, float]
) -> list[Parameter]:
    """Rates, frequency and Fano factor for `data` (phase convention of the model) and these `junction` parameters.

    They start at an earlier fit if that leaves only noise, else at the best of a grid; `fixed` overrides both.
    """
    coarse = data.thinned(15, 101)
    held = {p.name: p.start for p in junction}

    def rest(candidate: Mapping[str, float]) -> Real:
        values = held | dict(candidate) | dict(fixed)
        return Traces.of(coarse, values).residuals(np.array([*values.values()]))

    if start is not None:
        earlier = {name: start[name].value for name in (*_SIZES, "ohmic_frequency", "fano_real", "fano_imag")}
        left = rest(earlier)
        # Neighbouring random numbers differ by √2 of their size.
        if np.abs(left).mean() < _RANDOM * np.abs(np.diff(left)).mean() / np.sqrt(2):
            return _parameters(earlier)
    frequency, width = _active_region(data)
    candidates = [
        dict(zip(_SIZES, np.array(rates) * factor * width / sum(rates), strict=True))
        | {"ohmic_frequency": frequency + shift * width / (2 * np.pi), "fano_real": 1.0, "fano_imag": 0.0}
        for factor in (0.3, 1.0, 3.0)
        for rates in ((1, 0.1, 1), (1, 0.1, 4), (1, 0.1, 0.3), (1, 1, 2), (0.3, 1, 2), (1, 0.1, 12))
        for shift in (-0.3, 0.0, 0.3)
    ]
    # Absolute values are more robust to outliers than squares.
    return _parameters(min(candidates, key=lambda candidate: float(np.abs(rest(candidate)).sum())))


def _parameters(v: Mapping[str, float]) -> list[Parameter]:
    width = sum(v[name] for name in _SIZES)
    return [
        Parameter("damping_line", "1/s", v["damping_line"], width, 1e-4 * width, 1e3 * width),
        Parameter("damping_excess", "1/s", v["damping_excess"], width, 0.0, 1e3 * width),
        Parameter("damping_junction", "1/s", v["damping_junction"], width, 1e-4 * width, 1e3 * width),
        Parameter("ohmic_frequency", "Hz", v["ohmic_frequency"], width / (2 * np.pi)),
        Parameter("fano_real", "1", v["fano_real"], 1.0),
        Parameter("fano_imag", "1", v["fano_imag"], 1.0),
    ]


def _active_region(data: ReflectionData) -> tuple[float, float]:
    """Centre (Hz) and width (rad/s) of the band in which the traces depend on the bias."""
    mean = data.s11.mean(axis=0)
    # Without the phase of the background, for any length of the cables.
    change = (data.s11 - mean) * np.exp(-1j * np.angle(mean))
    # Medians of three frequencies and of three biases are robust to outliers.
    quiet = median_filter(np.abs(change) ** 2, size=3, mode="nearest")
    variance = np.convolve(quiet.mean(axis=0), np.ones(5) / 5, mode="same")
    # Neighbouring frequencies differ mostly by noise; the median is robust to a narrow resonance.
    noise = float(np.median((np.abs(np.diff(change, axis=1)) ** 2).mean(axis=0))) / 2
    # Variances of noise scatter by this much; rounding leaves a variance even without noise.
    scatter = 1 / np.sqrt(5 * (data.device_voltage.size - 1))
    least = max(noise * (1 + 6 * scatter), 1e-18 * float((np.abs(mean) ** 2).mean()))
    if not variance.max() > least:
        raise FitError(
            "the reflection does not depend on the bias beyond its noise: nothing to fit; is the resonance in the "
            "band, and does the sweep reach beyond the gap?"
        )
    activity = (variance - band_median(variance, data.frequency)).clip(min=0)
    strong, part = activity > 0.5 * activity.max(), represented(data.frequency)
    weight = activity * strong * part
    centre = float((weight * data.frequency).sum() / weight.sum())
    return centre, 2 * np.pi * max(float(part[strong].sum()), 3 * float(part[np.argmax(activity)]))
