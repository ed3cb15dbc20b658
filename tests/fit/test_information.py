"""The predicted information of one more bias is correct: all data together give the covariance of their fit."""

import numpy as np
import pytest

from labnis.fit import (
    EmissionData,
    FitResult,
    ReflectionData,
    Sensitivity,
    most_informative,
)
from labnis.fit.information import expected_variance
from labnis.fit.junction.current_voltage import current_voltage_sensitivity
from labnis.fit.resonator.emitted_power import emission_sensitivity
from labnis.fit.resonator.reflection import reflection_sensitivity
from sim_instruments import Truth
from tests.fit.measuring import SERIES_RESISTANCE, current_voltage


def information(sensitivity: Sensitivity, visits: np.ndarray) -> np.ndarray:
    """After `visits` (n,) measurements at each bias."""
    last = int(np.argmax(visits))
    return np.asarray(sensitivity.after_one_more(visits - np.eye(visits.size)[last])[last])


def expected_sigma(sensitivity: Sensitivity) -> dict[str, float]:
    """Of every parameter when each bias was visited once."""
    known = information(sensitivity, np.ones(len(sensitivity.slopes)))
    return {
        name: float(np.sqrt(expected_variance(known, unit)))
        for name, unit in zip(sensitivity.names, np.eye(len(sensitivity.names)), strict=True)
    }


def assert_foretold(sensitivity: Sensitivity, fit: FitResult) -> None:
    found = expected_sigma(sensitivity)
    # A spectrum's own gain, which the sensitivity leaves out, costs these alone more.
    photons = found.pop("line_photons", None)
    assert photons is None or photons == pytest.approx(fit["line_photons"].sigma, rel=0.15)
    assert found == pytest.approx({name: fit[name].sigma for name in found}, rel=0.05)


def test_current_voltage_curve(shipped: Truth, junction_fit: FitResult) -> None:
    voltage, _ = current_voltage(shipped)
    assert_foretold(
        current_voltage_sensitivity(junction_fit, voltage, series_resistance=SERIES_RESISTANCE), junction_fit
    )


def test_reflection(traces: ReflectionData, junction_fit: FitResult, reflection_fit: FitResult) -> None:
    assert_foretold(
        reflection_sensitivity(reflection_fit, traces, traces.device_voltage, prior=junction_fit), reflection_fit
    )


def test_emission(spectra: EmissionData, reflection_fit: FitResult, gain_fit: FitResult) -> None:
    assert_foretold(emission_sensitivity(gain_fit, spectra, spectra.device_voltage, prior=reflection_fit), gain_fit)


def test_a_spectrum_alone_has_no_information_on_the_gain(
    spectra: EmissionData, reflection_fit: FitResult, gain_fit: FitResult
) -> None:
    sensitivity = emission_sensitivity(gain_fit, spectra, spectra.device_voltage, prior=reflection_fit)
    many_at_one_bias = np.zeros(spectra.device_voltage.size)
    many_at_one_bias[-1] = 100
    unit = np.eye(len(sensitivity.names))[sensitivity.names.index("gain")]
    # But for rounding, not a thing.
    assert np.sqrt(expected_variance(information(sensitivity, many_at_one_bias), unit)) > 1e4


@pytest.mark.parametrize("wanted", ["gain", "noise_temperature", "damping_line"])
def test_choice_is_the_best_of_all(
    wanted: str, spectra: EmissionData, reflection_fit: FitResult, gain_fit: FitResult
) -> None:
    sensitivity = emission_sensitivity(gain_fit, spectra, spectra.device_voltage, prior=reflection_fit)
    visits = np.zeros(spectra.device_voltage.size)
    visits[[0, 5, 20, -1]] = 1, 2, 1, 1
    chosen = most_informative(sensitivity, visits, gain_fit, wanted)
    names = (*sensitivity.names, wanted)
    gradient = np.eye(len(names))[names.index(wanted)][: len(sensitivity.names)]
    if wanted == "noise_temperature":  # from the product with the gain_fit, which the spectra give directly
        joint = gain_fit.select(names).covariance
        gradient = np.linalg.pinv(joint[:-1, :-1], rcond=1e-30, hermitian=True) @ joint[:-1, -1]
    one_more = visits + np.eye(visits.size)
    found = [float(expected_variance(information(sensitivity, after), gradient)) for after in one_more]
    assert found[chosen] <= min(found) * (1 + 1e-6)
    assert found[chosen] < max(found)
