"""A night's work: queues, tags, readings that fail, and maps that go on the next day."""

import re
import shutil
from pathlib import Path

import pytest

import labnis
from drivers.errors import CommunicationError
from drivers.sr830 import SR830
from labnis.errors import DataQualityError
from labnis.safety.invalid_readings import QualityBit
from labnis.station import OpenStation, load_station
from labnis.storage import list_runs, open_run, read_events
from tests.run import lab_procedures
from tests.run.bench import ROOT, TRUTH_TEXT, BiasLog, Commands, changed

FEW = "{points: 31, time_constant: 0.001}"


def test_a_queue_runs_in_order_with_its_own_settings_and_tags(tmp_path: Path, labnis: Commands) -> None:
    (tmp_path / "night.yaml").write_text(
        f"- {{procedure: IVSweep, set: {FEW}, tags: [before]}}\n"
        "- procedure: ReflectionVsBias\n"
        "  set: {points: 5, frequencies: 41}\n"
        "  note: the second\n",
        encoding="utf-8",
    )
    answer = labnis("queue night.yaml --dry-run --tag night --note whole")
    assert answer.code == 0, answer.err
    first, second = list_runs(tmp_path / "data")
    assert (first.procedure, first.rows, list(first.tags), first.note) == ("IVSweep", 31, ["night", "before"], "whole")
    assert (second.procedure, second.rows, list(second.tags), second.note) == (
        "ReflectionVsBias", 5, ["night"], "the second",
    )  # fmt: skip
    assert first.run_id in labnis("ls --tag before").out
    assert second.run_id not in labnis("ls --tag before").out
    assert "the second" in labnis(f"show {second.run_id}").out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {procedure: IVSweep, sett: {points: 11}}", "line 1, entry 1: sett: unknown key; the keys of an entry are"),
        ("- {procedure: IVSweep}\n- {set: {points: 11}}", "line 2, entry 2: procedure: missing"),
        ("- IVSweep", "line 1, entry 1: found 'IVSweep'; an entry is a mapping"),
        ("- {procedure: IVSweep, set: 5}", "line 1, entry 1: set: found 5; a mapping"),
        ("- {procedure: IVSweep, set: {bias_points: [[0], [1]]}}", "line 1, entry 1: set: found"),
        ("- {procedure: IVSweep, tags: 5}", "line 1, entry 1: tags: found 5; a text or a list of texts"),
        ("- {procedure: IVSweep, tags: ['']}", "line 1, entry 1: the tag '' is not allowed"),
        ("procedure: IVSweep", "line 1: found a mapping (key: value) at the top; a list (- entry) is needed"),
        ("[]", "line 1: the list is empty"),
        ("- procedure: IVSweep\n- procedure: Nonsense", "line 2, entry 2: no procedure 'Nonsense'"),
        ("- {procedure: IVSweep, set: {points: many}}", "line 1, entry 1: IVSweep.points cannot be 'many'"),
        ("- procedure: IVSweep\n  set:\n    pionts: 5", "line 3, entry 1: IVSweep has no parameter 'pionts'"),
        ("- {procedure: IVSweep, set: {maximum_bias: 0.1}}", "line 1, entry 1: IVSweep would go to a bias of 0.1 V"),
        ("- procedure: antigravity.Fly", "line 1, entry 1: procedure 'antigravity.Fly': its name is from a file"),
        ("- procedure: tests.run.lab_procedures.NeedsGain", "line 1, entry 1: NeedsGain needs a value for gain"),
    ],
)
def test_a_queue_with_a_mistake_measures_nothing(
    text: str, said: str, tmp_path: Path, labnis: Commands, bias: BiasLog
) -> None:
    (tmp_path / "night.yaml").write_text(text, encoding="utf-8")
    answer = labnis("queue night.yaml --dry-run")
    assert answer.code == 2
    assert f"night.yaml, {said}" in answer.err
    assert answer.err.count("\n") == 1
    assert not bias.states


def test_a_queue_takes_lists_of_points_and_integers_in_any_form(tmp_path: Path, labnis: Commands) -> None:
    (tmp_path / "night.yaml").write_text(
        "- {procedure: IVSweep, set: {bias_points: [0, 1e-4, 5.0e-4, 1.0e-3]}, tags: short}\n"
        "- {procedure: tests.run.lab_procedures.CosineScan, set: {points: 1e1}}\n",
        encoding="utf-8",
    )
    answer = labnis("queue night.yaml --dry-run")
    assert answer.code == DataQualityError.exit_code, answer.err  # 4 points are too few for a fit
    first, second = list_runs(tmp_path / "data")
    assert (first.rows, first.tags, second.rows) == (4, ("short",), 10)
    assert open_run(first.path)["bias"].values.tolist() == [0, 1e-4, 5e-4, 1e-3]


