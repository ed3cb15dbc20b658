"""The shipped analyses: from the dataset of a run to a fit, and from a fit to the expected values and its budget.

An analysis is found by its dotted path and built without arguments. Live fit, final fit, refit, figures and reports use
the same object.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from labnis.accuracy import Source
from labnis.fit._budgeted_analysis import BudgetedAnalysis, Predictions, Priors, with_line_as_fitted
from labnis.fit._points import Points
from labnis.fit.arrays import Real
from labnis.fit.context import FitContext
from labnis.fit.information import Sensitivity
from labnis.fit.junction._components import component_prior
from labnis.fit.junction._curve_data import missing_readings
from labnis.fit.junction._island import components_of
from labnis.fit.junction.conductance import conductance_model, fit_conductance, model_of_conductance
from labnis.fit.junction.cooling_curves import EXTREMES, cooling_curves, extremes_along, parameters_of, with_extremes
from labnis.fit.junction.current_voltage import (
    current_voltage_model,
    current_voltage_sensitivity,
    fit_current_voltage,
    model_of_current,
)
from labnis.fit.propagation import Evaluated
from labnis.fit.resonator._tunnelling import with_stated_zero
from labnis.fit.resonator.emitted_power import (
    EmissionData,
    emission_evaluated,
    emission_model,
    emission_sensitivity,
    fit_emitted_power,
)
from labnis.fit.resonator.reflection import (
    FANO_REAL,
    ReflectionData,
    fit_reflection,
    reflection_evaluated,
    reflection_left_out,
    reflection_model,
    reflection_sensitivity,
)
from labnis.fit.result import FitError, FitResult, NotApplicableError
from labnis.fit.solver import CurveModel, without_outliers

__all__ = ["Conductance", "CurrentVoltage", "EmittedPower", "Reflection"]

Selection = NDArray[np.intp] | slice


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
                start=start,
                **self.stated(context),
            )
        except FitError as error:
            raise FitError(_missing_rows(points, at) or str(error)) from error

    def without_noise(self, fit: FitResult, data: xarray.Dataset) -> xarray.Dataset:
        """As it is: a part in a thousand of the noise of a curve is negligible."""
        return data

    def stated(self, context: FitContext) -> dict[str, float]:
        """Further arguments of `fit_curve`."""
        return {}

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class; a small change of the voltage does not change the excitation at the device."""
        points = Points(data)
        at = points.measured("device_voltage", self.column)
        voltage, values = points["device_voltage"][at], points[self.column][at]
        if like is not None and isinstance(like.model, CurveModel):
            return like._replace(model=like.model.with_readings(voltage, values))
        model = self.model_of(fit, voltage, values, context.series_resistance).with_mask(fit.mask)
        return Evaluated(model, fit.names, np.asarray, component_prior(fit.names, **self.stated(context)))

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
        model = self.model_of(fit, voltage, values, fit.inputs.get("series_resistance", 0.0))
        found = np.zeros(points[self.column].shape, bool)
        found[at] = ~without_outliers(model, fit.values).mask
        return {self.column: points.like(self.column, found)}


