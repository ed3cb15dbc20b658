"""labnis from Python: sessions, stored runs, refits, threads and pymeasure's windows."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from uncertainties import ufloat

import labnis
from labnis.experiment.run import Run
from labnis.storage import RunFileError
from procedures import IVSweep
from procedures.parameter_values import ProcedureError
from sim_instruments import TruthError
from tests.run.bench import ROOT, BiasLog, Watcher, dry_session, python, write_station

FEW = 31


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Run:
    station = write_station(tmp_path_factory.mktemp("sweep"))
    with labnis.open_session(station, dry_run=True) as session:
        return session.run(IVSweep(points=FEW), tags=["first"], note="a note")


def test_a_run_has_data_fit_results_and_a_figure(sweep: Run) -> None:
    assert sweep.data["current"].dims == ("bias",)
    np.testing.assert_array_equal(sweep.data["bias"], IVSweep(points=FEW).biases())
    assert sweep.fit is not None
    assert sweep.results["gap"].value == pytest.approx(215e-6, rel=1e-3)
    assert "µeV" in repr(sweep)
    assert "±" in sweep._repr_html_()
    assert (sweep.metadata["tags"], sweep.metadata["note"]) == (["first"], "a note")
    axes = sweep.plot().axes
    panels = ["Current (nA)", "|Current − offset|\n(nA)", "|Conductance|\n(µS)", "residual / σ"]
    assert [axis.get_ylabel() for axis in axes[:4]] == panels


def test_one_text_is_one_tag_and_a_resumed_run_keeps_its_own(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        assert repr(session) == f"<Session at {tmp_path / 'station.yaml'}, cooldown dry-run, dry run>"
        run = session.run(IVSweep(points=10), tags="abc")
        assert run.metadata["tags"] == ["abc"]
        with pytest.raises(labnis.errors.RequestError, match="the tag '' is not allowed"):
            session.run(IVSweep(points=10), tags=["good", ""])
        with pytest.raises(labnis.errors.RequestError, match="its own tags and note"):
            session.run(IVSweep(points=10), resume=run.path, note="later")


def test_a_stored_run_is_the_same_run(sweep: Run) -> None:
    stored = labnis.open_run(sweep.path)
    assert stored.results == sweep.results
    assert list(stored.fits) == list(sweep.fits)


def test_a_refit_of_the_file_alone_gives_the_same_to_the_last_digit_and_a_held_parameter_tightens(sweep: Run) -> None:
    again = labnis.refit(sweep.path)
    assert again.results["gap"] == sweep.results["gap"]
    held = labnis.refit(sweep.path, fixed={"dynes": 1e-4})
    assert held.fit is not None
    assert held.fit["dynes"].value == 1e-4
    assert held.fit["dynes"].sigma == 0
    assert held.results["electron_temperature"].sigma < sweep.results["electron_temperature"].sigma
    assert labnis.open_run(sweep.path).results == sweep.results  # nothing was written


def test_a_session_runs_one_procedure_at_a_time(tmp_path: Path, bias: BiasLog) -> None:
    refused: list[str] = []

    class Greedy(Watcher):
        def progressed(self, rows: int) -> None:
            if rows == 2:
                thread = threading.Thread(target=second)
                thread.start()
                thread.join(60)

    def second() -> None:
        with pytest.raises(labnis.errors.RequestError) as error:
            sessions[0].run(IVSweep(points=11))
        refused.append(str(error.value))

    sessions: list[labnis.experiment.session.Session] = []
    with dry_session(tmp_path, Greedy()) as session:
        sessions.append(session)
        assert session.run(IVSweep(points=11)).status == "done"
        with pytest.raises(labnis.errors.RequestError, match="not a configured procedure"):
            session.run(IVSweep)  # type: ignore[arg-type]  # the mistake that is tested
    assert "measuring already" in refused[0]
    assert bias.left_at_zero
    with pytest.raises(labnis.errors.RequestError, match="closed"):
        session.run(IVSweep(points=11))


def test_closing_a_session_stops_the_run_of_another_thread_first(tmp_path: Path, bias: BiasLog) -> None:
    begun = threading.Event()
    ended: list[BaseException] = []

    class Beginning(Watcher):
        def progressed(self, rows: int) -> None:
            if rows == 15:
                begun.set()

    def work() -> None:
        try:
            session.run(IVSweep(points=FEW))
        except labnis.errors.InterlockError as error:
            ended.append(error)

    with dry_session(tmp_path, Beginning()) as session:
        thread = threading.Thread(target=work)
        thread.start()
        assert begun.wait(60)
    assert bias.left_at_zero
    thread.join(60)
    assert "session was closed" in str(ended[0])


def test_a_parameter_is_held_at_the_value_of_an_estimate(sweep: Run) -> None:
    gap = sweep.results["gap"]
    for value in (gap, ufloat(gap.value, gap.sigma)):
        held = labnis.refit(sweep.path, fixed={"gap": value})
        assert (held.results["gap"].value, held.results["gap"].sigma) == (gap.value, 0)


def test_what_a_refit_cannot_use_is_named(tmp_path: Path, sweep: Run) -> None:
    with pytest.raises(labnis.errors.RequestError, match="fixed: gap cannot be held at None; a number is needed"):
        labnis.refit(sweep.path, fixed={"gap": None})  # type: ignore[dict-item]  # the mistake
    with pytest.raises(labnis.errors.RequestError, match="priors: no analysis needs 'reflection'; they need none"):
        labnis.refit(sweep.path, priors={"reflection": sweep.fit})  # type: ignore[dict-item]  # not None here
    with dry_session(tmp_path, Watcher()) as session:
        unfitted = session.run(IVSweep(points=11, maximum_bias=1e-5))
    for run in (sweep, unfitted):
        with pytest.raises(
            labnis.errors.RequestError, match="fixed: gapp cannot be held; parameters of this run's fit"
        ):
            labnis.refit(run.path, fixed={"gapp": 3})
    assert "current_voltage" in labnis.refit(unfitted.path, fixed={"gap": 215e-6}).problems


def test_a_session_works_in_a_thread_and_its_stop_can_be_asked_for(tmp_path: Path, bias: BiasLog) -> None:
    found: list[object] = []

    class Stopping(Watcher):
        def progressed(self, rows: int) -> None:
            if rows == 20:
                sessions[0].stop.ask(labnis.errors.RequestError("the window was closed"))

    sessions: list[labnis.experiment.session.Session] = []

    def work() -> None:
        with dry_session(tmp_path, Stopping()) as session:
            sessions.append(session)
            found.append(session.run(IVSweep(points=11)).results["gap"].value)
            try:
                session.run(IVSweep(points=FEW))
            except labnis.errors.RequestError as error:
                found.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert found[0] == pytest.approx(215e-6, rel=1e-2)
    assert found[1] == "the window was closed"
    assert bias.left_at_zero


KILLED = """
import os, signal, time, labnis
from labnis.experiment.events import RowRecorded
from procedures import IVSweep

