"""Budgets of systematic uncertainty: sensitivities against scaling laws and refits, cancellation, coverage."""

import re
from dataclasses import replace

import numpy as np
import pytest
import xarray

from labnis.accuracy import Source
from labnis.fit import EmissionData, FitContext, FitResult, ReflectionData
from labnis.fit.analyses import CurrentVoltage, EmittedPower, Reflection
from labnis.fit.effects import changed_by, known_effects
from sim_instruments import Truth
from tests.fit import measuring

GAIN = 1e-3
SERIES = measuring.SERIES_RESISTANCE


def source(acts_on: str, standard: float, uid: str = "") -> Source:
    return Source(uid or acts_on, acts_on, "1", standard, "normal", "a test", acts_on)


def context(*sources: Source, series_resistance: float = SERIES) -> FitContext:
    return FitContext({"series_resistance": series_resistance}, sources=sources, fridge_temperature=0.02)


def curve(truth: Truth, seed: int = 1, points: int = 161) -> xarray.Dataset:
    world = measuring.switched_on(truth, seed)
    voltage, current, _ = measuring.swept(world, np.linspace(-1.2e-3, 1.2e-3, points), lambda world: None)
    columns = {"device_voltage": ("bias", voltage), "current": ("bias", current), "time": ("bias", np.arange(points))}
    return xarray.Dataset(columns)


def of_traces(traces: ReflectionData) -> xarray.Dataset:
    columns = {
        "device_voltage": ("bias", traces.device_voltage),
        "current": ("bias", traces.device_voltage / 24e3),
        "s11": (("bias", "frequency"), traces.s11),
        "time": ("bias", 4.0 * np.arange(traces.device_voltage.size)),
    }
    return xarray.Dataset(columns, {"frequency": traces.frequency})


def of_spectra(spectra: EmissionData) -> xarray.Dataset:
    columns = {
        "device_voltage": ("bias", spectra.device_voltage),
        "current": ("bias", spectra.device_voltage / 24e3),
        "spectrum": (("bias", "frequency"), spectra.spectrum),
        "fridge_temperature": ("bias", np.full(spectra.device_voltage.size, 0.02)),
        "time": ("bias", 10.0 * np.arange(spectra.device_voltage.size)),
    }
    return xarray.Dataset(columns, {"frequency": spectra.frequency})


@pytest.fixture(scope="module")
def sweep(shipped: Truth) -> xarray.Dataset:
    return curve(shipped)


def budgeted(analysis: CurrentVoltage, data: xarray.Dataset, *sources: Source, **conditions: float) -> FitResult:
    known = context(*sources, **conditions)
    return analysis.budgeted(analysis.fit(data, known, {}), data, known, {})


def contributions(fit: FitResult) -> dict[str, dict[str, float]]:
    """Source → parameter → change by one standard uncertainty."""
    assert fit.budget is not None
    rows = fit.budget.columns.T
    return {s.uid: dict(zip(fit.names, row, strict=True)) for s, row in zip(fit.budget.sources, rows, strict=True)}


def test_a_drift_of_the_zero_of_the_current_is_in_the_budget_where_it_is_stated(sweep: xarray.Dataset) -> None:
    """In one direction it looks like a leak: the resistance is 40σ of the noise off."""
    hours = sweep["time"] / 3600
    drifting = sweep.assign(current=sweep["current"] + 1e-11 * hours / hours.max())
    fit = budgeted(CurrentVoltage(), drifting, source("current.drift", 1e-11 / float(hours.max())))
    resistance = fit["normal_resistance"]
    assert abs(resistance.value - 12e3) > 20 * resistance.statistical
    assert abs(resistance.value - 12e3) < 1.5 * resistance.sigma
    assert contributions(fit)["current.drift"]["normal_resistance"] == pytest.approx(resistance.value - 12e3, rel=0.1)


