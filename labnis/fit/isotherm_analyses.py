"""The analysis of I–V curves at several temperatures of the bath: the heat balance of the island."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import xarray
from numpy.typing import NDArray

from labnis.fit._budgeted_analysis import BudgetedAnalysis, with_line_as_fitted
from labnis.fit._points import Points
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.derived import with_quantity
from labnis.fit.effects import changed_by
from labnis.fit.junction._components import component_prior
from labnis.fit.junction._cooler_parameters import INVERSE, UNITS, cooler_at, inverted
from labnis.fit.junction._heated_pair import LINE
from labnis.fit.junction._island import cooler_of as cooler_of_curve
from labnis.fit.junction._isotherms import Sweeps, bath_names
from labnis.fit.junction.cooling import COOLING, best_cooling, with_cooling
from labnis.fit.junction.current_voltage import fit_current_voltage
from labnis.fit.junction.heat_balance import (
    Isotherm,
    fit_heat_balance,
    heat_balance_model,
)
from labnis.fit.propagation import Evaluated, changed_size, with_budget
from labnis.fit.result import FitError, FitResult
from labnis.physics import AndreevChannel, NISJunction, SINISCooler

__all__ = ["HeatBalance"]

FREE = (
    "gap", "normal_resistance", "dynes", "electron_phonon", "kapitza", "andreev_normal", "andreev_superconductor",
    "dephasing_rate", "leakage_conductance", "voltage_offset", "current_offset",
)  # fmt: skip
"""Parameters that are fitted; the error of the line's resistance is one more where its uncertainty is stated."""

# Where the coldest curve does not show them: couplings of electrons and phonons (W m⁻³ K⁻⁵) and of phonons and bath
# (W/K⁴), and an Andreev current of the order of Rajauria et al.: diffusion constant (m²/s), coherence length (m),
# resistances per length of both wires (ohm/m).
_ELECTRON_PHONON, _KAPITZA = 2e9, 1e-10
_ANDREEV = AndreevChannel(80e-4, 1.2e-6, 1e6, superconductor_resistance_per_length=2e5)
# Biases among which the coldest one is searched.
_BIASES = 401


class _Measured(NamedTuple):
    """The curves of a run in the order of its temperatures, and the excitation on the line (V rms)."""

    isotherms: tuple[Isotherm, ...]
    excitation: float

    @classmethod
    def of(cls, data: xarray.Dataset, context: FitContext) -> "_Measured":
        """The complete curves; FitError without any."""
        stated = [source.standard for source in context.sources or () if source.acts_on == "fridge.temperature"]
        found, excitation = [], 0.0
        for number in _complete(data):
            points = Points(data.isel(stage=number))
            at = points.measured("device_voltage", "current", "fridge_temperature")
            bath = points["fridge_temperature"][at]
            sigma = float(np.hypot(np.std(bath) / np.sqrt(at.size), stated[0] if stated else 0.0))
            curve = (points["device_voltage"][at], points["current"][at])
            found.append(Isotherm(*curve, float(bath.mean()), sigma))
            excitation = max(excitation, float(np.nanmax(points["excitation"][at])) if "excitation" in points else 0.0)
        if not found:
            raise FitError("no temperature of the stage has a complete curve yet")
        return cls(tuple(found), excitation)

    @property
    def coldest(self) -> tuple[str, Isotherm]:
        """The coldest curve, and the name of its bath as a parameter."""
        named = zip(bath_names(self.isotherms), self.isotherms, strict=True)
        return min(named, key=lambda one: one[1].bath_temperature)


