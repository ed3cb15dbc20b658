"""What every kind of the soak returns for each of its cases."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.faults.measuring import RAMP_RATE, Lab

__all__ = ["FIRST_STEP", "ZERO", "Case", "ZeroWatch"]

FIRST_STEP = "first step towards zero"
ZERO = "output off at zero"

PATIENCE = 10.0
"""Time (s) beyond the promised one until a source that is not at zero is given up."""


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes
    ----------
    seed
        Chooses the case and its moment.
    happened
        Its variety, in a few words; the table counts them.
    exit_code
        Of the run; None where it was killed, or there was none.
    seconds
        What was timed → time (s); NaN where there was nothing to do.
    rows
        Which rows → their number; the table adds them up.
    problems
        What did not hold; empty if everything did.

    """

    seed: int
    happened: str
    exit_code: int | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class ZeroWatch:
    """Times how the source goes to zero after an event, and compares with what is promised.

    Parameters
    ----------
    lab
        Its twin's log is what is compared.
    event
        Monotonic time (s) of the event.

    """

    def __init__(self, lab: Lab, event: float) -> None:
        self._lab = lab
        self._event = event
        self._before = lab.trajectory()[-1]

    @property
    def seconds(self) -> dict[str, float]:
        """Times (s) from the event; NaN where the source was off before, or has not got there."""
        if not self._before.output:
            return dict.fromkeys((FIRST_STEP, ZERO), float("nan"))
        after = self._lab.trajectory(self._event)
        steps = (point.time for point in after if abs(point.voltage) < abs(self._before.voltage))
        off = (point.time for point in after if not point.output)
        return {
            FIRST_STEP: next(steps, float("nan")) - self._event,
            ZERO: next(off, float("nan")) - self._event,
        }

    def wait(self, within: float) -> list[str]:
        """Wait until the output is off; what did not hold of "the first step comes `within` (s), then the ramp".

        One second is added for opening the source and reading it back.
        """
        ramp = abs(self._before.voltage) / RAMP_RATE
        _wait(lambda: not self._lab.source()["output"], within + ramp + PATIENCE)
        if self._lab.source()["output"]:
            return [f"{within + ramp + PATIENCE:.1f} s later the output was still on, {self._lab.source()}"]
        took = self.seconds
        problems = []
        if took[FIRST_STEP] > within:
            problems.append(f"the first step towards zero came after {took[FIRST_STEP]:.2f} s, promised {within:g} s")
        if took[ZERO] > within + 2 * ramp + 1.0:
            problems.append(f"the output went off after {took[ZERO]:.2f} s, promised {within + 2 * ramp + 1.0:.2f} s")
        return problems

    def check(self) -> list[str]:
        """What does not hold of the way to zero: rate, last write, read back, and nothing set after it."""
        try:
            self._lab.assert_safe(self._event, within=1.0)
        except (AssertionError, ValueError) as error:
            return [f"bias: {error}"]
        after = self._lab.trajectory(self._event)
        off = next((point.time for point in after if not point.output), self._event)
        if any(point.level != 0 or point.output for point in after if point.time > off):
            return ["the source was set again after it was at zero"]
        return []


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
