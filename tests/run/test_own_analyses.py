"""A lab's own analyses: their declarations are checked before a run, and an odd fit is only a problem of that fit."""

import threading
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import labnis
from labnis.errors import RequestError
from labnis.experiment.analysis import analyses_of
from labnis.fit import FitResult
from procedures import IVSweep
from tests.run.bench import BUDGETED_TEXT, Watcher, dry_session, write_station
from tests.run.lab_procedures import Compared, LargestCurrent, MeanCurrent


def an_analysis(**attributes: Any) -> Any:
    """A class as MeanCurrent, with other attributes."""
    return type("Odd", (MeanCurrent,), attributes)


def with_analyses(*kinds: Any) -> Any:
    return type("Measured", (Compared,), {"ANALYSES": kinds})


def no_licence(self: Any) -> None:
    raise RuntimeError("no licence")


CYCLE = (an_analysis(name="a", results={"x": "V"}, needs=("b",)), an_analysis(name="b", needs=("a",)))
DECLARATIONS: dict[str, tuple[Any, str]] = {
    "slash": ((an_analysis(name="a/b"),), r"Odd: name is 'a/b'; a text of letters"),
    "empty": ((an_analysis(name=""),), "Odd: name is ''"),
    "number": ((an_analysis(name=5),), "Odd: name is 5"),
    "list": ((an_analysis(results=["x"]),), r"Odd: results is \['x'\]; a mapping of names to units"),
    "unit": ((an_analysis(results={"x": None}),), "Odd: results has 'x': None"),
    "result with a slash": ((an_analysis(results={"a/b": "V"}),), "Odd: results has 'a/b': 'V'; a name is a text of"),
    "needs": ((an_analysis(needs="mean_current"),), "Odd: needs is 'mean_current'; a sequence of names"),
    "fails": ((an_analysis(__init__=no_licence),), r"Odd cannot be made by Odd\(\): RuntimeError: no licence"),
    "text": ("mylab.fits.Line", "ANALYSES is 'mylab.fits.Line'; a sequence of dotted paths"),
    "cycle": (CYCLE, "analyses need each other: a needs b needs a"),
    "same name": ((MeanCurrent, an_analysis(results={"x": "V"})), "two analyses are called mean_current"),
    "same result": (
        (MeanCurrent, an_analysis(name="other")),
        "mean_current is a result of several analyses, mean_curr",
    ),
    "secondary": ((LargestCurrent, an_analysis(secondary=True)), "needs mean_current, which is secondary"),
}


@pytest.mark.parametrize("case", DECLARATIONS)
def test_a_wrong_declaration_is_refused_before_the_run(case: str) -> None:
    kinds, message = DECLARATIONS[case]
    with pytest.raises(RequestError, match=message):
        analyses_of(type("Measured", (Compared,), {"ANALYSES": kinds}))


def test_an_analysis_gets_the_fit_of_the_same_run(tmp_path: Path) -> None:
    watcher = Watcher()
    with dry_session(tmp_path, watcher) as session:
        for step in (1.0, 3.0):
            run = session.run(Compared(step=step))
            assert run.problems == {}
            assert [*run.fits] == ["largest_current", "mean_current"]
            assert run.results["ratio"].value == pytest.approx(2.0)
            assert run.metadata["calibrations"] == []
        entered = session.ledger.calibrations(cooldown=session.cooldown, quantity="ratio")
    assert [(entry.value, entry.unit) for entry in entered] == [(2.0, "1")] * 2
    assert labnis.refit(run.path).results == run.results
    known = labnis.refit(run.path, priors={"mean_current": run.fits["mean_current"]})
    assert known.results["ratio"] == run.results["ratio"]
    assert watcher.fits[-1].model == "largest_current"


