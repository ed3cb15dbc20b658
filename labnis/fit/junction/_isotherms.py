"""The model of isotherms as a function of the parameters of a cooler."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.constants import e, k

from labnis.fit.arrays import Real
from labnis.fit.estimate import number_text
from labnis.fit.junction._cooler_parameters import INVERSE, cooler_at
from labnis.fit.junction._excitation import Curves, device_cycle, first_harmonic, phases
from labnis.fit.junction._isotherm import Isotherm, bath_names
from labnis.fit.junction._line import GAIN, LINE, Line
from labnis.fit.junction._resolution import CommonError
from labnis.fit.junction._steady_state import SteadyStateSlopes, steady_state_slopes
from labnis.fit.result import FitError
from labnis.fit.solver import Model
from labnis.physics import AndreevChannel, NoOperatingPointError, OperatingPoint, SINISCooler
from labnis.physics.junction import BOLTZMANN_EV
from labnis.physics.superconductor import bcs_gap

__all__ = ["Sweeps", "point_to_point"]

# Phases over which a cycle of the excitation is averaged: exact to 1e-4 for amplitudes up to _LARGEST·kT/e on a
# junction. In every step the island is solved at _FEW of them, which are exact up to the excitation's third power.
_PHASES, _FEW, _LARGEST = phases(12), phases(2), 10.0
# Electron temperature at which the island's solver starts at most, in units of the gap.
_WARMEST = 0.9


@dataclass(frozen=True)
class Sweeps(Model):
    """All isotherms, one after the other, as functions of the parameters `names`: n currents, then m conductances.

    The device voltage carries −R_s times the noise of the current, so a residual of the current scatters (1 + G·R_s)
    times as much as the current alone, and one of the conductance (1 + G·R_s)² times as much as the lock-in's reading:
    `weight` (n,) and `conductance_weight` (A/S), shape (m,), undo that, and bring both to the noise of the current.
    `measured` (m,) are the points with a conductance. `waveform` (n, phases) is the excitation at the device (V), in a
    few phases of a cycle, and `correction` (2, n) what the mean (A) and the first harmonic (S) of the whole cycle have
    beyond those of the few. `gap_shares` are the gaps at the
    baths as parts of the cooler's, `resolution` the step in which voltages are read (V), `common` its error.
    """

    cooler: SINISCooler
    names: tuple[str, ...]
    voltage: Real
    current: Real
    conductance: Real
    measured: NDArray[np.intp]
    baths: tuple[float, ...]
    isotherm: NDArray[np.intp]
    weight: Real
    conductance_weight: Real
    waveform: Real
    correction: Real
    electrons: Real
    gap_shares: tuple[float, ...]
    resolution: float
    series_resistance: float = 0.0
    common: CommonError | None = None
    # The last parameters with their states, and the last slopes of the electron temperatures: where they lead, the
    # solver of the island takes half the time.
    _last: dict[bytes, list[OperatingPoint]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _ahead: list[Real] = field(init=False, repr=False, compare=False, default_factory=list)

    @classmethod
    def of(
        cls, isotherms: Sequence[Isotherm], cooler: SINISCooler, names: Sequence[str], *, gap_follows: bool = False
    ) -> "Sweeps":
        """All isotherms, without weights and excitation; with `gap_follows` each has the BCS gap at its bath."""
        voltage, current, conductance = (
            np.concatenate([np.full(one.current.size, np.nan) if part is None else part for one, part in parts])
            for parts in (
                [(one, one.device_voltage) for one in isotherms],
                [(one, one.current) for one in isotherms],
                [(one, one.conductance) for one in isotherms],
            )
        )
        baths = np.array([isotherm.bath_temperature for isotherm in isotherms])
        isotherm = np.repeat(np.arange(baths.size), [isotherm.current.size for isotherm in isotherms])
        gaps = bcs_gap(baths if gap_follows else np.zeros_like(baths), cooler.junction.gap)
        still, electrons = np.zeros((voltage.size, 1)), baths[isotherm][:, None]
        measured = np.flatnonzero(np.isfinite(conductance))
        return cls(
            cooler, tuple(names), voltage, current, conductance, measured, tuple(baths), isotherm,
            np.ones_like(voltage), np.zeros(measured.size), still, np.zeros((2, voltage.size)), electrons,
            tuple(gaps / cooler.junction.gap), max(one.voltage_resolution for one in isotherms),
            mask=np.ones(voltage.size + measured.size, bool),
        )  # fmt: skip

    def around(self, x: Real, series_resistance: float, excitation: float) -> "Sweeps":
        """With the weights, the excitation and the electron temperatures of the device with the parameters `x`.

        The conductances keep their scale.
        """
        sweeps = replace(
            self, waveform=np.zeros((self.voltage.size, 1)), correction=np.zeros((2, self.voltage.size)),
            electrons=self.electrons[:, :1],
        )  # fmt: skip
        states = sweeps._steady_states(x)
        electrons = np.vstack([one.electron_temperature for one in states])
        conductances = np.vstack([sweeps._cooler(x, number).conductance(one) for number, one in enumerate(states)])
        share = 1 / (1 + series_resistance * conductances[:, 0])
        sweeps = replace(
            sweeps,
            weight=share,
            conductance_weight=self._scale * share[self.measured] ** 2,
            electrons=electrons,
            series_resistance=series_resistance,
        )
        if not excitation:
            return sweeps
        _refuse_large(excitation * share, electrons[:, 0])
        cycles = [
            _Cycle.of(sweeps._cooler(x, number), one, excitation, series_resistance)
            for number, one in enumerate(states)
        ]
        sweeps = replace(
            sweeps,
            waveform=np.concatenate([one.amplitude for one in cycles])[:, None] * _FEW,
            electrons=np.repeat(electrons, _FEW.size, axis=1),
        )
        few = np.vstack([one.current for one in sweeps._steady_states(x)])
        whole = np.concatenate([np.stack([one.mean, one.harmonic]) for one in cycles], axis=1)
        correction = whole - np.stack([few.mean(axis=1), first_harmonic(few) / first_harmonic(sweeps.waveform)])
        electrons = np.vstack([one.electron_temperature for one in sweeps._steady_states(x)])
        return replace(sweeps, correction=correction, electrons=electrons)

    def balanced(self, x: Real) -> "Sweeps":
        """With conductances whose residuals at `x` scatter from point to point as much as those of the current."""
        if not self.measured.size:
            return self
        unit = replace(self, conductance_weight=self.weight[self.measured] ** 2, common=None)
        rest = unit.residuals(x)
        noise = [point_to_point(part) for part in np.split(rest, [self.voltage.size])]
        return replace(self, conductance_weight=unit.conductance_weight * noise[0] / noise[1])

    def rounded(self, x: Real) -> "Sweeps":
        """With the error that reading in steps of `resolution` makes at the same point of all curves."""
        sizes = np.bincount(self.isotherm)
        if self.resolution == 0 or np.ptp(sizes):
            return replace(self, common=None)
        plain = replace(self, common=None)
        noise = point_to_point(plain.residuals(x)[: self.voltage.size])
        place = np.tile(np.arange(sizes[0]), sizes.size)
        change = plain.slopes(x, ["voltage_offset"])[:, 0] * self.resolution / np.sqrt(12) / noise
        return replace(self, common=CommonError.of(np.append(place, place[self.measured]), change))

    def is_like(self, other: "Sweeps", current: float, part: float) -> bool:
        """Whether corrections differ from those of `other` by at most a `current` (A), and weights by a `part`."""
        pairs = ((self.weight, other.weight), (self.conductance_weight, other.conductance_weight))
        moved = [np.abs(now / before - 1).max(initial=0.0) for now, before in pairs]
        return bool(np.abs(self.correction - other.correction)[0].max() <= current and max(moved) <= part)

    @property
    def _scale(self) -> float:
        """Noise of the current per noise of the lock-in's conductance (A/S)."""
        if not self.measured.size:
            return 0.0
        return float(np.median(self.conductance_weight / self.weight[self.measured] ** 2))

    def residuals(self, x: Real) -> Real:
        try:
            current, conductance = self.expected(x)
        except NoOperatingPointError:
            # Not finite: the solver takes a shorter step.
            return np.full(self.mask.shape, np.nan)
        rest = (self.conductance - conductance)[self.measured] * self.conductance_weight
        rest = np.concatenate([(self.current - current) * self.weight, rest])
        return rest if self.common is None else self.common.removed(rest)

    def expected(self, x: Real) -> tuple[Real, Real]:
        """Expected readings of the current (A) and of the conductance (S), both (n,); NaN without an excitation."""
        values, states = self._values(x), self._steady_states(x)
        current = np.vstack([one.current for one in states])
        mean = current.mean(axis=1) + self.correction[0] + values.get("current_offset", 0.0)
        return mean, self._line(values).reading(self._harmonic(current) + self.correction[1])

    def jacobian(self, x: Real) -> Real:
        return self.slopes(x, self.names)

    def slopes(self, x: Real, names: Sequence[str], channel: AndreevChannel | None = None) -> Real:
        """∂(residuals)/∂(parameter), shape (n + m, p), by other `names`; `channel` as in `steady_state_slopes`."""
        every = self._slopes(x, names, channel)
        by_current = np.vstack([one.current for one in every])
        mean, harmonic = by_current.mean(axis=1), self._harmonic(np.moveaxis(by_current, 1, -1))
        true = self._harmonic(np.vstack([one.current for one in self._steady_states(x)])) + self.correction[1]
        by_true, by_line, by_gain = self._line(self._values(x)).slopes(true)
        harmonic = harmonic * by_true[:, None]
        if LINE in names:
            harmonic[:, names.index(LINE)] += by_line
        if GAIN in names:
            harmonic[:, names.index(GAIN)] = by_gain
        rows = -np.concatenate(
            [mean * self.weight[:, None], harmonic[self.measured] * self.conductance_weight[:, None]]
        )
        return rows if self.common is None else self.common.removed(rows)

    def place(self, datum: int) -> str:
        """Voltage and bath of a datum, in words."""
        point = datum if datum < self.voltage.size else int(self.measured[datum - self.voltage.size])
        what = "" if datum < self.voltage.size else "dI/dV at "
        bath = self.baths[self.isotherm[point]]
        return f"{what}{number_text(float(self.voltage[point]), 'V')} and {number_text(bath, 'K')}"

    def cooler_at(self, x: Real) -> SINISCooler:
        """The cooler with the parameters `x`; its gap is that of the parameter."""
        return cooler_at(self._values(x), self.cooler)

    def _line(self, values: Mapping[str, float]) -> Line:
        return Line(self.series_resistance, values.get(LINE, 0.0), values.get(GAIN, 0.0))

    def _harmonic(self, current: Real) -> Real:
        """Conductance (S) from currents in the phases of the excitation, the last axis; NaN without one."""
        if self.waveform.shape[1] == 1:
            return np.full(current.shape[:-1], np.nan)
        amplitude = first_harmonic(self.waveform)
        return np.asarray(first_harmonic(current) / (amplitude if current.ndim == 2 else amplitude[:, None]))

    def _slopes(self, x: Real, names: Sequence[str], channel: AndreevChannel | None) -> list[SteadyStateSlopes]:
        of_baths = bath_names(self.baths)
        # The slopes of a component that is absent are by its inverse.
        own = {name: INVERSE[name] for name in self.names if name in INVERSE}
        same = dict.fromkeys(of_baths, "bath_temperature") | own | {LINE: "voltage_offset"}
        known, found = [same.get(name, name) for name in names], []
        inverse = {name: value for name, value in zip(self.names, x, strict=True) if name in INVERSE}
        for number, one in enumerate(self._steady_states(x)):
            here = self.isotherm == number
            slopes = steady_state_slopes(self._cooler(x, number), one, known, channel=channel)
            for column, name in enumerate(names):
                factor: float | Real = 1.0
                if name in of_baths:
                    factor = float(number == of_baths.index(name))
                if name in inverse:
                    factor = -1 / inverse[name] ** 2
                if name == LINE:
                    factor = -self.current[here][:, None]
                if name == "gap":
                    factor = self.gap_shares[number]
                for by_name in slopes:
                    by_name[..., column] *= factor
            found.append(slopes)
        if tuple(names) == self.names:
            self._ahead[:] = [x, np.vstack([one.temperature for one in found]), self._electrons(x)]
        return found

    def _electrons(self, x: Real) -> Real:
        return np.vstack([one.electron_temperature for one in self._steady_states(x)])

    def _start(self, x: Real) -> Real:
        """Electron temperatures (K) near those at `x`."""
        if not self._ahead:
            return self.electrons
        before, slopes, electrons = self._ahead
        ahead = np.clip(electrons + slopes @ (x - before), electrons / 2, 2 * electrons)
        gap = self._values(x).get("gap", self.cooler.junction.gap)
        return np.asarray(np.minimum(ahead, _WARMEST * min(self.gap_shares) * gap * e / k))

    def _steady_states(self, x: Real) -> list[OperatingPoint]:
        key = np.asarray(x).tobytes()
        if key not in self._last:
            found = self._solved(x)
            self._last.clear()
            self._last[key] = found
        return self._last[key]

    def _solved(self, x: Real) -> list[OperatingPoint]:
        values, start = self._values(x), self._start(x)
        measured = self.voltage - values.get(LINE, 0.0) * self.current
        voltage = measured[:, None] + values.get("voltage_offset", 0.0) + self.waveform
        cooler = self.cooler_at(x)
        baths = [values.get(name, bath) for name, bath in zip(bath_names(self.baths), self.baths, strict=True)]
        gaps = cooler.junction.gap * np.array(self.gap_shares)
        at = [np.array(kind)[self.isotherm][:, None] for kind in (baths, gaps)]
        every = vars(cooler.operating_point(voltage, at[0], start=start, gap=at[1]))
        where = [self.isotherm == number for number in range(len(baths))]
        return [OperatingPoint(**{name: array[here] for name, array in every.items()}) for here in where]

    def _cooler(self, x: Real, number: int) -> SINISCooler:
        """The cooler at the bath of an isotherm."""
        cooler = self.cooler_at(x)
        gap = cooler.junction.gap * self.gap_shares[number]
        return replace(cooler, junction=replace(cooler.junction, gap=gap))

    def _values(self, x: Real) -> Mapping[str, float]:
        return {
            INVERSE.get(name, name): float(1 / value if name in INVERSE else value)
            for name, value in zip(self.names, x, strict=True)
        }


