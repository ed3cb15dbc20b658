"""How precisely a result is wanted, as `--until gain=0.05dB` or `--until gap=0.1%` say."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pint
from pymeasure.experiment import Procedure
from pymeasure.units import ureg

from labnis.errors import RequestError
from labnis.experiment.analysis import RESULT_UNITS, estimator_for
from labnis.fit import FitResult

__all__ = ["PrecisionGoal", "check_goals", "goals_of", "is_informed", "parsed_goals"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_GOAL = re.compile(rf"(?P<result>\w+)\s*=\s*(?P<number>{_NUMBER})\s*(?P<unit>.*)")

# Residuals as many as these know the noise, and with it every σ, to a sixth.
_LEAST_FREEDOM = 20


@dataclass(frozen=True)
class PrecisionGoal:
    """The largest σ that a result may have.

    Attributes
    ----------
    result
        Its name.
    sigma
        In the unit of the result, or as a fraction of its value where `relative`.
    """

    result: str
    sigma: float
    relative: bool = False

    def __str__(self) -> str:
        """As it is given on the command line."""
        return f"{self.result}={100 * self.sigma:g}%" if self.relative else f"{self.result}={self.sigma:g} {self.unit}"

    @property
    def unit(self) -> str:
        """Of the result."""
        return RESULT_UNITS[self.result]

    def distance(self, fit: FitResult) -> float:
        """σ in `fit` over that which is wanted: 1 or less where the goal is reached."""
        estimate = fit[self.result]
        return estimate.sigma / (self.sigma * abs(estimate.value) if self.relative else self.sigma)

    def reached(self, fit: FitResult) -> bool:
        """Whether the result is known as well as is wanted; never on so few data that σ itself is not known."""
        return fit.degrees_of_freedom >= _LEAST_FREEDOM and self.distance(fit) <= 1


def parsed_goals(texts: Iterable[str]) -> tuple[PrecisionGoal, ...]:
    """Goals from texts like "gain=0.05dB", "gap=0.1%", "electron_temperature=0.5 mK".

    Raises
    ------
    RequestError
        For another form, an unknown result, a unit of another kind, a σ that is not positive, or a result given twice.

    """
    goals = tuple(_parsed(text) for text in texts)
    for goal in goals:
        if sum(other.result == goal.result for other in goals) > 1:
            raise RequestError(f"--until {goal.result} is given twice; give the smaller σ alone")
    return goals


def _parsed(text: str) -> PrecisionGoal:
    match = _GOAL.fullmatch(text.strip())
    if match is None:
        raise RequestError(f"--until {text!r}: write it as result=σ, like gain=0.05dB or gap=0.1%")
    result, sigma, unit = match["result"], float(match["number"]), match["unit"]
    if result not in RESULT_UNITS:
        raise RequestError(f"--until {text!r}: {result!r} is no result; there are {', '.join(RESULT_UNITS)}")
    if unit == "%":
        goal = PrecisionGoal(result, sigma / 100, relative=True)
    else:
        goal = PrecisionGoal(result, sigma * _factor(text, unit, RESULT_UNITS[result]))
    if not (math.isfinite(goal.sigma) and goal.sigma > 0):
        raise RequestError(f"--until {text!r}: σ has to be positive")
    return goal


def _factor(text: str, unit: str, wanted: str) -> float:
    """What `unit` is in the result's own; 1 where it is that, or none was given."""
    if unit in ("", wanted):
        return 1.0
    try:
        return float(ureg.Quantity(1.0, unit).m_as(wanted))
    except (pint.PintError, ValueError, AttributeError) as error:
        raise RequestError(f"--until {text!r}: {unit!r} cannot be expressed in {wanted}; use % or {wanted}") from error


def goals_of(procedure: Procedure, goals: Sequence[PrecisionGoal]) -> tuple[PrecisionGoal, ...]:
    """Those `goals` that this procedure's fit can reach."""
    estimator = estimator_for(type(procedure).__name__)
    return tuple(goal for goal in goals if estimator is not None and goal.result in estimator.results)


def is_informed(procedure: Procedure) -> bool:
    """Whether the biases of `procedure` are chosen by what they tell, rather than swept."""
    return getattr(procedure, "order", "sweep") == "information"


def check_goals(goals: Sequence[PrecisionGoal], procedures: Sequence[Procedure]) -> None:
    """Refuse goals that none of the procedures can reach, and an order of biases that needs a goal and has none.

    Raises
    ------
    RequestError
        Saying which, and what there is.

    """
    for goal in goals:
        if not any(goals_of(procedure, [goal]) for procedure in procedures):
            names = ", ".join(type(procedure).__name__ for procedure in procedures)
            raise RequestError(f"--until {goal}: {names} does not measure {goal.result}")
    for procedure in procedures:
        if is_informed(procedure) and not goals_of(procedure, goals):
            name = type(procedure).__name__
            estimator = estimator_for(name)
            known = ", ".join(estimator.results) if estimator is not None else "nothing"
            raise RequestError(
                f"{name} with order=information has to know for which result it chooses its biases: "
                f"give --until RESULT=σ ({name} measures {known})"
            )
