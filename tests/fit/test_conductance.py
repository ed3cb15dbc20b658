"""Gap, resistance and temperature from the lock-in's dI/dV: right within their σ, or refused."""

from typing import Any

import numpy as np
import pytest

from labnis.fit import FitError
from labnis.fit.junction.conductance import _PHASES, _Harmonic, conductance_model, fit_conductance
from labnis.fit.result import FitResult
from labnis.physics import NISJunction, UnequalPair
from sim_instruments import Truth
from tests.fit.measuring import SERIES_RESISTANCE, WIRING, assert_jacobian, device, pulls, swept, switched_on

DEVICES: dict[str, dict[str, dict[str, Any]]] = {
    "shipped": {},
    "cold, transparent": {"island": {"temperature": 0.05}, "junction": {"resistance": 3e3}},
    "warm, opaque": {"island": {"temperature": 0.25}, "junction": {"resistance": 50e3, "gap": 180e-6}},
    "broadened, large offset": {"junction": {"dynes": 0.02}, "noise": {"voltage_offset": 3e-5}},
}
SINE = 0.1


def conductance(
    truth: Truth, seed: int, *, sine: float = SINE, lowest: float = -1.2e-3, highest: float = 1.2e-3, points: int = 81
) -> tuple[np.ndarray, np.ndarray]:
    """Device voltage (V) and conductance (S) from a lock-in with its sine output at `sine` (V rms)."""
    world, wiring = switched_on(truth, seed, sine), WIRING
    voltage, _, read = swept(world, np.linspace(lowest, highest, points), lambda w: w.lockin_input(2.5))
    return voltage, np.array([wiring.device_conductance(reading, sine) for reading in read])


def fitted(voltage: np.ndarray, measured: np.ndarray, sine: float = SINE, **options: Any) -> FitResult:
    return fit_conductance(voltage, measured, excitation=sine / 1e4, series_resistance=SERIES_RESISTANCE, **options)


@pytest.fixture(scope="module")
def data(shipped: Truth) -> tuple[np.ndarray, np.ndarray]:
    return conductance(shipped, 1)


@pytest.fixture(scope="module")
def clean(data: tuple[np.ndarray, np.ndarray]) -> FitResult:
    return fitted(*data)


@pytest.mark.parametrize("changes", DEVICES.values(), ids=DEVICES)
def test_truth_lies_within_four_sigma(changes: dict[str, dict[str, Any]]) -> None:
    truth = device(**changes)
    fit = fitted(*conductance(truth, 1))
    assert max(map(abs, pulls(fit, truth).values())) < 4, pulls(fit, truth)
    assert not any("alike" in text for text in fit.warnings)


@pytest.mark.parametrize("points", [12, 13, 15])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2, 3))])
def test_a_sweep_coarser_than_the_edges_of_the_gap_does_not_end_beside_them(
    seed: int, points: int, shipped: Truth
) -> None:
    fit = fitted(*conductance(shipped, seed, points=points))
    assert max(map(abs, pulls(fit, shipped).values())) < 4, pulls(fit, shipped)


def test_large_excitation_is_followed_along_the_bias_line(shipped: Truth) -> None:
    voltage, measured = conductance(shipped, 2, sine=0.3)
    fit = fitted(voltage, measured, 0.3)
    assert max(map(abs, pulls(fit, shipped).values())) < 4
    assert not fit.warnings
    ignorant = fitted(voltage, measured, 0.01)
    assert pulls(ignorant, shipped)["electron_temperature"] > 10, "the smearing by the excitation passes for heat"


@pytest.mark.parametrize(("lowest", "highest"), [(-1.2e-3, 0.0), (3e-4, 1.2e-3)])
def test_one_sided_sweep(lowest: float, highest: float, shipped: Truth) -> None:
    fit = fitted(*conductance(shipped, 3, lowest=lowest, highest=highest))
    assert max(map(abs, pulls(fit, shipped).values())) < 4


def test_jacobian_equals_finite_differences(data: tuple[np.ndarray, np.ndarray]) -> None:
    voltage, measured = data[0][::3], data[1][::3]
    share = np.linspace(0.7, 0.9, voltage.size)
    sweep = _Harmonic(voltage, measured, share, share[:, None] * 1.4e-5 * _PHASES, mask=np.ones(voltage.size, bool))
    x = np.array([214e-6, 12.1e3, 0.12, 1e-3, 1e-6])
    assert_jacobian(sweep, x, np.array([1e-9, 1.0, 1e-5, 1e-6, 1e-9]))


def test_glitching_point_moves_nothing_by_more_than_its_uncertainty(
    data: tuple[np.ndarray, np.ndarray], clean: FitResult
) -> None:
    voltage, spoilt = data[0], data[1].copy()
    spoilt[63] = 3e-4
    found = fitted(voltage, spoilt)
    for name in clean.names:
        assert found[name].value == pytest.approx(clean[name].value, abs=clean[name].sigma), name
    assert any("were left out" in text for text in found.notes)