@dataclass(frozen=True)
class _Cycle:
    """Amplitude of the excitation at the device (V), mean current (A) and conductance (S) over a cycle, each (n,)."""

    amplitude: Real
    mean: Real
    harmonic: Real

    @classmethod
    def of(cls, cooler: SINISCooler, states: OperatingPoint, excitation: float, series_resistance: float) -> "_Cycle":
        """Of an `excitation` of the line (V rms), at the `states` of one isotherm, shape (n, 1)."""
        voltage, bath = states.device_voltage[:, 0], float(states.bath_temperature[0, 0])
        line, reach = np.sqrt(2) * excitation, 2 * BOLTZMANN_EV * states.electron_temperature[:, 0]

        def exact(voltage: Real, _points: object) -> tuple[Real, Real]:
            point = cooler.operating_point(voltage, bath)
            return point.current, cooler.conductance(point)

        small = line <= reach.min()
        curves = Curves(lambda v: cooler.operating_point(v, bath).current, voltage, line) if small else exact
        cycle = device_cycle(curves, voltage, line * _PHASES, series_resistance, reach)
        current = curves(cycle, np.arange(voltage.size))[0]
        amplitude = first_harmonic(cycle)
        return cls(amplitude, current.mean(axis=-1), first_harmonic(current) / amplitude)


def _refuse_large(excitation: Real, electrons: Real) -> None:
    """Raise FitError where an excitation of the device (V rms) is too large for the phases of a cycle."""
    if (np.sqrt(2) * excitation / 2 > _LARGEST * BOLTZMANN_EV * electrons).any():
        raise FitError(
            f"the excitation ({excitation.max():.2g} V rms at the device) is large against the thermal voltage of "
            f"electrons at {electrons.min():.2g} K; its average is not accurate: use less"
        )


def point_to_point(residuals: Real) -> float:
    """Standard deviation of `residuals` from the differences of neighbours, robust to glitches."""
    return max(1.4826 * float(np.median(np.abs(np.diff(residuals)))) / float(np.sqrt(2)), np.finfo(float).tiny)
