"""Whether what was fitted to one trace (`labnis.fit.resonator.resonance`) is a resonance, and what is wrong with it."""

import numpy as np
from scipy.special import gammaincc

from labnis.fit.arrays import Complex, Real
from labnis.fit.resonator._biases import gigahertz
from labnis.fit.resonator._resonance_start import SIGNIFICANT
from labnis.fit.resonator._spacing import densest_part, represented
from labnis.fit.resonator.reflection import FANO_REAL
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import as_real

__all__ = ["doubts", "refuse_what_is_no_resonance", "ripple"]

# Most of what the residuals are too large by, in a narrow part of the band, is no ripple.
_MOST, _NARROW = 0.6, 0.08
# In a narrower band, a bend of the background and the tails of the resonance are too alike.
_LEAST_LINEWIDTHS = 5
# Random residuals contain waves or a bend with this probability.
_RARE = 1e-3
# |1 + φ| = 2 (see labnis.fit.resonator.reflection) takes Re φ out of its assumed uncertainty beyond this |Im φ|.
_LARGE_FANO = 2 * np.sqrt(FANO_REAL[1])
# Of a hanger: the coupling is turned by more than a right angle's half.
_LARGE_ASYMMETRY = 1.0


def refuse_what_is_no_resonance(result: FitResult, band: Real) -> None:
    """FitError where a fit to the rising frequencies `band` (Hz), shape (n,), describes no resonance of a device."""
    shown = "damping_line" if "damping_line" in result.names else "background_amplitude"
    line, frequency = result[shown], result["resonance_frequency"]
    total = ("damping_line", "damping_internal") if shown == "damping_line" else ("damping_total",)
    width = sum(result[name].value for name in total)
    if not line.value > SIGNIFICANT * line.sigma or not width > 0:
        raise FitError(
            f"no resonance stands out of the noise ({shown} = {line}): is it within the band of {band[0]:.6g} to "
            f"{band[-1]:.6g} Hz? Average more, or move the band"
        )
    if not band[0] < frequency.value < band[-1]:
        raise FitError(
            f"the best resonance lies outside the band, at {frequency.value:.6g} Hz: move the band there, or there is "
            "none and the background is curved"
        )
    if "damping_internal" not in result.names:
        return
    internal = result["damping_internal"]
    if internal.value < -4 * internal.sigma:
        raise FitError(
            f"the internal damping comes out as {internal.value:.3g} ± {internal.sigma:.2g} 1/s, and no passive device "
            "has a negative one: the background is more than a slope (measure a narrower or a wider band)"
        )


def ripple(fit: FitResult, model: Complex, jacobian: Real, band: Real, linewidth: float) -> list[str]:
    """Whether the residuals, relative to the trace, contain slow waves or a bend, which the background would have.

    `model`, shape (n,), is the trace that was fitted, by the rising frequencies `band` (Hz).
    """
    variance = fit.noise**2 * fit.degrees_of_freedom / fit.chi2
    rest = np.where(fit.mask, fit.residuals, 0.0)
    power = float((np.abs(model) ** 2).sum())
    real, imaginary = rest.reshape(2, -1)
    waves = np.abs(np.fft.fft((real + 1j * imaginary) * model.conj())) ** 2 / (2 * variance * power)
    # With k periods and −k; of random residuals each is exponentially distributed around 1.
    most = waves.size // 4
    both = waves[1 : most + 1] + waves[: -most - 1 : -1]
    # Waves within the part of the band where there is a signal are only so fine.
    alike = max(round(model.size * float((np.abs(model) ** 4).sum()) / power**2), 1)
    both = both[alike - 1 :: alike]
    by_waves = gammaincc(2 * np.arange(1, both.size + 1), np.cumsum(both)).min()
    # Most of a bend is absorbed by the parameters; the remainder is more significant than its waves.
    t = (band - (band[0] + band[-1]) / 2) / (band[-1] - band[0])
    bends = np.stack([as_real(factor * model * t**order) for order in (2, 3) for factor in (1, 1j)], axis=-1)
    bends[~fit.mask] = 0
    bends -= jacobian @ (fit.covariance / fit.noise**2 @ (jacobian.T @ bends))
    seen = bends.T @ rest
    by_bends = gammaincc(2, seen @ np.linalg.solve(bends.T @ bends, seen) / (2 * variance))
    if min(by_waves, by_bends) > _RARE:
        return []
    if second := _second_resonance(fit, band, linewidth, real**2 + imaginary**2 - 2 * variance):
        return second
    strongest = int(np.argmax(both))
    decibels = 20 * np.log10(1 + np.sqrt(2 * variance * both[strongest] / power))
    # Waves from point to point are none along the frequency where the distances differ.
    is_even = densest_part(np.unique(band)) == (band[0], band[-1])
    periods = f" with {alike * (strongest + 1)} periods in the band" if is_even else ""
    return [
        f"the background is no slope: the residuals ripple by about {decibels:.2g} dB{periods}, and the true "
        "uncertainties are larger; measure a band of fewer linewidths, or at several biases for fit_reflection"
    ]


def _second_resonance(fit: FitResult, band: Real, linewidth: float, excess: Real) -> list[str]:
    """A warning where most of the `excess` of the squared residuals, shape (n,), is at one place beside the line."""
    size = max(int(_NARROW * excess.size), 3)
    within = np.convolve(excess, np.ones(size), mode="same")
    at = band[np.argmax(within)]
    if within.max() < _MOST * excess.sum() or abs(at - fit["resonance_frequency"].value) < linewidth:
        return []
    return [
        f"the residuals are largest near {gigahertz(float(at))}, beside the resonance, as by a second resonance, a "
        "spur, or a frequency that moved during the trace, and the true uncertainties are larger: repeat it; leave "
        "these points out, or measure a band without them"
    ]


def doubts(result: FitResult, band: Real, width: float) -> list[str]:
    """Warnings about the resonance itself, of this full `width` (Hz)."""
    found, span = [], float(band[-1] - band[0])
    frequency = result["resonance_frequency"].value
    margin = min(frequency - band[0], band[-1] - frequency)
    if width > span / _LEAST_LINEWIDTHS:
        found.append(
            f"the band is only {span / width:.2g} linewidths wide: a background that bends would pass for part "
            f"of the resonance; measure {_LEAST_LINEWIDTHS} or more"
        )
    elif margin < width:
        found.append(
            f"the resonance is {margin / width:.2g} linewidths from the edge of the band: the background is known on "
            f"one side only; centre the band on {frequency:.6g} Hz"
        )
    distinct = np.unique(band)
    spacing = float(np.interp(frequency, distinct, represented(distinct)))
    if width < 2 * spacing:
        found.append(f"the points are {spacing / width:.2g} linewidths apart: measure more densely")
    if "damping_internal" in result.names and result["damping_internal"].value < 0:
        found.append("damping_internal is negative within its uncertainty: only an upper limit of it is known")
    if "fano_imag" in result.names and abs(result["fano_imag"].value) > _LARGE_FANO:
        found.append(
            f"fano_imag is {result['fano_imag'].value:.2g}: with cross-talk that strong neither fano_real is "
            f"known to {FANO_REAL[1]}, nor are the rates; is there a mismatch before the device?"
        )
    if "asymmetry" in result.names and abs(result["asymmetry"].value) > _LARGE_ASYMMETRY:
        found.append(
            f"asymmetry is {result['asymmetry'].value:.2g}: with a mismatch that strong damping_line and "
            "damping_internal are not told apart well; look at what is before and behind the device"
        )
    return found
