"""The shipped analyses: from the dataset of a run to a fit, and from a fit to the expected values and its budget.

An analysis is found by its dotted path and built without arguments. Live fit, final fit, refit, figures and reports use
the same object.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from labnis.accuracy import Source
from labnis.fit._budgeted_analysis import BudgetedAnalysis, Predictions, Priors, with_line_as_fitted
from labnis.fit._points import Points
from labnis.fit._trace_data import junctions_of, spectra_of, stage_temperature, traces_of
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.given import known_before
from labnis.fit.information import Sensitivity
from labnis.fit.junction._array import JunctionArray
from labnis.fit.junction._components import component_prior
from labnis.fit.junction._curve_data import missing_readings
from labnis.fit.junction._island import components_of
from labnis.fit.junction._unequal_pair import ASYMMETRY
from labnis.fit.junction.conductance import BACKGROUND, conductance_model, fit_conductance, model_of_conductance
from labnis.fit.junction.cooling_curves import EXTREMES, cooling_curves, extremes_along, parameters_of, with_extremes
from labnis.fit.junction.current_voltage import (
    ISLAND,
    current_voltage_model,
    current_voltage_sensitivity,
    fit_current_voltage,
    model_of_current,
)
from labnis.fit.parameters import parameters_at
from labnis.fit.propagation import Evaluated
from labnis.fit.resonator.emitted_power import (
    emission_evaluated,
    emission_model,
    emission_sensitivity,
    fit_emitted_power,
)
from labnis.fit.resonator.reflection import (
    FANO_REAL,
    fit_reflection,
    reflection_evaluated,
    reflection_model,
    reflection_sensitivity,
)
from labnis.fit.result import FitError, FitResult, NotApplicableError
from labnis.fit.solver import CurveModel, without_outliers

__all__ = ["Conductance", "CurrentVoltage", "EmittedPower", "Reflection"]

# Parameters that reflection and emission share, and their units.
RATES = {"damping_line": "1/s", "damping_excess": "1/s", "damping_junction": "1/s", "ohmic_frequency": "Hz"}
JUNCTION = {"gap": "eV", "electron_temperature": "K", "dynes": "1", "voltage_offset": "V"}


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
        try:
            return self.fit_curve(
                points["device_voltage"][at],
                points[self.column][at],
                series_resistance=context.series_resistance,
                excitation=excitation,
                fixed=context.fixed,
                given=context.given,
                start=start,
                **self.options(context),
            )
        except FitError as error:
            raise FitError(_missing_rows(points, at) or str(error)) from error

    def without_noise(self, fit: FitResult, data: xarray.Dataset) -> xarray.Dataset:
        """As it is: a part in a thousand of the noise of a curve is negligible."""
        return data

    def options(self, context: FitContext) -> dict[str, Any]:
        """Further arguments of `fit_curve`."""
        return {"junctions": context.junctions}

    def resistance_sigma(self, context: FitContext) -> float:
        """Standard uncertainty of the resistance of the line (ohm) that the fit has as a prior; 0 if none."""
        return 0.0

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
        known = component_prior(fit.names, self.resistance_sigma(context) * array.resistance)
        given = array.given_of_pair(context.given)
        return Evaluated(model, fit.names, np.asarray, known_before(parameters_at(fit), known, given).prior)

    def datum(self, array: JunctionArray) -> float:
        """A reading of a pair per reading of the device."""
        return array.current

    def budgeted(self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors) -> FitResult:
        """As the base class; it is computed for a pair of the device."""
        array = JunctionArray.of_fit(fit)
        found = super().budgeted(array.of_pair(fit, self.datum(array)), data, context, priors)
        return replace(fit, budget=array.of_device(found).budget, warnings=found.warnings)

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return what is expected, in the shape of the column; NaN where nothing was measured."""
        points = Points(data)
        voltage = points["device_voltage"]
        at, values = np.isfinite(voltage), np.full(voltage.shape, np.nan)
        values[at] = self.model(fit, voltage[at])
        return {self.column: points.like(self.column, values)}

    def left_out(self, fit: FitResult, data: xarray.Dataset) -> dict[str, NDArray[np.bool_]]:
        """Return which readings the fit leaves out as glitches, in the shape of the column."""
        points = Points(data)
        at = points.measured("device_voltage", self.column)
        voltage, values = points["device_voltage"][at], points[self.column][at]
        array = JunctionArray.of_fit(fit)
        pair = array.of_pair(fit)
        model = self.model_of(pair, voltage, values, fit.inputs.get("series_resistance", 0.0), array)
        found = np.zeros(points[self.column].shape, bool)
        found[at] = ~without_outliers(model, pair.values).mask
        return {self.column: points.like(self.column, found)}