def test_gains_scale_the_results_as_the_units_do(sweep: xarray.Dataset) -> None:
    """Without resistance of the line a voltage that reads too large makes energies larger, a current R smaller."""
    bare = sweep.assign(device_voltage=sweep["device_voltage"] + SERIES * sweep["current"])
    fit = budgeted(
        CurrentVoltage(), bare, source("voltage.gain", GAIN), source("current.gain", GAIN), series_resistance=0.0
    )
    found = contributions(fit)
    by_voltage = {name: found["voltage.gain"][name] / fit[name].value for name in ("gap", "normal_resistance")}
    assert by_voltage == pytest.approx({"gap": GAIN, "normal_resistance": GAIN}, rel=1e-3)
    assert found["voltage.gain"]["electron_temperature"] == pytest.approx(
        GAIN * fit.by_name["electron_temperature"], 1e-2
    )
    assert found["current.gain"]["normal_resistance"] == pytest.approx(-GAIN * fit.by_name["normal_resistance"], 1e-3)
    assert abs(found["current.gain"]["gap"]) < 1e-3 * fit["gap"].statistical


def test_what_is_fitted_takes_an_offset_over(sweep: xarray.Dataset) -> None:
    fit = budgeted(CurrentVoltage(), sweep, source("voltage.offset", 150e-6), source("current.offset", 1e-9))
    found = contributions(fit)
    assert found["voltage.offset"]["voltage_offset"] == pytest.approx(-150e-6, rel=1e-4)
    assert found["current.offset"]["current_offset"] == pytest.approx(1e-9, rel=1e-3)
    for name in ("gap", "normal_resistance", "electron_temperature"):
        assert fit[name].systematic == pytest.approx(0, abs=0.05 * fit[name].statistical)


@pytest.mark.parametrize(
    ("acts_on", "standard"), [("voltage.gain", 6e-4), ("current.gain", 2e-4), ("series_resistance", 12.0)]
)
def test_an_effect_is_that_of_a_refit(acts_on: str, standard: float, sweep: xarray.Dataset) -> None:
    one, analysis = source(acts_on, standard), CurrentVoltage()
    fit = budgeted(analysis, sweep, one)
    more, less = (
        analysis.fit(changed, context(), {})
        for size in (standard / 2, -standard / 2)
        if (changed := changed_by(one, size, sweep, context())) is not None
    )
    found = contributions(fit)[acts_on]
    for name in ("gap", "normal_resistance", "electron_temperature", "dynes"):
        change = more[name].value - less[name].value
        assert found[name] == pytest.approx(change, abs=0.03 * fit[name].statistical, rel=3e-3)


def test_total_is_noise_and_systematic(sweep: xarray.Dataset) -> None:
    plain = CurrentVoltage().fit(sweep, context(), {})
    gap = budgeted(CurrentVoltage(), sweep, source("voltage.gain", GAIN))["gap"]
    assert plain["gap"].systematic is None
    assert gap.statistical == pytest.approx(plain["gap"].sigma)
    assert gap.systematic == pytest.approx(GAIN * gap.value, rel=0.2)
    assert gap.sigma == pytest.approx(np.hypot(gap.statistical, gap.systematic))
    record = gap.as_record()
    assert (record["statistical"], record["systematic"]) == (gap.statistical, gap.systematic)
    assert plain["gap"].as_record()["statistical"] is None


def test_a_budget_is_kept_in_the_record(sweep: xarray.Dataset) -> None:
    fit = replace_absent(budgeted(CurrentVoltage(), sweep, source("voltage.gain", GAIN)), ("the divider",))
    again = FitResult.from_json(fit.as_json())
    assert again.budget is not None
    assert again.budget.absent == ("the divider",)
    assert again["gap"] == fit["gap"]
    assert contributions(again) == contributions(fit)
    assert contributions(fit.select(["gap"]))["voltage.gain"] == {"gap": contributions(fit)["voltage.gain"]["gap"]}


def replace_absent(fit: FitResult, absent: tuple[str, ...]) -> FitResult:
    assert fit.budget is not None
    return replace(fit, budget=replace(fit.budget, absent=absent))


