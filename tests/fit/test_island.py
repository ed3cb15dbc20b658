"""An island that heats and cools itself: found by the I–V fit, and followed by reflection and emission."""

import re
from dataclasses import replace

import numpy as np
import pytest
import xarray

from labnis.fit import FitContext, FitResult, NotApplicableError, fit_current_voltage, fit_emitted_power, fit_reflection
from labnis.fit.analyses import Conductance
from labnis.fit.junction._array import PAIR
from labnis.fit.junction._heated_pair import expected_current
from labnis.fit.junction._island import COMPONENTS, SLOWEST_DEPHASING, island_state
from labnis.fit.resonator._electrons import Island, electrons_at
from sim_instruments import SHIPPED_TRUTH, Truth, load_truth
from tests.fit.measuring import SERIES_RESISTANCE, current_voltage, device, emission, pulls, reflection

STATE = {
    "gap": 215e-6,
    "normal_resistance": 1.9e3,
    "electron_temperature": 0.09,
    "dynes": 2e-5,
    "voltage_offset": 1e-6,
    "current_offset": 0.0,
    "electron_phonon_resistance": 8.3e9,
    "kapitza_resistance": 7e9,
    "andreev_normal": 0.5,
    "andreev_superconductor": 0.4,
    "leakage_conductance": 1e-8,
    "dephasing_rate": 4e9,
}


def cooler(**changes: dict[str, object]) -> Truth:
    document = load_truth(SHIPPED_TRUTH.with_name("micro_cooler.yaml")).model_dump()
    for section, values in changes.items():
        document[section] = (document[section] or {}) | values
    return Truth.model_validate(document)


def fitted(truth: Truth, seed: int = 0, **more: object) -> FitResult:
    return fit_current_voltage(*current_voltage(truth, seed, points=101), series_resistance=SERIES_RESISTANCE, **more)


def found(fit: FitResult) -> set[str]:
    return set(fit.names) & COMPONENTS.keys()


def junction_pulls(fit: FitResult, truth: Truth) -> dict[str, float]:
    without_bias = truth.fridge.mixing_chamber_temperature
    return pulls(fit, truth) | {
        "electron_temperature": (fit["electron_temperature"].value - without_bias) / fit["electron_temperature"].sigma
    }


@pytest.fixture(scope="module")
def micro_cooler() -> Truth:
    return cooler()


@pytest.fixture(scope="module")
def micro_cooler_fit(micro_cooler: Truth) -> FitResult:
    return fitted(micro_cooler)


@pytest.mark.parametrize(("points", "noise"), [(31, 2e-13), (41, 1e-11)])
def test_an_island_is_recognised_between_few_and_noisy_points(points: int, noise: float) -> None:
    """What one temperature leaves between them looks like their noise: the gap was 4 to 7σ off, without a word."""
    truth = load_truth(SHIPPED_TRUTH)
    truth = truth.model_copy(update={"noise": truth.noise.model_copy(update={"current_white": noise})})
    fit = fit_current_voltage(*current_voltage(truth, 1, points=points), series_resistance=SERIES_RESISTANCE)
    assert "electron_phonon_resistance" in fit.names and not fit.warnings
    true = {"gap": truth.junction.gap, "normal_resistance": truth.junction.resistance, "electron_temperature": 0.11}
    assert max(abs(fit[name].value - value) / fit[name].sigma for name, value in true.items()) < 4


@pytest.mark.parametrize(
    ("points", "maximum", "told"),
    [(20, 4e-3, "2 points up to 1.3 gaps do not show whether"), (17, 1.2e-3, "the fit of the island has . degrees")],
)
def test_a_curve_of_too_few_points_is_in_doubt(points: int, maximum: float, told: str) -> None:
    """The temperature is 23 and 10σ off."""
    truth = load_truth(SHIPPED_TRUTH)
    curve = current_voltage(truth, 2, points=points, maximum=maximum)
    fit = fit_current_voltage(*curve, series_resistance=SERIES_RESISTANCE)
    assert any(re.match(told, text) for text in fit.warnings), fit.warnings


def test_data_contradict_no_limit_of_their_own() -> None:
    """Far beyond the gap they know better than before what a Kapitza resistance is at most."""
    truth = load_truth(SHIPPED_TRUTH)
    fit = fit_current_voltage(*current_voltage(truth, 1, points=41, maximum=4e-3), series_resistance=SERIES_RESISTANCE)
    assert "kapitza_resistance" in fit.names and not fit.warnings


