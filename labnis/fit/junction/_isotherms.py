"""Isotherms, and the model of them as a function of the parameters of a cooler."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from labnis.fit.arrays import Real, curve, evenly_spread, real_columns
from labnis.fit.junction._cooler_parameters import INVERSE, cooler_at
from labnis.fit.junction._curve_data import check_units
from labnis.fit.junction._excitation import device_cycle, phases
from labnis.fit.junction._heated_pair import LINE
from labnis.fit.junction._steady_state import steady_state_slopes
from labnis.fit.result import FitError
from labnis.fit.solver import Model
from labnis.physics import NoOperatingPointError, OperatingPoint, SINISCooler
from labnis.physics.junction import BOLTZMANN_EV
from labnis.physics.superconductor import bcs_gap

__all__ = ["BATH_RANGE", "Isotherm", "Sweeps", "bath_names"]

# Bath temperatures are searched within this many of their uncertainties.
BATH_RANGE = 5.0
# Half the exponent to which a mean over the excitation's cycle converges, and the largest number of phases.
_DIGITS, _MOST_PHASES = 9.0, 32


@dataclass(frozen=True)
class Isotherm:
    """One I–V curve, at one temperature of bath and superconductors.

    Attributes
    ----------
    device_voltage, current
        Voltage across the pair (V), less current × series resistance, and current (A), shape (n,). Points that are not
        finite are left out.
    bath_temperature
        Of the bath (K), positive.
    bath_uncertainty
        Its standard uncertainty (K); 0 where it is taken as exact.

    """

    device_voltage: Real
    current: Real
    bath_temperature: float
    bath_uncertainty: float = 0.0

    def __post_init__(self) -> None:
        columns = real_columns(device_voltage=self.device_voltage, current=self.current)
        for name, values in zip(("device_voltage", "current"), columns, strict=True):
            object.__setattr__(self, name, values)
        finite = np.isfinite(columns).all(axis=0)
        check_units(self.device_voltage[finite], self.current[finite])
        if not (np.isfinite(self.bath_temperature) and self.bath_temperature > 0):
            raise FitError(f"bath_temperature is {self.bath_temperature}; it must be finite and positive (K)")
        if not 0 <= BATH_RANGE * self.bath_uncertainty < self.bath_temperature:
            raise FitError(
                f"bath_uncertainty is {self.bath_uncertainty} K; from 0 to 1/{BATH_RANGE:g} of the bath's "
                f"{self.bath_temperature} K is possible"
            )

    def finite(self) -> "Isotherm":
        """Only the points that are finite; FitError with fewer than 10 of them."""
        voltage, current = curve(
            f"the isotherm at {self.bath_temperature:g} K", device_voltage=self.device_voltage, current=self.current
        )
        return replace(self, device_voltage=voltage, current=current)

    def thinned(self, points: int) -> "Isotherm":
        """About `points` of them, evenly spread, for a coarse search."""
        some = evenly_spread(self.current.size, points)
        return replace(self, device_voltage=self.device_voltage[some], current=self.current[some])


@dataclass(frozen=True)
class Sweeps(Model):
    """All isotherms, one after the other, as functions of the parameters `names`.

    The device voltage carries −R_s times the noise of the current, so a residual scatters (1 + G·R_s) times as much as
    the current alone: `weight` undoes that. `waveform` (n, phases) is the excitation at the device (V). `electrons`, of
    the same shape, are the temperatures (K) from which the heat balance is solved. `gap_shares` are the gaps at the
    baths as parts of the cooler's.
    """

    cooler: SINISCooler
    names: tuple[str, ...]
    voltage: Real
    current: Real
    baths: tuple[float, ...]
    isotherm: NDArray[np.intp]
    weight: Real
    waveform: Real
    electrons: Real
    gap_shares: tuple[float, ...]
    # The last parameters and their states: residuals and slopes are asked for at the same ones.
    _last: dict[bytes, list[OperatingPoint]] = field(init=False, repr=False, compare=False, default_factory=dict)

    @classmethod
    def of(
        cls, isotherms: Sequence[Isotherm], cooler: SINISCooler, names: Sequence[str], *, gap_follows: bool = False
    ) -> "Sweeps":
        """All isotherms, without weights and excitation; with `gap_follows` each has the BCS gap at its bath."""
        voltage = np.concatenate([isotherm.device_voltage for isotherm in isotherms])
        current = np.concatenate([isotherm.current for isotherm in isotherms])
        baths = np.array([isotherm.bath_temperature for isotherm in isotherms])
        isotherm = np.repeat(np.arange(baths.size), [isotherm.current.size for isotherm in isotherms])
        gaps = bcs_gap(baths if gap_follows else np.zeros_like(baths), cooler.junction.gap)
        still, electrons = np.zeros((voltage.size, 1)), baths[isotherm][:, None]
        return cls(
            cooler, tuple(names), voltage, current, tuple(baths), isotherm, np.ones_like(voltage), still, electrons,
            tuple(gaps / cooler.junction.gap), mask=np.ones(voltage.shape, bool),
        )  # fmt: skip

    def around(self, x: Real, series_resistance: float, excitation: float) -> "Sweeps":
        """With the weights, the excitation and the electron temperatures of the device with the parameters `x`."""
        sweeps = replace(self, waveform=np.zeros((self.voltage.size, 1)), electrons=self.electrons[:, :1])
        states = sweeps._steady_states(x)
        share = 1 / (1 + series_resistance * self._conductances(x, states))
        if excitation:
            line = excitation * _cycle(excitation * share, np.vstack([one.electron_temperature for one in states]))
            waveform = [
                _device_waveform(self._cooler(x, number), one, line, series_resistance)
                for number, one in enumerate(states)
            ]
            sweeps = replace(sweeps, waveform=np.vstack(waveform))
            states = sweeps._steady_states(x)
            share = 1 / (1 + series_resistance * self._conductances(x, states))
        electrons = np.vstack([one.electron_temperature for one in states])
        return replace(sweeps, weight=share.mean(axis=1), electrons=electrons)

    def residuals(self, x: Real) -> Real:
        try:
            current = np.concatenate([one.current.mean(axis=-1) for one in self._steady_states(x)])
        except NoOperatingPointError:
            # Not finite: the solver takes a shorter step.
            return np.full(self.voltage.shape, np.nan)
        return np.asarray((self.current - current - self._values(x).get("current_offset", 0.0)) * self.weight)

    def jacobian(self, x: Real) -> Real:
        of_baths = bath_names(self.baths)
        same = dict.fromkeys(of_baths, "bath_temperature") | INVERSE | {LINE: "voltage_offset"}
        names = [same.get(name, name) for name in self.names]
        slopes = np.vstack(
            [
                steady_state_slopes(self._cooler(x, number), one, names).current.mean(axis=1)
                for number, one in enumerate(self._steady_states(x))
            ]
        )
        for column, name in enumerate(self.names):
            if name in of_baths:
                slopes[self.isotherm != of_baths.index(name), column] = 0
            if name in INVERSE:
                slopes[:, column] /= -(x[column] ** 2)
            if name == LINE:
                slopes[:, column] *= -self.current
            if name == "gap":
                slopes[:, column] *= np.array(self.gap_shares)[self.isotherm]
        return np.asarray(-slopes * self.weight[:, None])

    def _steady_states(self, x: Real) -> list[OperatingPoint]:
        """Of each isotherm, of shape (its points, phases)."""
        key = np.asarray(x).tobytes()
        if key not in self._last:
            self._last.clear()
            self._last[key] = self._solved(x)
        return self._last[key]

    def _solved(self, x: Real) -> list[OperatingPoint]:
        values = self._values(x)
        measured = self.voltage - values.get(LINE, 0.0) * self.current
        voltage = measured[:, None] + values.get("voltage_offset", 0.0) + self.waveform
        found = []
        for number, (name, bath) in enumerate(zip(bath_names(self.baths), self.baths, strict=True)):
            here = self.isotherm == number
            cooler = self._cooler(x, number)
            found.append(cooler.operating_point(voltage[here], values.get(name, bath), start=self.electrons[here]))
        return found

    def _conductances(self, x: Real, states: Sequence[OperatingPoint]) -> Real:
        """Slope of the steady states (S), shape (n, phases)."""
        return np.vstack([self._cooler(x, number).conductance(one) for number, one in enumerate(states)])

    def _cooler(self, x: Real, number: int) -> SINISCooler:
        """The cooler at the bath of an isotherm."""
        cooler = cooler_at(self._values(x), self.cooler)
        gap = cooler.junction.gap * self.gap_shares[number]
        return replace(cooler, junction=replace(cooler.junction, gap=gap))

    def _values(self, x: Real) -> dict[str, float]:
        return {
            INVERSE.get(name, name): float(1 / value if name in INVERSE else value)
            for name, value in zip(self.names, x, strict=True)
        }


def _cycle(excitation: Real, electrons: Real) -> Real:
    """Phases of √2·cos over which the current is averaged for an `excitation` of the device (V rms).

    The mean of N of them is wrong by about e^{−2N·arsinh(πkT/ea)}, a being the amplitude at one junction: the Fermi
    function's poles are πkT away.
    """
    distance = float(np.min(np.pi * BOLTZMANN_EV * electrons * np.sqrt(2) / excitation))
    count = int(np.ceil(_DIGITS / np.arcsinh(distance)))
    if count > _MOST_PHASES:
        raise FitError(
            f"the excitation ({excitation.max():.2g} V rms at the device) is large against the thermal voltage of "
            f"electrons at {electrons.min():.2g} K; its average is not accurate: use less"
        )
    return np.asarray(np.sqrt(2) * phases(count))


def _device_waveform(cooler: SINISCooler, states: OperatingPoint, line: Real, series_resistance: float) -> Real:
    """Waveform at the device (V) of a `line` waveform (V), shape (phases,), for the `states` of one isotherm."""
    mean, bath = states.device_voltage[:, 0], states.bath_temperature[0, 0]

    def characteristic(voltage: Real, _points: object) -> tuple[Real, Real]:
        point = cooler.operating_point(voltage, bath)
        return point.current, cooler.conductance(point)

    reach = 2 * BOLTZMANN_EV * states.electron_temperature[:, 0]
    return np.asarray(device_cycle(characteristic, mean, line, series_resistance, reach) - mean[:, None])


def bath_names(baths: Sequence[object]) -> list[str]:
    """Names of the temperatures of the `baths`, as parameters."""
    return [f"bath_temperature_{i + 1}" for i in range(len(baths))]
