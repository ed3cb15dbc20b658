"""Gap, normal-state resistance and electron temperature of a SINIS pair from its lock-in conductance."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from labnis.fit._curve_data import refuse_impossible
from labnis.fit._excitation import first_harmonic, phases
from labnis.fit._least_squares import Parameter, solve
from labnis.fit._sinis_pair import current_slopes, device_share, device_swing, junction_of, junction_voltage
from labnis.fit.result import FitError, FitResult

__all__ = ["fit_conductance"]

Real = NDArray[np.float64]

MODEL = "SINIS conductance"
# Twelve phases: the harmonic is exact to 1e-4 for amplitudes up to 10 kT/e on a junction.
_PHASES = phases(12)
# Rounds at most, and the fraction of its σ by which a parameter may still move in the last.
_ROUNDS, _SETTLED = 4, 0.01


def fit_conductance(
    device_voltage: Real,
    conductance: Real,
    *,
    excitation: float,
    series_resistance: float = 0.0,
    start: FitResult | None = None,
) -> FitResult:
    """Fit the lock-in conductance of two identical junctions in series at one electron temperature.

    A lock-in reads the first harmonic, G = (2/A)·⟨I(V + A cos θ) cos θ⟩, not the derivative; the model does the same,
    and follows the device behind the bias line through the cycle.

    Parameters
    ----------
    device_voltage, conductance
        Voltage across the pair (V) and conductance of the device alone (S), shape (n,): what is left when the drop over
        the bias line is taken off both. Points that are not finite are left out.
    excitation
        Lock-in excitation on the bias line (V rms), positive.
    series_resistance
        Of the bias line (ohm); the device gets 1/(1 + G·R_s) of the excitation, and the noise grows with (1 + G·R_s)².
    start
        An earlier fit (of the conductance or the current) to start from; it does not act as a prior.

    Returns
    -------
    FitResult
        gap (eV), normal_resistance (ohm, one junction), electron_temperature (K), dynes, voltage_offset (V, at the
        device: the true voltage is `device_voltage` plus it). The noise is that of a reading of the line (S).

    Raises
    ------
    FitError
        With complex data, fewer than 10 usable points, no gap inside the sweep, values that only a wrong unit explains,
        arrays of different shapes, or data that do not determine a parameter.

    """
    voltage, measured = _usable(device_voltage, conductance)
    if not 0 < excitation < np.inf:
        raise FitError(
            f"excitation is {excitation} V; a lock-in's is positive. A derivative taken from the current carries no "
            "more than the current: fit that"
        )
    if not 0 <= series_resistance < np.inf:
        raise FitError(f"series_resistance is {series_resistance} ohm; it must be finite and 0 or more")
    parameters = _parameters(voltage, measured, excitation, start)
    # How much of the excitation reaches the device needs the curve, which the first rounds find.
    x = np.array([p.start for p in parameters])
    for _ in range(_ROUNDS):
        swing = device_swing(x, voltage, np.sqrt(2) * excitation * _PHASES, series_resistance)
        weight = device_share(x, voltage, series_resistance) ** 2
        solution = solve(parameters, _Harmonic(voltage, measured, weight, swing, np.ones(voltage.shape, bool)))
        settled = np.abs(solution.values - x) < _SETTLED * np.sqrt(np.diag(solution.covariance))
        x = solution.values
        parameters = [replace(p, start=float(value)) for p, value in zip(parameters, x, strict=True)]
        if settled.all():
            break
    return solution.as_result(
        MODEL,
        parameters,
        assumed={
            "junctions": "both junctions of the pair are identical",
            "electron_temperature": "the same at every bias",
        },
    )


def _usable(device_voltage: Real, conductance: Real) -> tuple[Real, Real]:
    """The finite points, or the reason why there are too few or of a wrong kind."""
    if np.iscomplexobj(conductance) or np.iscomplexobj(device_voltage):
        raise FitError(
            "the data are complex; set the lock-in's phase so that the conductance is in phase, and pass the real part"
        )
    if conductance.shape != device_voltage.shape or conductance.ndim != 1:
        raise FitError(
            f"conductance has shape {conductance.shape} and device_voltage {device_voltage.shape}; "
            "one row of equal length each is needed"
        )
    usable = np.isfinite(device_voltage) & np.isfinite(conductance)
    if usable.sum() < 10:
        raise FitError(f"{usable.sum()} usable points are too few for a conductance fit; at least 10 are needed")
    return device_voltage[usable], conductance[usable]


@dataclass(frozen=True)
class _Harmonic:
    """Data, weights and excitation of one round of the fit.

    G = g/(1 − g·R_s) of the line's g scatters (1 + G·R_s)² times as much as g: `weight` undoes that. `swing`
    (n, phases) is the excitation at the device (V).
    """

    voltage: Real
    conductance: Real
    weight: Real
    swing: Real
    kept: NDArray[np.bool_]

    def keeping(self, kept: NDArray[np.bool_]) -> "_Harmonic":
        return replace(self, kept=kept)

    def _junction_voltage(self, x: Real) -> Real:
        return junction_voltage(x, self.voltage[:, None] + self.swing)

    def _harmonic(self, current: Real) -> Real:
        """First harmonic of something along the cycle over that of the device voltage."""
        return first_harmonic(current) / first_harmonic(self.swing)

    def residuals(self, x: Real) -> Real:
        model = self._harmonic(junction_of(x).current(self._junction_voltage(x), x[2]))
        return np.asarray((self.conductance - model) * self.weight)

    def jacobian(self, x: Real) -> Real:
        slopes = current_slopes(x, self._junction_voltage(x))
        return np.stack([-self._harmonic(slope) * self.weight for slope in slopes], axis=-1)


def _parameters(voltage: Real, conductance: Real, excitation: float, start: FitResult | None) -> list[Parameter]:
    """Start values: the earlier fit's, or read off the curve."""
    guess = _guess(voltage, conductance) if start is None else start.by_name
    gap, resistance = float(guess["gap"]), float(guess["normal_resistance"])
    refuse_impossible(gap, resistance, "conductance in siemens")
    if not np.sqrt(2) * excitation < 2 * gap:
        raise FitError(f"an excitation of {excitation:.3g} V rms swings over the whole gap; is it in volt?")
    return [
        Parameter("gap", "eV", gap, gap, 0.2 * gap, 5 * gap),
        Parameter("normal_resistance", "ohm", resistance, resistance, 0.05 * resistance, 20 * resistance),
        Parameter("electron_temperature", "K", float(guess["electron_temperature"]), 0.1, 1e-3, 5.0),
        Parameter("dynes", "1", float(guess["dynes"]), 1e-3, 0.0, 0.3),
        Parameter("voltage_offset", "V", float(guess["voltage_offset"]), 1e-5),
    ]


def _guess(voltage: Real, conductance: Real) -> dict[str, float]:
    """Resistance from the outermost points, gap from the peak, on the side that the sweep reached farthest."""
    side = 1.0 if voltage.max() >= -voltage.min() else -1.0
    order = np.argsort(side * voltage)
    v = side * voltage[order]
    # Medians know nothing of a glitch.
    calm = median_filter(conductance[order], size=3, mode="nearest")
    normal = float(np.median(calm[-max(5, v.size // 20) :]))
    if not normal > 0:
        raise FitError("the conductance at the end of the sweep is not positive: is the device connected?")
    peak = int(np.argmax(np.where(v > 0, calm, -np.inf)))
    if v[peak] > 0.95 * v[-1] or calm[:peak].min(initial=np.inf) > 0.7 * normal:
        raise FitError(f"no superconducting gap within |V| ≤ {v[-1]:.3g} V; widen the sweep")
    return {
        "gap": float(v[peak]) / 2,
        "normal_resistance": 1 / normal / 2,
        "electron_temperature": 0.15,
        "dynes": 1e-3,
        "voltage_offset": 0.0,
    }
