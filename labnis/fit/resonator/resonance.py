"""Resonance frequency and damping rates from one reflection trace, for measurements without a reference.

A network analyzer shows s11(f) = B(f)·Γ*(f): the device's Γ = −1 + (1 + φ)γ_tr/(γ_tr + γ_i − 2i(ω − ω_r)) (Hyyppä et
al., APL 114, 192603, eq. 11; conjugated, because analyzers count phase as e^{+jωt}) behind a background of cables and
amplifiers, B(f) = a·exp[iα + (b − 2πiτ)(f − f_c)] with f_c the middle of the band. The real slope b is that of the
amplitude; a slope of the phase is a delay, so B has both to first order, and nothing in it is degenerate.

No guess is needed: at fixed resonance frequency, width and delay, B·Γ* is to first order a straight line plus a
multiple of 1/(γ_Σ + 2i(ω − ω_r)), and the best of all such is found by correlation.

As for all reflection (see `labnis.fit.resonator.reflection`), only (1 + φ)γ_tr is observed, and Re φ is an assumption
whose uncertainty is included in that of the rates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincc

from labnis.fit._sweeps import compared_sweeps, sweeps_of
from labnis.fit.arrays import Complex, Real, complex_array, real_columns
from labnis.fit.derived import with_derived
from labnis.fit.models import Suspect
from labnis.fit.parameters import Given, Parameter, hold
from labnis.fit.resonator._amplitudes import amplitude_warning
from labnis.fit.resonator._biases import BENT, JITTER, KERR, PROPORTIONAL, check_hertz, gigahertz
from labnis.fit.resonator._resonance_start import SIGNIFICANT, Rational, search, total_turn, without_glitches
from labnis.fit.resonator._spacing import densest_part, represented
from labnis.fit.resonator.reflection import FANO_ASSUMED, FANO_REAL, PORT_ASSUMED
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import TraceModel, as_real, solve

__all__ = ["fit_resonance", "resonance_model"]

MODEL = "reflection of one trace"

_LEAST_POINTS = 20
# Most of what the residuals are too large by, in a narrow part of the band, is no ripple.
_MOST, _NARROW = 0.6, 0.08
# In a narrower band, a bend of the background and the tails of the resonance are too alike.
_LEAST_LINEWIDTHS = 5
# Random residuals contain waves or a bend with this probability.
_RARE = 1e-3
_REFINEMENTS = 5
# |1 + φ| = 2 (see labnis.fit.resonator.reflection) takes Re φ out of its assumed uncertainty beyond this |Im φ|.
_LARGE_FANO = 2 * np.sqrt(FANO_REAL[1])


def fit_resonance(
    frequency: ArrayLike,
    s11: ArrayLike,
    *,
    fano: bool = True,
    fixed: Mapping[str, float] | None = None,
    given: Given | None = None,
    start: FitResult | None = None,
) -> FitResult:
    """Fit a resonance, the cable's delay and a sloping background to one complex trace.

    Parameters
    ----------
    frequency
        Probe frequencies (Hz), shape (n,), in any order; best several linewidths to both sides of the resonance.
    s11
        As a network analyzer measures it (phase convention e^{+jωt}), shape (n,). Points that are not finite are left
        out.
    fano
        Whether Im φ is fitted; without, it is 0, as in most circle fits.
    fixed
        Parameters that are held at a value, by name; Re φ and the quality factor follow from the others.
    given
        Parameters that are known with a standard uncertainty: name → (value, σ).
    start
        An earlier fit of the same kind to start from instead of a search of the whole band; not a prior.

    Returns
    -------
    FitResult
        resonance_frequency (Hz), damping_line and damping_internal (1/s; a quality factor is 2π·frequency/rate),
        fano_real, fano_imag, background_amplitude, background_slope (relative change of the amplitude per Hz),
        background_phase (rad, in the middle of the band), delay (s), and loaded_quality.

    Raises
    ------
    FitError
        With fewer than 20 usable points, real data, no resonance within the band that stands out of the noise, the
        other phase convention, or no convergence.

    """
    trace, order = _trace(frequency, s11)
    parameters = hold(_parameters(_guess(trace, start), trace, fano), fixed, given)
    trace = replace(trace, names=tuple(p.name for p in parameters))
    assumed = {"fano_real": FANO_ASSUMED, "port": PORT_ASSUMED.format("damping_internal")}
    if not fano:
        assumed["fano_imag"] = "0; it was left out"
    try:
        # The solver rejects a step that overflows.
        with np.errstate(over="ignore", invalid="ignore"):
            fitted = solve(parameters, trace, MODEL, assumed, given=given)
    except FitError as error:
        raise FitError(
            f"{error}: is the resonance within the band, and the background little more than a slope?"
        ) from error
    result = _with_fano_real(fitted)
    _refuse_what_is_no_resonance(result, trace)
    units = amplitude_warning(fitted, trace.s11, lambda s11: _interpreted(replace(trace, s11=s11), fano))
    bent = any(text.startswith(BENT) for text in result.warnings)  # and its residuals are no ripple
    found = [
        *units,
        *_sweep_warnings(result, trace, order),
        *result.warnings,
        *([] if bent else _ripple(fitted, trace)),
        *_doubts(result, trace),
    ]
    if found and not fano:
        found.append("the Fano term was left out, which may be why: fit with fano=True")
    return with_derived(replace(result, warnings=tuple(found)), "loaded_quality", "1", _loaded_quality)


def resonance_model(fit: FitResult, frequency: Real) -> Complex:
    """S11 that a fit expects at the frequencies (Hz) of its trace, shape (n,), as a network analyzer measures it."""
    names = tuple(name for name in fit.names if name not in ("fano_real", "loaded_quality"))
    trace, order = _trace(frequency, np.zeros(frequency.shape, complex))
    return replace(trace, names=names).model(fit.select(names).values)[np.argsort(order)]


def _interpreted(trace: "_Trace", fano: bool) -> FitResult:
    """The fit of a trace as it is."""
    return solve(_parameters(_guess(trace, None), trace, fano), trace, MODEL, {})


@dataclass(frozen=True)
class _Trace(TraceModel):
    """One trace by rising frequency, as a function of the parameters `names`; `centre` is the middle of the band."""

    frequency: Real

    @property
    def centre(self) -> float:
        return float(self.frequency[0] + self.frequency[-1]) / 2

    @property
    def span(self) -> float:
        return float(self.frequency[-1] - self.frequency[0])

    def spacing(self, frequency: float) -> float:
        """Distance (Hz) between two points at a `frequency` within the band."""
        distinct = np.unique(self.frequency)
        return float(np.interp(frequency, distinct, represented(distinct)))

    @property
    def is_even(self) -> bool:
        """Whether the points have the same distance everywhere."""
        return densest_part(np.unique(self.frequency)) == (self.frequency[0], self.frequency[-1])

    def suspects(self, x: Real) -> list[Suspect]:
        """A frequency that depends on the power in the resonator."""
        _, response = self._parts(self.values(x))
        shift = self.jacobian(x)[:, self.names.index("resonance_frequency")]
        power = np.abs(response) ** 2 / np.max(np.abs(response) ** 2)
        return [Suspect(KERR, (shift * np.tile(power, 2))[:, None])]

    def noise_shapes(self, x: Real) -> dict[str, Real]:
        return {JITTER: np.abs(self.jacobian(x)[:, self.names.index("resonance_frequency")])} | {
            PROPORTIONAL: np.tile(np.abs(self.model(x)), 2)
        }

    def place(self, datum: int) -> str:
        return gigahertz(float(self.frequency[datum % self.frequency.size]))

    def residuals(self, x: Real) -> Real:
        return as_real(self.s11 - self.model(x))

    def model(self, x: Real) -> Complex:
        """B·Γ*."""
        values = self.values(x)
        background, response = self._parts(values)
        return np.asarray(background * (_coupling(values) * response - 1))

    def jacobian(self, x: Real) -> Real:
        v = self.values(x)
        background, response = self._parts(v)
        coupling, offset = _coupling(v), self.frequency - self.centre
        gamma, by_width = coupling * response - 1, -coupling * response**2
        slopes = {
            "resonance_frequency": -4j * np.pi * by_width,
            "damping_line": by_width + coupling / v["damping_line"] * response,
            "damping_internal": by_width,
            "fano_imag": -1j * v["damping_line"] * response,
            "background_amplitude": gamma / v["background_amplitude"],
            "background_slope": offset * gamma,
            "background_phase": 1j * gamma,
            "delay": -2j * np.pi * offset * gamma,
        }
        return np.stack([as_real(-background * slopes[name]) for name in self.names], axis=-1)

    def _parts(self, values: Mapping[str, float]) -> tuple[Complex, Complex]:
        """B and 1/(γ_Σ + 2i(ω − ω_r))."""
        offset = self.frequency - self.centre
        growth = values["background_slope"] - 2j * np.pi * values["delay"]
        background = values["background_amplitude"] * np.exp(1j * values["background_phase"] + growth * offset)
        width = values["damping_line"] + values["damping_internal"]
        return background, np.asarray(1 / (width + 4j * np.pi * (self.frequency - values["resonance_frequency"])))

    def values(self, x: Real) -> dict[str, float]:
        return {"fano_imag": 0.0} | super().values(x)


def _coupling(values: Mapping[str, float]) -> complex:
    """(1 + φ*)·γ_tr."""
    return (1 + complex(FANO_REAL[0], -values["fano_imag"])) * values["damping_line"]


def _loaded_quality(values: Mapping[str, float]) -> float:
    return 2 * np.pi * values["resonance_frequency"] / (values["damping_line"] + values["damping_internal"])


def _trace(frequency: ArrayLike, s11: ArrayLike) -> tuple[_Trace, NDArray[np.intp]]:
    """The usable points by rising frequency, and their numbers in the order of measurement."""
    values, (frequencies,) = complex_array("s11", s11), real_columns(frequency=frequency)
    if values.shape != frequencies.shape:
        raise FitError(f"s11 has shape {values.shape} and frequency {frequencies.shape}; they must be equal, (points,)")
    usable = np.isfinite(values) & np.isfinite(frequencies)
    f, s = frequencies[usable], values[usable]
    if np.unique(f).size < _LEAST_POINTS:
        raise FitError(f"{np.unique(f).size} usable frequencies are too few; at least {_LEAST_POINTS} are needed")
    check_hertz(f)
    order = np.argsort(f, kind="stable")
    return _Trace(s[order], (), f[order], mask=np.ones(2 * f.size, bool)), order


def _sweep_warnings(result: FitResult, trace: _Trace, order: NDArray[np.intp]) -> tuple[str, ...]:
    """A warning where the trace is several sweeps that differ; `order` has the numbers of its points when measured."""
    measured = np.argsort(order)
    measured = measured[trace.with_mask(result.mask).counts[measured]]
    frequency, rest = trace.frequency[measured], result.residuals.reshape(2, -1).T[measured]
    return compared_sweeps(sweeps_of(frequency), frequency, rest, "")


def _parameters(guess: Mapping[str, float], trace: _Trace, fano: bool) -> list[Parameter]:
    width = abs(guess["damping_line"] + guess["damping_internal"])
    scales = {
        "resonance_frequency": ("Hz", width / (2 * np.pi)),
        "damping_line": ("1/s", width),
        "damping_internal": ("1/s", width),
        "fano_imag": ("1", 1.0),
        "background_amplitude": ("1", abs(guess["background_amplitude"])),
        "background_slope": ("1/Hz", 1 / trace.span),
        "background_phase": ("rad", 1.0),
        "delay": ("s", 1 / (2 * np.pi * trace.span)),
    }
    return [
        Parameter(name, unit, guess[name], scale)
        for name, (unit, scale) in scales.items()
        if fano or name != "fano_imag"
    ]


def _guess(trace: _Trace, start: FitResult | None) -> dict[str, float]:
    """Start values: from the trace itself, or near an earlier fit."""
    span = trace.span
    t = (trace.frequency - trace.centre) / span
    turn = total_turn(t, trace.s11)
    flat = without_glitches(trace.s11 * np.exp(-1j * turn * t))
    if start is None:
        best = search(t, flat)
    else:
        v = start.by_name
        pole = v["resonance_frequency"] - trace.centre + 1j * (v["damping_line"] + v["damping_internal"]) / (4 * np.pi)
        best = Rational.at(pole / span, -1j * (2 * np.pi * v["delay"] * span + turn), t, flat)
    for _ in range(_REFINEMENTS):
        best = best.refined(t, flat)
    coupling = -4j * np.pi * span * best.residue / best.constant
    width, line = 4 * np.pi * span * best.pole.imag, max(coupling.real, 0.1 * abs(coupling)) / 2
    return {
        "resonance_frequency": trace.centre + span * best.pole.real,
        "damping_line": line,
        "damping_internal": width - line,
        "fano_imag": -coupling.imag / line,
        "background_amplitude": abs(best.constant),
        "background_slope": best.growth.real / span,
        "background_phase": float(np.angle(-best.constant)),
        "delay": -(best.growth.imag + turn) / (2 * np.pi * span),
    }


def _with_fano_real(result: FitResult) -> FitResult:
    """Append the assumed Re φ, and propagate its uncertainty at constant (1 + φ)γ_tr and γ_Σ."""
    value, sigma = FANO_REAL
    line = result["damping_line"].value
    slopes = {"damping_line": -line, "damping_internal": line}
    if "fano_imag" in result.names:
        slopes["fano_imag"] = result["fano_imag"].value
    names = (*result.names, "fano_real")
    free = [slopes.get(name, 0.0) / (1 + value) if name in result.free else 0.0 for name in result.names]
    change = sigma * np.array([*free, 1.0])
    covariance = np.outer(change, change)
    covariance[:-1, :-1] += result.covariance
    return replace(
        result, names=names, units=(*result.units, "1"), values=np.append(result.values, value), covariance=covariance
    )


def _refuse_what_is_no_resonance(result: FitResult, trace: _Trace) -> None:
    line, frequency = result["damping_line"], result["resonance_frequency"]
    width = line.value + result["damping_internal"].value
    if not line.value > SIGNIFICANT * line.sigma or not width > 0:
        raise FitError(
            f"no resonance stands out of the noise (γ_tr = {line.value:.3g} ± {line.sigma:.3g} 1/s): is it within the "
            f"band of {trace.frequency[0]:.6g} to {trace.frequency[-1]:.6g} Hz? Average more, or move the band"
        )
    if not trace.frequency[0] < frequency.value < trace.frequency[-1]:
        raise FitError(
            f"the best resonance lies outside the band, at {frequency.value:.6g} Hz: move the band there, or there is "
            "none and the background is curved"
        )
    internal = result["damping_internal"]
    if internal.value < -4 * internal.sigma:
        raise FitError(
            f"the internal damping comes out as {internal.value:.3g} ± {internal.sigma:.2g} 1/s, and no passive device "
            "has a negative one: the background is more than a slope (measure a narrower or a wider band)"
        )


def _ripple(fit: FitResult, trace: _Trace) -> list[str]:
    """Whether the residuals, relative to the trace, contain slow waves or a bend, which the background would have."""
    variance = fit.noise**2 * fit.degrees_of_freedom / fit.chi2
    rest, model = np.where(fit.mask, fit.residuals, 0.0), trace.model(fit.values)
    power = float((np.abs(model) ** 2).sum())
    real, imaginary = rest.reshape(2, -1)
    waves = np.abs(np.fft.fft((real + 1j * imaginary) * model.conj())) ** 2 / (2 * variance * power)
    # With k periods and −k; of random residuals each is exponentially distributed around 1.
    most = waves.size // 4
    both = waves[1 : most + 1] + waves[: -most - 1 : -1]
    by_waves = gammaincc(2 * np.arange(1, most + 1), np.cumsum(both)).min()
    # Most of a bend is absorbed by the parameters; the remainder is more significant than its waves.
    t = (trace.frequency - trace.centre) / trace.span
    bends = np.stack([as_real(factor * model * t**order) for order in (2, 3) for factor in (1, 1j)], axis=-1)
    bends[~fit.mask] = 0
    jacobian = trace.jacobian(fit.values)
    bends -= jacobian @ (fit.covariance / fit.noise**2 @ (jacobian.T @ bends))
    seen = bends.T @ rest
    by_bends = gammaincc(2, seen @ np.linalg.solve(bends.T @ bends, seen) / (2 * variance))
    if min(by_waves, by_bends) > _RARE:
        return []
    if second := _second_resonance(fit, trace, real**2 + imaginary**2 - 2 * variance):
        return second
    strongest = int(np.argmax(both))
    decibels = 20 * np.log10(1 + np.sqrt(2 * variance * both[strongest] / power))
    # Waves from point to point are none along the frequency where the distances differ.
    periods = f" with {strongest + 1} periods in the band" if trace.is_even else ""
    return [
        f"the background is no slope: the residuals ripple by about {decibels:.2g} dB{periods}, and the true "
        "uncertainties are larger; measure a band of fewer linewidths, or at several biases for fit_reflection"
    ]


def _second_resonance(fit: FitResult, trace: _Trace, excess: Real) -> list[str]:
    """A warning where most of the `excess` of the squared residuals, shape (n,), is at one place beside the line."""
    size = max(int(_NARROW * excess.size), 3)
    within = np.convolve(excess, np.ones(size), mode="same")
    at = trace.frequency[np.argmax(within)]
    width = (fit["damping_line"].value + fit["damping_internal"].value) / (2 * np.pi)
    if within.max() < _MOST * excess.sum() or abs(at - fit["resonance_frequency"].value) < width:
        return []
    return [
        f"the residuals are largest near {gigahertz(float(at))}, beside the resonance: a second resonance is there, or "
        "a spur, and the true uncertainties are larger; leave these points out, or measure a band without them"
    ]


def _doubts(result: FitResult, trace: _Trace) -> list[str]:
    """Warnings about the resonance itself."""
    found = []
    width = (result["damping_line"].value + result["damping_internal"].value) / (2 * np.pi)
    frequency = result["resonance_frequency"].value
    margin = min(frequency - trace.frequency[0], trace.frequency[-1] - frequency)
    if width > trace.span / _LEAST_LINEWIDTHS:
        found.append(
            f"the band is only {trace.span / width:.2g} linewidths wide: a background that bends would pass for part "
            f"of the resonance; measure {_LEAST_LINEWIDTHS} or more"
        )
    elif margin < width:
        found.append(
            f"the resonance is {margin / width:.2g} linewidths from the edge of the band: the background is known on "
            f"one side only; centre the band on {frequency:.6g} Hz"
        )
    spacing = trace.spacing(frequency)
    if width < 2 * spacing:
        found.append(f"the points are {spacing / width:.2g} linewidths apart: measure more densely")
    if result["damping_internal"].value < 0:
        found.append("damping_internal is negative within its uncertainty: only an upper limit of it is known")
    if "fano_imag" in result.names and abs(result["fano_imag"].value) > _LARGE_FANO:
        found.append(
            f"fano_imag is {result['fano_imag'].value:.2g}: with cross-talk that strong neither fano_real is "
            f"known to {FANO_REAL[1]}, nor are the rates; is there a mismatch before the device?"
        )
    return found
