"""Current of two equal junctions in series, for the fits whose parameters begin with those of the pair.

These are, in the order of every vector `x` here: gap (eV), normal_resistance (ohm, one junction), electron_temperature
(K), dynes and voltage_offset (V, at the device). Further parameters are ignored.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.constants import e, k

from labnis.fit.arrays import Real, real_columns
from labnis.fit.estimate import number_text
from labnis.fit.junction._array import PAIR, JunctionArray
from labnis.fit.junction._excitation import device_cycle
from labnis.fit.junction._unequal_pair import ASYMMETRY, unequal_slopes
from labnis.fit.parameters import Parameter
from labnis.fit.result import FitError, FitResult
from labnis.fit.solver import CurveModel
from labnis.physics import NISJunction, UnequalPair

__all__ = ["ASSUMED", "PairModel", "pair_parameters"]

ASSUMED = {
    "junctions": PAIR.statement,
    "electron_temperature": "the same at every bias",
}
# Gaps (eV) and resistances (ohm) outside these ranges mean data in other units.
_GAPS, _RESISTANCES = (1e-5, 1e-2), (0.1, 1e14)


def pair_parameters(guess: Mapping[str, float], unit: str) -> list[Parameter]:
    """Return the five parameters of the pair, started at `guess`; FitError for values that mean a wrong `unit`."""
    gap, resistance = float(guess["gap"]), float(guess["normal_resistance"])
    if not _GAPS[0] < gap < _GAPS[1]:
        raise FitError(f"the gap would be {gap:.3g} eV; give device_voltage in volt")
    if not _RESISTANCES[0] < resistance < _RESISTANCES[1]:
        raise FitError(f"the resistance of a junction would be {number_text(resistance, 'ohm')}; give {unit}")
    return [
        Parameter("gap", "eV", gap, gap, 0.2 * gap, 5 * gap),
        Parameter("normal_resistance", "ohm", resistance, resistance, 0.05 * resistance, 20 * resistance),
        Parameter("electron_temperature", "K", float(guess.get("electron_temperature", 0.15)), 0.1, 1e-3, 5.0),
        Parameter("dynes", "1", float(guess.get("dynes", 1e-3)), 1e-3, 0.0, 0.3),
        Parameter("voltage_offset", "V", float(guess.get("voltage_offset", 0.0)), 1e-5),
    ]


@dataclass(frozen=True)
class PairModel(CurveModel):
    """Readings at each mean device voltage, taken over a cycle of the excitation, as a function of `x`.

    The device voltage carries −R_s times the noise of the current, so that a reading scatters more than its instrument:
    `weight` (n,) undoes that. `waveform` (n, phases) is the excitation at the device (V), `array` the device of which
    this is a pair, and `extra` the parameters behind the ordinary ones.
    """

    #: Number of parameters that there are in any case.
    ordinary: ClassVar[int]
    #: A reading scatters (1 + G·R_s) to this power times as much as its instrument.
    scatter: ClassVar[int]

    voltage: Real
    measured: Real
    weight: Real
    waveform: Real
    array: JunctionArray = PAIR
    extra: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        x: Real,
        voltage: Real,
        measured: Real,
        excitation: float,
        series_resistance: float,
        array: JunctionArray = PAIR,
        extra: tuple[str, ...] = (),
    ) -> Self:
        """With the weights and the excitation (V rms, on the line) of a device that has the parameters `x`."""

        def characteristic(device_voltage: Real, _points: object = None) -> tuple[Real, Real]:
            at = _junction_voltage(x, device_voltage)
            return _junction(x).current(at, x[2]), _junction(x).conductance(at, x[2]) / 2

        # Part of a small change of the line voltage that the device gets.
        share = 1 / (1 + series_resistance * characteristic(voltage)[1])
        waveform = np.zeros((voltage.size, 1))
        if excitation:
            # The voltage across the pair over which thermal smearing bends its curve.
            amplitude, reach = np.sqrt(2) * excitation, 2 * k / e * x[2]
            line = amplitude * cls.phases(amplitude / reach)
            cycle = device_cycle(characteristic, voltage, line, series_resistance, np.full(voltage.shape, reach))
            waveform = cycle - voltage[:, None]
        return cls(voltage, measured, share**cls.scatter, waveform, array, extra, mask=np.ones(voltage.shape, bool))

    @property
    def device_voltage(self) -> Real:
        return self.voltage

    def place(self, datum: int) -> str:
        return number_text(float(self.voltage[datum]) / self.array.voltage, "V")

    def by_voltage(self, x: Real) -> Real:
        return np.asarray(self.jacobian(x)[:, 4])

    def signal(self, x: Real) -> Real:
        return self.model(x) * self.weight

    def with_readings(self, voltage: Real, measured: Real) -> Self:
        """Return the same model, with the same excitation at the device, of other readings."""
        return replace(self, voltage=voltage, measured=measured)

    @classmethod
    def expected(cls, fit: FitResult, device_voltage: ArrayLike) -> Real:
        """Readings that a `fit` of this model expects at each measured `device_voltage` (V), shape (n,)."""
        array = JunctionArray.of_fit(fit)
        pair, voltage = array.of_pair(fit), array.voltage * real_columns(device_voltage=device_voltage)[0]
        excitation, resistance = (pair.inputs.get(name, 0.0) for name in ("excitation", "series_resistance"))
        extra = pair.names[cls.ordinary :]
        expected = cls.of(pair.values, voltage, voltage, excitation, resistance, extra=extra).model(pair.values)
        return np.asarray(expected / (array.current if cls.scatter == 1 else array.conductance))

    @staticmethod
    @abstractmethod
    def phases(amplitude: float) -> Real:
        """Phases that represent a cycle whose `amplitude` is in units of the thermal voltage of the pair, 2kT/e."""

    @abstractmethod
    def reading(self, current: Real) -> Real:
        """What the instrument reads of a `current`, or its derivative, along the cycle; shape (n, phases) → (n,)."""

    def model(self, x: Real) -> Real:
        """Expected readings, shape (n,)."""
        if asymmetry := self._extra(x, ASYMMETRY):
            return self.reading(UnequalPair(_junction(x), asymmetry).current(2 * self._at(x), x[2]))
        return self.reading(_junction(x).current(self._at(x), x[2]))

    def _extra(self, x: Real, name: str) -> float:
        """An extra parameter, which is 0 where there is none."""
        return float(x[self.ordinary + self.extra.index(name)]) if name in self.extra else 0.0

    def residuals(self, x: Real) -> Real:
        return (self.measured - self.model(x)) * self.weight

    def jacobian(self, x: Real) -> Real:
        slopes = _current_slopes(x, self._at(x))
        if ASYMMETRY in self.extra:
            slopes = unequal_slopes(_junction(x), self._extra(x, ASYMMETRY), 2 * self._at(x), x[2])
        return np.stack([-self.reading(slope) * self.weight for slope in slopes], axis=-1)

    def _at(self, x: Real) -> Real:
        """Voltage across one junction (V) along the cycle."""
        return _junction_voltage(x, self.voltage[:, None] + self.waveform)


def _junction(x: Real) -> NISJunction:
    return NISJunction(gap=x[0], resistance=x[1], dynes=x[3])


def _junction_voltage(x: Real, device_voltage: Real) -> Real:
    return np.asarray((device_voltage + x[4]) / 2)


def _current_slopes(x: Real, at: Real) -> list[Real]:
    """∂I/∂x of the five parameters, each of the shape of the junction voltages `at`.

    I = (Δ/R)·Re s(V/Δ, kT/Δ, γ), and ∂s/∂γ = i·∂s/∂v.
    """
    junction, v, t = _junction(x), at / x[0], k / e * x[2] / x[0]
    s, s_v, s_t = junction.complex_response_with_slopes(at, x[2])
    return [
        (s - v * s_v - t * s_t).real / x[1],
        -x[0] * s.real / x[1] ** 2,
        k / e * s_t.real / x[1],
        -x[0] * s_v.imag / x[1],
        s_v.real / x[1] / 2,
    ]
