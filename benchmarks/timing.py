"""Timing of alternatives side by side."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Line", "ratio_line", "seconds"]


@dataclass(frozen=True)
class Line:
    """One line of the report: what was measured, the figure as text, and a remark."""

    subject: str
    figure: str
    remark: str = ""


def ratio_line(ratio: float, promised: float) -> Line:
    """How many times faster something is, beside what was promised."""
    words = f"at least {promised:.0f} is promised"
    return Line("  ratio", f"{ratio:.0f}", words if ratio >= promised else f"TOO SLOW: {words}")


def seconds(*actions: Callable[[], object], rounds: int = 5) -> list[float]:
    """Median wall time (s) of each action; the rounds take turns, so that a busy machine slows all alike."""
    times = np.empty((rounds, len(actions)))
    for turn in times:
        for i, action in enumerate(actions):
            start = time.perf_counter()
            action()
            turn[i] = time.perf_counter() - start
    return [float(t) for t in np.median(times, axis=0)]
