"""What real devices and chains do and the fits do not model: results are within 4σ, or a warning names the kind."""

import re
from typing import Any

import numpy as np
import pytest

from labnis.fit import FitResult, fit_emitted_power, fit_reflection
from sim_instruments import SimulatedClock, Truth
from sim_instruments.world import World
from tests.fit import measuring

STEADY = [{"frequency": 4.665e9, "level_db": 3.0}, {"frequency": 4.69e9, "level_db": 10.0}]
UNSTEADY = [{**spur, "unsteady": 0.5} for spur in STEADY]

SPECTRA: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
    "few photons in the line": ({"resonator": {"line_photons": 0.05}}, ""),
    "photons in the line": ({"resonator": {"line_photons": 0.3}}, ""),
    "losses at 0.3 K": ({"resonator": {"excess_temperature": 0.3}}, ""),
    "losses at 2 K": ({"resonator": {"excess_temperature": 2.0}}, "warmer than the fridge, with [78].* photons"),
    "small ripple": ({"chain": {"gain_ripple_db": 0.1}}, ""),
    "ripple": ({"chain": {"gain_ripple_db": 0.5}}, "the gain is not flat over the line"),
    "spurs": ({"chain": {"spurs": STEADY}}, ""),
    "unsteady spurs": ({"chain": {"spurs": UNSTEADY}}, ""),
    "little compression": ({"chain": {"saturation_power": 1e-12}}, ""),
    "compression": ({"chain": {"saturation_power": 5e-14}}, "the amplifier is compressed"),
}
TRACES = {
    "jitter from trace to trace": ("trace_jitter", "jitters from trace to trace, by about [456]"),
    "jitter from point to point": ("point_jitter", "a resonance frequency that jitters from point to point"),
}


def assert_right_or_told(fit: FitResult, truth: Truth, told: str) -> None:
    if told:
        assert any(re.search(told, text) for text in fit.warnings), fit.warnings
        return
    assert not fit.warnings
    results = ("damping_line", "damping_excess", "damping_junction", "resonance_frequency", "gain", "noise_temperature")
    pulls = {name: pull for name, pull in measuring.pulls(fit, truth).items() if name in results}
    assert max(map(abs, pulls.values())) < 4, pulls


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra(name: str, reflection_fit: FitResult) -> None:
    changes, told = SPECTRA[name]
    truth = measuring.device(**changes)
    fit = fit_emitted_power(measuring.emission(truth, 3), prior=reflection_fit)
    assert_right_or_told(fit, truth, told)
    spurs = [text for text in fit.notes if "spurs" in text]
    assert bool(spurs) == ("spurs" in name)
    assert all("at 4.664867 GHz, 4.690067 GHz" in text for text in spurs)


@pytest.mark.parametrize("name", TRACES)
def test_traces(name: str, junction_fit: FitResult) -> None:
    key, told = TRACES[name]
    truth = measuring.device(resonator={key: 5e4})
    fit = fit_reflection(measuring.reflection(truth, 1), prior=junction_fit)
    assert_right_or_told(fit, truth, told)


def test_warm_losses_and_photons_of_the_line_change_the_emission_without_bias() -> None:
    """Γ of the line's photons and of the losses is known there: S = hf·γ_tr·γ_x·(N_x − N_tr)/(δ² + γ²/4)."""
    frequency = np.array([4.57e9, 4.67e9])
    seen = {}
    for name, changes in (("cold", {}), ("losses", {"excess_temperature": 1.0}), ("line", {"line_photons": 1.0})):
        world = World(measuring.device(resonator=changes), SimulatedClock())
        away, on = world.power_spectral_density(frequency, 1e14)
        seen[name] = on / away - 1
    assert abs(seen["cold"]) < 1e-5
    assert seen["losses"] / -seen["line"] == pytest.approx(1 / np.expm1(6.626e-34 * 4.67e9 / 1.381e-23), rel=0.1)
    assert seen["losses"] > 0.01
