"""Goals: the σ at which a run ends, as in `--until gain=0.05dB` or `--until gap=0.1%`."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pint
from pymeasure.experiment import Procedure
from pymeasure.units import ureg

from labnis.errors import RequestError
from labnis.experiment.analysis import Analysis, can
from labnis.fit import FitResult, number_text

__all__ = [
    "GoalOutcome",
    "PrecisionGoal",
    "check_informed",
    "goals_of",
    "is_informed",
    "outcomes_of",
    "parsed_goals",
    "reachable",
    "unit_factor",
]

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_GOAL = re.compile(rf"(?P<result>\w+)\s*=\s*(?P<number>{NUMBER})\s*(?P<unit>.*)")
# The parser of units takes signs that it does not know for nothing, and computes numbers of any size.
_UNIT = re.compile(r"(?:1|%|°?[^\W\d]\w*)(?:(?:\s*[*/·]\s*|\s+)(?:%|[^\W\d]\w*)|\s*(?:\*\*|\^)\s*-?\d(?:\.\d)?)*")

# With this number of residuals the noise, and with it every σ, is known to a sixth.
_LEAST_FREEDOM = 20


@dataclass(frozen=True)
class PrecisionGoal:
    """Largest σ of a result.

    Attributes
    ----------
    result
        Name of the result.
    sigma
        In `unit`, or as a fraction of the result's value where `relative`.
    unit
        Unit of the result.
    """

    result: str
    sigma: float
    unit: str
    relative: bool = False

    def __str__(self) -> str:
        """The form used on the command line."""
        return f"{self.result}={100 * self.sigma:g}%" if self.relative else f"{self.result}={self.sigma:g} {self.unit}"

    def wanted(self, fit: FitResult | None) -> float | None:
        """Largest σ that reaches the goal, in `unit`; None for a fraction of a value that is not known."""
        if not self.relative:
            return self.sigma
        return None if fit is None or self.result not in fit.names else self.sigma * abs(fit[self.result].value)

    def distance(self, fit: FitResult) -> float:
        """σ in `fit` over the wanted σ: 1 or less where the goal is reached."""
        wanted = self.sigma * abs(fit[self.result].value) if self.relative else self.sigma
        return _sigma(fit, self.result) / wanted

    def reached(self, fit: FitResult) -> bool:
        """Whether the goal is reached; never by a fit in doubt, nor with so few data that σ itself is uncertain."""
        known = self.result in fit.names and not fit.warnings and self.result not in fit.limits
        return known and fit.degrees_of_freedom >= _LEAST_FREEDOM and self.distance(fit) <= 1


@dataclass(frozen=True)
class GoalOutcome:
    """Whether a run reached a goal.

    Attributes
    ----------
    goal
        As on the command line.
    reached
        Whether the run ended because of it, or its final fit reaches it.
    sigma
        σ of the final fit, in `unit`; None if there is no fit.
    wanted
        Largest σ that reaches the goal, in `unit`; None if it is a fraction of a value and there is no fit.
    degrees_of_freedom
        Of the final fit; with too few of them σ itself is uncertain, and reaches no goal. None if there is no fit.
    warnings
        Of the final fit; a fit in doubt reaches no goal.
    limit
        What is known of a result that the data do not determine: an upper limit, as text.
    total
        σ with what is stated of instruments and wiring, which no longer run makes smaller; None if nothing is.
    """

    goal: str
    reached: bool
    sigma: float | None
    wanted: float | None
    unit: str
    degrees_of_freedom: int | None
    warnings: tuple[str, ...] = ()
    limit: str = ""
    total: float | None = None

    def __str__(self) -> str:
        reached = "reached" if self.reached else "not reached"
        return f"--until {self.goal} was {reached}: {self._found}{self._with_systematic}"

    @property
    def _with_systematic(self) -> str:
        if self.total is None or self.wanted is None or self.total <= self.wanted:
            return ""
        return f"; with what is stated of the instruments it is {number_text(self.total, self.unit)}"

    @property
    def _found(self) -> str:
        if self.sigma is None or self.wanted is None or self.degrees_of_freedom is None:
            return "there is no fit"
        if self.limit:
            return f"the data do not determine it, {self.limit}"
        sigma, wanted = (number_text(value, self.unit) for value in (self.sigma, self.wanted))
        if self.sigma <= self.wanted and not self.reached and self.warnings:
            return f"σ is {sigma}, but the fit is in doubt: {self.warnings[0]}"
        if self.sigma <= self.wanted and not self.reached:
            few = f"only {self.degrees_of_freedom} degrees of freedom, {_LEAST_FREEDOM} are needed; measure more points"
            return f"σ is {sigma}, but known too badly from {few}"
        return f"σ is {sigma}, at most {wanted} was wanted"


def _sigma(fit: FitResult, result: str) -> float:
    """σ of a result by the covariance of its fit, without its budget: what measuring longer makes smaller.

    Infinite for a component that the device does not have.
    """
    return float(fit.sigma[fit.names.index(result)]) if result in fit.names else math.inf


def outcomes_of(goals: Sequence[PrecisionGoal], fit: FitResult | None, *, ended: bool) -> tuple[GoalOutcome, ...]:
    """The outcome of each goal; `ended` says that the run was ended because all were reached."""
    return tuple(
        GoalOutcome(
            goal=str(goal),
            reached=ended or (fit is not None and goal.reached(fit)),
            sigma=None if fit is None else _sigma(fit, goal.result),
            total=None if fit is None or fit.budget is None or goal.result not in fit.names else fit[goal.result].sigma,
            wanted=goal.wanted(fit),
            unit=goal.unit,
            degrees_of_freedom=None if fit is None else fit.degrees_of_freedom,
            warnings=() if fit is None else fit.warnings,
            limit="" if fit is None or goal.result not in fit.limits else str(fit[goal.result]),
        )
        for goal in goals
    )


def parsed_goals(texts: Iterable[str], units: Mapping[str, str]) -> tuple[PrecisionGoal, ...]:
    """Goals from texts like "gain=0.05dB", "gap=0.1%", "electron_temperature=0.5 mK".

    Parameters
    ----------
    texts
        Goals as text.
    units
        Result → unit, of all results that can be obtained.

    Raises
    ------
    RequestError
        For another form, an unknown result, a unit of another kind, a σ that is not positive, or a result given twice.

    """
    goals = tuple(_parsed(text, units) for text in texts)
    for goal in goals:
        if sum(other.result == goal.result for other in goals) > 1:
            raise RequestError(f"--until {goal.result} is given twice; give the smaller σ alone")
    return goals


def _parsed(text: str, units: Mapping[str, str]) -> PrecisionGoal:
    match = _GOAL.fullmatch(text.strip())
    if match is None:
        raise RequestError(f"--until {text!r}: write it as result=σ, like gain=0.05dB or gap=0.1%")
    result, sigma, unit = match["result"], float(match["number"]), match["unit"]
    if result not in units:
        raise RequestError(f"--until {text!r}: {result!r} is no result here; results are {', '.join(units) or 'none'}")
    if unit == "" and units[result] not in ("", "1"):
        raise RequestError(
            f"--until {text!r}: σ needs a unit: {result}={match['number']} {units[result]}, or % of the value"
        )
    if unit == "%":
        goal = PrecisionGoal(result, sigma / 100, units[result], relative=True)
    else:
        factor = unit_factor(f"--until {text!r}", unit, units[result], "use % or ")
        goal = PrecisionGoal(result, sigma * factor, units[result])
    if not (math.isfinite(goal.sigma) and goal.sigma > 0):
        raise RequestError(f"--until {text!r}: σ must be positive")
    return goal


def unit_factor(where: str, unit: str, wanted: str, advice: str = "give it in ") -> float:
    """Factor from `unit` to the `wanted` one; 1 if they are equal or none was given. A RequestError says `where`."""
    if unit in ("", wanted):
        return 1.0
    refusal = RequestError(f"{where}: {unit!r} cannot be expressed in {wanted}; {advice}{wanted}")
    if not _UNIT.fullmatch(unit):
        raise refusal
    try:
        return float(ureg.Quantity(1.0, unit).m_as("" if wanted == "1" else wanted))
    except (pint.PintError, ValueError, AttributeError) as error:
        raise refusal from error


def goals_of(analyses: Sequence[Analysis], goals: Sequence[PrecisionGoal]) -> tuple[PrecisionGoal, ...]:
    """Those `goals` whose result the primary of `analyses` has; only that one is fitted live."""
    return tuple(goal for goal in goals if analyses and goal.result in analyses[0].results)


def reachable(texts: Sequence[str], analyses: Sequence[Analysis]) -> list[str]:
    """Those of `texts` (as for `parsed_goals`) whose result the primary of `analyses` has."""
    return [text for text in texts if analyses and text.partition("=")[0].strip() in analyses[0].results]


def is_informed(procedure: Procedure) -> bool:
    """Whether the biases of `procedure` are chosen by information, rather than swept."""
    return getattr(procedure, "order", "sweep") == "information"


def check_informed(procedure: Procedure, analyses: Sequence[Analysis], goals: Sequence[PrecisionGoal]) -> None:
    """Refuse order=information without a goal, or without an analysis that has a sensitivity.

    Raises
    ------
    RequestError
        The message names what is missing.

    """
    if not is_informed(procedure):
        return
    name = type(procedure).__name__
    if not analyses or not can(analyses[0], "sensitivity"):
        which = f"its analysis {analyses[0].name} has no `sensitivity`" if analyses else "it has no analysis"
        raise RequestError(f"{name} with order=information cannot choose its biases: {which}; use order=sweep")
    if not goals_of(analyses, goals):
        raise RequestError(
            f"{name} with order=information needs a goal to choose its biases: "
            f"give --until RESULT=σ ({name} measures {', '.join(analyses[0].results)})"
        )
