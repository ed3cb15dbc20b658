"""Values known before a fit: they enter once, are stated, and cause a doubt where something contradicts them."""

from dataclasses import replace

import numpy as np
import pytest

from labnis.fit import (
    EmissionData,
    FitError,
    FitResult,
    ReflectionData,
    fit_conductance,
    fit_current_voltage,
    fit_emitted_power,
    fit_high_bias,
    fit_reflection,
    fit_resonance,
    isotherm_temperature,
)
from labnis.fit.given import known_before
from labnis.fit.parameters import Parameter, hold
from labnis.physics import NISJunction
from sim_instruments import Truth
from tests.fit import measuring
from tests.fit.test_solver import LINE, fitted, line, prior

LINE_RESISTANCE = measuring.SERIES_RESISTANCE


def test_a_given_value_is_a_prior() -> None:
    given = fitted(hold(LINE, None, {"offset": (2.1, 0.01)}), line(), given={"offset": (2.1, 0.01)})
    same = fitted(LINE, line(), prior=prior(2.1, 0.01))
    np.testing.assert_allclose(given.values, same.values, rtol=1e-6)
    np.testing.assert_allclose(given.covariance, same.covariance, rtol=1e-5)
    assert given.assumed == {"offset": "2.100 ± 0.010, given"}


def test_a_given_value_improves_a_prior_and_what_correlates_with_it_once() -> None:
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]])
    before = FitResult("prior", ("offset", "slope"), ("1", "1"), np.zeros(2), covariance)
    known = known_before(LINE, before, {"offset": (0.5, 0.5)})
    assert known.prior is not None and not known.warnings
    # As the inverse covariances add.
    inverse = np.linalg.inv(covariance) + np.diag([1 / 0.25, 0.0])
    np.testing.assert_allclose(known.prior.covariance, np.linalg.inv(inverse), rtol=1e-12)
    np.testing.assert_allclose(known.prior.values, np.linalg.inv(inverse) @ [0.5 / 0.25, 0.0], rtol=1e-12)
    again = known_before(LINE, replace(known.prior, assumed=known.assumed), {"offset": (0.5, 0.5)})
    assert again.prior is not None
    np.testing.assert_array_equal(again.prior.values, known.prior.values)


def test_what_contradicts_a_prior_is_in_doubt() -> None:
    assert "offset is held at 3, and 2.000 ± 0.010 was known" in " ".join(
        known_before(hold(LINE, {"offset": 3.0}), prior(2.0, 0.01), None).warnings
    )
    assert "offset is given as" in known_before(LINE, prior(2.0, 0.01), {"offset": (3.0, 0.01)}).warnings[0]
    contradicted = fitted(LINE, line(), given={"offset": (3.0, 0.01)})
    assert any(text.startswith("the data contradict what was known before") for text in contradicted.warnings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bend": (1.0, 0.1)}, "'bend' cannot be given; the parameters are offset, slope"),
        ({"slope": (1.0, 0.0)}, "slope is given with σ = 0 1; give a positive one, or hold the parameter"),
        ({"slope": (9.0, 0.1)}, "slope cannot be 9 1; it is from -1 to 1 1"),
        ({"offset": (1.0, 0.1)}, "offset is held at 2 1 and given as 1 1; choose one"),
    ],
)
def test_what_cannot_be_given_is_named(given: dict[str, tuple[float, float]], message: str) -> None:
    bounded = [LINE[0], Parameter("slope", "1", 0.0, 1.0, -1.0, 1.0)]
    with pytest.raises(FitError, match=message):
        hold(bounded, {"offset": 2.0}, given)


def test_a_given_value_enters_the_chain_once(
    traces: ReflectionData, spectra: EmissionData, reflection_fit: FitResult, shipped: Truth
) -> None:
    given = {"dynes": (shipped.junction.dynes, 1e-7)}
    voltage, current = measuring.current_voltage(shipped, 0)
    junction = fit_current_voltage(voltage, current, series_resistance=LINE_RESISTANCE, given=given)
    free = fit_current_voltage(voltage, current, series_resistance=LINE_RESISTANCE)
    assert junction["dynes"].sigma < min(1e-7, free["dynes"].sigma)
    assert "given" in junction.assumed["dynes"] and not junction.warnings
    handed_on, twice = (fit_reflection(traces, prior=junction, given=one) for one in (None, given))
    # The searches start at different values; a statement that counts twice moves by a part of σ.
    assert (np.abs(twice.values - handed_on.values) <= 1e-5 * handed_on.sigma).all()
    assert twice["dynes"].sigma == pytest.approx(handed_on["dynes"].sigma, rel=1e-9)
    later = fit_reflection(traces, prior=free, given=given)
    assert later["dynes"].sigma == pytest.approx(handed_on["dynes"].sigma, rel=1e-2)
    gain = fit_emitted_power(spectra, prior=reflection_fit, given={"gain": (51.84, 0.001)})
    assert gain["gain"].sigma < 0.001
    assert max(map(abs, measuring.pulls(gain, shipped).values())) < 4


def test_the_other_fits_take_known_values(
    traces: ReflectionData, spectra: EmissionData, reflection_fit: FitResult, shipped: Truth, junction_fit: FitResult
) -> None:
    one = traces.s11[0]
    free = fit_resonance(traces.frequency, one)
    held = fit_resonance(traces.frequency, one, fixed={"delay": free["delay"].value})
    assert held["delay"].sigma == 0 and "held fixed" in held.assumed["delay"]
    line_rate = free["damping_line"]
    known = fit_resonance(traces.frequency, one, given={"damping_internal": (free["damping_internal"].value, 1e3)})
    assert known["damping_line"].sigma <= line_rate.sigma
    straight = fit_high_bias(spectra, prior=reflection_fit, traces=traces, fixed={"inverse": 0.0})
    assert straight["inverse"].sigma == 0 and "held fixed" in straight.assumed["inverse"]
    voltage, current = measuring.current_voltage(shipped, 3)
    names = ("gap", "normal_resistance", "dynes", "voltage_offset", "current_offset")
    values = {name: (junction_fit[name].value, junction_fit[name].sigma) for name in names}
    electrons = isotherm_temperature(
        voltage, current, values, noise=junction_fit.noise, series_resistance=LINE_RESISTANCE
    )
    assert np.nanmedian(electrons.electron_temperature) == pytest.approx(
        junction_fit["electron_temperature"].value, rel=0.05
    )


def test_a_conductance_with_a_given_gap() -> None:
    junction, voltage = NISJunction(215e-6, 12e3, 1e-4), np.linspace(-1e-3, 1e-3, 201)
    conductance = junction.conductance(voltage / 2, 0.11) / 2 + 1e-8 * np.random.default_rng(1).standard_normal(201)
    fit = fit_conductance(voltage, conductance, excitation=1e-7, given={"gap": (junction.gap, 1e-9)})
    assert fit["gap"].sigma <= 1e-9
    off = fit_conductance(voltage, conductance, excitation=1e-7, given={"gap": (1.002 * junction.gap, 1e-9)})
    assert any("the data contradict what was known before" in text for text in off.warnings)
    off = fit_conductance(voltage, conductance, excitation=1e-7, fixed={"gap": 1.01 * junction.gap})
    assert any(
        text.startswith("it looks like the value at which a parameter is held, of gap, 0.00021715 eV, which is 2.1")
        for text in off.warnings
    )
