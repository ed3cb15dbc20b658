"""Dry runs with instruments that err: results are right within their total uncertainty, and not within the noise."""

import json
from pathlib import Path

import numpy as np
import pytest

import labnis
from labnis.experiment.run import Run
from procedures import EmittedPowerVsBias, IVSweep, Measurement, ReflectionVsBias
from tests.isothermal_device import ISOTHERMAL_TEXT
from tests.run.bench import BUDGETED_TEXT, STATION_TEXT, TRUTH_TEXT, changed, write_station

SEEDS = (1, 2, 3)
SETUPS = Path(__file__).parents[1] / "station" / "setups"
OUTSIDE_NOISE = ("gap", "normal_resistance", "electron_temperature", "gain")


CALIBRATION = (IVSweep(points=81), ReflectionVsBias(points=21, frequencies=101), EmittedPowerVsBias(points=21))


def calibrated(folder: Path, seed: int, *steps: Measurement) -> tuple[dict[str, float], list[Run]]:
    """What is true, and the runs of these steps, by default of `CALIBRATION`, with instruments that err."""
    station = write_station(folder, BUDGETED_TEXT)
    file = folder / "erring.yaml"
    text = ISOTHERMAL_TEXT
    assert text.count("\nnoise:") == 1
    stated = "" if "instrument_errors" in text else "\ninstrument_errors: stated"
    file.write_text(text.replace("\nnoise:", f"{stated}\nnoise:"), encoding="utf-8")
    with labnis.open_session(station, dry_run=True, twin=file, seed=seed, data=folder) as session:
        runs = [session.run(step) for step in steps or CALIBRATION]
        assert session.twin is not None
        return dict(session.twin.truth), runs


def deviations(folder: Path, seed: int) -> tuple[list[float], list[float]]:
    """Deviations of the results from the truth in units of σ, and of `OUTSIDE_NOISE` in units of the noise alone."""
    truth, runs = calibrated(folder, seed)
    found = {name: one for run in runs for name, one in run.results.items() if name in truth}
    off = {name: one.value - truth[name] for name, one in found.items()}
    assert not [text for run in runs for fit in run.fits.values() for text in fit.warnings]
    return (
        [off[name] / one.sigma for name, one in found.items()],
        [off[name] / found[name].statistical for name in OUTSIDE_NOISE],
    )


def test_results_are_within_their_total_uncertainty_only(tmp_path: Path) -> None:
    total, noise = deviations(tmp_path, SEEDS[0])
    assert np.abs(total).max() < 4
    assert np.abs(noise).max() > 5


@pytest.mark.long
@pytest.mark.timeout(600)
def test_so_are_those_of_several_sets_of_instruments(tmp_path: Path) -> None:
    for seed in SEEDS:
        (tmp_path / str(seed)).mkdir()
    total, noise = zip(*(deviations(tmp_path / str(seed), seed) for seed in SEEDS), strict=True)
    assert np.abs(total).max() < 4
    # 27 pulls, of which those of one seed share sources.
    assert 0.5 < np.sqrt(np.mean(np.square(total))) < 1.5
    assert (np.sqrt(np.mean(np.square(noise), axis=0)) > 3).all()


def test_what_was_drawn_is_kept_with_the_run(tmp_path: Path) -> None:
    _, (run,) = calibrated(tmp_path, 5, IVSweep(points=21))
    drawn = run.metadata["context"]["instrument_errors"]
    assert any("series_resistance" in uid for uid in drawn)
    assert run.fit is not None
    assert run.fit.budget is not None
    resistance = next(error for uid, error in drawn.items() if "series_resistance" in uid)
    assert 0 < abs(resistance) < 20
    json.dumps(drawn)


@pytest.mark.parametrize(("frequency", "integration"), [(77.7, 0.02), (75.0, 0.02)])
def test_an_integration_over_parts_of_a_cycle_is_refused(frequency: float, integration: float, tmp_path: Path) -> None:
    station = write_station(tmp_path)
    with labnis.open_session(station, dry_run=True, data=tmp_path) as session:
        step = IVSweep(points=11, excitation_frequency=frequency, integration_time=integration)
        with pytest.raises(labnis.errors.RequestError, match="would be read as current; take whole cycles"):
            session.prepare([step])
        session.prepare([IVSweep(points=11, excitation_frequency=90.0, integration_time=1 / 30)])


