"""Every public fit takes lists, pandas, xarray and integers, and names the column that holds no numbers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray

from labnis import fit
from labnis.fit import BandPowerData, EmissionData, FitError, FitResult, Isotherm, ReflectionData
from labnis.fit.junction.current_voltage import current_voltage_sensitivity
from labnis.physics import NISJunction, SINISCooler
from sim_instruments import Truth
from tests.fit.cooling import CURRENT_NOISE, micro_cooler
from tests.fit.measuring import SERIES_RESISTANCE, current_voltage
from tests.fit.test_temperature_and_gap import WARM, cooler_of

Columns = dict[str, Any]
Case = tuple[Callable[..., Any], Columns]

KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "list": lambda values: values.tolist(),
    "pandas": lambda values: pd.Series(values) if values.ndim == 1 else pd.DataFrame(values),
    "xarray": xarray.DataArray,
    "masked": np.ma.masked_invalid,
    "objects": lambda values: values.astype(object),
}


def numbers_of(result: Any) -> np.ndarray:
    """All numbers in what a fit returned."""
    if isinstance(result, FitResult):
        return np.concatenate([result.values, result.covariance.ravel()])
    if isinstance(result, tuple):
        return np.concatenate([np.ravel(part) for part in result])
    return np.concatenate([np.ravel(part) for part in vars(result).values() if isinstance(part, np.ndarray | float)])


@pytest.fixture(scope="module")
def cases(
    shipped: Truth,
    junction_fit: FitResult,
    traces: ReflectionData,
    spectra: EmissionData,
    reflection_fit: FitResult,
) -> Mapping[str, Case]:
    """Every public function with arrays, and its arrays by name."""
    voltage, current = current_voltage(shipped, 3, points=61)
    junction = NISJunction(215e-6, 4000.0, 1e-4)
    cooler = SINISCooler(junction, volume=1e-18, electron_phonon=2e9, kapitza=None)
    bias = np.linspace(-6e-4, 6e-4, 61)
    conductance = junction.conductance(bias / 2, 0.1) / 2
    warm = cooler_of(micro_cooler(WARM))
    cool = warm.operating_point(np.linspace(3.3e-4, 4.1e-4, 5), WARM)
    curve = {"device_voltage": voltage, "current": current}
    biases = {"device_voltage": traces.device_voltage[::6]}
    return {
        "fit_current_voltage": (lambda **c: fit.fit_current_voltage(**c, series_resistance=2e3), curve),
        "fit_conductance": (
            lambda **c: fit.fit_conductance(**c, excitation=1e-6),
            {"device_voltage": bias, "conductance": conductance},
        ),
        "fit_reflection": (
            lambda **c: fit.fit_reflection(ReflectionData(**c), prior=junction_fit, start=reflection_fit),
            {
                "device_voltage": traces.device_voltage[::5],
                "frequency": traces.frequency.round().astype(int),
                "s11": traces.s11[::5],
            },
        ),
        "fit_emitted_power": (
            lambda **c: fit.fit_emitted_power(EmissionData(**c, fridge_temperature=0), prior=reflection_fit),
            {
                "device_voltage": spectra.device_voltage[::5],
                "frequency": spectra.frequency.round().astype(int),
                "spectrum": spectra.spectrum[::5],
            },
        ),
        "fit_band_power": (
            lambda **c: fit.fit_band_power(
                BandPowerData(**c, center=4.67e9, bandwidth=140e6, fridge_temperature=0), prior=reflection_fit
            ),
            {
                "device_voltage": spectra.device_voltage[::5],
                "band_power": np.trapezoid(spectra.spectrum, spectra.frequency, axis=-1)[::5],
            },
        ),
        "fit_resonance": (fit.fit_resonance, {"frequency": traces.frequency.round().astype(int), "s11": traces.s11[0]}),
        "fit_heat_balance": (
            lambda **c: fit.fit_heat_balance([Isotherm(**c, bath_temperature=0.1)], cooler=cooler, free=["gap"]),
            {"device_voltage": bias, "current": cooler.operating_point(bias, 0.1).current},
        ),
        "temperature_curve": (
            lambda **c: fit.temperature_curve(junction_fit.select(["gap"]), cooler, **c, bath_temperature=0.1),
            biases,
        ),
        "isotherm_temperature": (
            lambda **c: fit.isotherm_temperature(
                **c, fit=junction_fit, noise=CURRENT_NOISE, series_resistance=SERIES_RESISTANCE
            ),
            curve,
        ),
        "temperature_and_gap": (
            lambda **c: fit.temperature_and_gap(**c, cooler=warm, bath_temperature=WARM, current_noise=1e-14),
            {
                "device_voltage": cool.device_voltage,
                "current": cool.current,
                "conductance": warm.conductance(cool),
                "conductance_noise": np.full(5, 1e-11),
            },
        ),
        "current_voltage_model": (lambda **c: (fit.current_voltage_model(junction_fit, **c),), biases),
        "conductance_model": (
            lambda **c: (fit.conductance_model(replace(junction_fit, inputs={"excitation": 1e-6}), **c),),
            biases,
        ),
        "most_informative": (
            lambda visits: (
                fit.most_informative(
                    current_voltage_sensitivity(junction_fit, np.linspace(-1e-3, 1e-3, 9)),
                    visits,
                    junction_fit,
                    "gap",
                ),
            ),
            {"visits": np.arange(1, 10)},
        ),
    }


NAMES = [
    "fit_current_voltage", "fit_conductance", "fit_reflection", "fit_emitted_power", "fit_band_power", "fit_resonance",
    "fit_heat_balance", "temperature_curve", "isotherm_temperature", "temperature_and_gap", "current_voltage_model",
    "conductance_model", "most_informative",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_array_likes(name: str, cases: Mapping[str, Case]) -> None:
    function, columns = cases[name]
    expected = numbers_of(function(**columns))
    for kind, convert in KINDS.items():
        found = numbers_of(function(**{column: convert(values) for column, values in columns.items()}))
        np.testing.assert_array_equal(found, expected, kind)
    for column, values in columns.items():
        for wrong in (np.full(values.shape, "1e-3"), np.full(values.shape, None), [[1.0], [1.0, 2.0]]):
            with pytest.raises(FitError, match=f"{column} (contains|is not an array)"):
                function(**columns | {column: wrong})


def test_every_public_function_with_arrays_is_tested() -> None:
    without_arrays = {"cooler_of", "cooling_power", "fit_high_bias", "gain_uncertainty", "number_text", "scaled_unit"}
    # What takes an EmissionData or ReflectionData is tested by these.
    without_arrays |= {"band_power_model", "emission_model", "reflection_model"}
    public = {name for name in fit.__all__ if callable(getattr(fit, name)) and name.islower()}
    assert public - without_arrays - {"result_from_mapping"} == set(NAMES)
