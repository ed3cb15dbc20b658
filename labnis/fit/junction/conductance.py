"""Gap, normal-state resistance and electron temperature of a SINIS pair from its lock-in conductance."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import median_filter

from labnis.fit.arrays import Real, check_numbers, curve
from labnis.fit.given import refuse_unphysical, stated
from labnis.fit.junction._array import PAIR, JunctionArray, Junctions
from labnis.fit.junction._curve_data import LOCKIN_PHASE, reach_text, refuse_shifted
from labnis.fit.junction._curve_doubts import other_junctions
from labnis.fit.junction._excitation import first_harmonic, phases
from labnis.fit.junction._pair import ASSUMED, PairModel, pair_parameters
from labnis.fit.junction._unequal_pair import ASYMMETRY
from labnis.fit.models import Suspect
from labnis.fit.parameters import Given, Parameter, hold, restarted
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import CurveModel, solve

__all__ = ["conductance_model", "fit_conductance", "model_of_conductance"]

MODEL = "SINIS conductance"
# A background that grows in proportion to the voltage (S/V).
BACKGROUND = "background_slope"
_SLOPING = "it looks like a background that slopes by about {:.2g} S/V: give background_slope as 0 ± that"
# Start and largest value of the asymmetry of a pair, and parameters that are fitted only where they are known.
_START, _LARGEST = 0.1, 0.9
_EXTRA: Mapping[str, Callable[[Mapping[str, float]], Parameter]] = {
    ASYMMETRY: lambda _guess: Parameter(ASYMMETRY, "1", _START, _START, 0.0, _LARGEST),
    BACKGROUND: lambda guess: Parameter(BACKGROUND, "S/V", 0.0, 1 / guess["normal_resistance"] / guess["gap"]),
}
# Twelve phases: the harmonic is exact to 1e-4 for amplitudes up to 10 kT/e on a junction.
_PHASES = phases(12)
# Rounds at most, and the fraction of its σ by which a parameter may still move in the last.
_ROUNDS, _SETTLED = 4, 0.01
# Width (eV) of a gap edge at 0.1 K, and starts of the gap in steps of a sweep that is coarser.
_EDGE, _PARTS_OF_STEP = 2e-5, (0.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75)


def fit_conductance(
    device_voltage: ArrayLike,
    conductance: ArrayLike,
    *,
    excitation: float,
    series_resistance: float = 0.0,
    junctions: Junctions = 2,
    fixed: Mapping[str, float] | None = None,
    given: Given | None = None,
    start: FitResult | None = None,
) -> FitResult:
    """Fit the lock-in conductance of identical junctions, such as two in series, at one electron temperature.

    A lock-in reads the first harmonic, G = (2/A)·⟨I(V + A cos θ) cos θ⟩, not the derivative. The model does the same,
    and follows the device behind the bias line through the cycle.

    Parameters
    ----------
    device_voltage, conductance
        Voltage across the device (V) and its conductance alone (S), shape (n,): the drop over the bias line has been
        subtracted from both. Points that are not finite are left out.
    excitation
        Lock-in excitation on the bias line (V rms), positive.
    series_resistance
        Of the bias line (ohm); the device gets 1/(1 + G·R_s) of the excitation, and the noise grows with (1 + G·R_s)².
    junctions
        1 (probe, thermometer, STM), 2 (a pair in series), or (series, parallel) of an array.
    fixed
        Parameters that are held at a value, by name.
    given
        Parameters that are known with a standard uncertainty: name → (value, σ).
    start
        An earlier fit (of the conductance or the current) to start from; it is not a prior.

    Returns
    -------
    FitResult
        gap (eV), normal_resistance (ohm, one junction), electron_temperature (K), dynes, voltage_offset (V, at the
        device: the true voltage is `device_voltage` plus it). The noise is that of a reading of the line (S). Where
        they are fixed or given, such as 0 ± 1e-2, also background_slope (S/V), of a conductance in proportion to the
        voltage beside that of the junctions, and asymmetry as in `fit_current_voltage`.

    Raises
    ------
    FitError
        With complex data, fewer than 10 usable points, no gap inside the sweep, values that only a wrong unit explains,
        arrays of different shapes, or data that do not determine a parameter.

    """
    voltage, measured = curve(
        "a conductance fit",
        advice=LOCKIN_PHASE,
        device_voltage=device_voltage,
        conductance=conductance,
    )
    if not 0 < excitation < np.inf:
        raise FitError(
            f"excitation is {excitation} V; a lock-in's is positive. A derivative computed from the current contains "
            "no more than the current: fit that."
        )
    check_numbers(series_resistance=series_resistance)
    array = JunctionArray.of(junctions)
    refuse_unphysical(fixed, given)
    held, known = array.values_of_pair(fixed or {}), array.given_of_pair(given or {})
    stated_values = held | {name: value for name, (value, _) in known.items()}
    guess = _guess(voltage, measured, array, stated_values) if start is None else array.of_pair(start).by_name
    if not np.sqrt(2) * excitation < array.series * guess["gap"]:
        raise FitError(f"an excitation of {excitation:.3g} V rms is as wide as the whole gap; is it in volt?")
    asked = [name for name in _EXTRA if name in stated_values]
    extra = [_EXTRA[name](guess) for name in asked]
    parameters = hold([*pair_parameters(guess, "conductance in siemens"), *extra], held, known)
    parameters = [
        replace(p, start=max(p.start, _START)) if p.name == ASYMMETRY and not p.fixed else p for p in parameters
    ]
    voltage, measured = voltage * array.voltage, measured * array.conductance
    excitation, series_resistance = excitation * array.voltage, series_resistance * array.resistance
    inputs = {"series_resistance": float(series_resistance), "excitation": float(excitation)}

    def fitted_from(parameters: Sequence[Parameter]) -> FitResult:
        # How much of the excitation reaches the device depends on the curve, which the first rounds find.
        x = np.array([p.start for p in parameters])
        for _ in range(_ROUNDS):
            harmonic = _Harmonic.of(x, voltage, measured, excitation, series_resistance, array, tuple(asked))
            result = solve(parameters, harmonic, MODEL, ASSUMED, given=known, inputs=inputs)
            settled = np.abs(result.values - x) <= _SETTLED * result.sigma
            x = result.values
            parameters = restarted(parameters, x)
            if settled.all():
                break
        return result

    first, *nearby = _starts(parameters, voltage)
    fits = [fitted_from(first)]
    for attempt in nearby:
        with suppress(FitError):
            fits.append(fitted_from(attempt))
    found = array.of_device(min(fits, key=lambda fit: fit.noise), datum=array.conductance)
    other = [] if "gap" in {**(fixed or {}), **(given or {})} else other_junctions(array, found["gap"].value)
    assumed = stated(array.factors, found, fixed or {}, given or {})
    return replace(found, assumed=assumed, warnings=(*found.warnings, *other))


def _starts(parameters: Sequence[Parameter], voltage: Real) -> list[Sequence[Parameter]]:
    """The `parameters`, and others whose gap is within a step of the sweep from theirs.

    A sweep with steps wider than the edges of the gap shows the gap no better than that, and from the wrong side of a
    point the solver does not find it.
    """
    gap, *others = parameters
    step = float(np.diff(np.unique(voltage)).max()) / 2
    if gap.fixed or step < _EDGE:
        return [parameters]
    starts = [gap.start + part * step for part in _PARTS_OF_STEP]
    return [[replace(gap, start=start), *others] for start in starts if gap.lower < start < gap.upper]


def conductance_model(fit: FitResult, device_voltage: ArrayLike) -> Real:
    """Conductance (S) expected by the fit at each measured `device_voltage` (V), shape (n,)."""
    return _Harmonic.expected(fit, device_voltage)


def model_of_conductance(
    fit: FitResult, device_voltage: Real, conductance: Real, series_resistance: float, array: JunctionArray = PAIR
) -> CurveModel:
    """Model of the fit of readings: voltages (V), conductances (S), shape (n,), resistance of the line (ohm).

    The readings are those of the device, an `array`; fit and model are those of its pair.
    """
    voltage, measured = device_voltage * array.voltage, conductance * array.conductance
    resistance = series_resistance * array.resistance
    extra = fit.names[_Harmonic.ordinary :]
    return _Harmonic.of(fit.values, voltage, measured, fit.inputs["excitation"], resistance, array, extra)


class _Harmonic(PairModel):
    """The first harmonic of the current; G = g/(1 − g·R_s) of the line's g scatters (1 + G·R_s)² times as much as g."""

    scatter, ordinary = 2, 5

    @staticmethod
    def phases(_amplitude: float) -> Real:
        return _PHASES

    def reading(self, current: Real) -> Real:
        return first_harmonic(current) / first_harmonic(self.waveform)

    def model(self, x: Real) -> Real:
        return np.asarray(super().model(x) + self._extra(x, BACKGROUND) * self.voltage)

    def jacobian(self, x: Real) -> Real:
        slopes = super().jacobian(x)
        if BACKGROUND not in self.extra:
            return slopes
        return np.concatenate([slopes, -(self.voltage * self.weight)[:, None]], axis=1)

    def suspects(self, _x: Real) -> list[Suspect]:
        """A background that is not there."""
        if BACKGROUND in self.extra:
            return []
        # In siemens per volt of the device.
        column = self.voltage * self.weight * self.array.conductance / self.array.voltage
        return [Suspect(_SLOPING, column[:, None])]


