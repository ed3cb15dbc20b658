"""Runs fitted again by one command, with what they need of each other: from their files alone, kept beside the old."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import labnis as package
from labnis.errors import RequestError
from labnis.experiment.refitting import Asked, Refitted, refit_all
from labnis.fit import FitResult
from labnis.storage import RunInUseError, add_fits, read_fits
from sim_instruments import SHIPPED_TRUTH
from tests.run.bench import Commands, changed

FEW = (
    "--set IVSweep.points=31 --set ReflectionVsBias.points=15 --set ReflectionVsBias.frequencies=101 "
    "--set EmittedPowerVsBias.points=11 --set EmittedPowerVsBias.frequencies=101"
)
FEW_TRACES = "--set points=15 --set frequencies=101"
ASKED = Asked("0 (test)")


@pytest.fixture
def runs(labnis: Commands) -> list[Path]:
    """Runs of a calibration, in their order."""
    answer = labnis(f"calibrate --dry-run --json {FEW}")
    assert answer.code == 0, answer.err
    return [Path(path) for path in json.loads(answer.out)["runs"]]


def values(found: Sequence[Refitted]) -> list[dict[str, float]]:
    return [{name: estimate.value for name, estimate in one.after.items()} for one in found]


def test_another_assumption_goes_through_the_whole_chain(labnis: Commands, runs: list[Path]) -> None:
    before = {name: one.value for run in runs for name, one in package.open_run(run).results.items()}
    answer = labnis("refit dry-run --json --prior fano_real=1.05+-0.02")
    assert answer.code == 0, answer.err
    moved = {name: one for run in json.loads(answer.out)["runs"] for name, one in run["results"].items()}
    after = {name: one["after"]["value"] for name, one in moved.items()}
    # Reflection tells (1 + φ)·γ_tr only, and the emission is in proportion to γ_tr.
    assert after["damping_line"] / before["damping_line"] == pytest.approx(2 / 2.05, rel=1e-3)
    assert after["gain"] - before["gain"] == pytest.approx(10 * np.log10(2.05 / 2), abs=0.03)
    assert after["gap"] == pytest.approx(before["gap"], rel=1e-9)
    assert moved["damping_line"]["moved"] < -2
    assert [list(read_fits(run)) for run in runs] == [["current_voltage"], ["reflection"], ["emitted_power"]]


@pytest.mark.parametrize(("code", "confirmed"), [("0 (test)", True), ("1 (test)", False), ("0 (test+changes)", False)])
def test_components_are_searched_for_again_by_other_code(code: str, confirmed: bool, labnis: Commands) -> None:
    cooler = SHIPPED_TRUTH.with_name("micro_cooler.yaml")
    answer = labnis(f"run IVSweep --dry-run --json --twin {cooler} --set points=61")
    runs = [Path(path) for path in json.loads(answer.out)["runs"]]
    made_by = "0 (test+changes)" if "changes" in code else "0 (test)"
    with ThreadPoolExecutor(1) as executor:
        (searched,) = refit_all(runs, Asked(made_by), executor)
        assert "island" not in searched.fits["current_voltage"].assumed
        records = {name: fit.as_record() | {"code_version": made_by} for name, fit in searched.fits.items()}
        add_fits(runs[0], records)
        (again,) = refit_all(runs, Asked(code), executor)
    fit, before = again.fits["current_voltage"], searched.fits["current_voltage"]
    assert ("island" in fit.assumed) is confirmed
    assert fit.names == before.names and fit.warnings == before.warnings
    assert (np.abs(fit.values - before.values) <= (0.01 if confirmed else 0.0) * before.sigma).all()
    np.testing.assert_allclose(fit.sigma, before.sigma, rtol=0.01 if confirmed else 0.0)


def test_kept_fits_are_the_newest_and_supersede(labnis: Commands, runs: list[Path]) -> None:
    before = package.open_run(runs[2]).results["gain"]
    assert labnis("refit dry-run --commit --prior fano_real=1.05+-0.02").code == 0
    assert list(read_fits(runs[2])) == ["emitted_power", "emitted_power@2"]
    now = package.open_run(runs[2]).results["gain"]
    assert now.value - before.value > 0.05
    history = json.loads(labnis("ledger history gain --simulated --json").out)
    assert [one["value"] for one in history] == pytest.approx([before.value, now.value])
    assert [bool(one["ended_by"]) for one in history] == [True, False]
    assert f"superseded by {history[1]['number']}" in history[0]["ended_by"]
    again = labnis("refit dry-run --commit --prior fano_real=1.05+-0.02")
    assert "data, priors and code are those of the newest fits: 3 of 3 runs" in again.out
    assert len(read_fits(runs[2])) == 2
    back = labnis("refit dry-run --commit")
    assert back.code == 0 and list(read_fits(runs[0])) == ["current_voltage", "current_voltage@2"]
    assert list(read_fits(runs[2])) == ["emitted_power", "emitted_power@2", "emitted_power@3"]
    assert package.open_run(runs[2]).results["gain"].value == pytest.approx(before.value, abs=1e-9)


def test_a_refit_of_old_data_does_not_overtake_newer_data(labnis: Commands, runs: list[Path]) -> None:
    newer = json.loads(labnis("run ReflectionVsBias --dry-run --json --seed 9 --set points=9").out)["runs"][0]
    assert labnis(f"refit {runs[1]} --commit").code == 0
    used = labnis("run EmittedPowerVsBias --dry-run --json --set points=5 --set frequencies=51")
    assert f"uses the reflection fit of the earlier run {Path(newer).stem[-8:]}" in used.err


def test_one_analysis_and_runs_since_a_date(labnis: Commands, runs: list[Path]) -> None:
    one = json.loads(labnis(f"refit {runs[0]} --analysis current_voltage --json").out)
    assert list(one["fits"]) == ["current_voltage"]
    other = labnis(f"refit {runs[0]} --analysis reflection")
    assert other.code == 2 and "--analysis reflection: no such run has it; they have current_voltage" in other.err
    only = json.loads(labnis("refit dry-run --analysis reflection --json").out)
    assert (only["path"], list(only["fits"])) == (str(runs[1]), ["reflection"])
    assert "no run of dry-run began since 2100-01-01" in labnis("refit dry-run --since 2100-01-01").err
    assert len(json.loads(labnis("refit dry-run --since 2001-01-01 --json").out)["runs"]) == 3


def test_a_run_that_cannot_be_fitted_leaves_the_others(runs: list[Path]) -> None:
    with ThreadPoolExecutor(1) as executor:
        found = refit_all(runs, Asked("0", fixed={"gap": 100e-6}), executor)
    assert set(found[0].problems) == {"current_voltage"} or found[0].doubtful
    assert found[2].after


@pytest.fixture
def many(labnis: Commands) -> list[Path]:
    """Runs of I–V sweeps."""
    answers = [labnis(f"run IVSweep --dry-run --json --seed {seed} --set points=31") for seed in range(6)]
    return [Path(json.loads(answer.out)["runs"][0]) for answer in answers]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A scheduler with two workers, each a process."""
    dask, distributed = (pytest.importorskip(name) for name in ("dask", "distributed"))
    monkeypatch.chdir(tmp_path)
    with (
        dask.config.set({"temporary-directory": str(tmp_path)}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as found,
    ):
        yield found


@pytest.mark.long
def test_a_cluster_of_which_a_worker_dies_gives_the_same_bits(cluster: Any, many: list[Path]) -> None:
    distributed = pytest.importorskip("distributed")
    with ThreadPoolExecutor(1) as executor:
        local = refit_all(many, ASKED, executor)

    def told(_one: Refitted) -> None:
        if ended := [worker for worker in [*cluster.workers.values()][:1] if not killed]:
            killed.append(ended[0].pid)
            os.kill(ended[0].pid, signal.SIGKILL)

    killed: list[int] = []
    with distributed.Client(cluster.scheduler_address) as client, client.get_executor() as executor:
        found = refit_all(many, ASKED, executor, told)
    assert killed and not any(one.problems for one in found)
    assert values(found) == values(local)
    for one, other in zip(found, local, strict=True):
        for name, fit in one.fits.items():
            np.testing.assert_array_equal(fit.covariance, other.fits[name].covariance)


def test_runs_whose_process_was_killed_are_fitted_again(many: list[Path]) -> None:
    with ThreadPoolExecutor(1) as executor:
        local = refit_all(many[:3], ASKED, executor)
    with ExitStack() as stack:

        def executor() -> ProcessPoolExecutor:
            return stack.enter_context(ProcessPoolExecutor(2, mp_context=get_context("spawn")))

        first = executor()
        os.kill(first.submit(os.getpid).result(), signal.SIGKILL)
        found = refit_all(many[:3], ASKED, first, renewed=executor)
        alone = executor()
        os.kill(alone.submit(os.getpid).result(), signal.SIGKILL)
        lost = refit_all(many[:1], ASKED, alone)
    assert values(found) == values(local)
    assert "BrokenProcessPool" in lost[0].problems[""]


def test_no_scheduler_is_told(labnis: Commands, runs: list[Path]) -> None:
    answer = labnis("refit dry-run --cluster tcp://127.0.0.1:9")
    assert answer.code == RequestError.exit_code and "there is no scheduler" in answer.err


def test_what_was_revoked_stays_so_and_other_runs_are_kept(labnis: Commands, runs: list[Path]) -> None:
    (gain,) = json.loads(labnis("ledger history gain --simulated --json").out)
    assert labnis(f"ledger revoke {gain['number']} --why warm").code == 0
    runs[0].with_name(f"{runs[0].name}.refit").touch()  # as of a process that was killed
    answer = labnis("refit dry-run --commit")
    assert answer.code == 7 and "another process adds fits to it; if it was killed, remove" in answer.err
    assert "was revoked: its new fits are in its file only" in answer.err
    assert [len(read_fits(run)) for run in runs] == [1, 2, 2]
    assert len(json.loads(labnis("ledger history gain --simulated --json").out)) == 1


def gains(labnis: Commands) -> list[dict[str, Any]]:
    return list(json.loads(labnis("ledger history gain --simulated --json").out))


def test_fits_that_only_the_file_has_enter_the_ledger_with_the_same_command(
    labnis: Commands, runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    command = "refit dry-run --commit --prior fano_real=1.05+-0.02"
    with monkeypatch.context() as patched:
        patched.setattr("labnis.experiment.calibrations.Logbook.enter", killed)
        labnis(command)
    assert list(read_fits(runs[0])) == ["current_voltage", "current_voltage@2"]
    assert len(gains(labnis)) == 1
    assert labnis(command).code == 0
    assert [one["fit"] for one in gains(labnis)] == ["emitted_power", "emitted_power@2"]
    assert [len(read_fits(run)) for run in runs] == [2, 2, 2]
    assert labnis(command).code == 0 and len(gains(labnis)) == 2


def test_of_a_revoked_refit_the_fit_before_is_the_newest(labnis: Commands, runs: list[Path]) -> None:
    first = package.open_run(runs[1]).fits["reflection"]
    assert labnis("refit dry-run --commit --prior fano_real=1.05+-0.02").code == 0
    rates = json.loads(labnis("ledger history damping_line --simulated --json").out)
    assert [one["fit"] for one in rates] == ["reflection", "reflection@2"]
    for before, number in zip(gains(labnis), (one["number"] for one in rates), strict=True):
        (dependent,) = json.loads(labnis(f"ledger used-by {number} --json").out)[:1]
        assert dependent["fit"] == before["fit"]
    assert labnis(f"ledger revoke {rates[1]['number']} --why 'wrong assumption'").code == 0
    answer = labnis("run EmittedPowerVsBias --dry-run --json --set points=5 --set frequencies=51")
    (path,) = json.loads(answer.out)["runs"]
    assert package.open_run(path).metadata["calibrations"][0]["version"] == "reflection"
    known = FitResult.from_record(package.open_run(path).metadata["context"]["priors"]["reflection"])
    assert known["damping_line"] == first["damping_line"]
    chosen = labnis(f"run EmittedPowerVsBias --dry-run --set points=5 --set frequencies=51 --from {runs[1]}")
    assert chosen.code == 7 and "it was revoked: wrong assumption" in " ".join(chosen.err.split())


def test_a_prior_that_has_a_newer_fit_by_now_is_told(labnis: Commands, runs: list[Path]) -> None:
    assert "is the reflection fit" not in labnis(f"refit {runs[2]}").err
    assert labnis(f"refit {runs[1]} --commit").code == 0
    told = " ".join(labnis(f"refit {runs[2]}").err.split())
    assert f"its prior is the reflection fit of run {runs[1].stem[-8:]} as it was then" in told
    assert "that run has reflection@2 by now" in told
    assert "is the reflection fit" not in labnis(f"refit {runs[1]} {runs[2]}").err


def test_a_cooldown_is_that_of_the_stations_device(labnis: Commands, runs: list[Path], tmp_path: Path) -> None:
    station = tmp_path / "station.yaml"
    text = station.read_text(encoding="utf-8")
    station.write_text(text.replace("name: nis_device", "name: A7"), encoding="utf-8")
    (other,) = json.loads(labnis("run IVSweep --dry-run --json --set points=31").out)["runs"]
    assert json.loads(labnis("refit dry-run --json").out)["path"] == other
    station.write_text(text.replace("name: nis_device", "name: B2"), encoding="utf-8")
    answer = labnis("refit dry-run")
    assert (answer.code, "the devices A7, nis_device have a cooldown 'dry-run', and 'B2'" in answer.err) == (2, True)


def test_a_damaged_file_of_the_cooldown_is_told_and_no_folder_lacks_it(
    labnis: Commands, runs: list[Path], tmp_path: Path
) -> None:
    os.truncate(runs[1], 60000)
    answer = labnis("refit dry-run --analysis emitted_power")
    assert answer.code == 7 and f"{runs[1].name}: it cannot be read" in " ".join(answer.err.split())
    crate = labnis(f"export dry-run --to ro-crate --out {tmp_path / 'crate'}")
    assert crate.code == 2 and "would lack files that cannot be read" in crate.err and runs[1].name in crate.err
    runs[1].unlink()
    crate = labnis(f"export dry-run --to ro-crate --out {tmp_path / 'crate'}")
    assert crate.code == 0 and f"no file: {runs[1].stem[-8:]}" in " ".join(crate.err.split())


def test_an_incomplete_run_is_not_changed(runs: list[Path]) -> None:
    runs[0].with_name(f"{runs[0].name}.journal").touch()
    with pytest.raises(RunInUseError, match="not complete"):
        add_fits(runs[0], {})


def test_a_line_that_was_stated_wrongly_is_stated_again(tmp_path: Path, labnis: Commands) -> None:
    """As if it had been right when the runs were measured, through the whole chain."""
    station, truth = tmp_path / "station.yaml", tmp_path / "truth.yaml"
    text = station.read_text(encoding="utf-8")
    true = "wiring: {series_resistance: 2000.0, divider: 1.0}"
    truth.write_text(f"{truth.read_text(encoding='utf-8')}\n{true}\n", encoding="utf-8")
    answer = labnis(f"calibrate --dry-run --json --data right {FEW}")
    assert answer.code == 0, answer.err
    right = json.loads(answer.out)["results"]
    station.write_text(changed(text, "series_resistance: 2000.0", "series_resistance: 2300.0"), encoding="utf-8")
    wrong = [Path(path) for path in json.loads(labnis(f"calibrate --dry-run --json --data wrong {FEW}").out)["runs"]]
    refitted = labnis("refit dry-run --data wrong --set series_resistance=2kohm --commit --json")
    assert refitted.code == 0, refitted.err
    moved = {name: one for run in json.loads(refitted.out)["runs"] for name, one in run["results"].items()}
    for name, one in right.items():
        assert moved[name]["after"]["value"] == pytest.approx(one["value"], abs=0.02 * one["sigma"]), name
    assert abs(moved["normal_resistance"]["moved"]) > 5
    kept = package.open_run(wrong[2])
    statement = "2 kΩ is stated for this fit, 2.3 kΩ was for the run"
    assert all(fit.assumed["series_resistance"] == statement for fit in kept.fits.values())
    gain = json.loads(labnis("ledger history gain --simulated --json --data wrong").out)[-1]
    assert statement in gain["assumed"]


def test_a_name_of_neither_run_nor_cooldown_is_told(labnis: Commands, runs: list[Path]) -> None:
    answer = labnis("refit CD9")
    assert answer.code == RequestError.exit_code
    assert "no run has the id 'CD9'" in answer.err and "nor has a run this cooldown; there are dry-run" in answer.err


def test_a_prior_that_was_stated_otherwise_is_told(labnis: Commands, runs: list[Path]) -> None:
    answer = labnis(f"refit {runs[2]} --set divider=1.02")
    assert answer.code == 7
    assert "it needs the reflection fit, made with what was stated of divider before: name its run, too" in answer.out
    several = labnis(f"refit {runs[1]} {runs[2]} --set divider=1.02")
    assert several.code == 7
    assert "warning (reflection): it needs the current_voltage fit, made with" in " ".join(several.out.split())


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("divider=0.5", "divider cannot be stated so: Input should be greater than or equal to 1"),
        ("series_resistance=2V", "'V' cannot be expressed in ohm"),
        ("series_resistance=2.1kohm --set series_resistance=1", "is stated twice"),
        ("junctions=7", "junctions cannot be stated so: found 7; allowed are 1, 2, or [series, parallel]"),
        ("junctions=[2", "cannot be read"),
        ("resonator=notch", "resonator cannot be stated so"),
        ("island.volume=-1", "island.volume cannot be stated so: Input should be greater than 0"),
        ("temperature=0.1", "'temperature' cannot be stated; allowed are series_resistance, divider, junctions"),
    ],
)
def test_what_cannot_be_stated_is_refused(stated: str, told: str, labnis: Commands, runs: list[Path]) -> None:
    answer = labnis(f"refit {runs[0]} --set {stated}")
    assert answer.code == RequestError.exit_code
    assert told in " ".join(answer.err.split())