def test_start_is_no_prior_and_missing_points_do_not_matter(
    data: tuple[np.ndarray, np.ndarray], clean: FitResult
) -> None:
    voltage, spoilt = np.append(data[0], 0.0), np.append(data[1], np.nan)
    again = fitted(voltage[::-1], spoilt[::-1], start=clean)
    assert (np.abs(again.values - clean.values) < 0.02 * np.sqrt(np.diag(clean.covariance))).all()


WIDE, FLAT = np.linspace(-1.2e-3, 1.2e-3, 121), np.full(121, 4e-5)


@pytest.mark.parametrize(
    ("voltage", "measured", "message"),
    [
        (np.zeros(0), np.zeros(0), "0 usable points are too few"),
        (WIDE[:1], FLAT[:1], "1 usable points are too few"),
        (WIDE, np.full(121, np.nan), "0 usable points are too few"),
        (WIDE, FLAT[1:], r"device_voltage has shape \(121,\), conductance has shape \(120,\)"),
        (WIDE, FLAT * 1j, "conductance is complex and real numbers are needed; set the lock-in's phase"),
        (WIDE[9:], FLAT[9:], "no superconducting gap is seen from -1.02 mV to 1.2 mV"),
        (WIDE + 5e-3, np.where(np.abs(WIDE) > 4.3e-4, 4e-5, 1e-8), "centred at 5 mV, .* subtract the offset"),
        (WIDE, -FLAT, "not positive: is the lock-in.s phase turned"),
    ],
)
def test_bad_data(voltage: np.ndarray, measured: np.ndarray, message: str) -> None:
    with pytest.raises(FitError, match=message):
        fitted(voltage, measured)


def test_sweep_that_stays_inside_the_gap(shipped: Truth) -> None:
    with pytest.raises(FitError, match="no superconducting gap"):
        fitted(*conductance(shipped, 1, lowest=-3.5e-4, highest=3.5e-4, points=41))


@pytest.mark.parametrize(
    ("volt", "siemens", "excitation", "message"),
    [
        (1e3, 1, 1e-5, "give device_voltage in volt"),
        (1, 1e6, 1e-5, "give conductance in siemens"),
        (1, 1, 1e-2, "an excitation of 0.01 V rms is as wide as the whole gap; is it in volt"),
        (1, 1, 0.0, "excitation is 0.0 V; a lock-in's is positive"),
    ],
)
def test_wrong_units(
    volt: float, siemens: float, excitation: float, message: str, data: tuple[np.ndarray, np.ndarray]
) -> None:
    with pytest.raises(FitError, match=message):
        fit_conductance(volt * data[0], siemens * data[1], excitation=excitation)


@pytest.mark.long
def test_coverage_over_seeds(shipped: Truth) -> None:
    found = np.array([list(pulls(fitted(*conductance(shipped, seed)), shipped).values()) for seed in range(100)])
    shares = (np.abs(found) < 1).mean(axis=0)
    # The Dynes parameter, 1e-4 ± as much, sometimes lies at its bound.
    assert (np.abs(shares - 0.68) < 0.14).all(), shares


@pytest.mark.parametrize("resistance", [1.0, 12e3, 1e12])
def test_a_sloping_background_is_named_and_fitted_where_it_is_asked(resistance: float) -> None:
    junction, voltage = NISJunction(215e-6, resistance, 1e-4), np.linspace(-1e-3, 1e-3, 201)
    noise = 1e-3 / resistance * np.random.default_rng(0).standard_normal(201)
    conductance = junction.conductance(voltage / 2, 0.11) / 2 + noise
    slope = 20 / resistance
    without = fit_conductance(voltage, conductance + slope * voltage, excitation=1e-7)
    (told,) = (text for text in without.warnings if "it looks like a background" in text)
    assert float(told.split()[9]) == pytest.approx(slope, rel=0.1)
    given = {"background_slope": (0.0, 10 * slope)}
    fit = fit_conductance(voltage, conductance + slope * voltage, excitation=1e-7, given=given)
    assert not fit.warnings
    true = {"gap": 215e-6, "normal_resistance": resistance, "electron_temperature": 0.11, "background_slope": slope}
    assert all(abs(fit[name].value - value) < 4 * fit[name].sigma for name, value in true.items())
    np.testing.assert_allclose(conductance_model(fit, voltage), conductance + slope * voltage, atol=5e-3 / resistance)


def test_unequal_junctions_show_in_the_conductance() -> None:
    pair, voltage = UnequalPair(NISJunction(215e-6, 12e3, 1e-4), 0.2), np.linspace(-1e-3, 1e-3, 81)
    conductance = pair.conductance(voltage, 0.11) + 1e-8 * np.random.default_rng(0).standard_normal(81)
    fit = fit_conductance(voltage, conductance, excitation=1e-7, given={"asymmetry": (0.0, 0.5)})
    assert fit["asymmetry"].value == pytest.approx(0.2, abs=4 * fit["asymmetry"].sigma)
    assert fit["electron_temperature"].value == pytest.approx(0.11, abs=4 * fit["electron_temperature"].sigma)
