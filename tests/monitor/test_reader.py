"""What the monitor reads of runs and ledger; that is what its pages show."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labnis.experiment.run import stored_run
from labnis.fit import FitError, FitResult
from labnis.fit.analyses import CurrentVoltage
from labnis.ledger import Ledger, LedgerUnavailableError
from labnis.ledger.of_station import ledger_to_read
from labnis.storage import ESTIMATE, Column, RunWriter, open_run
from labnis.ui.monitor import Image, Panel, Reader, RunView, metrics_text, status_of
from procedures import IVSweep, ReflectionVsBias
from tests.run.bench import Commands, dry_session
from tests.run.test_live_fit import Patient
from tests.storage.conftest import COLUMNS, FREQUENCY, metadata, row


def reader_of(folder: Path) -> Reader:
    data = folder / "data"
    data.mkdir(exist_ok=True)

    def opened() -> Ledger:
        return ledger_to_read(folder / "station.yaml", data)

    return Reader(data, opened)


def only(reader: Reader, *wanted: str) -> RunView:
    (view,) = reader.read(wanted).views
    return view


def panels_by_title(view: RunView) -> dict[str, Panel | Image]:
    return {panel.title: panel for panel in view.panels}


def test_a_finished_run_has_its_results_and_what_is_drawn_of_it(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    with dry_session(tmp_path, Patient(stops={40: 1, 61: 2})) as session:
        outcome = session.run(IVSweep(points=61))
    plain = only(reader)
    assert (plain.status, plain.rows, plain.planned, plain.per_cent) == ("done", 61, 61, 100.0)
    assert plain.results == outcome.results
    assert plain.final
    assert plain.doubtful == outcome.doubtful
    assert not plain.panels, "nobody asks for them"
    assert plain.estimates[0].rows >= 4
    assert plain.estimates[-1].results.keys() == outcome.results.keys()
    assert all(event.kind != ESTIMATE for event in plain.events)
    snapshot = reader.read([outcome.run_id])
    assert {one.run_id for one in snapshot.calibrations} == {outcome.run_id}
    assert not snapshot.problems
    drawn = panels_by_title(snapshot.views[0])
    current = drawn["Current"]
    assert isinstance(current, Panel)
    measured, fit = current.series
    assert (measured.kind, fit.kind) == ("measured", "fit")
    data = open_run(outcome.path)
    np.testing.assert_allclose(measured.y * 1e-9, data["current"].values, rtol=1e-9)
    order = np.argsort(measured.x)
    np.testing.assert_allclose(np.interp(measured.x[order], fit.x, fit.y), measured.y[order], atol=1.0)
    residuals = drawn["Current: residuals"]
    assert isinstance(residuals, Panel)
    assert residuals.y_label == "residual / σ"
    assert np.std(residuals.series[0].y) == pytest.approx(1.0, abs=0.4)
    assert "log |I|" in drawn
    assert "Conductance" in drawn


def test_what_did_not_change_is_the_same_object(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    with dry_session(tmp_path, Patient(stops={})) as session:
        session.run(IVSweep(points=21))
    assert only(reader) is only(reader)


def test_traces_are_a_map_the_last_one_and_a_circle(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    with dry_session(tmp_path, Patient(stops={})) as session:
        path = session.run(ReflectionVsBias(points=5)).path
    drawn = panels_by_title(only(reader, stored_run(path).run_id))
    image, trace, circle = drawn["S11"], drawn["S11, last trace"], drawn["S11, last trace, circle"]
    assert isinstance(image, Image)
    assert isinstance(trace, Panel)
    assert isinstance(circle, Panel)
    assert image.values.shape[1] == 5
    assert circle.square
    last = open_run(path)["s11"].values[-1]
    np.testing.assert_array_equal(circle.series[0].x, last.real)
    np.testing.assert_allclose(trace.series[0].y, 20 * np.log10(np.abs(last)))


def test_progress_and_time_to_go_of_a_run_on_a_grid(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    biases = np.linspace(-1e-3, 1e-3, 40)
    run = RunWriter(tmp_path / "data", metadata(), COLUMNS, axes=[FREQUENCY], grid={"bias": biases})
    for number in range(10):
        run.append({**row(number, bias=biases[number]), "point": number})
    run.flush()
    view = only(reader)
    assert (view.status, view.rows, view.planned, view.per_cent) == ("running", 10, 40, 25.0)
    assert view.bias == biases[9]
    assert np.isnan(view.remaining), "these rows have no times"
    run.finish("failed", "the source was switched off")
    assert (only(reader).status, only(reader).reason) == ("failed", "the source was switched off")


EVIL = "<script>window.hit = 1</script>\"'\\\n{}"


def test_status_and_metrics_hold_any_name(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    run = RunWriter(tmp_path / "data", metadata(procedure=EVIL, cooldown=EVIL), COLUMNS, axes=[FREQUENCY])
    run.append(row(0))
    run.event(ESTIMATE, "of another program", rows=1, results={EVIL: {"value": 1.0, "sigma": 0.1, "unit": EVIL}})
    run.event("warning", EVIL)
    run.flush()
    snapshot = reader.read([run.run_id])
    run.finish("done")
    assert json.loads(json.dumps(status_of(snapshot)))["runs"][0]["procedure"] == EVIL
    text = metrics_text(snapshot)
    sample = re.compile(r'^labnis_\w+(?:\{\w+="(?:[^"\\\n]|\\[\\"n])*"(?:,\w+="(?:[^"\\\n]|\\[\\"n])*")*\})? \S+$')
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(sample.match(line) for line in samples), text
    assert any(line.startswith("labnis_result{") for line in samples)


def test_a_ledger_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    (problem,) = reader.read().problems
    assert "the results in the ledger are not known" in problem
    assert not (tmp_path / "data" / "ledger.sqlite").exists()


def test_a_ledger_opened_for_reading_cannot_be_changed(tmp_path: Path) -> None:
    with dry_session(tmp_path, Patient(stops={})) as session:
        session.run(IVSweep(points=21))
    ledger = ledger_to_read(tmp_path / "station.yaml", tmp_path / "data")
    found = ledger.calibrations()
    with pytest.raises(LedgerUnavailableError, match="readonly"):
        ledger.add_note(found[0].number, "a note")
    assert not ledger.notes()


def test_results_of_a_run_that_was_revoked_are_in_doubt(tmp_path: Path) -> None:
    with dry_session(tmp_path, Patient(stops={})) as session:
        run = session.run(IVSweep(points=21))
        before = only(reader_of(tmp_path), run.run_id)
        entry = session.ledger.calibrations(run_id=run.run_id)[0]
        session.ledger.revoke(entry.number, "the cable was loose")
    after = only(reader_of(tmp_path), run.run_id)
    assert "the cable was loose" not in " ".join(before.warnings)
    assert after.doubtful == set(run.results)
    assert "current_voltage: it was revoked: the cable was loose" in after.warnings


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    folder = tmp_path / "data" / "CD12" / "2026-03-04"
    folder.mkdir(parents=True)
    (folder / "151617-broken-00000000.h5").write_bytes(b"no HDF5")
    assert any("00000000" in problem for problem in reader.read().problems)


class NeverWhole(CurrentVoltage):
    """Its live fits work, and that of all rows does not."""

    name = "never_whole"

    def fit(self, data: Any, *others: Any) -> FitResult:
        if data.attrs["rows"] == 41:
            raise FitError("the two branches disagree")
        return super().fit(data, *others)


class WithoutFit(IVSweep):
    ANALYSES = (NeverWhole,)


def test_a_run_that_has_no_fit_at_its_end_says_so_everywhere(tmp_path: Path, labnis: Commands) -> None:
    with dry_session(tmp_path, Patient(stops={40: 1})) as session:
        run = session.run(WithoutFit(points=41))
    assert run.problems == {"never_whole": "the two branches disagree"}
    view = only(reader_of(tmp_path), run.run_id)
    assert not view.final and view.results and view.doubtful == set(view.results)
    assert "no fit (never_whole): the two branches disagree" in view.warnings
    for words in ("show", "log"):
        assert "the two branches disagree" in labnis(f"{words} {run.path}").out
    assert labnis(f"report {run.path} --out r.html").code == 0
    assert "No fit: never_whole: the two branches disagree" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_pipe_in_place_of_a_run_is_told_and_not_waited_for(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    folder = tmp_path / "data" / "CD12" / "2026-03-04"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "151617-pipe-00000000.h5")
    assert any("no ordinary file" in problem for problem in reader.read().problems)


def test_conductance_of_either_sign_is_drawn_by_its_size(tmp_path: Path) -> None:
    with dry_session(tmp_path, Patient(stops={})) as session:
        run = session.run(IVSweep(points=41))
    panel = panels_by_title(only(reader_of(tmp_path), run.run_id))["Conductance"]
    assert isinstance(panel, Panel)
    assert (panel.logarithmic, panel.y_label) == (True, "|Conductance| (µS)")
    known = run.data["conductance"].values
    assert (known < 0).any()
    np.testing.assert_allclose(panel.series[0].y, np.abs(known[known != 0]) * 1e6)


def test_two_set_points_are_a_map_and_temperatures_of_the_stage_are_curves(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    biases = np.linspace(-1e-3, 1e-3, 11)
    for outer in ("gate", "stage"):
        columns = [Column(outer, "V", outer), *COLUMNS[:2]]
        grid = {outer: [0.0, 0.1, 0.2], "bias": biases}
        run = RunWriter(tmp_path / "data", metadata(setpoints=(outer, "bias")), columns, grid=grid, signal="current")
        for point in range(25):  # the last curve is not complete
            at, bias = divmod(point, 11)
            run.append({outer: grid[outer][at], "bias": biases[bias], "current": at + biases[bias], "point": point})
        run.finish("aborted")
        view = next(one for one in reader.read([run.run_id]).views if one.run_id == run.run_id)
        first = view.panels[0]
        if outer == "gate":
            assert isinstance(first, Image)
            assert first.values.shape == (11, 3)
            assert np.isnan(first.values[3:, 2]).all()
        else:
            assert isinstance(first, Panel)
            assert [series.x.size for series in first.series] == [11, 11, 3]
