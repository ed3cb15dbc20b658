"""The analysis of isotherms point by point: electron temperature and gap at every bias, from current and dI/dV."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple, Self

import numpy as np
import xarray

from labnis.accuracy import Budget
from labnis.fit._budgeted_analysis import Priors
from labnis.fit._isotherm_data import MeasuredIsotherms
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.isotherm_analyses import HeatBalance, cooler_from
from labnis.fit.junction._isotherm import Isotherm, bath_names
from labnis.fit.junction._isotherms import point_to_point
from labnis.fit.junction._line import GAIN, LINE, Line
from labnis.fit.junction.temperature_and_gap import TemperatureAndGap, temperature_and_gap
from labnis.fit.result import FitError, FitResult, NotApplicableError
from labnis.physics import SINISCooler
from labnis.physics.superconductor import bcs_gap

__all__ = ["TemperatureAndGapCurves"]

# Voltage across the pair, in gaps, up to which points are solved: beyond, the current is that of a resistor.
_REACH = 2.4
_GAP_SIGMA = "systematic_uncertainty_of_the_gap"


class TemperatureAndGapCurves:
    """Electron temperature and gap at every bias from current and dI/dV, with the junctions of the heat balance.

    The joint solution of conductance and heat transport in the KAKENHI report on suspended coolers
    (`labnis.fit.junction.temperature_and_gap`). The heat balance gives only the slope dT_e/dV: temperatures and gaps
    are a check of it, point by point. The results are the mean gap at zero temperature and the mean ratio of the
    temperatures to those of the heat balance.
    """

    name = "temperature_and_gap"
    results: ClassVar[Mapping[str, str]] = {"gap": "eV", "temperature_ratio": "1"}
    needs: ClassVar[tuple[str, ...]] = ("heat_balance",)
    secondary: ClassVar[bool] = True

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Solve the columns `device_voltage` (V), `current` (A) and `conductance` (S) along `stage`, point by point.

        NotApplicableError for a run without a lock-in; FitError where no point determines temperature and gap.
        """
        measured, balance = MeasuredIsotherms.of(data), priors["heat_balance"]
        if not measured.has_conductance:
            raise NotApplicableError("the run has no lock-in conductance: the analysis temperature_and_gap needs it")
        line = Line(context.series_resistance, balance.by_name.get(LINE, 0.0), balance.by_name.get(GAIN, 0.0))
        expected = HeatBalance().predict(balance, data)["conductance"]
        rest = (data["conductance"].values - expected) / (1 + line.resistance * expected) ** 2
        systematic = balance["gap"].systematic or 0.0
        inputs = balance.by_name | dict(balance.inputs) | {
            "current_noise": balance.noise,
            "conductance_noise": point_to_point(rest[np.isfinite(rest)]),
            _GAP_SIGMA: systematic,
        }  # fmt: skip
        solved = _solved(inputs, measured)
        gap = _Mean.of([one.gap / one.share for one in solved], [one.gap_sigma / one.share for one in solved])
        ratio = _Mean.of([one.ratio for one in solved], [one.ratio_sigma for one in solved])
        return FitResult(
            "SINIS temperature and gap",
            tuple(self.results),
            tuple(self.results.values()),
            np.array([gap.value, ratio.value]),
            np.diag([gap.sigma**2, ratio.sigma**2]),
            gap.chi2,
            gap.points - 1,
            balance.noise,
            assumed={
                "junctions": "those of heat_balance, exactly: the σ of each temperature is that of its readings' noise",
                "dΔ/dV": "0",
            },
            warnings=tuple(dict.fromkeys(text for one in solved for text in one.warnings)),
            inputs=inputs,
        )

    def budgeted(self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors) -> FitResult:
        """Return the `fit` with the budget of the gap: what changes that of the heat balance changes this one alike."""
        known = priors["heat_balance"].budget
        if known is None:
            return fit
        columns = np.zeros((len(fit.names), len(known.sources)))
        columns[fit.names.index("gap")] = known.columns[priors["heat_balance"].names.index("gap")]
        return replace(fit, budget=Budget(known.sources, columns, known.absent))

    def curves(self, fit: FitResult, data: xarray.Dataset) -> xarray.Dataset:
        """Electron temperature (K) and gap (eV), with their σ, at the voltages (V) measured at each bath.

        NaN where current and conductance do not determine them.
        """
        measured = MeasuredIsotherms.of(data)
        solved, both = _solved(fit.inputs, measured), ("stage", "point")
        length = max(one.voltage.size for one in solved)

        def table(columns: list[Real]) -> Real:
            return np.array([np.pad(one, (0, length - one.size), constant_values=np.nan) for one in columns])

        def held(columns: list[Real]) -> Real:
            return np.array([np.pad(one, (0, length - one.size), mode="edge") for one in columns])

        systematic = [np.hypot(one.gap_sigma, fit.inputs[_GAP_SIGMA] * one.share) for one in solved]
        columns = {
            "electron_temperature": (table([one.temperature for one in solved]), "K"),
            "electron_temperature_sigma": (table([one.temperature_sigma for one in solved]), "K"),
            "gap": (table([one.gap for one in solved]), "eV"),
            "gap_sigma": (table(systematic), "eV"),
        }
        return xarray.Dataset(
            {name: (both, values, {"units": unit}) for name, (values, unit) in columns.items()},
            {
                "device_voltage": (both, held([one.voltage for one in solved]), {"units": "V"}),
                "fridge_temperature": ("stage", [i.bath_temperature for i in measured.isotherms], {"units": "K"}),
            },
        )

    def truth(self, truth: Mapping[str, float]) -> dict[str, float]:
        """The true gap, and a ratio of 1."""
        return {"temperature_ratio": 1.0} | {name: truth[name] for name in ("gap",) if name in truth}


