"""Resonance frequency and damping rates from one trace, for measurements without a reference.

A network analyzer shows s(f) = B(f)·Γ*(f): that of the device (`labnis.fit.resonator._ports`; conjugated, because
analyzers count phase as e^{+jωt}) behind a background of cables and amplifiers, B(f) = a·exp[iα + (b − 2πiτ)(f − f_c)]
with f_c the middle of the band. The real slope b is that of the amplitude; a slope of the phase is a delay, so B has
both to first order, and nothing in it is degenerate.

No guess is needed: at fixed resonance frequency, width and delay, B·Γ* is to first order a straight line plus a
multiple of 1/(γ_Σ + 2i(ω − ω_r)), and the best of all such is found by correlation.

As for all reflection (see `labnis.fit.resonator.reflection`), only (1 + φ)γ_tr is observed, and Re φ is an assumption
whose uncertainty is included in that of the rates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labnis.fit._held import with_wrong_held_told, wrong_held_values
from labnis.fit._sweeps import compared_sweeps, sweeps_of
from labnis.fit.arrays import Complex, Real, complex_array, real_columns
from labnis.fit.derived import with_derived
from labnis.fit.models import Suspect
from labnis.fit.parameters import Given, Parameter, hold
from labnis.fit.resonator._amplitudes import amplitude_warning
from labnis.fit.resonator._biases import BENT, JITTER, KERR, PROPORTIONAL, check_hertz, gigahertz
from labnis.fit.resonator._ports import Port, port_named
from labnis.fit.resonator._resonance_doubts import doubts, refuse_what_is_no_resonance, ripple
from labnis.fit.resonator._resonance_start import Rational, search, total_turn, without_glitches
from labnis.fit.resonator.reflection import FANO_ASSUMED, FANO_REAL
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import TraceModel, as_real, solve

__all__ = ["fit_resonance", "resonance_model"]

_MODEL = " of one trace"
_BACKGROUND = ("background_amplitude", "background_slope", "background_phase", "delay")
_LEAST_POINTS = 20
_REFINEMENTS = 5


def fit_resonance(
    frequency: ArrayLike,
    s11: ArrayLike,
    *,
    port: str = "reflection",
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
    port
        "reflection" from the end of a line; "hanger", past a resonator beside it; or "transmission" through one. Of
        the others `s11` is S21.
    fano
        Whether Im φ of a reflection, or the asymmetry of a hanger, is fitted; without, it is 0, as in most circle fits.
    fixed
        Parameters that are held at a value, by name; Re φ and the quality factor follow from the others.
    given
        Parameters that are known with a standard uncertainty: name → (value, σ).
    start
        An earlier fit of the same kind to start from instead of a search of the whole band; not a prior.

    Returns
    -------
    FitResult
        resonance_frequency (Hz), background_amplitude, background_slope (relative change of the amplitude per Hz),
        background_phase (rad, in the middle of the band), delay (s), damping_total (1/s) and loaded_quality. Of a
        reflection damping_line and damping_internal (1/s; a quality factor is 2π·frequency/rate), fano_real and
        fano_imag; of a hanger damping_line, which is the whole coupling rate, damping_internal and asymmetry; of a
        transmission a cross-talk relative to that at the resonance, crosstalk_real and crosstalk_imag.

    Raises
    ------
    FitError
        With fewer than 20 usable points, real data, no resonance within the band that stands out of the noise, the
        other phase convention, no convergence, or another `port`.

    """
    fitted = partial(_fitted, frequency, s11, port=port, fano=fano, given=given, start=start)
    held = fixed or {}
    try:
        result = fitted(fixed=held)
    except FitError as error:
        if wrong := wrong_held_values(held, lambda others: fitted(fixed=others), "trace"):
            raise FitError("; ".join(("the fit failed", *wrong))) from error
        raise
    return with_wrong_held_told(result, held, held.keys(), lambda others: fitted(fixed=others), "trace")


def _fitted(
    frequency: ArrayLike,
    s11: ArrayLike,
    *,
    port: str,
    fano: bool,
    fixed: Mapping[str, float],
    given: Given | None,
    start: FitResult | None,
) -> FitResult:
    """The fit with the values `fixed` as they are."""
    trace, order = _trace(frequency, s11, port)
    imaginary = {"reflection": "fano_imag", "hanger": "asymmetry"}.get(port, "")
    left_out = (imaginary,) if imaginary and not fano else ()
    guesses = trace.port.starts(_guess(trace, start))
    starts = [hold(_parameters(guess, trace, left_out), fixed, given) for guess in guesses]
    trace = replace(trace, names=tuple(p.name for p in starts[0]))
    assumed = {"port": trace.port.assumed} | dict.fromkeys(left_out, "0; it was left out")
    if port == "reflection":
        assumed["fano_real"] = FANO_ASSUMED
    try:
        # The solver rejects a step that overflows.
        with np.errstate(over="ignore", invalid="ignore"):
            found = [solve(parameters, trace, f"{port}{_MODEL}", assumed, given=given) for parameters in starts]
    except FitError as error:
        raise FitError(
            f"{error}: is the resonance within the band, and the background little more than a slope?"
        ) from error
    fitted = min(found, key=lambda fit: fit.noise)
    result = _with_fano_real(fitted) if port == "reflection" else fitted
    refuse_what_is_no_resonance(result, trace.frequency)
    units = amplitude_warning(fitted, trace.s11, lambda s11: _interpreted(replace(trace, s11=s11), left_out))
    x = fitted.values
    bent = any(text.startswith(BENT) for text in result.warnings)  # and its residuals are no ripple
    warnings = [
        *units,
        *_sweep_warnings(result, trace, order),
        *result.warnings,
        *([] if bent else ripple(fitted, trace.model(x), trace.jacobian(x), trace.frequency, trace.linewidth(x))),
        *doubts(result, trace.frequency, trace.linewidth(x)),
    ]
    if warnings and left_out:
        warnings.append("the Fano term was left out, which may be why: fit with fano=True")
    result = with_derived(replace(result, warnings=tuple(warnings)), "loaded_quality", "1", trace.loaded_quality)
    if "damping_total" in result.names:
        only = "only the sum of the rates, damping_total, shows"
        return replace(result, assumed={**result.assumed, "damping_line": only, "damping_internal": only})
    return with_derived(result, "damping_total", "1/s", trace.port.width)


