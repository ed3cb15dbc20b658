"""What real devices and chains do and the fits do not model: results are within 4σ, or a warning names the kind."""

import re
from typing import Any

import numpy as np
import pytest

from labnis.fit import EmissionData, FitResult, fit_emitted_power, fit_reflection
from sim_instruments import SimulatedClock, Truth
from sim_instruments.world import World
from tests.fit import measuring

STEADY = [{"frequency": 4.665e9, "level_db": 3.0}, {"frequency": 4.69e9, "level_db": 10.0}]
UNSTEADY = [{**spur, "unsteady": 0.5} for spur in STEADY]

SPECTRA: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
    "losses at 0.3 K": ({"resonator": {"excess_temperature": 0.3}}, ""),
    "losses at 2 K": ({"resonator": {"excess_temperature": 2.0}}, ""),
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


@pytest.mark.parametrize("photons", [0.3, 0.6, 1.0, 3.0])
def test_photons_in_the_line_are_measured_and_do_not_count_in_the_noise_temperature(
    photons: float, reflection_fit: FitResult
) -> None:
    truth = measuring.device(resonator={"line_photons": photons})
    fits = [fit_emitted_power(measuring.emission(truth, seed), prior=reflection_fit) for seed in range(3)]
    for fit in fits:
        assert_right_or_told(fit, truth, "")
        found = fit["line_photons"]
        assert found.sigma < 0.3
        assert found.value == pytest.approx(photons, abs=3 * found.sigma)
        assert any("photons in each mode of the line" in note for note in fit.notes) == (found.value > 3 * found.sigma)
    mean = np.mean([fit["noise_temperature"].value for fit in fits])
    # The photons' own noise is 0.22 K each, and the rates, which all fits share, are known to 0.09 K.
    assert mean == pytest.approx(truth.chain.noise_temperature, abs=0.2)


def test_too_many_photons_in_the_line_contradict_what_is_assumed_of_them(reflection_fit: FitResult) -> None:
    spectra = measuring.emission(measuring.device(resonator={"line_photons": 15.0}))
    fit = fit_emitted_power(spectra, prior=reflection_fit)
    assert any("the data contradict what was known before" in text and "line_photons" in text for text in fit.warnings)


def test_photons_may_be_held_or_given(spectra: EmissionData, reflection_fit: FitResult, gain_fit: FitResult) -> None:
    held = fit_emitted_power(spectra, prior=reflection_fit, fixed={"line_photons": 0.0, "excess_photons": 0.0})
    given = fit_emitted_power(spectra, prior=reflection_fit, given={"line_photons": (0.0, 0.05)})
    assert held["noise_temperature"].sigma < given["noise_temperature"].sigma < gain_fit["noise_temperature"].sigma
    assert given["line_photons"].sigma == pytest.approx(0.05, rel=0.05)
    many = measuring.emission(measuring.device(resonator={"line_photons": 4.0}))
    wrong = fit_emitted_power(many, prior=reflection_fit, fixed={"line_photons": 0.0})
    assert any("line_photons" in text for text in wrong.warnings), wrong.warnings


def test_warm_losses_are_measured(reflection_fit: FitResult) -> None:
    fit = fit_emitted_power(
        measuring.emission(measuring.device(resonator={"excess_temperature": 2.0})), prior=reflection_fit
    )
    photons = fit["excess_photons"]
    assert photons.value == pytest.approx(1 / np.expm1(6.626e-34 * 4.67e9 / 1.381e-23 / 2), abs=3 * photons.sigma)
    assert any("excess losses with" in note for note in fit.notes)


def test_a_line_without_photons_is_no_doubt(reflection_fit: FitResult, shipped: Truth) -> None:
    data = [measuring.emission(shipped, seed, frequencies=151) for seed in range(10)]
    fits = [fit_emitted_power(one, prior=reflection_fit) for one in data]
    assert not any(fit.warnings or any("the spectra show" in note for note in fit.notes) for fit in fits)
    values = np.array([fit["line_photons"].value for fit in fits])
    assert values.std(ddof=1) == pytest.approx(fits[0]["line_photons"].sigma, rel=0.6)
    assert abs(values.mean()) < 3 * values.std(ddof=1) / np.sqrt(10) + 0.1


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