def test_what_two_runs_share_cancels_in_their_ratio(shipped: Truth) -> None:
    shared = source("voltage.gain", GAIN, "keithley/1")
    first, second = (budgeted(CurrentVoltage(), curve(shipped, seed), shared) for seed in (1, 2))
    other = budgeted(CurrentVoltage(), curve(shipped, 2), source("voltage.gain", GAIN, "keithley/2"))
    ratio = first.as_uncertainties()["gap"] / second.as_uncertainties()["gap"]
    apart = first.as_uncertainties()["gap"] / other.as_uncertainties()["gap"]
    noise = first["gap"].statistical / first["gap"].value
    assert ratio.std_dev == pytest.approx(np.sqrt(2) * noise, rel=0.1)
    assert apart.std_dev == pytest.approx(np.sqrt(2) * GAIN, rel=0.3)


@pytest.mark.long
def test_errors_of_instruments_are_covered_by_the_total_and_not_by_the_noise(shipped: Truth) -> None:
    sources = source("voltage.gain", 6e-4), source("current.gain", 2e-4), source("series_resistance", 10.0)
    draw, pulls = np.random.default_rng(4), []
    for seed in range(60):
        data = curve(shipped, seed, points=81)
        for one in sources:
            changed = changed_by(one, one.standard * draw.standard_normal(), data, context())
            data = data if changed is None else changed
        fit = budgeted(CurrentVoltage(), data, *sources)
        truth = {"gap": shipped.junction.gap, "normal_resistance": shipped.junction.resistance}
        pulls.append(
            [
                ((fit[n].value - true) / fit[n].sigma, (fit[n].value - true) / fit[n].statistical)
                for n, true in truth.items()
            ]
        )
    total, noise = np.sqrt(np.mean(np.square(pulls), axis=0)).T
    # 60 draws: the root mean square of normal pulls scatters by 9 %.
    assert total == pytest.approx([1, 1], abs=0.3)
    assert (noise > 3).all()


def test_a_wrong_series_resistance_is_told(sweep: xarray.Dataset) -> None:
    """The curve knows the resistance of the line to some ohm: 1 % of 2 kΩ is 20 Ω."""
    wrong = sweep.assign(device_voltage=sweep["device_voltage"] - 20 * sweep["current"])
    stated = replace(source("series_resistance", 2.0), unit="ohm")
    told = budgeted(CurrentVoltage(), wrong, stated, series_resistance=SERIES + 20).warnings
    wanted, sigma = next(
        (float(found[1]), float(found[2]))
        for text in told
        if (found := re.search(r"the data want an error of (\S+) ohm ± (\S+) ohm of series_resistance", text))
    )
    # Stated less true.
    assert wanted == pytest.approx(20, abs=4 * sigma)
    assert 0 < sigma < 4
    assert not budgeted(CurrentVoltage(), sweep, stated).warnings


def test_a_reading_outside_all_ranges_of_a_table_is_told(sweep: xarray.Dataset) -> None:
    low = replace(source("voltage.gain", GAIN), largest=1e-3, label="DMM, gain of voltage_measure in the range 1mV")
    fit = budgeted(CurrentVoltage(), sweep.assign(voltage_range=("bias", np.full(sweep.sizes["bias"], 0.02))), low)
    assert fit.budget is not None
    assert fit.budget.absent == (
        "the accuracy of the voltage in the range of 0.02 V, which the accuracy table of DMM does not have",
    )
    wide = replace(low, largest=0.02)
    fit = budgeted(CurrentVoltage(), sweep.assign(voltage_range=("bias", np.full(sweep.sizes["bias"], 0.02))), wide)
    assert fit.budget is not None
    assert not fit.budget.absent


