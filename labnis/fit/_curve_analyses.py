"""The analyses of curves: current, and conductance, against the voltage across the device."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from labnis.fit._bounds import statements_of_bounds
from labnis.fit._budgeted_analysis import BudgetedAnalysis, Predictions, Priors, with_given_told, with_line_as_fitted
from labnis.fit._points import Points
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.given import known_before
from labnis.fit.information import Sensitivity
from labnis.fit.junction._array import JunctionArray
from labnis.fit.junction._current_and_conductance import KAPITZA_LIMIT, CurrentAndConductance
from labnis.fit.junction._curve_data import fitted_without, missing_readings, refuse_unfinished
from labnis.fit.junction._heated_pair import HeatedPair, island_prior
from labnis.fit.junction._island import LOWER_BOUNDS, components_of
from labnis.fit.junction._line import GAIN
from labnis.fit.junction._one_temperature import ISLAND
from labnis.fit.junction._unequal_pair import ASYMMETRY
from labnis.fit.junction.conductance import BACKGROUND, conductance_model, fit_conductance, model_of_conductance
from labnis.fit.junction.cooling_curves import (
    EXTREMES,
    cooling_curves,
    extremes_along,
    parameters_of,
    with_extremes,
    with_limits,
)
from labnis.fit.junction.current_voltage import (
    conductance_of,
    current_voltage_model,
    current_voltage_sensitivity,
    fit_current_voltage,
    model_of_both,
    model_of_current,
)
from labnis.fit.parameters import parameters_at
from labnis.fit.propagation import Evaluated
from labnis.fit.result import FitError, FitResult, NotApplicableError
from labnis.fit.solver import CurveModel, Model, without_outliers

__all__ = ["Conductance", "CurrentVoltage", "DifferentialConductance", "device_voltages"]


class _Curve(BudgetedAnalysis):
    """Gap, normal-state resistance and electron temperature from a column against the device voltage.

    Attributes
    ----------
    column
        The column.
    fit_curve, model, model_of
        Functions that fit the column (see `fit_current_voltage`), that return what the fit expects of it, and that
        return its model.

    """

    results: ClassVar[Mapping[str, str]] = {"gap": "eV", "normal_resistance": "ohm", "electron_temperature": "K"}
    parameters: ClassVar[Mapping[str, str]] = {**results, "dynes": "1", "voltage_offset": "V"}
    column: ClassVar[str]
    fit_curve: "ClassVar[staticmethod[..., FitResult]]"
    model: "ClassVar[staticmethod[..., Real]]"
    model_of: "ClassVar[staticmethod[..., CurveModel]]"

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit the columns `device_voltage` (V), `current` (A) or `conductance` (S), and `excitation` (V rms)."""
        points = Points(data)
        at = points.measured("device_voltage", self.column)
        excitation = float(np.nanmax(points["excitation"][at], initial=0.0)) if "excitation" in points else 0.0
        missing = _missing_rows(points, at)
        try:
            if points.unfinished and "gap" not in {**context.fixed, **context.given}:
                _refuse_unfinished(points)
            fit = self.fit_curve(
                points["device_voltage"][at],
                points[self.column][at],
                series_resistance=context.series_resistance,
                excitation=excitation,
                fixed=context.fixed,
                given=context.given,
                start=start,
                **self.options(context),
                **self.further(points, at),
            )
        except FitError as error:
            raise FitError(missing or str(error)) from error
        return replace(fit, notes=(*fit.notes, *fitted_without(missing)))

    def without_noise(self, fit: FitResult, data: xarray.Dataset, measured: Evaluated) -> xarray.Dataset:
        """As it is: a part in a thousand of the noise of a curve is negligible."""
        return data

    def options(self, context: FitContext) -> dict[str, Any]:
        """Further arguments of `fit_curve`."""
        return {"junctions": context.junctions}

    def resistance_sigma(self, context: FitContext) -> float:
        """Standard uncertainty of the resistance of the line (ohm) that the fit has as a prior; 0 if none."""
        return 0.0

    def further(self, points: Points, at: NDArray[np.intp]) -> dict[str, Real]:
        """Further columns for `fit_curve`, at some of the points."""
        return {}

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class, of the fit of a pair; a small change of the voltage does not change its excitation."""
        points = Points(data)
        at = points.measured("device_voltage", self.column)
        voltage, values = points["device_voltage"][at], points[self.column][at]
        array = JunctionArray.of(context.junctions)
        if like is not None and isinstance(like.model, CurveModel):
            return like._replace(model=like.model.with_readings(voltage * array.voltage, values * self.datum(array)))
        model = self.model_of(fit, voltage, values, context.series_resistance, array).with_mask(fit.mask)
        return Evaluated(model, fit.names, np.asarray, self.known(fit, model, context, array))

    def known(self, fit: FitResult, model: Model, context: FitContext, array: JunctionArray) -> FitResult | None:
        """What was known before the `fit` of a pair of the `array`; its `model` is that of the data."""
        line, limit = self.resistance_sigma(context) * array.resistance, fit.inputs.get(KAPITZA_LIMIT, 0.0)
        known = island_prior(fit.names, line, limit)
        prior = known_before(parameters_at(fit), known, array.given_of_pair(context.given)).prior
        if not isinstance(model, HeatedPair | CurrentAndConductance):
            return prior
        bounds = statements_of_bounds(fit, model, prior, LOWER_BOUNDS)
        return known_before(parameters_at(fit), prior, bounds).prior

    def datum(self, array: JunctionArray) -> float:
        """A reading of a pair per reading of the device."""
        return array.current

    def budgeted(self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors) -> FitResult:
        """As the base class; it is computed for a pair of the device."""
        array = JunctionArray.of_fit(fit)
        found = super().budgeted(array.of_pair(fit, self.datum(array)), data, context, priors)
        budget = array.of_device(found).budget
        return with_given_told(replace(fit, budget=budget, warnings=found.warnings), context.given)

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return what is expected, in the shape of the column; NaN where nothing was measured."""
        return {self.column: _expected(data, self.column, partial(self.model, fit))}

    def left_out(self, fit: FitResult, data: xarray.Dataset) -> dict[str, NDArray[np.bool_]]:
        """Return which readings the fit leaves out as glitches, in the shape of the column."""
        model, pair, places = self.fitted_model(fit, data)
        return _by_column(data, places, ~without_outliers(model, pair.values).mask, np.False_)

    def residuals(self, fit: FitResult, data: xarray.Dataset) -> dict[str, Real]:
        """Return what was measured less what is expected, in units of its σ, in the shape of the column."""
        model, pair, places = self.fitted_model(fit, data)
        return _by_column(data, places, model.residuals(pair.values) / pair.noise, np.nan)

    def offsets(self, fit: FitResult, data: xarray.Dataset) -> dict[str, Real]:
        """Return what the meter of the column adds to it, in its shape; nothing where the fit has no such parameter."""
        name = f"{self.column}_offset"
        return {self.column: np.full(data[self.column].shape, fit[name].value)} if name in fit.names else {}

    def fitted_model(
        self, fit: FitResult, data: xarray.Dataset
    ) -> tuple[Model, FitResult, dict[str, NDArray[np.intp]]]:
        """Model and fit of the pair, and the points of each column in the order of the model's data."""
        points = Points(data)
        at = points.measured("device_voltage", self.column)
        voltage, values = points["device_voltage"][at], points[self.column][at]
        array = JunctionArray.of_fit(fit)
        pair = array.of_pair(fit, self.datum(array))
        return (
            self.model_of(pair, voltage, values, fit.inputs.get("series_resistance", 0.0), array),
            pair,
            {self.column: at},
        )