@pytest.mark.parametrize(("hertz", "instrument"), [(60, 60), (50, 60), pytest.param(50, 50, marks=pytest.mark.long)])
def test_readings_follow_the_mains(
    hertz: float, instrument: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = changed(STATION_TEXT, "    divider: 1.0 ", f"    line_frequency: {hertz}\n    divider: 1.0 ")
    station = write_station(tmp_path, text)
    truth = tmp_path / "mains.yaml"
    truth.write_text(f"{TRUTH_TEXT}\nwiring: {{line_frequency: {instrument}.0}}\n", encoding="utf-8")
    with labnis.open_session(station, dry_run=True, data=tmp_path, twin=truth) as session:
        run = session.run(IVSweep(points=41))
        session.prepare([step := ReflectionVsBias()])
    used = run.metadata["parameters"]
    assert used["integration_time"] == pytest.approx(2 / hertz)
    assert used["excitation_frequency"] == 1.5 * hertz
    assert step.integration_time == pytest.approx(1 / hertz)
    assert not [fit.warnings for fit in run.fits.values() if fit.warnings]
    told = [one.getMessage() for one in caplog.records if f"finds mains of {instrument} Hz" in one.getMessage()]
    assert bool(told) == (hertz != instrument)
    assert all("line_frequency: 60 under labnis.wiring" in text for text in told)


UNCERTAINTY = """  uncertainty:
    instruments: {dmm: {accuracy: keysight_34461a}}
    wiring: {series_resistance: {limit: 20.0}, amplifiers: {femto: {limit: 0.01}}}
"""


def test_a_multimeter_behind_an_amplifier_errs_as_stated_and_is_in_the_budget(tmp_path: Path) -> None:
    text = (SETUPS / "gs200_preamplifier_34465a.yaml").read_text(encoding="utf-8")
    truth = f"{TRUTH_TEXT.replace('instrument_errors: none', 'instrument_errors: stated')}"
    station = write_station(tmp_path, changed(text, "../../../sim_instruments/nis_device.yaml", "truth.yaml"))
    station.write_text(changed(station.read_text("utf-8"), "  twin:", f"{UNCERTAINTY}  twin:"), encoding="utf-8")
    (tmp_path / "truth.yaml").write_text(truth, encoding="utf-8")
    total, noise = [], []
    for seed in (1, 3, 5):
        with labnis.open_session(station, dry_run=True, seed=seed, data=tmp_path / str(seed)) as session:
            run = session.run(IVSweep(points=61))
            assert session.twin is not None
            true, drawn = session.twin.truth, session.twin.instrument_errors
        off = run.results["normal_resistance"].value - true["normal_resistance"]
        total.append(off / run.results["normal_resistance"].sigma)
        noise.append(off / run.results["normal_resistance"].statistical)
        assert run.fit is not None and run.fit.budget is not None and not run.fit.warnings
    assert np.abs(total).max() < 3
    assert np.abs(noise).max() > 5
    assert any(uid.startswith("wiring.femto@") for uid in drawn)
    assert any(uid.startswith("keysight_34461a/") for uid in drawn)
    assert run.fit.budget.absent == ("the accuracy of yoko, which reads the voltage",)


@pytest.mark.long
def test_a_drift_of_the_zero_between_two_runs_is_drawn_and_widens_what_one_hands_to_the_next(tmp_path: Path) -> None:
    stated = "    drift: {voltage_zero: {limit: 20.0e-6}}\n    wiring: {"
    station = write_station(tmp_path, changed(BUDGETED_TEXT, "    wiring: {", stated))
    truth = station.with_name("truth.yaml")
    truth.write_text(truth.read_text("utf-8").replace("errors: none", "errors: stated"), encoding="utf-8")
    with labnis.open_session(station, dry_run=True, seed=3, data=tmp_path) as session:
        first, second = (session.run(IVSweep(points=31)) for _ in range(2))
        rates = session.run(ReflectionVsBias(points=15, frequencies=101))
        assert session.twin is not None
        true = session.twin.truth["damping_junction"]
    assert first.fit is not None and second.fit is not None and rates.fit is not None
    assert 1e-6 < abs(second.fit["voltage_offset"].value - first.fit["voltage_offset"].value) < 2e-5
    found = rates.results["damping_junction"]
    assert abs(found.value - true) < 4 * found.sigma
    # Had it drifted by 1 µV at most, the traces would contradict the curve.
    assert abs(rates.fit["voltage_offset"].value - second.fit["voltage_offset"].value) > 5e-6
    assert not rates.fit.warnings
    assert "11.5 µV (standard uncertainty) between two runs, as stated" in rates.fit.assumed["voltage_zero"]
