"""A device that cools and heats itself, from I(V): right within σ, and refused where the data do not determine it.

The data are those of the twin's `micro_cooler.yaml`, whose electrons find their own temperature at every bias.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labnis.fit import FitError, FitResult, fit_current_voltage
from labnis.fit.junction._cooler_parameters import cooler_parameters, values_of
from labnis.fit.junction._island import COMPONENTS
from labnis.fit.junction._isotherm_parameters import joined_prior
from labnis.fit.junction._isotherms import Sweeps
from labnis.fit.junction.heat_balance import Isotherm, cooler_of, fit_heat_balance, temperature_curve
from labnis.fit.parameters import prior_rows
from labnis.physics import InjectedSuperconductor, NISJunction, SINISCooler
from labnis.reproduction.micro_cooler import andreev_channel, cooler
from sim_instruments import SHIPPED_TRUTH, SimulatedClock, Truth, load_truth
from sim_instruments.world import Device, World
from tests.fit.measuring import SERIES_RESISTANCE, assert_jacobian, pulls

MICRO_COOLER = load_truth(SHIPPED_TRUTH.with_name("micro_cooler.yaml"))
# A device that is not quite that of the twin, from which the fits start.
NEARBY = SINISCooler(NISJunction(210e-6, 2.0e3, 2e-5), 6e-20, 3e9, 100e-12, andreev_channel(0.7))
JUNCTIONS = ("gap", "normal_resistance", "dynes", "voltage_offset", "current_offset")
FEW = ("gap", "voltage_offset", "current_offset")
ALL = (*JUNCTIONS, "electron_phonon", "kapitza", "andreev_scale", "dephasing_rate")


def micro_cooler(**changes: Mapping[str, Any]) -> Truth:
    """The micro-cooler with some keys of some sections changed."""
    document = MICRO_COOLER.model_dump()
    for section, values in changes.items():
        document[section] |= dict(values)
    return Truth.model_validate(document)


def measured(
    truth: Truth, seed: int, *, bath: float = 0.09, maximum: float = 1.2e-3, points: int = 81, excitation: float = 0.0
) -> Isotherm:
    """What the source-meter reads at each bias, with `excitation` (V rms) on the line.

    The World solves all biases together; its noise, which is the same at each, is that of readings at zero.
    """
    changed = truth.model_dump() | {"fridge": {"mixing_chamber_temperature": bath}}
    world = World(Truth.model_validate(changed), SimulatedClock())
    world.reset(seed)
    biases = np.linspace(-maximum, maximum, points)
    waveform = np.sqrt(2) * excitation * np.sin(2 * np.pi * (np.arange(16) + 0.5) / 16)
    current = world.device_state(biases[:, None] + (waveform if excitation else 0)).current.mean(axis=1)
    world.set_source(level=0.0, output=True, current_limit=1e-4)
    unbiased = float(world.device_state(0.0).current)
    current = current + [world.source_state(0.04).current - unbiased for _ in biases]
    return Isotherm(biases - SERIES_RESISTANCE * current, current, bath)


def fitted(
    isotherms: Sequence[Isotherm], free: Sequence[str] = ALL, start: SINISCooler = NEARBY, **options: Any
) -> FitResult:
    return fit_heat_balance(isotherms, cooler=start, free=free, series_resistance=SERIES_RESISTANCE, **options)


def stated(truth: Truth) -> dict[str, float]:
    return values_of(Device(truth)._cooler)


def off_by(fit: FitResult, truth: Truth) -> dict[str, float]:
    """(value − truth)/σ of every fitted parameter."""
    known = {name: value for name, value in stated(truth).items() if "offset" not in name}
    return pulls(fit, truth) | {n: (fit[n].value - known[n]) / fit[n].sigma for n in fit.names if n in known}


@pytest.fixture(scope="module")
def cold() -> Isotherm:
    return measured(MICRO_COOLER, 1)


@pytest.fixture(scope="module")
def cold_fit(cold: Isotherm) -> FitResult:
    return fitted([cold])


@pytest.fixture(scope="module")
def few_free(cold: Isotherm) -> FitResult:
    return fitted([cold], (*FEW, "kapitza"), cooler())


def test_readings_are_those_of_the_world() -> None:
    quiet = micro_cooler(noise={"current_white": 0.0})
    world = World(quiet, SimulatedClock())
    world.set_source(level=1.2e-3, output=True, current_limit=1e-4)
    world.clock.sleep(1.0)
    assert measured(quiet, 0).current[-1] == pytest.approx(world.source_state(0.04).current, rel=1e-12)


def test_one_cold_curve_gives_the_whole_device(cold_fit: FitResult) -> None:
    found = off_by(cold_fit, MICRO_COOLER)
    assert set(found) == set(ALL)
    assert max(map(abs, found.values())) < 4, found
    assert not cold_fit.warnings
    assert cold_fit.chi2 / cold_fit.degrees_of_freedom == pytest.approx(1, abs=0.5)
    assert cold_fit["gap"].sigma < 2e-9
    assert cold_fit["electron_phonon"].sigma < 0.01 * 2e9


def test_one_temperature_is_wrong_where_the_heat_balance_is_right(cold: Isotherm, cold_fit: FitResult) -> None:
    one_temperature = dict.fromkeys(COMPONENTS, 0.0)
    simple = fit_current_voltage(
        cold.device_voltage, cold.current, series_resistance=SERIES_RESISTANCE, fixed=one_temperature
    )
    assert abs(simple["normal_resistance"].value - 1900) > 10 * simple["normal_resistance"].sigma
    assert any("neighbouring residuals are alike" in warning for warning in simple.warnings)
    assert abs(cold_fit["normal_resistance"].value - 1900) < 4 * cold_fit["normal_resistance"].sigma


def test_leak_and_ideal_phonons() -> None:
    truth = micro_cooler(
        island={"leakage_resistance": 20e6, "andreev": None, "kapitza": None},
        junction={"resistance": 1.2e3, "gap": 205e-6, "dynes": 4e-5},
    )
    start = replace(NEARBY, junction=NISJunction(209e-6, 1.25e3, 2e-5), kapitza=None, andreev=None)
    free = (*JUNCTIONS, "electron_phonon", "leakage_conductance")
    found = off_by(fitted([measured(truth, 4, points=61)], free, start), truth)
    assert set(found) == set(free)
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.long
def test_below_the_gap_a_warm_isotherm_separates_the_couplings() -> None:
    below = measured(MICRO_COOLER, 3, maximum=440e-6, points=21)
    free = (*FEW, "electron_phonon", "kapitza", "andreev_scale")
    with pytest.raises(FitError, match=r"do not determine .*kapitza.*warm isotherm") as refused:
        fitted([below], free, cooler())
    assert "`free` does not name" in str(refused.value)
    # The thermometer is off by 7 mK, and says that it may be.
    warm = measured(MICRO_COOLER, 2, bath=0.3, maximum=440e-6, points=21)
    fit = fitted([below, replace(warm, bath_temperature=0.307, bath_uncertainty=5e-3)], free, cooler())
    bath = fit["bath_temperature_2"]
    assert abs(bath.value - 0.3) < 4 * bath.sigma
    assert bath.sigma < 1e-3
    assert fit.assumed["bath_temperature"] == "0.09 K, exactly"
    found = off_by(fit, MICRO_COOLER)
    assert set(found) == set(free)
    assert max(map(abs, found.values())) < 4, found


def test_what_is_not_free_is_held_and_reported(few_free: FitResult) -> None:
    assert few_free.names == (*FEW, "kapitza", "lowest_electron_temperature")
    assert few_free.assumed["electron_phonon"] == "2e+09 W/m³/K⁵, not fitted"
    assert few_free.assumed["normal_resistance"] == "1900 ohm, not fitted"
    assert few_free.assumed["bath_temperature"] == "0.09 K, exactly"
    junction = replace(cooler().junction, gap=few_free["gap"].value)
    assert cooler_of(few_free, cooler()) == replace(cooler(), junction=junction, kapitza=few_free["kapitza"].value)
    assert max(map(abs, off_by(few_free, MICRO_COOLER).values())) < 4


def test_prior_enters_with_its_uncertainty(cold: Isotherm, few_free: FitResult) -> None:
    # As tight as the data themselves: the mean of both, and a smaller uncertainty.
    alone = few_free["kapitza"]
    known = FitResult("m", ("kapitza",), ("W/K⁴",), np.array([144e-12]), np.diag([alone.sigma**2]), 0.0, 0, 0.0)
    fit = fitted([cold], (*FEW, "kapitza"), cooler(), prior=known)
    assert fit["kapitza"].sigma == pytest.approx(alone.sigma / np.sqrt(2), rel=0.05)
    assert fit["kapitza"].value == pytest.approx((alone.value + 144e-12) / 2, abs=0.1 * alone.sigma)


def test_electron_temperatures_are_the_true_ones(cold: Isotherm, cold_fit: FitResult) -> None:
    line = cold.device_voltage + SERIES_RESISTANCE * cold.current
    true = World(MICRO_COOLER, SimulatedClock()).device_state(line).electron_temperature
    electrons, sigma = temperature_curve(cold_fit, NEARBY, cold.device_voltage, 0.09)
    # Noise moves each measured voltage a little, too.
    slope = np.gradient(true, cold.device_voltage)
    spread = np.hypot(sigma, slope * SERIES_RESISTANCE * cold_fit.noise)
    assert (np.abs(electrons - true) < 4 * spread + 1e-9).all()
    assert (sigma < 0.01 * electrons).all()


def test_lowest_temperature_is_that_of_the_curve(cold_fit: FitResult) -> None:
    electrons, sigma = temperature_curve(cold_fit, NEARBY, np.linspace(410e-6, 440e-6, 601), 0.09)
    lowest = cold_fit["lowest_electron_temperature"]
    assert lowest.value == pytest.approx(electrons.min(), rel=1e-5)
    assert lowest.sigma == pytest.approx(sigma[np.argmin(electrons)], rel=0.05)
    true = cooler().operating_point(np.linspace(410e-6, 440e-6, 601), 0.09).electron_temperature.min()
    assert abs(lowest.value - true) < 4 * lowest.sigma


def test_excitation_beyond_what_can_be_averaged_is_refused(cold: Isotherm) -> None:
    with pytest.raises(FitError, match=r"large against the thermal voltage.*use less"):
        fitted([cold], FEW, cooler(), excitation=1e-3)


@pytest.mark.long
def test_excitation_is_averaged_over_with_the_temperature_of_each_phase() -> None:
    shaken, still = (measured(MICRO_COOLER, 6, points=41, excitation=rms) for rms in (8e-6, 0.0))
    assert np.abs(shaken.current - still.current).max() > 100e-12, "100σ"
    found = off_by(fitted([shaken], (*FEW, "andreev_scale"), cooler(), excitation=8e-6), MICRO_COOLER)
    assert max(map(abs, found.values())) < 4, found


@pytest.mark.long
def test_current_outside_the_model_is_reported() -> None:
    leaky = measured(micro_cooler(island={"leakage_resistance": 50e6}), 5)
    fit = fitted([leaky], (*FEW, "dynes", "andreev_scale"), cooler())
    assert any("neighbouring residuals are alike" in warning for warning in fit.warnings)


def test_jacobian_equals_finite_differences(cold: Isotherm) -> None:
    isotherms = [replace(cold, bath_uncertainty=1e-3).thinned(31), replace(cold, bath_temperature=0.3).thinned(15)]
    leaky = replace(NEARBY, leakage_resistance=1e9)
    parameters = cooler_parameters(leaky, [*values_of(leaky)], 0.3)
    names = [*(p.name for p in parameters), "bath_temperature_1"]
    x = np.array([*(p.start for p in parameters), 0.09])
    sweeps = Sweeps.of(isotherms, leaky, names).around(x, SERIES_RESISTANCE, 5e-6)
    # Of the dephasing rate the current depends too little for a smaller step.
    relative = [1e-3 if name == "dephasing_rate" else 1e-5 for name in names]
    steps = np.array([*(p.scale for p in parameters), 0.09]) * relative
    assert_jacobian(sweeps, x, steps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"free": ("gap", "coherence_length")}, "free is gap, coherence_length; name some of gap, .*dephasing_rate"),
        ({"free": ()}, "free is empty"),
        ({"free": ("gap", "gap")}, "each once"),
        ({"free": ("kapitza",), "cooler": cooler(kapitza=None)}, "only if the cooler has them"),
        ({"isotherms": []}, "no isotherm"),
        (
            {"cooler": replace(cooler(), superconductor=InjectedSuperconductor(215e-6, 1e28, 1e-20, 1e-17, 1e7))},
            "superc",
        ),
        (
            {"isotherms": [Isotherm(np.zeros(9), np.zeros(9), 0.09)]},
            "9 usable points are too few for the isotherm at 0.09 K",
        ),
        ({"isotherms": [Isotherm(1e-3 * np.ones(99), np.full(99, np.nan), 0.09)]}, "0 usable points"),
        ({"isotherms": [Isotherm(np.zeros(99), np.zeros(99), 1.5)]}, "1.5 K is too warm"),
        ({"isotherms": [Isotherm(np.linspace(-0.2, 0.2, 99), np.zeros(99), 0.09)]}, "cannot be biased like the data"),
        (
            {"prior": FitResult("m", ("x",), ("",), np.ones(1), np.eye(1), 0.0, 0, 0.0)},
            "contains x, none of which is free",
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:20],
)
def test_what_cannot_be_fitted_is_refused(change: dict[str, Any], message: str, cold: Isotherm) -> None:
    with pytest.raises(FitError, match=message):
        fit_heat_balance(**({"isotherms": [cold], "cooler": cooler(), "free": ("gap",)} | change))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((np.zeros(5), np.zeros(4), 0.1), r"device_voltage has shape \(5,\), current has shape \(4,\)"),
        ((np.zeros((5, 2)), np.zeros((5, 2)), 0.1), r"device_voltage has shape \(5, 2\).*one dimension"),
        ((np.zeros(5), np.zeros(5), -0.1), "bath_temperature is -0.1"),
        ((np.zeros(5), np.zeros(5), 0.1, 0.05), "bath_uncertainty is 0.05 K"),
    ],
)
def test_isotherm_is_checked(values: Any, message: str) -> None:
    with pytest.raises(FitError, match=message):
        Isotherm(*values)


@pytest.mark.long
def test_sigma_is_the_scatter_of_repeated_measurements() -> None:
    found = []
    for seed in range(30):
        pair = [measured(MICRO_COOLER, 2 * seed), measured(MICRO_COOLER, 2 * seed + 1, bath=0.3)]
        found.append(off_by(fitted(pair), MICRO_COOLER))
    for name in ALL:
        # 30 repeats know the root mean square, which is to be 1, to 13 %.
        assert 0.6 < np.sqrt(np.mean([pull[name] ** 2 for pull in found])) < 1.4, name


def test_baths_whose_readings_never_changed_are_known_but_for_their_common_error(cold: Isotherm) -> None:
    # A thermometer that scans other channels gives one value for a whole curve.
    baths = [replace(cold, bath_temperature=t, bath_uncertainty=0.0) for t in (0.12, 0.3)]
    known = joined_prior(None, ["gap"], baths, 2e-3)
    assert known is not None
    np.testing.assert_allclose(known.sigma, 2e-3, rtol=1e-5)
    rows, values = prior_rows(known.names, known)
    np.testing.assert_allclose(np.linalg.solve(rows, values), [0.12, 0.3], rtol=1e-9)