def test_another_number_of_junctions(labnis: Commands, runs: list[Path]) -> None:
    """A pair taken for one junction has twice its gap."""
    again = package.refit(runs[0], stated={"junctions": 1})
    assert again.results["gap"].value == pytest.approx(2 * package.open_run(runs[0]).results["gap"].value, rel=1e-4)
    assert again.fits["current_voltage"].assumed["junctions"].startswith("1 is stated for this fit, 2 was")


def test_what_rests_on_a_revoked_fit_stays_in_doubt_until_it_has_another_prior(
    labnis: Commands, runs: list[Path]
) -> None:
    (rates,) = json.loads(labnis("ledger history damping_line --simulated --json").out)
    assert labnis(f"ledger revoke {rates['number']} --why 'wrong power'").code == 0
    for words in (
        "refit dry-run --commit --prior fano_real=1.05+-0.02",
        f"refit {runs[2]} --commit --prior electron_temperature=0.11+-0.01",
    ):
        answer = labnis(words)
        assert answer.code == 7, "in text, exit code, ledger, and in what shows the runs"
        assert "which was revoked: wrong power" in answer.out
    found = json.loads(labnis("ledger history gain --simulated --json").out)
    assert len(found) == 3 and all("which was revoked: wrong power" in one["warnings"][0] for one in found)
    assert len(json.loads(labnis(f"ledger used-by {rates['number']} --json").out)) == 6
    assert "it was revoked: wrong power" in labnis(f"show {runs[1]}").out
    assert json.loads(labnis("ledger at 2100-01-01 --simulated --json").out)[0]["quantity"] != "gain"
    better = json.loads(labnis(f"run ReflectionVsBias --dry-run --json --seed 9 {FEW_TRACES}").out)["runs"][0]
    mended = labnis(f"refit {runs[2]} --from {better} --commit")
    assert mended.code == 0, mended.err
    assert "moved (σ)" in mended.out and " dB ? " in mended.out, "what it was, which was in doubt"
    last = json.loads(labnis("ledger history gain --simulated --json").out)[-1]
    assert last["warnings"] == [] and last["until"] is None
    assert last["used"] == [["reflection", Path(better).stem.rpartition("-")[2]]]