class CurrentVoltage(_Curve):
    """Gap, normal-state resistance and electron temperature from the current."""

    name = "current_voltage"
    results: ClassVar[Mapping[str, str]] = {**_Curve.results, **EXTREMES}
    parameters: ClassVar[Mapping[str, str]] = {**_Curve.parameters, "current_offset": "A", ASYMMETRY: "1", **ISLAND}
    column = "current"
    fit_curve = staticmethod(fit_current_voltage)
    model = staticmethod(current_voltage_model)
    model_of = staticmethod(model_of_current)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """As the base class, with the lowest electron temperature and the largest cooling power along the sweep."""
        found = super().fit(data, context, priors, start)
        array = JunctionArray.of_fit(found)
        whole = array.of_device(with_extremes(array.of_pair(found), array.voltage * _largest_voltage(data)))
        return replace(found, names=whole.names, units=whole.units, values=whole.values, covariance=whole.covariance)

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class; a small change of the parameters changes the extremes of the curves in proportion."""
        found = super().evaluated(parameters_of(fit), data, context, priors, like)
        largest = JunctionArray.of(context.junctions).voltage * _largest_voltage(data)
        return found if like is not None else found._replace(whole=extremes_along(fit, largest))

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """As the base class."""
        return super().predict(parameters_of(fit), data)

    def curves(self, fit: FitResult, data: xarray.Dataset) -> xarray.Dataset:
        """Electron temperature (K) and cooling power (W) against the voltage across the device (V), with their σ."""
        return cooling_curves(fit, _largest_voltage(data))

    def budgeted(self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors) -> FitResult:
        """As the base class; of the fitted error of the series resistance what is stated of it is no error."""
        return with_line_as_fitted(super().budgeted(fit, data, context, priors))

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
        voltage, known = _device_voltages(data, setpoints), parameters_of(fit)
        return current_voltage_sensitivity(known, voltage, series_resistance=context.series_resistance)


class Conductance(_Curve):
    """Gap, normal-state resistance and electron temperature from the lock-in conductance, as a check of the I–V fit."""

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


class Reflection(BudgetedAnalysis):
    """Damping rates and resonance frequency from reflection traces at many biases."""

    name = "reflection"
    results: ClassVar[Mapping[str, str]] = {
        "damping_line": "1/s",
        "damping_excess": "1/s",
        "damping_junction": "1/s",
        "resonance_frequency": "Hz",
    }
    parameters: ClassVar[Mapping[str, str]] = {**RATES, "fano_real": "1", "fano_imag": "1", **JUNCTION}
    needs = ("current_voltage",)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit the column `device_voltage` (V) and the traces `s11` along `frequency` (Hz).

        Without a prior `current_voltage` the junction parameters are fitted as well.
        """
        points = Points(data)
        traces = traces_of(points, points.measured("device_voltage", "s11"), context.junctions)
        prior = priors.get("current_voltage")
        return fit_reflection(traces, prior=prior, fixed=context.fixed, given=context.given, start=start)

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class."""
        points = Points(data)
        traces = traces_of(points, points.measured("device_voltage", "s11"), context.junctions)
        return reflection_evaluated(fit, traces, prior=priors.get("current_voltage"), given=context.given)

    def assumptions(self, context: FitContext) -> Mapping[Source, Mapping[str, float]]:
        """The real part of the Fano factor."""
        value, sigma = FANO_REAL
        source = Source(
            f"fano_real@{context.device.get('name') or 'device'}", "Re φ", "1", sigma, "normal",
            f"assumed: {value} ± {sigma}", "prior",
        )  # fmt: skip
        return {source: {"fano_real": sigma}}

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return the expected `s11`, in the shape of that trace; NaN where nothing was measured."""
        points = Points(data)
        model = reflection_model(fit, traces_of(points, slice(None), junctions_of(fit)))
        return {"s11": points.like("s11", model)}

    def sensitivity(
        self, fit: FitResult, data: xarray.Dataset, setpoints: ArrayLike, context: FitContext, priors: Priors
    ) -> Sensitivity:
        """Return the information of one more trace at each bias in `setpoints` (V), shape (n,)."""
        points = Points(data)
        traces = traces_of(points, points.measured("device_voltage", "s11"), context.junctions)
        prior, voltage = priors.get("current_voltage"), _device_voltages(data, setpoints)
        return reflection_sensitivity(fit, traces, voltage, prior=prior, given=context.given)


