"""Resonators beside a line and within one: rates and quality factors of textbooks, their σ, and what is refused."""

import numpy as np
import pytest

from labnis.fit import FitError, FitResult
from labnis.fit.parameters import Parameter
from labnis.fit.resonator._ports import PORTS
from labnis.fit.resonator.resonance import _Trace, fit_resonance, resonance_model
from tests.fit.measuring import assert_jacobian

FREQUENCY, LOADED, COUPLING = 5.1234e9, 8000.0, 11000.0
BAND = FREQUENCY + 8 * FREQUENCY / LOADED * np.linspace(-1, 1, 401)
DELAY, NOISE = 38e-9, 2e-4
DERIVED = ("damping_total", "fano_real", "loaded_quality")


def behind(rng: np.random.Generator, clean: np.ndarray, noise: float = NOISE) -> np.ndarray:
    """A trace behind cables and amplifiers, with noise."""
    background = 0.02 * np.exp(1.1j + (2e-9 - 2j * np.pi * DELAY) * (BAND - FREQUENCY))
    return np.asarray(background * clean + noise * 0.02 * (rng.standard_normal((2, BAND.size)).T @ [1, 1j]))


def hanger(angle: float) -> np.ndarray:
    """Probst et al., Rev. Sci. Instrum. 86, 024706, eq. 1: |Q_c| and the angle of the mismatch."""
    size = COUPLING * np.cos(angle)  # 1/Q_c is the real part of e^{iφ}/|Q_c|
    detuning = 1 + 2j * LOADED * (BAND / FREQUENCY - 1)
    return np.asarray(1 - LOADED / size * np.exp(1j * angle) / detuning)


def through(crosstalk: complex) -> np.ndarray:
    return np.asarray(1 / (1 + 2j * LOADED * (BAND / FREQUENCY - 1)) + crosstalk)


def rate(quality: float) -> float:
    return 2 * np.pi * FREQUENCY / quality


def pulls(fit: FitResult, truth: dict[str, float]) -> list[float]:
    return [(fit[name].value - value) / fit[name].sigma for name, value in truth.items()]


@pytest.mark.parametrize("angle", [0.0, 0.4, -0.7])
def test_a_hanger_has_the_quality_factors_of_the_diameter_correction(angle: float) -> None:
    internal = 1 / (1 / LOADED - 1 / COUPLING)
    truth = {
        "resonance_frequency": FREQUENCY,
        "damping_line": rate(COUPLING),
        "damping_internal": rate(internal),
        "loaded_quality": LOADED,
        "asymmetry": np.tan(angle),
        "delay": DELAY,
    }
    exact = fit_resonance(BAND, behind(np.random.default_rng(0), hanger(angle), 1e-9), port="hanger")
    for name, value in truth.items():
        assert exact[name].value == pytest.approx(value, rel=1e-5, abs=1e-6), name
    found = [fit_resonance(BAND, behind(np.random.default_rng(k), hanger(angle)), port="hanger") for k in range(40)]
    scatter = np.array([pulls(fit, truth) for fit in found])
    np.testing.assert_array_less(np.abs(scatter.mean(axis=0)), 0.6)
    assert np.all((scatter.std(axis=0) > 0.7) & (scatter.std(axis=0) < 1.35))
    assert sum(bool(fit.warnings) for fit in found) < 3, "a clean trace"
    assert "diameter correction" in found[0].assumed["port"] and "fano_real" not in found[0].names


@pytest.mark.parametrize("crosstalk", [0, 0.02j, -0.02j, 0.05 - 0.02j, 0.3 + 0.2j])
def test_transmission_has_the_loaded_quality_and_the_crosstalk(crosstalk: complex) -> None:
    truth = {
        "resonance_frequency": FREQUENCY,
        "damping_total": rate(LOADED),
        "loaded_quality": LOADED,
    }
    if crosstalk:  # else it does the same as slope and delay, to first order
        truth |= {"crosstalk_real": crosstalk.real, "crosstalk_imag": crosstalk.imag, "background_amplitude": 0.02}
    found = [
        fit_resonance(BAND, behind(np.random.default_rng(k), through(crosstalk)), port="transmission")
        for k in range(40)
    ]
    scatter = np.array([pulls(fit, truth) for fit in found])
    np.testing.assert_array_less(np.abs(scatter.mean(axis=0)), 0.6)
    assert np.all((scatter.std(axis=0) > 0.7) & (scatter.std(axis=0) < 1.35))
    assert sum(bool(fit.warnings) for fit in found) < 3, "a clean trace"
    assert "damping_line" not in found[0].names and "only the sum" in found[0].assumed["port"]


@pytest.mark.parametrize("port", PORTS)
def test_slopes_and_model_are_those_of_the_fit(port: str) -> None:
    trace = behind(np.random.default_rng(3), through(0.1j) if port == "transmission" else hanger(0.3))
    fit = fit_resonance(BAND, trace, port=port)
    assert np.abs(resonance_model(fit, BAND) - trace).max() < 6 * 0.02 * NOISE
    names = tuple(name for name in fit.names if name not in DERIVED[port == "transmission" :])
    model = _Trace(trace, names, BAND, PORTS[port], mask=np.ones(2 * BAND.size, bool))
    x = fit.select(names).values
    scales = {"delay": 1e-13, "background_slope": 1e-14, "resonance_frequency": 1.0}
    steps = np.array([scales.get(p.name, 1e-6 * abs(p.start) + 1e-9) for p in _parameters(names, x)])
    assert_jacobian(model, x, steps)


def _parameters(names: tuple[str, ...], values: np.ndarray) -> list[Parameter]:
    return [Parameter(name, "", float(value), 1.0) for name, value in zip(names, values, strict=True)]


def test_an_asymmetry_that_is_left_out_is_told() -> None:
    trace = behind(np.random.default_rng(1), hanger(0.5))
    fit = fit_resonance(BAND, trace, port="hanger", fano=False)
    assert fit.warnings and "fano=True" in fit.warnings[-1]
    held = fit_resonance(BAND, trace, port="hanger", fixed={"asymmetry": float(np.tan(0.5))})
    assert held["damping_line"].value == pytest.approx(rate(COUPLING), rel=1e-2)


def test_another_connection_is_refused() -> None:
    rng = np.random.default_rng(2)
    with pytest.raises(FitError, match="no resonance stands out of the noise"):
        fit_resonance(BAND, behind(rng, through(0.05)), port="hanger")
    with pytest.raises(FitError, match="'notch' is no way to connect a resonator; they are reflection, hanger"):
        fit_resonance(BAND, behind(rng, hanger(0)), port="notch")
    with pytest.raises(FitError, match="no resonance stands out of the noise"):
        fit_resonance(BAND, behind(rng, np.zeros(BAND.size)), port="transmission")