class CurrentVoltage(_Curve):
    """Gap, normal-state resistance and electron temperature from the current."""

    name = "current_voltage"
    results: ClassVar[Mapping[str, str]] = {**_Curve.results, **EXTREMES}
    column = "current"
    fit_curve = staticmethod(fit_current_voltage)
    model = staticmethod(current_voltage_model)
    model_of = staticmethod(model_of_current)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """As the base class, with the lowest electron temperature and the largest cooling power along the sweep."""
        return with_extremes(super().fit(data, context, priors, start), _largest_voltage(data))

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class; a small change of the parameters changes the extremes of the curves in proportion."""
        found = super().evaluated(parameters_of(fit), data, context, priors, like)
        return found if like is not None else found._replace(whole=extremes_along(fit, _largest_voltage(data)))

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """As the base class."""
        return super().predict(parameters_of(fit), data)

    def curves(self, fit: FitResult, data: xarray.Dataset) -> xarray.Dataset:
        """Electron temperature (K) and cooling power (W) against the voltage across the device (V), with their σ."""
        return cooling_curves(fit, _largest_voltage(data))

    def budgeted(self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors) -> FitResult:
        """As the base class; of the fitted error of the series resistance what is stated of it is no error."""
        return with_line_as_fitted(super().budgeted(fit, data, context, priors))

    def stated(self, context: FitContext) -> dict[str, float]:
        """Return the standard uncertainty of the series resistance."""
        return {"resistance_sigma": context.series_resistance_sigma}

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


class Reflection(BudgetedAnalysis):
    """Damping rates and resonance frequency from reflection traces at many biases."""

    name = "reflection"
    results: ClassVar[Mapping[str, str]] = {
        "damping_line": "1/s",
        "damping_excess": "1/s",
        "damping_junction": "1/s",
        "resonance_frequency": "Hz",
    }
    needs = ("current_voltage",)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit the column `device_voltage` (V) and the traces `s11` along `frequency` (Hz).

        Without a prior `current_voltage` the junction parameters are fitted as well.
        """
        points = Points(data)
        traces = _traces(points, points.measured("device_voltage", "s11"))
        return fit_reflection(traces, prior=_junctions(priors, context), fixed=context.fixed, start=start)

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class."""
        points = Points(data)
        traces = _traces(points, points.measured("device_voltage", "s11"))
        return reflection_evaluated(fit, traces, prior=_junctions(priors, context))

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
        model = reflection_model(fit, _traces(points, slice(None)))
        return {"s11": points.like("s11", model)}

    def left_out(self, fit: FitResult, data: xarray.Dataset) -> dict[str, NDArray[np.bool_]]:
        """Return which data the fit leaves out as glitches, in the shape of `s11`."""
        points = Points(data)
        return {"s11": points.like("s11", reflection_left_out(fit, _traces(points, slice(None))))}

    def sensitivity(
        self, fit: FitResult, data: xarray.Dataset, setpoints: ArrayLike, context: FitContext, priors: Priors
    ) -> Sensitivity:
        """Return the information of one more trace at each bias in `setpoints` (V), shape (n,)."""
        points = Points(data)
        traces = _traces(points, points.measured("device_voltage", "s11"))
        return reflection_sensitivity(fit, traces, _device_voltages(data, setpoints), prior=_junctions(priors, context))


class EmittedPower(BudgetedAnalysis):
    """Gain and noise temperature of the amplifier chain from the spectra that the biased junctions emit."""

    name = "emitted_power"
    results: ClassVar[Mapping[str, str]] = {"gain": "dB", "noise_temperature": "K"}
    needs = ("reflection",)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit the columns `device_voltage` (V), `fridge_temperature` (K) and the traces `spectrum` (W/Hz)."""
        points = Points(data)
        spectra = _spectra(points, points.measured("device_voltage", "spectrum"), _stage(points, context))
        return fit_emitted_power(spectra, prior=_rates(priors, context), fixed=context.fixed, start=start)

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class."""
        points = Points(data)
        spectra = _spectra(points, points.measured("device_voltage", "spectrum"), _stage(points, context))
        return emission_evaluated(fit, spectra, prior=_rates(priors, context))

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return the expected `spectrum` (W/Hz) and `band_power` (W), in the shape of the columns of the data."""
        points = Points(data)
        spectra = _spectra(points, slice(None), fit.inputs.get("fridge_temperature", 0.0))
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
        spectra = _spectra(points, points.measured("device_voltage", "spectrum"), _stage(points, context))
        return emission_sensitivity(fit, spectra, _device_voltages(data, setpoints), prior=_rates(priors, context))


def _missing_rows(points: Points, at: NDArray[np.intp]) -> str:
    """Why a curve cannot be fitted of which the outer rows were measured, but have no reading; empty if they have."""
    if "time" not in points or "bias" not in points:
        return ""
    rows = points.measured("time")
    return missing_readings(points["bias"][rows], np.isin(rows, at))


def _traces(points: Points, at: Selection) -> ReflectionData:
    return ReflectionData(points["device_voltage"][at], points.frequency, points["s11"][at], time=_time(points, at))


def _spectra(points: Points, at: Selection, fridge_temperature: float) -> EmissionData:
    return EmissionData(
        points["device_voltage"][at],
        points.frequency,
        points["spectrum"][at],
        fridge_temperature,
        time=_time(points, at),
    )


def _time(points: Points, at: Selection) -> Real | None:
    """When the points were measured (s); None where the run does not say."""
    return np.asarray(points["time"][at], dtype=np.float64) if "time" in points else None


def _stage(points: Points, context: FitContext) -> float:
    """Temperature (K) of the baths: as measured in the run, else that of the context."""
    if "fridge_temperature" in points:
        return float(np.nanmedian(points["fridge_temperature"]))
    # Without a thermometer the baths are at 0 K: at 4.7 GHz that is exact below 40 mK.
    return context.fridge_temperature if np.isfinite(context.fridge_temperature) else 0.0


def _junctions(priors: Priors, context: FitContext) -> FitResult | None:
    found = priors.get("current_voltage")
    return None if found is None else with_stated_zero(found, context.voltage_zero_sigma)


def _rates(priors: Priors, context: FitContext) -> FitResult:
    if "reflection" not in priors:
        raise FitError("the gain needs the damping rates: run ReflectionVsBias in this cooldown first")
    return with_stated_zero(priors["reflection"], context.voltage_zero_sigma)


def _largest_voltage(data: xarray.Dataset) -> float:
    """Largest |voltage| across the device (V) that was measured."""
    return float(np.nanmax(np.abs(Points(data)["device_voltage"])))


def _device_voltages(data: xarray.Dataset, biases: ArrayLike) -> Real:
    """Voltages across the device (V) expected at `biases` (V), interpolated from those measured."""
    points = Points(data)
    at = points.measured("device_voltage", "bias")
    measured, first = np.unique(points["bias"][at], return_index=True)
    return np.asarray(np.interp(np.asarray(biases), measured, points["device_voltage"][at][first]))