class EmittedPower(BudgetedAnalysis):
    """Gain and noise temperature of the amplifier chain from the spectra that the biased junctions emit."""

    name = "emitted_power"
    results: ClassVar[Mapping[str, str]] = {"gain": "dB", "noise_temperature": "K"}
    parameters: ClassVar[Mapping[str, str]] = {"gain": "dB", **RATES, **JUNCTION}
    needs = ("reflection",)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit the columns `device_voltage` (V), `fridge_temperature` (K) and the traces `spectrum` (W/Hz)."""
        points = Points(data)
        spectra = spectra_of(
            points, points.measured("device_voltage", "spectrum"), stage_temperature(points, context), context.junctions
        )
        return fit_emitted_power(spectra, prior=_rates(priors), fixed=context.fixed, given=context.given, start=start)

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class."""
        points = Points(data)
        spectra = spectra_of(
            points, points.measured("device_voltage", "spectrum"), stage_temperature(points, context), context.junctions
        )
        return emission_evaluated(fit, spectra, prior=_rates(priors), given=context.given)

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return the expected `spectrum` (W/Hz) and `band_power` (W), in the shape of the columns of the data."""
        points = Points(data)
        spectra = spectra_of(points, slice(None), fit.inputs.get("fridge_temperature", 0.0), junctions_of(fit))
        model = emission_model(fit, spectra)
        predicted = {"spectrum": points.like("spectrum", model)}
        if "band_power" in data:
            predicted["band_power"] = points.like("band_power", np.trapezoid(model, spectra.frequency, axis=-1))
        return predicted

    def sensitivity(
        self, fit: FitResult, data: xarray.Dataset, setpoints: ArrayLike, context: FitContext, priors: Priors
    ) -> Sensitivity:
        """Return the information of one more spectrum at each bias in `setpoints` (V), shape (n,)."""
        points = Points(data)
        spectra = spectra_of(
            points, points.measured("device_voltage", "spectrum"), stage_temperature(points, context), context.junctions
        )
        voltage = _device_voltages(data, setpoints)
        return emission_sensitivity(fit, spectra, voltage, prior=_rates(priors), given=context.given)


def _missing_rows(points: Points, at: NDArray[np.intp]) -> str:
    """Why a curve cannot be fitted of which the outer rows were measured, but have no reading; empty if they have."""
    if "time" not in points or "bias" not in points:
        return ""
    rows = points.measured("time")
    return missing_readings(points["bias"][rows], np.isin(rows, at))


def _rates(priors: Priors) -> FitResult:
    if "reflection" not in priors:
        raise FitError("the gain needs the damping rates: run ReflectionVsBias in this cooldown first")
    return priors["reflection"]


def _largest_voltage(data: xarray.Dataset) -> float:
    """Largest |voltage| across the device (V) that was measured."""
    return float(np.nanmax(np.abs(Points(data)["device_voltage"])))


def _device_voltages(data: xarray.Dataset, biases: ArrayLike) -> Real:
    """Voltages across the device (V) expected at `biases` (V), interpolated from those measured."""
    points = Points(data)
    at = points.measured("device_voltage", "bias")
    measured, first = np.unique(points["bias"][at], return_index=True)
    return np.asarray(np.interp(np.asarray(biases), measured, points["device_voltage"][at][first]))