class _Solved(NamedTuple):
    """Solution at one bath, by rising voltage (V); the gap there is the `share` of that at zero temperature."""

    voltage: Real
    temperature: Real
    temperature_sigma: Real
    gap: Real
    gap_sigma: Real
    ratio: Real
    ratio_sigma: Real
    share: float
    warnings: tuple[str, ...]


def _solved(inputs: Mapping[str, float], measured: MeasuredIsotherms) -> list[_Solved]:
    """The solutions at all baths, from the values of the heat balance."""
    line = Line(inputs["series_resistance"], inputs.get(LINE, 0.0), inputs.get(GAIN, 0.0))
    cooler, found = cooler_from(inputs, inputs["volume"]), []
    for name, one in zip(bath_names(measured.isotherms), measured.isotherms, strict=True):
        if one.conductance is None:
            continue
        share = float(bcs_gap(one.bath_temperature, cooler.junction.gap)) / cooler.junction.gap
        here = replace(cooler, junction=replace(cooler.junction, gap=share * cooler.junction.gap))
        found.append(_at_bath(inputs, one, line, here, inputs.get(name, one.bath_temperature), share))
    return found


def _at_bath(
    inputs: Mapping[str, float], one: Isotherm, line: Line, cooler: SINISCooler, bath: float, share: float
) -> _Solved:
    assert one.conductance is not None  # noqa: S101  # for mypy
    every = one.device_voltage + inputs.get("voltage_offset", 0.0) - line.error * one.current
    there = np.argsort(every, kind="stable")
    there = there[np.abs(every[there]) <= _REACH * cooler.junction.gap]
    if not there.size:
        raise FitError(f"no point is within {_REACH:g} gaps; sweep the bias from one edge of the gap to the other")
    voltage, conductance = every[there], line.device(one.conductance[there])
    current = one.current[there] - inputs.get("current_offset", 0.0)
    resistance = line.resistance + line.error
    pairs: TemperatureAndGap = temperature_and_gap(
        voltage,
        current,
        conductance,
        cooler,
        bath,
        current_noise=np.hypot(inputs["current_noise"], conductance * one.voltage_resolution / np.sqrt(12)),
        conductance_noise=inputs["conductance_noise"] * (1 + resistance * np.maximum(conductance, 0.0)) ** 2,
        series_resistance=resistance,
        excitation=inputs["excitation"],
    )
    balance = cooler.operating_point(voltage, bath).electron_temperature
    return _Solved(
        voltage,
        pairs.electron_temperature,
        pairs.temperature_sigma,
        pairs.gap,
        pairs.gap_sigma,
        pairs.electron_temperature / balance,
        pairs.temperature_sigma / balance,
        share,
        pairs.warnings,
    )


class _Mean(NamedTuple):
    """Weighted mean, its σ, and χ² of so many values about it."""

    value: float
    sigma: float
    chi2: float
    points: int

    @classmethod
    def of(cls, values: Sequence[Real], sigmas: Sequence[Real]) -> Self:
        """Of all finite values."""
        value, sigma = np.concatenate(values), np.concatenate(sigmas)
        known = np.isfinite(value) & np.isfinite(sigma) & (sigma > 0)
        if not known.any():
            raise FitError("no point determines temperature and gap")
        value, weight = value[known], sigma[known] ** -2
        mean = float(weight @ value / weight.sum())
        return cls(mean, float(weight.sum() ** -0.5), float(weight @ (value - mean) ** 2), value.size)
