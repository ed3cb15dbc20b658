"""Devices of other than two junctions, reduced to a pair: voltages and currents scale, the physics is the same.

A device of `parallel` branches with `series` junctions each is that of identical pairs: every junction has 1/series of
the voltage, and every branch 1/parallel of the current. A single junction is half of a pair with twice the voltage.
Fits are made in the units of the pair; results are those of the device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.junction._injection import INJECTION
from labnis.fit.junction._line import LINE
from labnis.fit.result import FitError, FitResult

__all__ = ["PAIR", "JunctionArray", "Junctions"]

#: 1 (a probe, a thermometer, an STM), 2 (a pair in series), or (series, parallel) of an array.
Junctions = int | Sequence[int]

_SERIES, _PARALLEL = "junctions_in_series", "junctions_in_parallel"
_PAIR_OF_SERIES, _PAIR_OF_PARALLEL = f"pair_of_{_SERIES}", f"pair_of_{_PARALLEL}"


@dataclass(frozen=True)
class JunctionArray:
    """Identical junctions: `series` of them in each of `parallel` branches."""

    series: int = 2
    parallel: int = 1

    @classmethod
    def of(cls, junctions: Junctions) -> Self:
        """From 1, 2 or (series, parallel); FitError for anything else."""
        match junctions:
            case bool():
                pass
            case 1 | 2:
                return cls(int(junctions))
            case [int(series), int(parallel)] if min(series, parallel) >= 1:
                return cls(series, parallel)
        raise FitError(f"junctions is {junctions!r}; it is 1, 2, or (series, parallel) of an array, each 1 or more")

    @classmethod
    def of_fit(cls, fit: FitResult) -> Self:
        """That of the device of a `fit`."""
        return cls(int(fit.inputs.get(_SERIES, 2)), int(fit.inputs.get(_PARALLEL, 1)))

    @classmethod
    def behind(cls, pair: FitResult) -> Self:
        """That of the device of which a fit was made one of a `pair`, by `of_pair`."""
        return cls(int(pair.inputs.get(_PAIR_OF_SERIES, 2)), int(pair.inputs.get(_PAIR_OF_PARALLEL, 1)))

    @property
    def voltage(self) -> float:
        """Voltage across a pair per voltage across the device."""
        return 2 / self.series

    @property
    def current(self) -> float:
        """Current of a pair per current of the device."""
        return 1 / self.parallel

    @property
    def conductance(self) -> float:
        """Conductance of a pair per conductance of the device."""
        return self.current / self.voltage

    @property
    def resistance(self) -> float:
        """The same of a resistance, that of the bias line included."""
        return 1 / self.conductance

    @property
    def islands(self) -> float:
        """Powers of the island of a pair per power of the device's: that of a single junction has one side only."""
        return 2.0 if self.series == 1 else 1.0

    def factors(self, names: Sequence[str]) -> Real:
        """Value of each parameter for the pair, per value for the device."""
        known = {
            "voltage_offset": self.voltage,
            "current_offset": self.current,
            "leakage_conductance": self.conductance,
            INJECTION: 1 / self.current,
            "background_slope": self.conductance / self.voltage,
            LINE: self.resistance,
            "electron_phonon_resistance": 1 / self.islands,
            "kapitza_resistance": 1 / self.islands,
            "maximum_cooling_power": self.islands,
        }
        return np.array([known.get(name, 1.0) for name in names])

    def values_of_pair(self, values: Mapping[str, float]) -> dict[str, float]:
        """The `values` by parameter for the pair."""
        return dict(zip(values, np.array([*values.values()]) * self.factors([*values]), strict=True))

    def given_of_pair(self, given: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        """Values and σ by parameter for the pair."""
        factors = self.factors([*given])
        return {name: (v * f, s * f) for (name, (v, s)), f in zip(given.items(), factors.tolist(), strict=True)}

    def of_pair(self, fit: FitResult, datum: float = 1.0) -> FitResult:
        """A `fit` of the device as one of its pair; `datum` is a datum of the pair per datum of the device."""
        if self == PAIR:
            return fit
        inputs = {name: value for name, value in fit.inputs.items() if name not in (_SERIES, _PARALLEL)}
        inputs = {name: value * self._of_input(name) for name, value in inputs.items()}
        inputs |= {_PAIR_OF_SERIES: self.series, _PAIR_OF_PARALLEL: self.parallel}
        noise, residuals = fit.noise * datum, fit.residuals * datum
        return replace(_scaled(fit, self.factors(fit.names)), inputs=inputs, noise=noise, residuals=residuals)

    def of_device(self, fit: FitResult, datum: float = 1.0) -> FitResult:
        """A `fit` of the pair as one of the device; `datum` is a datum of the pair per datum of the device."""
        if self == PAIR:
            return fit
        inputs = {name: value / self._of_input(name) for name, value in fit.inputs.items()}
        inputs = {name: value for name, value in inputs.items() if name not in (_PAIR_OF_SERIES, _PAIR_OF_PARALLEL)}
        return replace(
            _scaled(fit, 1 / self.factors(fit.names)),
            noise=fit.noise / datum,
            residuals=fit.residuals / datum,
            model=f"{fit.model.removeprefix('SI')}, one junction" if self.series == 1 else f"{fit.model}, array",
            assumed={**fit.assumed, "junctions": self.statement},
            inputs={**inputs, **self.inputs},
        )

    @property
    def inputs(self) -> dict[str, float]:
        """What a fit of another device than a pair keeps of it."""
        return {} if self == PAIR else {_SERIES: self.series, _PARALLEL: self.parallel}

    @property
    def statement(self) -> str:
        """What is assumed of the junctions."""
        if self == PAIR:
            return "both junctions of the pair are identical; normal_resistance is that of one"
        if self == JunctionArray(1):
            return "one junction; the voltage is across it, and normal_resistance is its own"
        return (
            f"{self.series} in series in each of {self.parallel} branches, all identical; normal_resistance is that of "
            "one"
        )

    def _of_input(self, name: str) -> float:
        known = {"series_resistance": self.resistance, "excitation": self.voltage}
        known |= {"noise_ratio": self.voltage, "voltage_noise": self.resistance}
        known["kapitza_limit"] = 1 / self.islands
        return known.get(name, 1.0)


PAIR = JunctionArray()


def _scaled(fit: FitResult, factors: Real) -> FitResult:
    budget: Any = fit.budget
    if budget is not None:
        budget = replace(budget, columns=budget.columns * factors[:, None])
    covariance = fit.covariance * np.outer(factors, factors)
    return replace(fit, values=fit.values * factors, covariance=covariance, budget=budget)
