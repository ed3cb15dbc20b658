"""The device over one cycle of a lock-in's excitation, behind the resistance of the bias line.

The line voltage is a cosine. The device voltage is not, where the conductance changes within the cycle: the device gets
most of the excitation where it conducts least.
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial.chebyshev import chebder
from numpy.typing import NDArray

from labnis.fit.arrays import Real
from labnis.fit.result import FitError

__all__ = ["Curves", "device_cycle", "first_harmonic", "phases"]

# Voltages around each point at which a curve is computed, and how far they reach beyond the excitation.
_NODES, _MARGIN = 8, 1.1

# Newton steps in which the bias line is solved, and to what voltage (V).
_STEPS, _ACCURACY = 60, 1e-12


def phases(count: int) -> Real:
    """Cosine of `count` phases of half a cycle: their mean is that over the cycle up to its power 2·count − 1."""
    return np.asarray(np.cos(np.pi * (np.arange(count) + 0.5) / count))


def first_harmonic(values: Real) -> Real:
    """2⟨values·cos θ⟩ over the phases, the last axis."""
    return np.asarray(2 * (values * phases(values.shape[-1])).mean(axis=-1))


class Curves:
    """The current around each of n voltages, as polynomials: most of a cycle's cost is that of computing currents.

    They are exact to 10⁻⁴ of the noise of a good current reading for amplitudes up to that over which the curve bends.

    Parameters
    ----------
    current
        Function that returns the current (A) at voltages (V), of their shape.
    centre
        Voltages (V), shape (n,).
    amplitude
        Of the excitation (V).

    """

    def __init__(self, current: Callable[[Real], Real], centre: Real, amplitude: float) -> None:
        self._centre, self._width = centre, _MARGIN * amplitude
        places = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
        values = current(centre[:, None] + self._width * places)
        matrix = np.cos(np.outer(np.arange(_NODES), np.arccos(places))) * 2 / _NODES
        matrix[0] /= 2
        self._coefficients = values @ matrix.T
        self._slopes = chebder(self._coefficients, axis=1) / self._width

    def __call__(self, voltage: Real, points: NDArray[np.intp]) -> tuple[Real, Real]:
        """Current (A) and conductance (S) at voltages (V), shape (k, phases), around these points, (k,)."""
        place = np.clip((voltage - self._centre[points, None]) / self._width, -1, 1)
        polynomials = np.cos(np.arange(self._coefficients.shape[1]) * np.arccos(place)[..., None])
        current = np.einsum("ijk,ik->ij", polynomials, self._coefficients[points])
        conductance = np.einsum("ijk,ik->ij", polynomials[..., :-1], self._slopes[points])
        return current, conductance


def device_cycle(
    characteristic: Callable[[Real, NDArray[np.intp]], tuple[Real, Real]],
    mean: Real,
    line: Real,
    series_resistance: float,
    reach: Real,
) -> Real:
    """Device voltages (V) along the cycle, shape (n, phases), that are `mean` (n,) on average.

    Parameters
    ----------
    characteristic
        Function of voltages (V), shape (k, phases), and of the numbers of their points, (k,), that returns current (A)
        and conductance (S) of the device.
    mean
        Mean of the device voltage (V), as it was measured.
    line
        Excitation of the line (V), shape (phases,).
    series_resistance
        Of the line (ohm).
    reach
        Voltage (V) over which the characteristic bends, shape (n,); no step is larger.

    Raises
    ------
    FitError
        Where the line cannot be solved.

    """
    voltage = mean[:, None] + np.broadcast_to(line, (mean.size, line.size))
    if series_resistance == 0:
        return np.asarray(voltage)
    voltage, active = np.array(voltage), np.arange(mean.size)
    for step in range(_STEPS):
        current, conductance = characteristic(voltage[active], active)
        if step == 0:
            # Around the bias the device gets its small-signal share.
            centre = conductance.mean(axis=-1, keepdims=True)
            voltage = mean[:, None] + line / (1 + series_resistance * centre)
            continue
        source = mean[active] + series_resistance * current.mean(axis=-1)
        excess = voltage[active] + series_resistance * current - source[:, None] - line
        # Newton's method; through the mean current every phase moves the source voltage of all.
        drop = series_resistance * conductance
        share = 1 / (1 + drop)
        common = (drop * share * excess).mean(axis=-1) / share.mean(axis=-1)
        limit = reach[active, None]
        voltage[active] -= np.clip(share * (excess + common[:, None]), -limit, limit)
        active = active[(np.abs(excess) > _ACCURACY).any(axis=-1)]
        if not active.size:
            return voltage
    raise FitError(
        f"the device voltage over the excitation's cycle did not converge at {mean[active[0]]:.4g} V; use a smaller one"
    )
