"""Timing of alternatives side by side."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from timeit import timeit

import numpy as np

__all__ = ["Line", "promise", "ratio_line", "seconds"]

_SHORTEST_TURN = 0.02  # s


@dataclass(frozen=True)
class Line:
    """One line of the report: quantity, value as text, and a remark."""

    subject: str
    figure: str
    remark: str = ""


def ratio_line(ratio: float, promised: float) -> Line:
    """Ratio of two times, and the promised one."""
    return Line("  ratio", f"{ratio:.0f}", promise(f"at least {promised:.0f}", ratio >= promised))


def promise(limit: str, kept: bool) -> str:
    """Remark with the promise, and whether it was `kept`."""
    return f"{limit} is promised" if kept else f"TOO SLOW: {limit} is promised"


def seconds(*actions: Callable[[], object], rounds: int = 5) -> list[float]:
    """Median wall time (s) of each action; in alternating rounds, so that a busy machine slows all equally.

    A short action is repeated within its turn: alone, it would mostly show the state of the caches.
    """
    times = np.empty((rounds, len(actions)))
    repeats = [math.ceil(_SHORTEST_TURN / timeit(action, number=1)) for action in actions]
    for turn in times:
        turn[:] = [timeit(action, number=n) / n for action, n in zip(actions, repeats, strict=True)]
    return [float(t) for t in np.median(times, axis=0)]
