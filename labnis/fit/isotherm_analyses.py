"""The analyses of I–V curves at several temperatures of the bath: the heat balance of the island."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import xarray

from labnis.accuracy import Source
from labnis.fit._budgeted_analysis import BudgetedAnalysis, Predictions, Priors, with_line_as_fitted
from labnis.fit._isotherm_data import MeasuredIsotherms, thermometer
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.derived import with_quantity
from labnis.fit.estimate import ONE_SIDED
from labnis.fit.given import Known, known_before
from labnis.fit.junction._array import PAIR, JunctionArray
from labnis.fit.junction._cooler_parameters import UNITS, cooler_at, inverted, plain_name
from labnis.fit.junction._heated_pair import component_prior
from labnis.fit.junction._island import COMPONENTS
from labnis.fit.junction._isotherm import bath_names
from labnis.fit.junction._isotherm_components import ABSENT, Found, find_components, limits_of
from labnis.fit.junction._isotherms import Sweeps
from labnis.fit.junction._line import GAIN
from labnis.fit.junction.cooling import COOLING, best_cooling, coldest_bias, with_cooling
from labnis.fit.junction.current_voltage import fit_current_voltage
from labnis.fit.junction.heat_balance import fit_heat_balance, heat_balance_model
from labnis.fit.junction.isotherm_curves import isotherm_curves
from labnis.fit.parameters import Parameter, hold, prior_rows
from labnis.fit.propagation import Evaluated
from labnis.fit.result import FitError, FitResult
from labnis.physics import AndreevChannel, NISJunction, SINISCooler
from labnis.physics.superconductor import bcs_gap

__all__ = ["HeatBalance", "cooler_from"]

# Where the search begins, in the units of the parameters.
_ELECTRON_PHONON, _DYNES = 2e9, 1e-4
_ANDREEV = AndreevChannel(80e-4, 1.2e-6, 0.0)
_AMPLITUDES = ("andreev_normal", "andreev_superconductor")
# An amplitude or leak that is not this many standard deviations above 0 is a limit.
_SIGNIFICANT = 2.0
# Parameters of which a value may be known.
KNOWABLE = (
    "gap", "normal_resistance", "dynes", "electron_phonon", "kapitza", "andreev_normal", "andreev_superconductor",
    "dephasing_rate", "leakage_conductance", "voltage_offset", "current_offset",
)  # fmt: skip
# Most baths of a run.
_MOST_BATHS = 1000


class HeatBalance(BudgetedAnalysis):
    """Couplings of the island, Andreev current, leak and cooling from current and dI/dV at all temperatures at once.

    The heat balance is that of Rajauria et al., arXiv:0810.3980, eqs. 4–6 (`fit_heat_balance`), with the components
    that the curves show. Lowest electron temperature, cooling power, optimal bias and efficiency are those at the
    coldest bath.
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

    parameters: ClassVar[Mapping[str, str]] = {name: UNITS[name] for name in KNOWABLE}

    def refusal(self, context: FitContext) -> str:
        """Why no run of such a device can be fitted; empty if it can."""
        if (array := JunctionArray.of(context.junctions)) != PAIR:
            return (
                f"the heat balance at several temperatures is that of a pair, and the device has {array.statement} "
                "(labnis: device: junctions: in the station file): measure an IVSweep at each temperature"
            )
        if "volume" not in (context.device.get("island") or {}):
            return (
                "the volume of the island is not known: state labnis.device.island in the station file, such as "
                "{volume: 6.0e-20, electron_phonon: 2.0e+9}"
            )
        return ""

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit `device_voltage` (V), `current` (A), `conductance` (S) and `fridge_temperature` (K) along `stage`.

        A component that the curves do not show has an upper limit, or is stated in `assumed`. FitError without the
        volume of the island (labnis: device: island: in the station file).
        """
        if refusal := self.refusal(context):
            raise FitError(refusal)
        measured = MeasuredIsotherms.of(data)
        if start is not None and start.inputs["isotherms"] == len(measured.isotherms):
            return start  # no curve has become complete since
        begin = _start(measured, context, start)
        sigma, wiring = context.series_resistance_sigma, context.series_resistance
        found = find_components(
            measured.isotherms,
            begin,
            series_resistance=wiring,
            resistance_sigma=sigma,
            excitation=measured.excitation,
            bath_error=_bath_error(context),
            held=context.fixed,
            search_coupling=start is None,
        )
        free = [plain_name(name) for name in found.values if name in UNITS]
        free += [GAIN] if measured.has_conductance and GAIN not in context.fixed else []
        known = _known(free, context)
        fit = fit_heat_balance(
            measured.isotherms,
            cooler=found.cooler,
            free=free,
            series_resistance=wiring,
            excitation=measured.excitation,
            prior=known.prior,
            bath_error=_bath_error(context),
            gap_follows=True,
            start=found.values,
        )
        inputs = {"volume": found.cooler.volume, "series_resistance": wiring, "excitation": measured.excitation}
        fit = replace(
            fit,
            inputs=inputs | {"isotherms": len(measured.isotherms)},
            assumed={**fit.assumed, **known.assumed},
            warnings=(*fit.warnings, *known.warnings),
        )
        for name in (name for name in context.fixed if name in UNITS and name not in fit.names):
            fit = _with_number(fit, name, context.fixed[name])
        return self._completed(fit, measured, context)

    def _completed(self, fit: FitResult, measured: MeasuredIsotherms, context: FitContext) -> FitResult:
        """The fit with what is known of absent components, and with its cooling."""
        sweeps, prior = _model(fit, measured, context)
        matrix, _ = prior_rows(sweeps.names, prior)
        x = np.array([inverted(fit)[name].value for name in sweeps.names])
        limits, assumed = (
            dict(fit.limits),
            {name: text for name, text in fit.assumed.items() if name != "andreev_scale"},
        )
        for name, limit in limits_of(sweeps, x, matrix, fit.noise).items():
            plain = plain_name(name)
            if plain in fit.names:
                continue
            if plain != name:
                assumed[plain] = (
                    f"none, phonons are at the bath's temperature; above {1 / limit.upper:.2g} {UNITS[plain]} (95 %)"
                )
            else:
                assumed[plain] = f"none; below {limit.upper:.2g} {UNITS[plain]} (95 %)"
                fit, limits[plain] = _with_number(fit, plain, 0.0), limit.upper
        for name in (name for name in ABSENT if name in fit.free):
            value, sigma = fit[name].value, fit[name].sigma
            if value < _SIGNIFICANT * sigma:
                limits[name] = value + ONE_SIDED * sigma
        fit = replace(fit, assumed=assumed, limits=limits)
        name, isotherm = measured.coldest
        return with_cooling(fit, cooler_of(fit), name, isotherm.bath_temperature)

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class, for a fit with `inverted` names; other readings change neither weights nor excitation."""
        measured = MeasuredIsotherms.of(data)
        if like is None:
            sweeps, prior = _model(inverted(fit), measured, context)
            return Evaluated(sweeps, sweeps.names, _whole(fit, sweeps, measured), prior)
        assert isinstance(like.model, Sweeps)  # noqa: S101  # for mypy
        voltage, current, conductance = measured.voltage(), measured.current(), measured.conductance()
        return like._replace(model=replace(like.model, voltage=voltage, current=current, conductance=conductance))

    def assumptions(self, context: FitContext) -> Mapping[Source, Mapping[str, float]]:
        """The thermometer, whose error all baths have in common."""
        source = thermometer(context)
        if source is None:
            return {}
        baths = [f"bath_temperature_{number + 1}" for number in range(_MOST_BATHS)]
        return {replace(source, acts_on="prior"): dict.fromkeys(baths, source.standard)}

    def budgeted(self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors) -> FitResult:
        """As the base class; of the fitted error of the series resistance what is stated of it is no error."""
        found = inverted(super().budgeted(inverted(fit), data, context, priors))
        return with_line_as_fitted(found)

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return `current` (A) and `conductance` (S), in the shape of the columns; NaN where nothing was measured."""
        measured = MeasuredIsotherms.of(data)
        plain = fit if all(plain_name(name) == name for name in fit.names) else inverted(fit)
        sweeps, _ = _model(plain, measured, FitContext())
        x = np.array([inverted(plain)[name].value for name in sweeps.names])
        current, conductance = sweeps.expected(x)
        found = {"current": measured.like("current", current, data)}
        if measured.has_conductance:
            found["conductance"] = measured.like("conductance", conductance, data)
        return found

    def curves(self, fit: FitResult, data: xarray.Dataset) -> xarray.Dataset:
        """Electron temperature (K) and cooling power (W) against the voltage across the device, at each bath."""
        return isotherm_curves(fit, cooler_of(fit), MeasuredIsotherms.of(data).isotherms)


def cooler_of(fit: FitResult) -> SINISCooler:
    """The cooler of a fit of `HeatBalance`, with the components that it has."""
    values = fit.by_name
    return cooler_from(values, fit.inputs["volume"])


def cooler_from(values: Mapping[str, float], volume: float) -> SINISCooler:
    """The cooler of a `volume` (m³) with these `values`; components that are not among them are absent."""
    junction = NISJunction(values["gap"], values["normal_resistance"], max(values.get("dynes", _DYNES), 0.0))
    # After a small step one may be below 0, which is absent.
    amplitudes = {name: max(values.get(name, 0.0), 0.0) for name in _AMPLITUDES}
    andreev = _ANDREEV if any(amplitudes.values()) else None
    return cooler_at({**values, **amplitudes}, SINISCooler(junction, volume, _ELECTRON_PHONON, None, andreev))


def _bath_error(context: FitContext) -> float:
    source = thermometer(context)
    return 0.0 if source is None else source.standard


def _with_number(fit: FitResult, name: str, value: float) -> FitResult:
    """The fit with one more parameter that is exact."""
    return with_quantity(fit, name, UNITS[name], value, np.zeros(len(fit.names)), own_variance=0.0)


def _start(measured: MeasuredIsotherms, context: FitContext, earlier: FitResult | None) -> Found:
    """Where the search begins: with what an `earlier` fit found, or what the warmest curve shows of the junctions."""
    volume = float(context.device["island"]["volume"])
    if earlier is not None:
        known = {name: value for name, value in earlier.by_name.items() if name not in earlier.limits}
        flat = inverted(earlier.select([name for name in known if name in UNITS]))
        return Found(cooler_from(known, volume), flat.by_name)
    warmest = max(measured.isotherms, key=lambda one: one.bath_temperature)
    junctions = fit_current_voltage(
        warmest.device_voltage,
        warmest.current,
        series_resistance=context.series_resistance,
        excitation=measured.excitation,
        fixed=dict.fromkeys(COMPONENTS, 0.0),
    ).by_name
    share = float(bcs_gap(warmest.bath_temperature, junctions["gap"])) / junctions["gap"]
    values = {"gap": junctions["gap"] / share, "normal_resistance": junctions["normal_resistance"]}
    offsets = {name: junctions[name] for name in ("voltage_offset", "current_offset")}
    return Found(cooler_from(values | dict(context.fixed), volume), offsets)


def _known(names: Sequence[str], context: FitContext) -> Known:
    """What is known of the parameters `names` beforehand."""
    parameters = [Parameter(name, UNITS[name], 0.0, 1.0) for name in names if name in UNITS]
    given = {name: value for name, value in context.given.items() if name in names}
    hold(parameters, None, given)
    return known_before(parameters, component_prior(names, context.series_resistance_sigma), given)


def _model(fit: FitResult, measured: MeasuredIsotherms, context: FitContext) -> tuple[Sweeps, FitResult | None]:
    """Model of the `fit` at the readings, and its prior."""
    free = [name for name in fit.names if name in fit.free or name not in ABSENT]
    known = fit.select([name for name in free if name in UNITS or name in bath_names(measured.isotherms)])
    sweeps, prior = heat_balance_model(
        known,
        measured.isotherms,
        cooler=cooler_of(fit),
        series_resistance=fit.inputs["series_resistance"],
        excitation=fit.inputs["excitation"],
        prior=_known(known.names, context).prior,
        bath_error=_bath_error(context),
        gap_follows=True,
    )
    return (replace(sweeps, mask=fit.mask) if fit.mask.shape == sweeps.mask.shape else sweeps), prior


def _whole(fit: FitResult, sweeps: Sweeps, measured: MeasuredIsotherms) -> Callable[[Real], Real]:
    """Function from the parameters of the model to all values of a `fit` with inverted names."""
    bath, isotherm = measured.coldest
    values, volume = fit.by_name, fit.inputs["volume"]
    plain = inverted(fit).by_name
    cold, reach = plain.get(bath, isotherm.bath_temperature), float(np.abs(isotherm.device_voltage).max())
    # At the minimum the bias does not matter.
    coldest, near = coldest_bias(cooler_from(plain, volume), cold, reach), values["optimal_bias"]

    def whole(x: Real) -> Real:
        now = values | dict(zip(sweeps.names, map(float, x), strict=True))
        plain = {plain_name(name): 1 / value if plain_name(name) != name else value for name, value in now.items()}
        cooler, temperature = cooler_from(plain, volume), plain.get(bath, cold)
        lowest = float(cooler.operating_point(coldest, temperature).electron_temperature)
        achieved = dict(zip(COOLING, best_cooling(cooler, temperature, near), strict=True))
        found = now | achieved | {"lowest_electron_temperature": lowest}
        return np.array([found[name] for name in fit.names])

    return whole