def test_steps_hand_their_budgets_on(sweep: xarray.Dataset, traces: ReflectionData, spectra: EmissionData) -> None:
    sources = (
        source("voltage.offset", 150e-6),
        source("voltage.gain", GAIN),
        source("frequency", 1e-6),
        source("vna.magnitude_drift", 1.0),
        source("analyzer.gain_drift", 1.0),
        source("analyzer.amplitude", 0.1),
        source("analyzer.linearity", 0.01),
    )
    known, priors = context(*sources), dict[str, FitResult]()
    for analysis, data in (
        (CurrentVoltage(), sweep),
        (Reflection(), of_traces(traces)),
        (EmittedPower(), of_spectra(spectra)),
    ):
        priors[analysis.name] = analysis.budgeted(analysis.fit(data, known, priors), data, known, priors)
    reflection, emission = priors["reflection"], priors["emitted_power"]
    of_rates, of_gain = contributions(reflection), contributions(emission)
    # The same offset is in the prior and in these data: it cancels in all that does not name it.
    assert of_rates["voltage.offset"]["voltage_offset"] == pytest.approx(-150e-6, rel=1e-3)
    assert abs(of_rates["voltage.offset"]["resonance_frequency"]) < 0.05 * reflection["resonance_frequency"].statistical
    assert abs(of_gain["voltage.offset"]["gain"]) < 0.05 * emission["gain"].statistical
    assert of_rates["voltage.gain"]["gap"] == pytest.approx(GAIN * reflection.by_name["gap"], rel=0.2)
    assert of_rates["frequency"]["resonance_frequency"] == pytest.approx(4.67e3, rel=0.02)
    # The traces measure a drift themselves: nothing of it is left.
    assert abs(of_rates["vna.magnitude_drift"]["damping_junction"]) < 1e-3 * reflection["damping_junction"].statistical
    assert abs(of_gain["analyzer.gain_drift"]["gain"]) < 1e-3 * emission["gain"].statistical
    # Among the parameters are others, and their priors, which take up a little of it.
    assert of_gain["analyzer.amplitude"]["gain"] == pytest.approx(0.1, rel=0.01)
    assert abs(of_gain["analyzer.amplitude"]["noise_temperature"]) < 0.1 * emission["noise_temperature"].statistical
    # Re φ is a prior of the fit, which contains its part: with it as a source the total stays the same.
    fano = next(name for name in of_rates if name.startswith("fano_real"))
    assert of_rates[fano]["damping_line"] == pytest.approx(-of_rates[fano]["damping_excess"], rel=0.02)
    assert reflection["damping_line"].statistical < 0.1 * reflection["damping_line"].sigma
    assert of_gain[fano]["gain"] == pytest.approx(0.0434, rel=0.1)


@pytest.mark.parametrize("sigma", [0.005, 0.1])
def test_a_given_fano_factor_takes_the_place_of_the_assumed_one(
    sweep: xarray.Dataset, traces: ReflectionData, sigma: float
) -> None:
    data = of_traces(traces)
    prior = {"current_voltage": budgeted(CurrentVoltage(), sweep)}
    lines = []
    for known in (context(), replace(context(), given={"fano_real": (1.0, sigma)})):
        fit = Reflection().budgeted(Reflection().fit(data, known, prior), data, known, prior)
        lines.append(fit["damping_line"])
    assumed, given = lines
    assert given.sigma == pytest.approx(sigma / 2 * given.value, rel=0.05)
    assert given.statistical == pytest.approx(assumed.statistical, rel=0.1)


def test_a_value_that_is_given_more_precisely_than_the_instruments_are_stated_is_told(sweep: xarray.Dataset) -> None:
    for sigma, told in ((0.3, True), (2.0, False)):
        size = sigma * GAIN * 215e-6
        known = replace(context(source("voltage.gain", GAIN)), given={"gap": (215e-6, size)})
        fit = CurrentVoltage().budgeted(CurrentVoltage().fit(sweep, known, {}), sweep, known, {})
        assert any("gap is given ±" in note for note in fit.notes) == told
        assert (fit["gap"].sigma > 1.1 * size) == told