@pytest.mark.parametrize("name", STATE)
@pytest.mark.parametrize("without", [(), ("kapitza_resistance",), ("andreev_normal", "andreev_superconductor")])
def test_slopes_are_those_of_differences(name: str, without: tuple[str, ...]) -> None:
    values = STATE | dict.fromkeys(without, 0.0)
    voltage = np.linspace(-1.2e-3, 1.2e-3, 24) + 1.2e-6
    state = island_state(values, voltage, [name])
    size = abs(values[name]) or {"current_offset": 1e-12, "kapitza_resistance": 1e8}.get(name, 1e-2)
    # The Andreev current is accurate to 1e-8 of itself.
    step = 1e-9 if name == "voltage_offset" else (1e-4 if name == "dephasing_rate" else 1e-5) * size
    lower = values[name] - step if values[name] else 0.0
    up, down = (island_state(values | {name: value}, voltage, [name]) for value in (values[name] + step, lower))
    width = values[name] + step - lower
    current = (up.current - down.current) / width + (name == "current_offset")
    temperature = (up.temperature - down.temperature) / width
    # One-sided differences, where there is no component, are less accurate.
    tolerance = 1e-2 if name in without else 2e-4
    largest = np.abs(state.current_slopes).max()
    np.testing.assert_allclose(state.current_slopes[:, 0], current, atol=tolerance * largest)
    largest = np.abs(state.temperature_slopes).max()
    np.testing.assert_allclose(state.temperature_slopes[:, 0], temperature, atol=tolerance * largest)


def assert_recognised(fit: FitResult, truth: Truth) -> None:
    assert {"electron_phonon_resistance", "kapitza_resistance"} <= found(fit)
    assert abs(fit.chi2 / fit.degrees_of_freedom - 1) < 4 / np.sqrt(fit.degrees_of_freedom)
    assert max(map(abs, junction_pulls(fit, truth).values())) < 4


def test_a_cooler_is_recognised_and_measured(micro_cooler: Truth, micro_cooler_fit: FitResult) -> None:
    assert micro_cooler.fridge.mixing_chamber_temperature == 0.09
    assert_recognised(micro_cooler_fit, micro_cooler)


@pytest.mark.long
def test_a_warm_cooler_is_recognised_and_measured() -> None:
    truth = cooler(fridge={"mixing_chamber_temperature": 0.3})
    assert_recognised(fitted(truth), truth)


def test_a_temperature_that_the_curve_does_not_determine_is_a_limit() -> None:
    truth = cooler(fridge={"mixing_chamber_temperature": 0.05})
    fit = fitted(truth)
    temperature = fit["electron_temperature"]
    assert temperature.limit is not None
    assert 0.05 < temperature.limit < 0.12
    assert str(temperature) == f"< {1e3 * temperature.limit:.3g} mK (95 %)"
    assert temperature.as_record()["value"] is None
    assert FitResult.from_json(fit.as_json())["electron_temperature"] == temperature
    assert not fit.warnings
    others = junction_pulls(fit, truth)
    del others["electron_temperature"]
    assert max(map(abs, others.values())) < 4


def test_the_parts_of_the_heat_balance(micro_cooler: Truth, micro_cooler_fit: FitResult) -> None:
    island = micro_cooler.island
    truth = {
        "electron_phonon_resistance": 1 / (island.electron_phonon * island.volume),
        "kapitza_resistance": 1 / island.kapitza,
    }
    for name, value in truth.items():
        assert abs(micro_cooler_fit[name].value - value) < 4 * micro_cooler_fit[name].sigma, name
    # A leak that the curve cannot exclude is a parameter, for the temperature depends on it.
    # The curve does not exclude what it does not have, and its gap and resistance depend on it.
    assert found(micro_cooler_fit) == COMPONENTS.keys()
    leak = micro_cooler_fit["leakage_conductance"]
    assert leak.value < 3 * leak.sigma


