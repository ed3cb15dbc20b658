"""Electron temperature and gap at every bias: the same everywhere, or those of the island that an I–V fit found."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.junction._array import JunctionArray
from labnis.fit.junction._island import COMPONENTS, island_state
from labnis.fit.result import FitError, FitResult
from labnis.physics import NoOperatingPointError

__all__ = ["ISLAND_NAMES", "JUNCTION_NAMES", "Electrons", "Island", "electrons_at", "with_island"]

#: Parameters of the junctions, and those with which the island has them in a fit of the current.
JUNCTION_NAMES = ("gap", "electron_temperature", "dynes", "voltage_offset")
ISLAND_NAMES = (*JUNCTION_NAMES, "normal_resistance", *COMPONENTS, "dephasing_rate")

# Fits about another state of the island; and by which part of its σ a parameter may be off, as that is not the fit's.
_ROUNDS, _OFF = 3, 0.02
# T_e⁵ follows straight lines down to this part of it.
_STRAIGHT = 0.2


class Electrons(NamedTuple):
    """Electron temperature (K) and gap (eV) at n biases, and the slopes of both by parameter, each (n,)."""

    temperature: Real
    gap: Real
    slopes: Mapping[str, tuple[Real, Real]]


class Island(NamedTuple):
    """The island at n biases, solved at the parameters `at`; a fit takes it to be straight about them.

    To solve its heat balance at every step would take most of the time of a fit of traces or spectra, whose parameters
    hardly move from those of the I–V fit.
    """

    at: Mapping[str, float]
    pair_voltage: Real
    solved: Electrons

    @classmethod
    def of(cls, values: Mapping[str, float], device_voltage: Real, array: JunctionArray) -> Self | None:
        """With the parameters in `values`, at voltages across the device (V); None without an island that heats.

        Raises
        ------
        NoOperatingPointError
            Where its electrons would become as warm as the gap.

        """
        if not values.keys() & COMPONENTS.keys():
            return None
        values, pair_voltage = array.values_of_pair(values), array.voltage * device_voltage
        return cls(values, pair_voltage, electrons_at(values, pair_voltage))

    def electrons(self, values: Mapping[str, float], pair_voltage: Real) -> Electrons:
        """With the parameters of the pair in `values`, at voltages (V) close to those where it is solved.

        The gap and T_e⁵ follow straight lines.
        T_e⁵ is one in its value without bias where phonons alone carry the heat, and nearly so elsewhere.
        """
        at, power, gap = self.solved, self.solved.temperature**5, self.solved.gap
        by_power = {}
        for name, (warming, widening) in at.slopes.items():
            steep, change = 5 * at.temperature**4 * warming, np.asarray(values[name] - self.at[name])
            if name == "voltage_offset":  # as far as the reading is another one, too
                change = change + pair_voltage - self.pair_voltage
            gap = gap + change * widening
            if name == "electron_temperature":
                steep = steep / (5 * self.at[name] ** 4)
                change = np.asarray(values[name] ** 5 - self.at[name] ** 5)
            by_power[name] = steep
            power = power + change * steep
        # A straight line ends at 0: near it, an exponential one goes on with the same slope.
        part = power / at.temperature**5
        tail = np.exp(np.minimum(part / _STRAIGHT - 1, 0.0))
        temperature = at.temperature * np.where(part > _STRAIGHT, part, _STRAIGHT * tail) ** 0.2
        by_power["electron_temperature"] = by_power["electron_temperature"] * 5 * values["electron_temperature"] ** 4
        per_power = tail / (5 * temperature**4)
        slopes = {name: (steep * per_power, at.slopes[name][1]) for name, steep in by_power.items()}
        return Electrons(temperature, gap, slopes)


def electrons_at(values: Mapping[str, float], pair_voltage: Real) -> Electrons:
    """With the parameters of a pair in `values`, at voltages across it (V), shape (n,)."""
    names = [name for name in values if name in ISLAND_NAMES]
    if not set(names) & COMPONENTS.keys():
        one, none = np.ones_like(pair_voltage), np.zeros_like(pair_voltage)
        slopes = {"electron_temperature": (one, none), "gap": (none, one)}
        return Electrons(values["electron_temperature"] * one, values["gap"] * one, slopes)
    return _on_island(tuple((name, values[name]) for name in names), tuple(pair_voltage.tolist()))


@lru_cache(maxsize=8)
def _on_island(values: tuple[tuple[str, float], ...], pair_voltage: tuple[float, ...]) -> Electrons:
    """Remembered: residuals and slopes of a fit are wanted at the same parameters."""
    names = [name for name, _ in values]
    state = island_state(dict(values), np.array(pair_voltage), names)
    both = zip(state.temperature_slopes.T, state.gap_slopes.T, strict=True)
    return Electrons(state.temperature, state.gap, dict(zip(names, both, strict=True)))


def with_island(
    start: Mapping[str, float],
    solved_at: Callable[[Mapping[str, float]], Island | None],
    fitted: Callable[[Island | None], FitResult],
    residuals: Callable[[FitResult, Island | None], Real],
) -> FitResult:
    """Return the fit about an island that is solved at its own result, or, where that leads nowhere, at every step.

    Parameters
    ----------
    start
        Parameters at which the island is solved first.
    solved_at
        The island at other parameters; None without one.
    fitted
        The fit about an island; with None, with one that is solved at every step.
    residuals
        Those of a fit with another island than its own.

    Raises
    ------
    FitError
        As `fitted`.

    """
    try:
        island = solved_at(start)
        for _ in range(_ROUNDS if island is not None else 0):
            fit = fitted(island)
            before, island = island, solved_at(fit.by_name)
            off = (residuals(fit, island) - residuals(fit, before))[fit.mask]
            # No parameter can be farther off, in its σ, than all data together in that of one.
            if float(np.sqrt(off @ off)) < _OFF * fit.noise:
                return fit
    except (NoOperatingPointError, FitError):  # too far for a straight line; step by step a fit may find its way
        pass
    return fitted(None)