def _guess(voltage: Real, conductance: Real, array: JunctionArray, known: Mapping[str, float]) -> dict[str, float]:
    """Resistance from the outermost points, gap from the peak, on the side of the largest voltage, or as known."""
    if {"gap", "normal_resistance"} <= known.keys():
        return dict(known)
    side = 1.0 if voltage.max() >= -voltage.min() else -1.0
    order = np.argsort(side * voltage)
    v = side * voltage[order]
    between = (conductance[order][1:] + conductance[order][:-1]) / 2 * np.diff(voltage[order])
    refuse_shifted(voltage[order], np.append(0.0, np.cumsum(between)), gap_known="gap" in known)
    # Medians are robust to outliers.
    calm = median_filter(conductance[order], size=3, mode="nearest")
    normal = float(np.median(calm[-max(5, v.size // 20) :]))
    told = f"no superconducting gap is seen {reach_text(voltage)}"
    if not normal > 0:
        raise FitError(
            f"the conductance at the end of the sweep is {normal:.3g} S, not positive: is the lock-in's phase turned "
            "by 180°, is the sign of an amplifier's gain wrong, or is the device not connected?"
        )
    peak = int(np.argmax(np.where(v > 0, calm, -np.inf)))
    if calm[:peak].min(initial=np.inf) > 0.7 * normal:
        raise FitError(
            f"{told}: the conductance is no smaller inside than at the "
            "end; is the device normal, or are there too few points inside the gap?"
        )
    if v[peak] > 0.95 * v[-1]:
        raise FitError(f"{told}: the conductance still rises at the end of the sweep; widen the sweep")
    # Of a superconductor's density of states at the end of a narrow sweep.
    end = max(float(v[-1] / v[peak]), 1.02)
    resistance = array.parallel / array.series / normal * end / np.sqrt(end**2 - 1)
    return {"gap": float(v[peak]) / array.series, "normal_resistance": resistance, **known}