class CurrentVoltage(_Curve):
    """Gap, normal-state resistance and electron temperature from the current."""

    name = "current_voltage"
    results: ClassVar[Mapping[str, str]] = {**_Curve.results, **EXTREMES}
    parameters: ClassVar[Mapping[str, str]] = {**_Curve.parameters, "current_offset": "A", ASYMMETRY: "1", **ISLAND}
    column = "current"
    of_device = ("gap", "normal_resistance")
    # Of one temperature a fit needs no search, and is made again to the last digit.
    restarts = staticmethod(components_of)
    fit_curve = staticmethod(fit_current_voltage)
    model = staticmethod(current_voltage_model)
    model_of = staticmethod(model_of_current)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """As the base class, with the lock-in's conductance, and the extremes of the curves along the sweep."""
        found = super().fit(data, context, priors, start)
        array = JunctionArray.of_fit(found)
        whole = array.of_device(with_extremes(array.of_pair(found), array.voltage * _largest_voltage(data)))
        return replace(
            found,
            names=whole.names,
            units=whole.units,
            values=whole.values,
            covariance=whole.covariance,
            limits=whole.limits,
        )

    def further(self, points: Points, at: NDArray[np.intp]) -> dict[str, Real]:
        """Return the conductance (S), where there is a lock-in."""
        return {"conductance": points["conductance"][at]} if "conductance" in points else {}

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class; a small change of the parameters changes the extremes of the curves in proportion."""
        found = self._evaluated(parameters_of(fit), data, context, priors, like)
        largest = JunctionArray.of(context.junctions).voltage * _largest_voltage(data)
        return found if like is not None else found._replace(whole=extremes_along(fit, largest))

    def _evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None
    ) -> Evaluated:
        if GAIN not in fit.names:
            return super().evaluated(fit, data, context, priors, like)
        points = Points(data)
        at = points.measured("device_voltage", "current")
        voltage, current, conductance = (points[name][at] for name in ("device_voltage", "current", "conductance"))
        array = JunctionArray.of(context.junctions)
        if like is not None and isinstance(like.model, CurrentAndConductance):
            of_pair = (voltage * array.voltage, current * array.current, conductance * array.conductance)
            return like._replace(model=like.model.with_readings(*of_pair))
        model = model_of_both(fit, voltage, current, conductance, context.series_resistance, array).with_mask(fit.mask)
        return Evaluated(model, fit.names, np.asarray, self.known(fit, model, context, array))

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """As the base class; also the conductance, where it was fitted."""
        known = parameters_of(fit)
        predicted = super().predict(known, data)
        if GAIN not in known.names:
            return predicted
        return predicted | {"conductance": _expected(data, "conductance", partial(conductance_of, known))}

    def without_noise(self, fit: FitResult, data: xarray.Dataset, measured: Evaluated) -> xarray.Dataset:
        """With the expected conductance, where it was fitted: its noise is not negligible."""
        model = measured.model
        if not isinstance(model, CurrentAndConductance):
            return data
        points = Points(data)
        expected = np.full(points["conductance"].shape, np.nan)
        of_pair = model.expected_conductance(np.array([fit[name].value for name in measured.names]))
        expected[points.measured("device_voltage", "current")] = of_pair / model.pair.readings.array.conductance
        return data.assign(conductance=(data["conductance"].dims, points.like("conductance", expected)))

    def fitted_model(
        self, fit: FitResult, data: xarray.Dataset
    ) -> tuple[Model, FitResult, dict[str, NDArray[np.intp]]]:
        """As the base class; also with the conductance."""
        known = parameters_of(fit)
        if GAIN not in known.names:
            return super().fitted_model(known, data)
        points = Points(data)
        at = points.measured("device_voltage", "current")
        voltage, current, conductance = (points[name][at] for name in ("device_voltage", "current", "conductance"))
        array = JunctionArray.of_fit(known)
        pair, resistance = array.of_pair(known, self.datum(array)), known.inputs["series_resistance"]
        model = model_of_both(pair, voltage, current, conductance, resistance, array)
        return model, pair, {"current": at, "conductance": at[model.known]}

    def curves(self, fit: FitResult, data: xarray.Dataset) -> xarray.Dataset:
        """Electron temperature (K) and cooling power (W) against the voltage across the device (V), with their σ."""
        return cooling_curves(fit, _largest_voltage(data))

    def budgeted(self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors) -> FitResult:
        """As the base class; of the fitted error of the line what is stated of it is no error; limits are in total."""
        found = with_line_as_fitted(super().budgeted(fit, data, context, priors))
        return with_limits(found, _largest_voltage(data))

    def options(self, context: FitContext) -> dict[str, Any]:
        """As the base class, and the standard uncertainty of the series resistance."""
        return {**super().options(context), "resistance_sigma": self.resistance_sigma(context)}

    def resistance_sigma(self, context: FitContext) -> float:
        """As stated."""
        return context.series_resistance_sigma

    def sensitivity(
        self, fit: FitResult, data: xarray.Dataset, setpoints: ArrayLike, context: FitContext, priors: Priors
    ) -> Sensitivity:
        """Return the information of one more reading at each bias in `setpoints` (V), shape (n,)."""
        voltage, known = device_voltages(data, setpoints), parameters_of(fit)
        return current_voltage_sensitivity(known, voltage, series_resistance=context.series_resistance)


class Conductance(_Curve):
    """Gap, normal-state resistance and electron temperature from the lock-in conductance alone, at one temperature."""

    name = "conductance"
    secondary = True
    parameters: ClassVar[Mapping[str, str]] = {**_Curve.parameters, ASYMMETRY: "1", BACKGROUND: "S/V"}
    column = "conductance"
    fit_curve = staticmethod(fit_conductance)
    model = staticmethod(conductance_model)
    model_of = staticmethod(model_of_conductance)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit as the base class.

        NotApplicableError for a run without a lock-in, and where the fit of the current found that the island heats:
        this one assumes one temperature.
        """
        points = Points(data)
        if "current_voltage" in priors and components_of(priors["current_voltage"]):
            raise NotApplicableError(
                "the conductance is fitted with one temperature at every bias, and the island heats"
            )
        if "conductance" not in points:
            used = "excitation" in points and np.nanmax(points["excitation"]) > 0
            kind = FitError if used else NotApplicableError
            raise kind("the run has no lock-in conductance: the analysis conductance needs it")
        return super().fit(data, context, priors, start)

    def datum(self, array: JunctionArray) -> float:
        """As the base class."""
        return array.conductance