def kill(event):
    if isinstance(event, RowRecorded) and event.rows == 20:
        time.sleep(0.5)  # the rows are on the disk
        os.kill(os.getpid(), signal.SIGKILL)

with labnis.open_session("station.yaml", dry_run=True, observers=[kill]) as session:
    session.run(IVSweep(points=31))
"""


@pytest.mark.faults
def test_a_killed_run_whose_file_is_damaged_is_read_and_resumed(tmp_path: Path) -> None:
    with labnis.open_session(tmp_path / "station.yaml", dry_run=True):
        pass  # writes the station file
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, timeout=100, check=False)
    (path,) = (tmp_path / "data").glob("dry-run/*/*.h5")
    path.write_bytes(path.read_bytes()[:3000])
    saved = labnis.open_run(path).data.attrs["rows"]
    with labnis.open_session(tmp_path / "station.yaml", dry_run=True) as session:
        run = session.run(IVSweep(points=FEW), resume=path)
    assert run.status == "done"
    assert run.data["current"].notnull().all()
    assert 0 < saved < FEW
    assert path.with_name(f"{path.name}.damaged").stat().st_size == 3000


@pytest.mark.parametrize(
    "direction", ["up-down", *(pytest.param(one, marks=pytest.mark.long) for one in ("up", "down"))]
)
def test_every_direction_gives_the_same_results(direction: str, tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(IVSweep(points=31, direction=direction))
    expected = {"up": ("bias",), "down": ("bias",), "up-down": ("direction", "bias")}[direction]
    assert run.data["current"].dims == expected
    for name, truth in {"gap": 215e-6, "normal_resistance": 12e3, "electron_temperature": 0.110}.items():
        assert abs(run.results[name].value - truth) < 4 * run.results[name].sigma
    assert run.data.sel(bias=0.0, method="nearest")["bias"] == 0


def test_a_subclass_is_analysed_like_the_sweep_itself(tmp_path: Path) -> None:
    class OurSweep(IVSweep):
        """A lab's own variant."""

    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(OurSweep(points=31))
    assert abs(run.results["gap"].value - 215e-6) < 4 * run.results["gap"].sigma
    assert run.fit is not None
    assert "conductance_gain_error" in run.fit.names


def test_a_second_dry_run_of_one_fridge_is_refused_and_leaves_the_first_as_it_was(tmp_path: Path) -> None:
    station = write_station(tmp_path)
    with labnis.open_session(station, dry_run=True, data=tmp_path / "data") as first:
        first.run(IVSweep(points=11))
        with (
            pytest.raises(TruthError, match="in use in this process, by another session; end that one first"),
            labnis.open_session(station, dry_run=True, data=tmp_path / "others"),
        ):
            pass
        assert first.run(IVSweep(points=11)).status == "done"
    with labnis.open_session(station, dry_run=True, data=tmp_path / "data") as again:
        assert again.run(IVSweep(points=11)).status == "done"


class Forgetful(IVSweep):
    """Records some points only; or, with `repeats`, none but outside of a point."""

    def execute(self) -> None:
        if self.repeats > 1:
            self.record(0.0)
        for (_bias,) in self.sweep():
            return


def test_a_run_that_recorded_less_than_planned_says_so(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(Forgetful(points=11))
        assert run.status == "done"
        assert "only 0 rows for 11 planned points: the procedure recorded no more" in run.notes
        with pytest.raises(ProcedureError, match=r"call record\(\) in a loop over self\.sweep\(\)"):
            session.run(Forgetful(points=11, repeats=2))


def test_a_folder_is_no_run(tmp_path: Path) -> None:
    for look in (labnis.open_run, labnis.refit):
        with pytest.raises(RunFileError, match="a folder; give the file of a run"):
            look(tmp_path)


def test_an_unmodified_managed_window_runs_our_procedures_in_a_session(tmp_path: Path) -> None:
    pytest.importorskip("PyQt6.QtWidgets", reason="the libraries of a screen are missing", exc_type=ImportError)
    window = [str(ROOT / "tests" / "run" / "managed_window.py")]
    done = python(window, tmp_path, QT_QPA_PLATFORM="offscreen", QT_API="pyqt6")
    assert done.code == 0, done.err
    assert "Finished" in done.out
    (path,) = (tmp_path / "data").glob("dry-run/*/*.h5")
    assert labnis.open_run(path).results["gap"].value == pytest.approx(215e-6, rel=1e-2)
    lines = [line for line in (tmp_path / "window.csv").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 1 + 11
    assert "Bias (V)" in lines[0]