@pytest.mark.long
def test_a_leak_that_hides_behind_the_broadening_makes_no_electrons_warm() -> None:
    # 110 MΩ heat the island as much as the junctions cool it, and look like a larger Dynes parameter: without the leak
    # the fit is as good, and its electrons have 64 ± 1 mK.
    truth = cooler(
        junction={"resistance": 6.7e3, "dynes": 1e-4},
        island={"volume": 0.35e-18, "kapitza": None, "andreev": None, "leakage_resistance": 110e6},
        fridge={"mixing_chamber_temperature": 0.032},
    )
    fit = fitted(truth)
    assert not fit.warnings
    assert "leakage_conductance" in found(fit)
    temperature = fit["electron_temperature"]
    assert (temperature.limit or temperature.value + 4 * temperature.sigma) > 0.032
    assert abs(fit["leakage_conductance"].value - 1 / 110e6) < 4 * fit["leakage_conductance"].sigma


@pytest.mark.long
@pytest.mark.parametrize(
    "island",
    [{"andreev": None}, {"kapitza": None}, {"leakage_resistance": 1e6, "volume": 1e-18}],
    ids=["no Andreev current", "no Kapitza resistance", "large, with a leak"],
)
def test_other_islands(island: dict[str, object]) -> None:
    truth = cooler(island=island)
    assert max(map(abs, junction_pulls(fitted(truth), truth).values())) < 4


# A warm island in whose curve a Kapitza resistance does nearly what more electron–phonon resistance does.
WARM = {
    "junction": {"gap": 181e-6, "resistance": 33.7e3, "dynes": 1e-4},
    "island": {"volume": 0.116e-18, "kapitza": 5.2e-10, "andreev": None, "leakage_resistance": 96e6},
    "fridge": {"mixing_chamber_temperature": 0.15},
}


@pytest.mark.long
def test_a_kapitza_resistance_that_hardly_shows_makes_no_electrons_warm() -> None:
    truth = cooler(**WARM)
    fits = [
        fit_current_voltage(*current_voltage(truth, seed, points=201), series_resistance=SERIES_RESISTANCE)
        for seed in range(3)
    ]
    assert all("kapitza_resistance" in found(fit) for fit in fits)
    # Without it their mean is 1.4 standard deviations too high.
    assert abs(np.mean([junction_pulls(fit, truth)["electron_temperature"] for fit in fits])) < 1


def test_a_kapitza_resistance_that_does_not_show_has_a_limit_and_counts_where_a_result_depends_on_it() -> None:
    truth = cooler(**WARM | {"island": {**WARM["island"], "kapitza": None}, "junction": {"resistance": 5e3}})
    bounded, fit = fitted(truth, seed=2), fitted(truth, seed=2, fixed={"kapitza_resistance": 0.0})
    told = re.match(r"any up to (\S+) K⁴/W \(95 %\)", bounded.assumed["kapitza_resistance"])
    assert told is not None
    limit = float(told[1])
    left_out = re.fullmatch(r"none; below (\S+) K⁴/W \(95 %\)", fit.assumed["kapitza_resistance"])
    assert left_out is not None
    assert float(left_out[1]) == limit
    assert limit < fit["electron_phonon_resistance"].value
    assert 0 < bounded["kapitza_resistance"].value < limit
    assert bounded["electron_temperature"].sigma > fit["electron_temperature"].sigma

    def chi2(of: FitResult) -> float:
        return float(np.sum((of.residuals * of.mask / fit.noise) ** 2))

    held = fitted(truth, seed=2, fixed={"kapitza_resistance": limit})
    assert chi2(held) - chi2(fit) > 1.645**2


@pytest.mark.parametrize("rate", [0.0, -1e9])
def test_a_step_below_the_slowest_dephasing_rate_changes_nothing(rate: float) -> None:
    voltage = np.linspace(-5e-4, 5e-4, 21)
    slowest, below = (
        island_state(STATE | {"dephasing_rate": at}, voltage, list(STATE)) for at in (SLOWEST_DEPHASING, rate)
    )
    np.testing.assert_array_equal(below.current, slowest.current)
    # And there is little below: the current of half that rate is the same to a part in a thousand.
    half = STATE | {"dephasing_rate": 2 * SLOWEST_DEPHASING}
    np.testing.assert_allclose(island_state(half, voltage, []).current, slowest.current, rtol=3e-3, atol=1e-13)


