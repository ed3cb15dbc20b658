"""The shipped analyses: from the dataset of a run to a fit, and from a fit to the expected values and its budget.

An analysis is found by its dotted path and built without arguments. Live fit, final fit, refit, figures and reports use
the same object.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from labnis.accuracy import Source
from labnis.fit._budgeted_analysis import BudgetedAnalysis, Predictions, Priors
from labnis.fit._curve_analyses import Conductance, CurrentVoltage, DifferentialConductance, device_voltages
from labnis.fit._points import Points
from labnis.fit._trace_data import band_powers_of, junctions_of, spectra_of, stage_temperature, traces_of
from labnis.fit.context import FitContext
from labnis.fit.information import Sensitivity
from labnis.fit.propagation import Evaluated
from labnis.fit.resonator._lines import EXCESS_PHOTONS, LINE_PHOTONS
from labnis.fit.resonator._ports import HANGER_ASSUMED
from labnis.fit.resonator._tunnelling import with_stated_zero
from labnis.fit.resonator.band_power import (
    BandPowerData,
    band_power_evaluated,
    band_power_left_out,
    band_power_model,
    band_power_residuals,
    band_power_sensitivity,
    fit_band_power,
)
from labnis.fit.resonator.emitted_power import (
    emission_evaluated,
    emission_left_out,
    emission_model,
    emission_residuals,
    emission_sensitivity,
    fit_emitted_power,
)
from labnis.fit.resonator.reflection import (
    FANO_REAL,
    fit_reflection,
    reflection_evaluated,
    reflection_left_out,
    reflection_model,
    reflection_residuals,
    reflection_sensitivity,
)
from labnis.fit.resonator.resonance import fit_resonance, resonance_model
from labnis.fit.result import FitError, FitResult

__all__ = [
    "BandPower",
    "Conductance",
    "CurrentVoltage",
    "DifferentialConductance",
    "EmittedPower",
    "Reflection",
    "Resonance",
]

# Parameters that reflection and emission share, or emission alone has, and their units.
RATES = {"damping_line": "1/s", "damping_excess": "1/s", "damping_junction": "1/s", "ohmic_frequency": "Hz"}
PHOTONS = {LINE_PHOTONS: "1", EXCESS_PHOTONS: "1"}
JUNCTION = {"gap": "eV", "electron_temperature": "K", "dynes": "1", "voltage_offset": "V"}


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
    of_device = ("damping_line",)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit the column `device_voltage` (V) and the traces `s11` along `frequency` (Hz).

        Without a prior `current_voltage` the junction parameters are fitted as well. Traces of a hanger are of the same
        form.
        """
        if context.resonator == "transmission":
            raise FitError(
                "in transmission through a resonator only the sum of its damping rates shows: measure reflection, or "
                "import single traces as Resonance (device: resonator)"
            )
        points = Points(data)
        traces = traces_of(points, points.measured("device_voltage", "s11"), context.junctions)
        prior = _junctions(priors, context)
        fit = fit_reflection(traces, prior=prior, fixed=context.fixed, given=context.given, start=start)
        if context.resonator == "reflection":
            return fit
        return replace(fit, assumed={**fit.assumed, "port": HANGER_ASSUMED.format("damping_excess")})

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class."""
        points = Points(data)
        traces = traces_of(points, points.measured("device_voltage", "s11"), context.junctions)
        return reflection_evaluated(fit, traces, prior=_junctions(priors, context), given=context.given, like=like)

    def assumptions(self, context: FitContext) -> Mapping[Source, Mapping[str, float]]:
        """The real part of the Fano factor, unless it is held."""
        if "fano_real" in context.fixed:
            return {}
        known = context.given.get("fano_real")
        value, sigma = known or FANO_REAL
        device = f"{context.device.get('name') or 'device'}{f'#{context.drawn}' if context.drawn else ''}"
        source = Source(
            f"fano_real@{device}", "Re φ", "1", sigma, "normal",
            f"{'given' if known else 'assumed'}: {value} ± {sigma}", "prior",
        )  # fmt: skip
        return {source: {"fano_real": sigma}}

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return the expected `s11`, in the shape of that trace; NaN where nothing was measured."""
        points = Points(data)
        model = reflection_model(fit, traces_of(points, slice(None), junctions_of(fit)))
        return {"s11": points.like("s11", model)}

    def left_out(self, fit: FitResult, data: xarray.Dataset) -> dict[str, NDArray[np.bool_]]:
        """Return which data the fit leaves out as glitches, in the shape of `s11`."""
        points = Points(data)
        return {"s11": points.like("s11", reflection_left_out(fit, traces_of(points, slice(None), junctions_of(fit))))}

    def residuals(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return `s11` less the expected one, both parts in units of their σ."""
        points = Points(data)
        return {"s11": points.like("s11", reflection_residuals(fit, traces_of(points, slice(None), junctions_of(fit))))}

    def sensitivity(
        self, fit: FitResult, data: xarray.Dataset, setpoints: ArrayLike, context: FitContext, priors: Priors
    ) -> Sensitivity:
        """Return the information of one more trace at each bias in `setpoints` (V), shape (n,)."""
        points = Points(data)
        traces = traces_of(points, points.measured("device_voltage", "s11"), context.junctions)
        prior, voltage = _junctions(priors, context), device_voltages(data, setpoints)
        return reflection_sensitivity(fit, traces, voltage, prior=prior, given=context.given)


class EmittedPower(BudgetedAnalysis):
    """Gain and noise temperature of the amplifier chain from the spectra that the biased junctions emit."""

    name = "emitted_power"
    results: ClassVar[Mapping[str, str]] = {"gain": "dB", "noise_temperature": "K"}
    parameters: ClassVar[Mapping[str, str]] = {"gain": "dB", **PHOTONS, **RATES, **JUNCTION}
    needs = ("reflection",)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit the columns `device_voltage` (V), `fridge_temperature` (K) and the traces `spectrum` (W/Hz)."""
        points = Points(data)
        spectra = spectra_of(
            points, points.measured("device_voltage", "spectrum"), stage_temperature(points, context), context.junctions
        )
        rates = _rates(priors, context)
        return fit_emitted_power(spectra, prior=rates, fixed=context.fixed, given=context.given, start=start)

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class."""
        points = Points(data)
        spectra = spectra_of(
            points, points.measured("device_voltage", "spectrum"), stage_temperature(points, context), context.junctions
        )
        return emission_evaluated(fit, spectra, prior=_rates(priors, context), given=context.given, like=like)

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return the expected `spectrum` (W/Hz) and `band_power` (W), in the shape of the columns of the data."""
        points = Points(data)
        spectra = spectra_of(points, slice(None), fit.inputs.get("fridge_temperature", 0.0), junctions_of(fit))
        model = emission_model(fit, spectra)
        predicted = {"spectrum": points.like("spectrum", model)}
        if "band_power" in data:
            predicted["band_power"] = points.like("band_power", np.trapezoid(model, spectra.frequency, axis=-1))
        return predicted

    def left_out(self, fit: FitResult, data: xarray.Dataset) -> dict[str, NDArray[np.bool_]]:
        """Return which bins of `spectrum` the fit leaves out as glitches, and which `band_power` contains such bins."""
        points = Points(data)
        spectra = spectra_of(points, slice(None), fit.inputs.get("fridge_temperature", 0.0), junctions_of(fit))
        bins = emission_left_out(fit, spectra)
        found = {"spectrum": points.like("spectrum", bins)}
        if "band_power" in data:
            found["band_power"] = points.like("band_power", bins.any(axis=-1))
        return found

    def residuals(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return `spectrum` and `band_power` less what is expected, in units of σ."""
        points = Points(data)
        spectra = spectra_of(points, slice(None), fit.inputs.get("fridge_temperature", 0.0), junctions_of(fit))
        bins, bands = emission_residuals(fit, spectra)
        found = {"spectrum": points.like("spectrum", bins)}
        if "band_power" in data:
            found["band_power"] = points.like("band_power", bands)
        return found

    def sensitivity(
        self, fit: FitResult, data: xarray.Dataset, setpoints: ArrayLike, context: FitContext, priors: Priors
    ) -> Sensitivity:
        """Return the information of one more spectrum at each bias in `setpoints` (V), shape (n,)."""
        points = Points(data)
        spectra = spectra_of(
            points, points.measured("device_voltage", "spectrum"), stage_temperature(points, context), context.junctions
        )
        voltage = device_voltages(data, setpoints)
        return emission_sensitivity(fit, spectra, voltage, prior=_rates(priors, context), given=context.given)


class BandPower(BudgetedAnalysis):
    """Gain and noise temperature of the amplifier chain from the power in one band that the biased junctions emit."""

    name = "band_power"
    results: ClassVar[Mapping[str, str]] = {"gain": "dB", "noise_temperature": "K"}
    parameters: ClassVar[Mapping[str, str]] = {**results, **PHOTONS, **RATES, **JUNCTION}
    needs = ("reflection",)

    def fit(
        self, data: xarray.Dataset, context: FitContext, priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit the columns `device_voltage` (V), `band_power` (W) and `fridge_temperature` (K).

        The band is that of the columns `center` and `bandwidth` (Hz), which are the same at all points.
        """
        powers, rates = _powers(data, context), _rates(priors, context)
        return fit_band_power(powers, prior=rates, fixed=context.fixed, given=context.given, start=start)

    def evaluated(
        self, fit: FitResult, data: xarray.Dataset, context: FitContext, priors: Priors, like: Evaluated | None = None
    ) -> Evaluated:
        """As the base class."""
        powers, rates = _powers(data, context), _rates(priors, context)
        return band_power_evaluated(fit, powers, prior=rates, given=context.given, like=like)

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return the expected `band_power` (W)."""
        return {"band_power": Points(data).like("band_power", band_power_model(fit, _powers_of(fit, data)))}

    def left_out(self, fit: FitResult, data: xarray.Dataset) -> dict[str, NDArray[np.bool_]]:
        """Return which `band_power` the fit leaves out as glitches."""
        return {"band_power": Points(data).like("band_power", band_power_left_out(fit, _powers_of(fit, data)))}

    def residuals(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return `band_power` less the expected one in units of σ."""
        return {"band_power": Points(data).like("band_power", band_power_residuals(fit, _powers_of(fit, data)))}

    def sensitivity(
        self, fit: FitResult, data: xarray.Dataset, setpoints: ArrayLike, context: FitContext, priors: Priors
    ) -> Sensitivity:
        """Return the information of one more power at each bias in `setpoints` (V), shape (n,)."""
        voltage, rates = device_voltages(data, setpoints), _rates(priors, context)
        return band_power_sensitivity(fit, _powers(data, context), voltage, prior=rates, given=context.given)


class Resonance:
    """Frequency, damping rates and quality factor of a resonance in a trace: reflection, hanger or transmission."""

    name = "resonance"
    results: ClassVar[Mapping[str, str]] = {
        "resonance_frequency": "Hz",
        "damping_line": "1/s",
        "damping_internal": "1/s",
        "damping_total": "1/s",
        "loaded_quality": "1",
    }
    parameters: ClassVar[Mapping[str, str]] = {
        "resonance_frequency": "Hz",
        "damping_line": "1/s",
        "damping_internal": "1/s",
        "damping_total": "1/s",
        "fano_imag": "1",
        "asymmetry": "1",
        "crosstalk_real": "1",
        "crosstalk_imag": "1",
    }

    def fit(
        self, data: xarray.Dataset, context: FitContext, _priors: Priors, start: FitResult | None = None
    ) -> FitResult:
        """Fit the first trace `s11` along `frequency` (Hz), which is S21 where the device is not in reflection."""
        known, port = context.given, context.resonator
        return fit_resonance(*_first_trace(data), port=port, fixed=context.fixed, given=known, start=start)

    def predict(self, fit: FitResult, data: xarray.Dataset) -> Predictions:
        """Return the expected `s11`, in the shape of that trace; NaN in all but the first."""
        frequency, _ = _first_trace(data)
        model = np.full(data["s11"].shape, complex(np.nan, np.nan))
        model.reshape(-1, frequency.size)[0] = resonance_model(fit, frequency)
        return {"s11": model}


def _first_trace(data: xarray.Dataset) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    frequency = np.asarray(data["frequency"].values, dtype=np.float64)
    return frequency, np.asarray(data["s11"].transpose(..., "frequency").values).reshape(-1, frequency.size)[0]


def _junctions(priors: Priors, context: FitContext) -> FitResult | None:
    found = priors.get("current_voltage")
    return None if found is None else with_stated_zero(found, context.voltage_zero_sigma)


def _powers(data: xarray.Dataset, context: FitContext) -> BandPowerData:
    """Those that were measured, in the order of measurement."""
    points = Points(data)
    at = points.measured("device_voltage", "band_power")
    return band_powers_of(points, at, stage_temperature(points, context), context.junctions)


def _powers_of(fit: FitResult, data: xarray.Dataset) -> BandPowerData:
    """Those of all points, with the conditions of a `fit`."""
    return band_powers_of(Points(data), slice(None), fit.inputs.get("fridge_temperature", 0.0), junctions_of(fit))


def _rates(priors: Priors, context: FitContext) -> FitResult:
    if "reflection" not in priors:
        raise FitError("the gain needs the damping rates: run ReflectionVsBias in this cooldown first")
    return with_stated_zero(priors["reflection"], context.voltage_zero_sigma)