class DifferentialConductance(Conductance):
    """The same for data without a current, as those of a scanning tunnelling microscope: the results of the run."""

    name = "differential_conductance"
    secondary = False
    of_device = ("gap", "normal_resistance")


def _expected(data: xarray.Dataset, column: str, model: Callable[[Real], Real]) -> NDArray[np.float64]:
    """What a `model` of the device voltage (V) expects, in the shape of the `column`; NaN without a voltage."""
    points = Points(data)
    voltage = points["device_voltage"]
    at, values = np.isfinite(voltage), np.full(voltage.shape, np.nan)
    values[at] = model(voltage[at])
    return points.like(column, values)


def _by_column(
    data: xarray.Dataset, places: Mapping[str, NDArray[np.intp]], values: NDArray[Any], absent: Any
) -> dict[str, NDArray[Any]]:
    """The `values` (data,) of a model in the shape of each column of which they are; elsewhere `absent`."""
    parts = np.split(values, np.cumsum([place.size for place in places.values()])[:-1])
    found = {}
    for (column, place), part in zip(places.items(), parts, strict=True):
        whole = np.full(Points(data)[column].shape, absent)
        whole[place] = part
        found[column] = Points(data).like(column, whole)
    return found


def _missing_rows(points: Points, at: NDArray[np.intp]) -> str:
    """Why a curve cannot be fitted of which the outer rows were measured, but have no reading; empty if they have."""
    if "time" not in points or "bias" not in points:
        return ""
    rows = points.measured("time")
    return missing_readings(points["bias"][rows], np.isin(rows, at))


def _refuse_unfinished(points: Points) -> None:
    """Raise FitError for an interrupted run whose current does not show the gap yet."""
    bias, at = points["bias"], points.measured("device_voltage", "current")
    rows = points.measured("time")
    refuse_unfinished(points["device_voltage"][at], points["current"][at], bias[rows], bias)


def _largest_voltage(data: xarray.Dataset) -> float:
    """Largest |voltage| across the device (V) that was measured."""
    return float(np.nanmax(np.abs(Points(data)["device_voltage"])))


def device_voltages(data: xarray.Dataset, biases: ArrayLike) -> Real:
    """Voltages across the device (V) expected at `biases` (V), interpolated from those measured."""
    points = Points(data)
    at = points.measured("device_voltage", "bias")
    measured, first = np.unique(points["bias"][at], return_index=True)
    return np.asarray(np.interp(np.asarray(biases), measured, points["device_voltage"][at][first]))