def resonance_model(fit: FitResult, frequency: Real) -> Complex:
    """What a fit expects at the frequencies (Hz) of its trace, shape (n,), as a network analyzer measures it."""
    trace, order = _trace(frequency, np.zeros(frequency.shape, complex), fit.model.removesuffix(_MODEL))
    known = {"resonance_frequency", *trace.port.scales(1.0), *_BACKGROUND}
    names = tuple(name for name in fit.names if name in known)
    return replace(trace, names=names).model(fit.select(names).values)[np.argsort(order)]


def _interpreted(trace: "_Trace", left_out: Sequence[str]) -> FitResult:
    """The fit of a trace as it is."""
    return solve(_parameters(_guess(trace, None), trace, left_out), trace, _MODEL, {})


@dataclass(frozen=True)
class _Trace(TraceModel):
    """One trace by rising frequency, as a function of the parameters `names`; `centre` is the middle of the band."""

    frequency: Real
    port: Port

    @property
    def centre(self) -> float:
        return float(self.frequency[0] + self.frequency[-1]) / 2

    @property
    def span(self) -> float:
        return float(self.frequency[-1] - self.frequency[0])

    def linewidth(self, x: Real) -> float:
        """Full width (Hz)."""
        return self.port.width(self.values(x)) / (2 * np.pi)

    def loaded_quality(self, values: Mapping[str, float]) -> float:
        return 2 * np.pi * values["resonance_frequency"] / self.port.width(values)

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
        return np.asarray(background * self.port.shape(values, response))

    def jacobian(self, x: Real) -> Real:
        v = self.values(x)
        background, response = self._parts(v)
        gamma, offset = self.port.shape(v, response), self.frequency - self.centre
        slopes = self.port.slopes(v, response) | {
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
        detuning = 4j * np.pi * (self.frequency - values["resonance_frequency"])
        return background, np.asarray(1 / (self.port.width(values) + detuning))

    def values(self, x: Real) -> dict[str, float]:
        return {"fano_imag": 0.0, "asymmetry": 0.0} | super().values(x)


def _trace(frequency: ArrayLike, s11: ArrayLike, port: str) -> tuple[_Trace, NDArray[np.intp]]:
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
    return _Trace(s[order], (), f[order], port_named(port), mask=np.ones(2 * f.size, bool)), order


def _sweep_warnings(result: FitResult, trace: _Trace, order: NDArray[np.intp]) -> tuple[str, ...]:
    """A warning where the trace is several sweeps that differ; `order` has the numbers of its points when measured."""
    measured = np.argsort(order)
    measured = measured[trace.with_mask(result.mask).counts[measured]]
    frequency, rest = trace.frequency[measured], result.residuals.reshape(2, -1).T[measured]
    return compared_sweeps(sweeps_of(frequency), frequency, rest, "")


def _parameters(guess: Mapping[str, float], trace: _Trace, left_out: Sequence[str]) -> list[Parameter]:
    width = abs(trace.port.width(guess))
    scales = {
        "resonance_frequency": ("Hz", width / (2 * np.pi)),
        **trace.port.scales(width),
        "background_amplitude": ("1", abs(guess["background_amplitude"])),
        "background_slope": ("1/Hz", 1 / trace.span),
        "background_phase": ("rad", 1.0),
        "delay": ("s", 1 / (2 * np.pi * trace.span)),
    }
    return [Parameter(name, unit, guess[name], scale) for name, (unit, scale) in scales.items() if name not in left_out]


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
        pole = v["resonance_frequency"] - trace.centre + 1j * trace.port.width(v) / (4 * np.pi)
        best = Rational.at(pole / span, -1j * (2 * np.pi * v["delay"] * span + turn), t, flat)
    for _ in range(_REFINEMENTS):
        best = best.refined(t, flat)
    return {
        "resonance_frequency": trace.centre + span * best.pole.real,
        **trace.port.start(best.constant, 4j * np.pi * span * best.residue, 4 * np.pi * span * best.pole.imag),
        "background_slope": best.growth.real / span,
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