def test_an_island_of_constant_temperature_has_no_components() -> None:
    truth = device()
    fit = fitted(truth)
    assert not found(fit)
    held = fitted(truth, fixed=dict.fromkeys(COMPONENTS, 0.0))
    np.testing.assert_array_equal(fit.values, held.values)
    np.testing.assert_array_equal(fit.covariance, held.covariance)
    # What was looked for and not found is stated with its limit.
    assert all("95 %" in fit.assumed[name] for name in COMPONENTS.keys() - {"kapitza_resistance"})


def test_noise_in_proportion_to_the_current_is_no_heat() -> None:
    # With some of the points chance looks like an island that heats; all of them do not show it.
    truth = device()
    voltage, current = current_voltage(truth, 3)
    noise = np.random.default_rng(13).standard_normal(current.size)
    fit = fit_current_voltage(voltage, current * (1 + 1e-2 * noise), series_resistance=SERIES_RESISTANCE)
    assert not found(fit)
    assert max(map(abs, pulls(fit.select(fit.free), truth).values())) < 4
    (told,) = fit.warnings
    assert told.startswith("the noise is not the same everywhere, as by noise in proportion to the reading")


@pytest.mark.long
def test_an_excitation_is_averaged_over_its_cycle(micro_cooler: Truth) -> None:
    sine = 0.05
    data = current_voltage(micro_cooler, 3, points=51, excitation=sine)
    fit = fit_current_voltage(*data, series_resistance=SERIES_RESISTANCE, excitation=sine / 1e4)
    assert max(map(abs, junction_pulls(fit, micro_cooler).values())) < 4


def test_rates_and_gain_follow_the_temperature(micro_cooler: Truth, micro_cooler_fit: FitResult) -> None:
    # With one temperature for all biases the junctions' rate was 28 standard deviations off, the resonance 21.
    rates = fit_reflection(reflection(micro_cooler), prior=micro_cooler_fit)
    gain = fit_emitted_power(emission(micro_cooler), prior=rates)
    for fit, names in (
        (rates, ("damping_line", "damping_excess", "damping_junction", "resonance_frequency")),
        (gain, ("gain", "noise_temperature")),
    ):
        off = pulls(fit, micro_cooler)
        assert max(abs(off[name]) for name in names) < 4
        assert not fit.warnings
        assert "island" in fit.assumed["electron_temperature"]