def test_the_budget_of_an_own_analysis_is_found_by_repeating_its_fit(tmp_path: Path) -> None:
    mean, ratio = an_analysis(budget_by_refit=True), type("Ratio", (LargestCurrent,), {"budget_by_refit": True})
    write_station(tmp_path, BUDGETED_TEXT)
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(with_analyses(ratio, mean)(step=1e-8))
        without = session.run(with_analyses(LargestCurrent, MeanCurrent)(step=1e-8))
    budgets = {name: fit.budget for name, fit in run.fits.items()}
    gain, offset = "current_measure.gain[100nA]", "current_measure.offset[100nA]"
    found = {
        name: {one.uid.rpartition("/")[2].partition("@")[0]: c for one, c in zip(b.sources, b.columns[0], strict=True)}
        for name, b in budgets.items()
    }
    assert found["mean_current"][gain] == pytest.approx(2e-8 * 6e-4 / 3**0.5)
    assert found["mean_current"][offset] == pytest.approx(100e-12 / 3**0.5)
    # The prior errs with the data: a gain cancels in the ratio, and an offset does not.
    assert abs(found["largest_current"][gain]) < 1e-9
    assert found["largest_current"][offset] == pytest.approx(100e-12 / 3**0.5 * (1 - 2) / 2e-8, rel=1e-3)
    assert run.results["mean_current"].systematic == pytest.approx(float(np.sqrt(budgets["mean_current"].variance[0])))
    assert all(fit.budget is None and "no systematic part" in fit.notes[0] for fit in without.fits.values())


def test_a_refit_refuses_a_fit_that_does_not_hold_what_it_should(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(with_analyses(MeanCurrent)())
    (name,) = MeanCurrent.results
    found = run.results[name]
    assert labnis.refit(run.path, fixed={name: found}).results[name].value == found.value
    with pytest.raises(RequestError, match=rf"does not hold {name} at 7 but gives .*`context\.fixed`"):
        labnis.refit(run.path, fixed={name: 7.0})


def test_an_interrupt_in_a_live_fit_does_not_end_it_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            raise RuntimeError("the final fit")
        raise KeyboardInterrupt

    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(with_analyses(an_analysis(fit=interrupted))())
    assert run.status == "done" and "RuntimeError: the final fit" in run.problems["mean_current"]
    assert "Traceback" not in capfd.readouterr().err


def test_a_missing_or_failed_fit_that_is_needed_is_named(tmp_path: Path) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("no fit today")

    with dry_session(tmp_path, Watcher()) as session:
        alone = session.run(with_analyses(LargestCurrent)())
        assert alone.problems == {"largest_current": "it needs the fit of mean_current, and there is none"}
        session.run(with_analyses(MeanCurrent)())  # a fit of an earlier run does not replace one of this run
        both = session.run(with_analyses(LargestCurrent, an_analysis(fit=fails))())
    assert "needs the fit of mean_current" in both.problems["largest_current"]
    assert both.results == {}


def test_a_secondary_fit_is_no_prior_of_later_runs(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        session.run(with_analyses(an_analysis(secondary=True))())
        run = session.run(with_analyses(LargestCurrent)())
    assert "there is none" in run.problems["largest_current"]


def result(values: Any = (1.0,), covariance: Any = ((1.0,),), unit: Any = "A", **parts: Any) -> FitResult:
    return FitResult("m", ("mean_current",), (unit,), values, covariance, **parts)


ODD_FITS: dict[str, Any] = {
    "nothing": lambda *_: None,
    "NaN": lambda *_: result(values=np.array([np.nan])),
    "negative variance": lambda *_: result(covariance=[[-1.0]]),
    "shape": lambda *_: result(covariance=np.eye(2)),
    "no chi2": lambda *_: result(chi2=None),
    "no unit": lambda *_: result(unit=None),
    "arrays as inputs": lambda *_: result(inputs={"x": np.ones(2)}),
    "list": lambda *_: [(1.0, 0.1)],
    "other result": lambda *_: {"y": (1.0, 0.1)},
}


def test_an_odd_fit_is_only_a_problem_of_that_fit(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        for case, fit in ODD_FITS.items():
            run = session.run(with_analyses(an_analysis(fit=fit))())
            assert (run.status, run.results, [*run.problems]) == ("done", {}, ["mean_current"]), case
            assert labnis.open_run(run.path).rows == run.rows == 5
        run = session.run(with_analyses(an_analysis(fit=lambda *_: result(values=[1.0])))())
        assert str(run.results["mean_current"]) == "1.0 ± 1.0 A"


class WithoutLockin(IVSweep):
    """As a station without a lock-in measures."""

    USES: ClassVar[tuple[str, ...]] = ()


def test_without_a_lock_in_the_conductance_is_not_mentioned(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(WithoutLockin(points=41))
    assert (run.problems, [*run.fits]) == ({}, ["current_voltage"])