class HeatBalance(BudgetedAnalysis):
    """Couplings of the island, Andreev current, leak and cooling from the currents at all temperatures at once.

    The heat balance is that of Rajauria et al., arXiv:0810.3980, eqs. 4–6 (`fit_heat_balance`). Lowest electron
    temperature, cooling power, optimal bias and efficiency are those at the coldest bath.
    """

    name = "heat_balance"
    results: ClassVar[Mapping[str, str]] = {
        "gap": "eV",
        "normal_resistance": "ohm",
        "electron_phonon": "W/m³/K⁵",
        "kapitza": "W/K⁴",
        "andreev_normal": "ohm/m",
        "andreev_superconductor": "ohm/m",
        "leakage_conductance": "S",
        "lowest_electron_temperature": "K",
        **COOLING,
    }

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Mapping[str, FitResult], start: FitResult | None = None
    ) -> FitResult:
        """Fit the columns `device_voltage` (V), `current` (A) and `fridge_temperature` (K) along `stage`.

        FitError without the volume of the island (labnis: device: island: in the station file).
        """
        measured = _Measured.of(data, context)
        sigma, options = context.series_resistance_sigma, _options(measured, context)
        cooler = cooler_at(context.fixed, _start(measured, context, start))
        free = [name for name in ((*FREE, LINE) if sigma else FREE) if name not in context.fixed]
        fit = fit_heat_balance(
            measured.isotherms, cooler=cooler, free=free, prior=component_prior(free, sigma), **options
        )
        for name in (name for name in FREE if name in context.fixed):
            flat = np.zeros(len(fit.names))
            fit = with_quantity(fit, name, UNITS[name], context.fixed[name], flat, own_variance=0.0)
        inputs = {"volume": cooler.volume, "series_resistance": context.series_resistance}
        fit = replace(fit, inputs=inputs | {"excitation": measured.excitation})
        name, isotherm = measured.coldest
        return with_cooling(fit, cooler, name, isotherm.bath_temperature)

    def budgeted(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Mapping[str, FitResult]
    ) -> FitResult:
        """Return a `fit`, made here from `data`, with the budget of what is stated in the `context`.

        The thermometer is not in it: the baths are parameters, so that its part is in the statistical one.
        """
        model = _evaluated(fit, _Measured.of(data, context), context.series_resistance_sigma)
        quiet = data.assign({"current": (data["current"].dims, self.predict(fit, data)["current"])})
        changed = {}
        for source in context.sources or ():
            size = changed_size(source)
            pair = [changed_by(source, change, quiet, context) for change in (size, -size)]
            if source.acts_on != "fridge.temperature" and all(one is not None for one in pair):
                more, less = (_with_readings(model, _Measured.of(one, context)) for one in pair if one is not None)
                changed[source] = more, less
        flipped = inverted(fit)
        expected = _with_readings(model, _Measured.of(quiet, context))
        found = with_budget(flipped, model, expected, changed, absent=context.unstated)
        if found.budget is None:
            return fit
        columns = found.budget.columns.copy()
        for at, name in enumerate(flipped.names):
            if name in INVERSE:
                columns[at] *= -1 / flipped.values[at] ** 2
        budget = replace(found.budget, columns=columns)
        return with_line_as_fitted(replace(fit, budget=budget, warnings=found.warnings))

    def predict(self, fit: FitResult, data: xarray.Dataset) -> dict[str, NDArray[Any]]:
        """Return the expected `current` (A), in the shape of the column; NaN where nothing was measured."""
        whole = np.full(data["current"].transpose("stage", ...).shape, np.nan)
        sweeps, _ = _model(fit, _Measured.of(data, FitContext()))
        at = np.array([inverted(fit)[name].value for name in sweeps.names])
        expected, begin = sweeps.expected(at)[0], 0
        for number in _complete(data):
            points = Points(data.isel(stage=number))
            there = points.measured("device_voltage", "current", "fridge_temperature")
            values = np.full(whole[number].size, np.nan)
            values[there] = expected[begin : begin + there.size]
            whole[number], begin = points.like("current", values), begin + there.size
        grid = xarray.DataArray(whole, dims=data["current"].transpose("stage", ...).dims)
        return {"current": np.asarray(grid.transpose(*data["current"].dims).values)}


def _complete(data: xarray.Dataset) -> list[int]:
    """Numbers of the temperatures whose curve is complete: another one is not symmetric in the bias."""
    columns = data[["device_voltage", "current", "fridge_temperature"]].to_dataarray()
    done = columns.notnull().all([dim for dim in columns.dims if dim != "stage"])
    return [int(number) for number in np.flatnonzero(done.values)]


def _options(measured: _Measured, context: FitContext) -> dict[str, Any]:
    return {
        "series_resistance": context.series_resistance,
        "excitation": measured.excitation,
        "gap_follows": True,
    }


