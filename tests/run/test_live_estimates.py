"""Live fits in the file of a run, for programs that only read it."""

import itertools
from pathlib import Path

from labnis.fit import FitResult
from labnis.storage import ESTIMATE, Event, read_events
from procedures import IVSweep
from tests.run.bench import TRUTH_TEXT, Commands, Watcher, dry_session
from tests.run.test_live_fit import Patient


def estimates_of(path: Path) -> list[Event]:
    return [event for event in read_events(path) if event.kind == ESTIMATE]


def test_the_file_has_the_live_fits_thinned_and_the_last_one(tmp_path: Path, labnis: Commands) -> None:
    sweep = IVSweep(points=61)
    watcher = Patient(stops={40: 1, 61: 2})
    with dry_session(tmp_path, watcher) as session:
        path = session.run(sweep).path
    found = estimates_of(path)
    rows = [event.details["rows"] for event in found]
    assert all(after >= 1.05 * before for before, after in itertools.pairwise(rows[:-1]))
    last = found[-1].details
    shown = watcher.fits[-1]
    assert last["analysis"] == "current_voltage"
    gap = last["results"]["gap"]
    assert (gap["value"], gap["sigma"], gap["unit"]) == (shown["gap"].value, shown["gap"].sigma, "eV")
    assert FitResult.from_record(last["fit"])["gap"].value == shown["gap"].value
    assert labnis(f"log {path}").out.startswith(f"{path}: nothing happened")


class Quiet(Watcher):
    needs_fits = False


def test_in_real_time_they_are_made_also_where_nobody_asks_for_them(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(TRUTH_TEXT + "time: real\n", encoding="utf-8")
    timing = {"time_constant": 1e-3, "settling_time": 0.02}
    with dry_session(tmp_path, Quiet(), truth="real.yaml") as session:
        path = session.run(IVSweep(points=101, **timing)).path
    assert estimates_of(path)
    with dry_session(tmp_path, Quiet()) as session:
        assert not estimates_of(session.run(IVSweep(points=41)).path)