@pytest.mark.parametrize("bath", [0.09, pytest.param(0.02, marks=pytest.mark.long)])
def test_rates_and_gain_are_those_with_the_island_solved_at_every_step(
    bath: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = cooler(fridge={"mixing_chamber_temperature": bath})
    traces, spectra, curve = reflection(truth), emission(truth), fitted(truth)
    rates = fit_reflection(traces, prior=curve)
    gain = fit_emitted_power(spectra, prior=rates)
    for where in ("reflection", "emitted_power"):
        monkeypatch.setattr(f"labnis.fit.resonator.{where}.with_island", lambda _start, _at, fit, _rest: fit(None))
    solved = fit_reflection(traces, prior=curve), fit_emitted_power(spectra, prior=rates)
    for fit, exact in zip((rates, gain), solved, strict=True):
        np.testing.assert_allclose((fit.values - exact.values) / np.where(exact.sigma, exact.sigma, 1.0), 0, atol=0.03)
        np.testing.assert_allclose(fit.sigma, exact.sigma, rtol=0.02)


def test_electrons_near_a_known_island() -> None:
    voltage = np.linspace(-1.2e-3, 1.2e-3, 24) + 1.2e-6
    island = Island.of(STATE, voltage, PAIR)
    assert island is not None
    # As far as a curve may leave them open: the gap it does not.
    changed = {name: value * (1.0003 if name == "gap" else 1.03) for name, value in STATE.items()}
    found, exact = island.electrons(changed, voltage + 1e-6), electrons_at(changed, voltage + 1e-6)
    np.testing.assert_allclose(found.temperature, exact.temperature, rtol=2e-3)
    np.testing.assert_allclose(found.gap, exact.gap, rtol=1e-5)
    for name, slopes in found.slopes.items():
        for near, there in zip(slopes, exact.slopes[name], strict=True):
            np.testing.assert_allclose(near, there, atol=0.1 * np.abs(there).max())


def test_a_live_fit_keeps_the_components(micro_cooler: Truth, micro_cooler_fit: FitResult) -> None:
    again = fitted(micro_cooler, start=micro_cooler_fit)
    assert again.names == micro_cooler_fit.names
    np.testing.assert_allclose(again.values, micro_cooler_fit.values, atol=0.05 * micro_cooler_fit.sigma.max(initial=0))


def test_components_that_an_earlier_fit_has_found_are_confirmed(
    micro_cooler: Truth, micro_cooler_fit: FitResult
) -> None:
    again = fitted(micro_cooler, start=micro_cooler_fit)
    assert "earlier fit" in again.assumed["island"] and "island" not in micro_cooler_fit.assumed
    assert again.names == micro_cooler_fit.names and again.warnings == micro_cooler_fit.warnings
    moved = dict(zip(again.names, np.abs(again.values - micro_cooler_fit.values) / micro_cooler_fit.sigma, strict=True))
    assert moved.pop("dephasing_rate") < 0.05  # the curve hardly determines it
    assert max(moved.values()) < 0.01
    np.testing.assert_allclose(again.sigma, micro_cooler_fit.sigma, rtol=0.02)
    others = {name: text for name, text in again.assumed.items() if name != "island"}
    assert others.keys() == micro_cooler_fit.assumed.keys()


def test_components_are_searched_for_where_an_earlier_fit_lacks_one(
    micro_cooler: Truth, micro_cooler_fit: FitResult
) -> None:
    poorer = micro_cooler_fit.select([name for name in micro_cooler_fit.names if not name.startswith("andreev")])
    again = fitted(micro_cooler, start=poorer)
    assert "island" not in again.assumed
    np.testing.assert_array_equal(again.values, micro_cooler_fit.values)


def test_components_are_searched_for_where_something_else_is_known(
    micro_cooler: Truth, micro_cooler_fit: FitResult
) -> None:
    known = {"dynes": micro_cooler_fit["dynes"].value}
    again, fresh = (fitted(micro_cooler, fixed=known, start=start) for start in (micro_cooler_fit, None))
    assert "island" not in again.assumed
    np.testing.assert_array_equal(again.values, fresh.values)


def test_a_conductance_of_one_temperature_is_not_fitted_to_an_island_that_heats(micro_cooler_fit: FitResult) -> None:
    bias = np.linspace(-1e-3, 1e-3, 31)
    columns = {name: ("bias", np.ones(31)) for name in ("current", "conductance", "excitation")}
    data = xarray.Dataset({"device_voltage": ("bias", bias), **columns}, coords={"bias": bias})
    with pytest.raises(NotApplicableError, match="the island heats"):
        Conductance().fit(data, FitContext(), {"current_voltage": micro_cooler_fit})


@pytest.mark.long
@pytest.mark.parametrize("where", [[50], [95], [30, 70]])
def test_glitches_hide_no_component(where: list[int], micro_cooler: Truth, micro_cooler_fit: FitResult) -> None:
    voltage, current = current_voltage(micro_cooler, 0, points=101)
    current[where] += 1e-9
    fit = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE)
    assert found(fit) == found(micro_cooler_fit)
    for name in ("gap", "normal_resistance", "electron_temperature", "dynes"):
        assert fit[name].value == pytest.approx(micro_cooler_fit[name].value, abs=fit[name].sigma)
    left_out = f"{len(where)} of {current.size} data lie more than 6σ off and were left out; at "
    assert any(note.startswith(left_out) for note in fit.notes)
    assert not fit.warnings


@pytest.mark.parametrize("temperature", [0.02, 0.09, 0.3])
def test_the_current_of_many_points_is_that_of_each(micro_cooler_fit: FitResult, temperature: float) -> None:
    # The heat balance of many points is solved at fewer voltages, of one sign, and interpolated.
    changes = {"electron_temperature": temperature, "voltage_offset": 3e-6, "current_offset": 2e-11}
    values = [changes.get(name, value) for name, value in micro_cooler_fit.by_name.items()]
    fit = replace(micro_cooler_fit, values=np.array(values))
    voltage, few = np.linspace(-1e-3, 0.9e-3, 3001), slice(7, None, 250)
    many, exact = expected_current(fit, voltage), expected_current(fit, voltage[few])
    assert np.abs(many[few] - exact).max() < 1e-7 * np.abs(exact).max()