def test_another_device_stays_in_doubt_when_it_is_fitted_again(tmp_path: Path, labnis: Commands) -> None:
    command = f"run ReflectionVsBias --dry-run --json {FEW_TRACES}"
    assert labnis(command).code == 0
    text = (tmp_path / "truth.yaml").read_text(encoding="utf-8")
    (tmp_path / "other.yaml").write_text(changed(text, "damping_line: 1.6e+7", "damping_line: 2.0e+7"), "utf-8")
    station = tmp_path / "station.yaml"
    station.write_text(changed(station.read_text(encoding="utf-8"), "truth.yaml", "other.yaml"), encoding="utf-8")
    (swapped,) = json.loads(labnis(command).out)["runs"]
    again = labnis("refit dry-run --commit --prior fano_real=1.01+-0.02")
    assert again.code == 7 and "is it the same device?" in again.out
    found = json.loads(labnis("ledger history damping_line --simulated --json").out)
    doubtful = [one for one in found if one["run_id"] in swapped]
    assert len(doubtful) == 2 and all(one["until"] == one["measured"] for one in doubtful)
    assert "is it the same device?" in package.refit(swapped).fits["reflection"].warnings[-1]
    first = next(one for one in found if one["run_id"] not in swapped)
    for number in {one["number"] for one in found if one["run_id"] == first["run_id"]}:
        assert labnis(f"ledger revoke {number} --why 'the other one was wrong'").code == 0
    assert labnis(f"refit {swapped} --commit --prior fano_real=1.0+-0.02").code == 0