def test_a_source_that_is_stated_anew_is_one_error_of_both_steps(sweep: xarray.Dataset, traces: ReflectionData) -> None:
    data, found = of_traces(traces), []
    for before in (source("voltage.gain", 3 * GAIN), replace(source("voltage.gain", GAIN), label="as before")):
        prior = {"current_voltage": budgeted(CurrentVoltage(), sweep, before)}
        known = context(source("voltage.gain", 3 * GAIN))
        fit = Reflection().budgeted(Reflection().fit(data, known, prior), data, known, prior)
        assert fit.budget is not None
        assert [one.uid for one in fit.budget.sources].count("voltage.gain") == 1
        found.append(contributions(fit)["voltage.gain"])
    assert found[0]["gap"] == pytest.approx(3 * GAIN * 215e-6, rel=0.2)
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, rel=1e-3, abs=1e-3 * abs(fit[name].statistical)), name


@pytest.mark.parametrize("acts_on", known_effects())
def test_every_effect_changes_data_that_it_is_of(
    acts_on: str, sweep: xarray.Dataset, traces: ReflectionData, spectra: EmissionData
) -> None:
    curves = sweep.assign(conductance=sweep["current"] / sweep["device_voltage"])
    changed = [
        found is not None
        for data in (curves, of_traces(traces), of_spectra(spectra))
        for found in (changed_by(source(acts_on, 1.0), 1e-6, data, context()),)
    ]
    of_all = ["divider", "series_resistance", "current.drift"]
    of_all += [
        f"{meter}.{part}" for meter in ("voltage", "current", "ammeter", "voltmeter") for part in ("gain", "offset")
    ]
    expected = {
        "conductance.gain": [True, False, False],
        "frequency": [False, True, True],
        "fridge.temperature": [False, False, True],
    } | {name: [True, True, True] for name in of_all}
    own = [False, acts_on.startswith("vna"), acts_on.startswith("analyzer")]
    assert changed == expected.get(acts_on, own)


def test_a_source_of_one_range_acts_on_its_points_only(sweep: xarray.Dataset) -> None:
    ranges = np.where(np.abs(sweep["current"]) > 1e-8, 1e-6, 1e-8)
    data = sweep.assign(current_range=("bias", ranges))
    small = replace(source("current.gain", GAIN), above=0.0, largest=1e-8)
    changed = changed_by(small, GAIN, data, context())
    assert changed is not None
    moved = np.asarray(changed["current"] != data["current"])
    np.testing.assert_array_equal(moved, (ranges == 1e-8) & (data["current"].values != 0))
    # Without the ranges in use it is the smallest that has the largest reading.
    assert changed_by(small, GAIN, sweep, context()) is None
    assert changed_by(replace(small, above=1e-8, largest=1e-6), GAIN, sweep, context()) is not None


# A device without a Dynes parameter, which cannot step below 0; and electrons of 20 mK, which notice 0.1 µV.
COLD = {"resistance": 7.8e3}, {"temperature": None, "volume": 3.8e-19, "electron_phonon": 2e9}


@pytest.mark.parametrize(("junction", "island", "bath"), [({"dynes": 0.0}, {}, 0.1), (*COLD, 0.0107)])
def test_an_offset_that_a_parameter_takes_over_moves_nothing_else(
    junction: dict[str, float], island: dict[str, float | None], bath: float
) -> None:
    """10⁵ σ of the offset."""
    fridge = {"mixing_chamber_temperature": bath}
    data = curve(measuring.device(junction=junction, island=island, fridge=fridge))
    fit = budgeted(CurrentVoltage(), data, source("voltage.offset", 86.6e-6))
    assert not fit.warnings
    moved = contributions(fit)["voltage.offset"]
    assert moved["voltage_offset"] == pytest.approx(-86.6e-6, rel=1e-6)
    assert max(abs(moved[name]) / fit[name].statistical for name in fit.free if name != "voltage_offset") < 1e-3
