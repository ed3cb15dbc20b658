"""Measurements and fits of the shipped device for several tests; made once."""

import pytest

from labnis.fit import EmissionData, FitResult, ReflectionData, fit_emitted_power, fit_reflection
from sim_instruments import Truth
from tests.fit import measuring


@pytest.fixture(scope="session")
def shipped() -> Truth:
    return measuring.device()


@pytest.fixture(scope="session")
def junction_fit(shipped: Truth) -> FitResult:
    return measuring.fitted_current_voltage(shipped)


@pytest.fixture(scope="session")
def traces(shipped: Truth) -> ReflectionData:
    return measuring.reflection(shipped)


@pytest.fixture(scope="session")
def reflection_fit(traces: ReflectionData, junction_fit: FitResult) -> FitResult:
    return fit_reflection(traces, prior=junction_fit)


@pytest.fixture(scope="session")
def spectra(shipped: Truth) -> EmissionData:
    return measuring.emission(shipped)


@pytest.fixture(scope="session")
def gain_fit(spectra: EmissionData, reflection_fit: FitResult) -> FitResult:
    return fit_emitted_power(spectra, prior=reflection_fit)