LABS = "tests.run.lab_procedures"


def night(folder: Path, *procedures: str) -> None:
    (folder / "night.yaml").write_text("\n".join(f"- procedure: {name}" for name in procedures), encoding="utf-8")


def test_a_queue_goes_on_after_a_run_that_failed_safely(tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    night(tmp_path, f"{LABS}.FailsInTheMiddle", f"{LABS}.CosineScan", f"{LABS}.FailsInTheMiddle", f"{LABS}.Averaged")
    answer = labnis("queue night.yaml --dry-run")
    assert answer.code == 1
    assert "failed: entry 1 (FailsInTheMiddle), entry 3 (FailsInTheMiddle)\n" in answer.err
    assert "the lock-in fell off the table" in answer.err
    assert "not started" not in answer.err
    assert "mean current" in answer.out
    found = {run.procedure: run.status for run in list_runs(tmp_path / "data")}
    assert found == {"FailsInTheMiddle": "failed", "CosineScan": "done", "Averaged": "done"}
    assert bias.left_at_zero


def test_a_stop_ends_a_queue_and_names_what_was_not_started(tmp_path: Path, labnis: Commands) -> None:
    night(tmp_path, f"{LABS}.CosineScan", f"{LABS}.FailsWhenStopped", f"{LABS}.CosineScan", "IVSweep")
    answer = labnis("queue night.yaml --dry-run")
    assert answer.code != 0
    assert "failed: entry 2 (FailsWhenStopped)\n" in answer.err
    assert "not started: entry 3 (CosineScan), entry 4 (IVSweep)\n" in answer.err
    assert len(list_runs(tmp_path / "data")) == 2


def test_a_run_that_does_not_reach_zero_ends_a_queue(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: OpenStation) -> None:
        raise CommunicationError("keithley", "bias UNKNOWN")

    night(tmp_path, f"{LABS}.FailsInTheMiddle", "IVSweep")
    monkeypatch.setattr(OpenStation, "make_safe", unknown)
    answer = labnis("queue night.yaml --dry-run")
    assert answer.code == 5
    assert "not started: entry 2 (IVSweep)\n" in answer.err


@pytest.mark.parametrize("tag", ["''", "' '", "'two\nlines'"])
def test_a_tag_is_one_line_that_is_not_empty(tag: str, labnis: Commands, bias: BiasLog) -> None:
    answer = labnis(f"run IVSweep --dry-run --tag {tag}")
    assert answer.code == 2
    assert "a tag is text in one line, and not empty" in answer.err
    assert not bias.states


@pytest.fixture
def one_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock-in does not answer at the sixth point, however often it is asked."""
    read, asked = SR830.read, iter(range(1000))

    def silent(lockin: SR830) -> complex:
        if next(asked) == 5:
            raise CommunicationError(lockin.described, "no usable answer to 'SNAP?1,2'.")
        return read(lockin)

    monkeypatch.setattr(SR830, "read", silent)


@pytest.mark.usefixtures("one_timeout")
def test_a_reading_that_fails_ends_the_run_unless_it_is_to_be_skipped(
    tmp_path: Path, labnis: Commands, bias: BiasLog
) -> None:
    answer = labnis("run IVSweep --dry-run --set points=21")
    assert answer.code == 5
    assert "no usable answer" in answer.err
    assert bias.left_at_zero


@pytest.mark.usefixtures("one_timeout")
def test_a_skipped_reading_is_flagged_and_the_run_goes_on(tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    answer = labnis("run IVSweep --dry-run --set points=21 --on-error skip")
    assert answer.code == 0, answer.err
    (path,) = tmp_path.glob("data/*/*/*.h5")
    run = open_run(path)
    flagged = run.where(run["quality"] != 0, drop=True)
    assert flagged.sizes["bias"] == 1
    assert int(flagged["quality"][0]) == QualityBit.FAILED
    assert run["conductance"].isnull().sum() == 1
    assert run["current"].notnull().all()
    assert any("no usable answer" in event.message for event in read_events(path))


def test_a_map_that_broke_off_goes_on_the_next_day(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch, bias: BiasLog
) -> None:
    lab = tmp_path / "lab"
    shutil.copytree(ROOT / "labnis" / "cli" / "lab_template", lab)
    shutil.copy(tmp_path / "truth.yaml", lab / "twin.yaml")
    monkeypatch.chdir(lab)
    load_station(Path("station.yaml"))
    from mylab.maps import GateMap  # noqa: PLC0415  # importable from here on

    record, done = GateMap.record, iter(range(1000))

    def breaks(procedure: GateMap, *readings: float) -> None:
        if next(done) == 30:
            raise RuntimeError("the helium ran out")
        record(procedure, *readings)

    with monkeypatch.context() as night:
        night.setattr(GateMap, "record", breaks)
        assert labnis("run mylab.maps.GateMap --dry-run").code == 1
    (path,) = lab.glob("data/*/*/*.h5")
    assert int(open_run(path)["current"].notnull().sum()) == 30
    answer = labnis("resume --dry-run --tag later")
    assert answer.code == 2
    assert "a resumed run keeps its own" in answer.err
    answer = labnis("resume --dry-run")
    assert answer.code == 0, answer.err
    run = open_run(path)
    assert run["current"].dims == ("gate", "bias")
    assert run["current"].notnull().all()
    assert run.attrs["rows"] == run["current"].size
    assert any(event.kind == "overlap" for event in read_events(path))
    assert bias.left_at_zero


def test_a_procedure_without_analyses_says_so(tmp_path: Path, labnis: Commands) -> None:
    answer = labnis("run tests.run.lab_procedures.CosineScan --dry-run")
    assert answer.code == 0
    assert answer.err.count("no analysis is declared") == 1


def test_an_analysis_that_fails_is_named_with_its_line_and_what_to_do(labnis: Commands) -> None:
    answer = labnis("run tests.run.lab_procedures.FitsBadly --dry-run")
    assert answer.code == DataQualityError.exit_code
    line = Path(lab_procedures.__file__).read_text(encoding="utf-8").split('data["curent"]')[0].count("\n") + 1
    assert "no fit (broken): KeyError: " in answer.err
    assert f"({lab_procedures.__file__}, line {line}). The rows are saved" in answer.err
    assert "`import tests.run.lab_procedures`, then labnis.refit(PATH)" in answer.err
    logged = labnis(f"log {list_runs(Path('data'))[0].run_id}").out
    assert "  no-fit: KeyError: " in logged and f", line {line}). The rows are saved" in logged


def test_notes_of_fits_name_the_fit(tmp_path: Path, labnis: Commands) -> None:
    (tmp_path / "sharp.yaml").write_text(changed(TRUTH_TEXT, "dynes: 1.0e-4", "dynes: 0"), encoding="utf-8")
    answer = labnis("run IVSweep --dry-run --set points=41 --twin sharp.yaml --seed 3")
    (note, *_) = re.findall(r"^note \(current_voltage\): .+$", answer.err, re.M)
    logged = labnis(f"log {list_runs(Path('data'))[0].run_id}").out
    assert note in logged
    assert "nothing happened" in logged


def test_warnings_of_fits_name_the_fit_and_mark_its_results(tmp_path: Path, labnis: Commands) -> None:
    (tmp_path / "high.yaml").write_text(
        changed(TRUTH_TEXT, "resistance: 12.0e3 ", "resistance: 3.0e6 "), encoding="utf-8"
    )
    answer = labnis("run IVSweep --dry-run --set points=41 --twin high.yaml")
    warning = r"warning \(current_voltage\): 3[.\d]*e\+06 ohm is unusual for a tunnel junction"
    assert re.search(warning, answer.err)
    assert "normal resistance ? " in answer.out
    assert "?: in doubt, see the warnings" in answer.out
    logged = labnis(f"log {list_runs(Path('data'))[0].run_id}").out
    assert re.search(warning, logged)
    assert "nothing happened" not in logged


def test_an_analysis_may_be_a_mapping_of_values(tmp_path: Path, labnis: Commands) -> None:
    answer = labnis("run tests.run.lab_procedures.Averaged --dry-run --json --set points=11")
    assert answer.code == 0, answer.err
    (path,) = tmp_path.glob("data/*/*/*.h5")
    run = labnis_run(path)
    assert run.results["mean_current"].unit == "A"
    assert run.results["mean_current"].sigma > 0
    assert run.problems == {}


def labnis_run(path: Path) -> "labnis.experiment.run.Run":
    return labnis.open_run(path)