def _start(measured: _Measured, context: FitContext, earlier: FitResult | None) -> SINISCooler:
    """The cooler from which the fit begins: that of an `earlier` fit, or what the coldest curve alone shows."""
    island = context.device.get("island") or {}
    if "volume" not in island:
        raise FitError(
            "the volume of the island is not known: state labnis.device.island in the station file, such as "
            "{volume: 6.0e-20, electron_phonon: 2.0e+9}"
        )
    volume = float(island["volume"])
    if earlier is not None:
        return _cooler_of(earlier.by_name, volume)
    _, coldest = measured.coldest
    curve = fit_current_voltage(
        coldest.device_voltage,
        coldest.current,
        series_resistance=context.series_resistance,
        excitation=measured.excitation,
        resistance_sigma=context.series_resistance_sigma,
    )
    found = curve.by_name
    heat, kapitza = found.get("electron_phonon_resistance", 0.0), found.get("kapitza_resistance", 0.0)
    values = {name: value for name, value in found.items() if name in ("gap", "normal_resistance", "dephasing_rate")}
    values["dynes"] = max(found["dynes"], 1e-5)
    values["electron_phonon"] = 1 / (heat * volume) if heat > 0 else _ELECTRON_PHONON
    values["kapitza"] = 1 / kapitza if kapitza > 0 else _KAPITZA
    shown = cooler_of_curve(found).andreev
    if shown is not None:
        values["andreev_normal"] = shown.resistance_per_length
        values["andreev_superconductor"] = shown.superconductor_resistance_per_length
    return _cooler_of(values, volume)


def _cooler_of(values: Mapping[str, float], volume: float) -> SINISCooler:
    """The cooler of these `values`, the others being those of a start."""
    junction = NISJunction(values["gap"], values["normal_resistance"], values["dynes"])
    return cooler_at(values, SINISCooler(junction, volume, _ELECTRON_PHONON, _KAPITZA, _ANDREEV))


def _model(fit: FitResult, measured: _Measured, sigma: float = 0.0) -> tuple[Sweeps, FitResult | None]:
    """Model of the `fit` at the readings, and its prior; `sigma` is that of the line's resistance (ohm)."""
    sweeps, prior = heat_balance_model(
        fit,
        measured.isotherms,
        cooler=_cooler_of(fit.by_name, fit.inputs["volume"]),
        series_resistance=fit.inputs["series_resistance"],
        excitation=fit.inputs["excitation"],
        prior=component_prior(fit.names, sigma),
        gap_follows=True,
    )
    return (replace(sweeps, mask=fit.mask) if fit.mask.shape == sweeps.mask.shape else sweeps), prior


def _evaluated(fit: FitResult, measured: _Measured, sigma: float) -> Evaluated:
    """The model of the `fit`; its parameters have their `inverted` names."""
    sweeps, prior = _model(fit, measured, sigma)
    bath, isotherm = measured.coldest
    names, values = inverted(fit).names, inverted(fit).by_name
    voltage = np.linspace(0.0, float(np.abs(isotherm.device_voltage).max()), _BIASES)
    electrons = _cooler_of(fit.by_name, fit.inputs["volume"]).operating_point(voltage, fit.by_name[bath])
    coldest, near = voltage[np.argmin(electrons.electron_temperature)], fit["optimal_bias"].value

    def whole(x: Real) -> Real:
        now = values | dict(zip(sweeps.names, map(float, x), strict=True))
        plain = {INVERSE.get(name, name): 1 / value if name in INVERSE else value for name, value in now.items()}
        cooler = _cooler_of(plain, fit.inputs["volume"])
        lowest = cooler.operating_point(coldest, plain[bath]).electron_temperature
        achieved = dict(zip(COOLING, best_cooling(cooler, plain[bath], near), strict=True))
        found = now | achieved | {"lowest_electron_temperature": float(lowest)}
        return np.array([found[name] for name in names])

    return Evaluated(sweeps, sweeps.names, whole, prior)


def _with_readings(evaluated: Evaluated, measured: _Measured) -> Evaluated:
    """The same with other readings, which change neither weights nor excitation."""
    voltage = np.concatenate([isotherm.device_voltage for isotherm in measured.isotherms])
    current = np.concatenate([isotherm.current for isotherm in measured.isotherms])
    assert isinstance(evaluated.model, Sweeps)  # noqa: S101  # for mypy
    return evaluated._replace(model=replace(evaluated.model, voltage=voltage, current=current))
