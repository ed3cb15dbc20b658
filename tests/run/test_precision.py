"""Runs that end when a result is known, and that choose their biases for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray

from labnis.accuracy import Budget, Source
from labnis.errors import RequestError
from labnis.experiment.analysis import analyses_of, result_units
from labnis.experiment.goals import PrecisionGoal, check_informed, outcomes_of, parsed_goals
from labnis.experiment.information_order import InformedOrder
from labnis.experiment.run import Run
from labnis.fit import FitResult
from labnis.storage import open_run, read_events
from procedures import CALIBRATION, EmittedPowerVsBias, IVSweep
from tests.run.bench import BiasLog, Commands, Watcher, dry_session, fit_only_the_end

UNITS = result_units([analyses_of(kind)[0] for kind in CALIBRATION])


@pytest.mark.parametrize(
    ("text", "sigma", "relative"),
    [
        ("gain=0.05dB", 0.05, False),
        ("gain = 0.05 dB", 0.05, False),
        ("gap=0.1%", 1e-3, True),
        ("gap=5e-8eV", 5e-8, False),
        ("gap=0.05 µeV", 5e-8, False),
        ("electron_temperature=.5mK", 5e-4, False),
        ("normal_resistance=0.01kohm", 10.0, False),
        ("resonance_frequency=1e-3 MHz", 1e3, False),
        ("damping_line=1e5 1/s", 1e5, False),
    ],
)
def test_goal_is_read_with_its_unit(text: str, sigma: float, relative: bool) -> None:
    (goal,) = parsed_goals([text], UNITS)
    assert goal.result == text.partition("=")[0].strip()
    assert goal.sigma == pytest.approx(sigma)
    assert goal.relative is relative
    assert parsed_goals([str(goal)], UNITS) == (goal,)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["gain"], "write it as"),
        (["gain=little"], "write it as"),
        (["loss=1dB"], "'loss' is no result here; results are gap, "),
        (["gap=0.1"], "σ needs a unit: gap=0.1 eV, or % of the value"),
        (["gap=1mK"], "'mK' cannot be expressed in eV"),
        (["gain=1 bananas"], "'bananas' cannot be expressed in dB"),
        (["gain=-0.1dB"], "positive"),
        (["gain=0dB"], "positive"),
        (["gain=1dB", "gain=1%"], "twice"),
    ],
)
def test_goal_that_is_none_is_refused(texts: list[str], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        parsed_goals(texts, UNITS)


def test_goal_that_no_procedure_can_reach_is_refused(labnis: Commands) -> None:
    answer = labnis("run IVSweep --dry-run --until gain=0.1dB")
    assert answer.code == 2
    assert "--until 'gain=0.1dB': 'gain' is no result here; results are gap, normal_resistance" in answer.err


def test_a_goal_whose_fit_needs_an_earlier_run_is_refused_without_it(
    tmp_path: Path, labnis: Commands, bias: BiasLog
) -> None:
    answer = labnis("run EmittedPowerVsBias --dry-run --until gain=0.1dB --set order=information")
    assert answer.code == 2
    assert "needs a fit of reflection, and this cooldown has none; run ReflectionVsBias first" in answer.err
    assert not bias.moved
    assert not list(tmp_path.rglob("*.h5"))
    with dry_session(tmp_path, Watcher()) as session:
        with pytest.raises(RequestError, match="run ReflectionVsBias first"):
            session.run(EmittedPowerVsBias(), until=["gain=0.1dB"])
        # In the calibration the earlier steps give what the later ones need.
        session.prepare([kind() for kind in CALIBRATION], until=["gain=0.1dB"])


def test_an_informed_order_needs_a_goal_and_an_analysis_that_can_choose() -> None:
    sweep = IVSweep(order="information")
    with pytest.raises(RequestError, match="give --until"):
        check_informed(sweep, analyses_of(sweep), ())
    with pytest.raises(RequestError, match="cannot choose its biases: it has no analysis"):
        check_informed(sweep, (), ())

    class Blind:
        name, results = "blind", {"gap": "eV"}

    with pytest.raises(RequestError, match="its analysis blind has no `sensitivity`"):
        check_informed(sweep, (Blind(),), parsed_goals(["gap=1%"], UNITS))  # type: ignore[arg-type]


def test_sigma_of_few_data_does_not_count() -> None:
    def fit(freedom: int) -> FitResult:
        return FitResult("m", ("gain",), ("dB",), np.array([50.0]), np.diag([1e-4]), 1.0, freedom, 1.0)

    goal = PrecisionGoal("gain", 0.05, "dB")
    assert goal.reached(fit(100))
    assert not goal.reached(fit(4))
    assert not PrecisionGoal("gain", 1e-4, "dB", relative=True).reached(fit(100))


def run_iv(folder: Path, goal: str, order: str, points: int = 41) -> tuple[Run, IVSweep]:
    sweep = IVSweep(points=points, order=order)
    with dry_session(folder, Watcher()) as session:
        return session.run(sweep, until=[goal]), sweep


@pytest.mark.parametrize("order", [pytest.param("sweep", marks=pytest.mark.long), "information"])
def test_run_ends_when_the_result_is_known(order: str, tmp_path: Path) -> None:
    outcome, sweep = run_iv(tmp_path, "normal_resistance=0.02%", order)
    assert outcome.status == "done"
    assert 10 <= outcome.rows < 41
    assert outcome.results["normal_resistance"].statistical <= 2e-4 * outcome.results["normal_resistance"].value
    assert any("normal_resistance=0.02%" in note for note in outcome.notes)
    assert [event.message for event in read_events(outcome.path) if event.kind == "until"] == [
        "normal_resistance=0.02% was reached: the run ends"
    ]
    off = (outcome.results["normal_resistance"].value - 12e3) / outcome.results["normal_resistance"].sigma
    assert abs(off) < 4
    biases = open_run(outcome.path)["bias"].values
    if order == "sweep":
        np.testing.assert_array_equal(biases, sweep.biases())
        assert open_run(outcome.path)["current"].notnull().sum() == outcome.rows
    else:
        # The resistance is told by the ends of the curve.
        assert (np.abs(biases[10:]) > 1e-3).any()
        assert outcome.rows < 30


def test_fit_in_doubt_reaches_no_goal() -> None:
    (goal,) = parsed_goals(["gap=1%"], UNITS)
    sure = FitResult("curve", ("gap",), ("eV",), np.array([2e-4]), np.array([[1e-14]]), degrees_of_freedom=50)
    doubted = replace(sure, warnings=("the model is incomplete",))
    assert goal.reached(sure)
    assert not goal.reached(doubted)
    (outcome,) = outcomes_of([goal], doubted, ended=False)
    assert (
        str(outcome) == "--until gap=1% was not reached: σ is 100 neV, but the fit is in doubt: the model is incomplete"
    )


def test_a_goal_counts_noise_and_says_where_the_rest_is_larger() -> None:
    (goal,) = parsed_goals(["gap=200neV"], UNITS)
    noise = FitResult("curve", ("gap",), ("eV",), np.array([2e-4]), np.array([[1e-14]]), degrees_of_freedom=50)
    gain = Source("meter.gain", "gain of the meter", "1", 1e-3, "normal", "sheet", "voltage.gain")
    judged = [replace(noise, budget=Budget((gain,), np.array([[size]]))) for size in (1.5e-7, 3e-7)]
    (small,), (large,) = (outcomes_of([goal], fit, ended=False) for fit in judged)
    assert small.reached and str(small).endswith("was reached: σ is 100 neV, at most 200 neV was wanted")
    assert large.reached and str(large).endswith("; with what is stated of the instruments it is 316 neV")


def test_goal_that_is_never_reached_ends_with_the_last_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit_only_the_end(monkeypatch, 16)
    outcome, _ = run_iv(tmp_path, "gap=1e-7%", "information", points=16)
    assert outcome.rows == 16
    assert not any("ended" in note for note in outcome.notes)


def test_resumed_run_repeats_its_last_bias_before_it_goes_on_choosing() -> None:
    measured = xarray.Dataset(coords={"bias": ("point", [0.0, 1.0, 0.3])})
    order = InformedOrder(
        np.linspace(0, 1, 11),
        parsed_goals(["gap=1%"], UNITS),
        sensitivity=lambda *_: pytest.fail("there is no fit yet"),
        data=lambda: measured,
        latest=lambda: None,
    )
    assert order(2) == 0.3
    assert order(3) in np.linspace(0, 1, 11)


def test_before_there_is_a_fit_the_whole_range_is_looked_at() -> None:
    grid = np.linspace(-1, 1, 65)
    order = InformedOrder(
        grid,
        parsed_goals(["gap=1%"], UNITS),
        sensitivity=lambda *_: pytest.fail("there is no fit yet"),
        data=lambda: None,
        latest=lambda: None,
    )
    assert [order(number) for number in range(5)] == [-1, 1, 0, -0.5, 0.5]
    assert len({order(number) for number in range(65)}) == 65


def test_goals_and_a_record_of_messages_exclude_each_other(labnis: Commands) -> None:
    answer = labnis("run IVSweep --dry-run --record-visa --until gap=1%")
    assert answer.code == 2
    assert "--until and --record-visa exclude each other" in answer.err
