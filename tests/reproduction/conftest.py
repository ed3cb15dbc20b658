"""Every figure's curves and statements, computed once: what they cost, all tests share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest

from labnis.reproduction import FIGURES, PublishedFigure, Statement


@dataclass(frozen=True)
class Reproduced:
    curves: PublishedFigure
    statements: list[Statement]

    def __getitem__(self, beginning: str) -> Statement:
        """The one statement whose text begins like this."""
        (found,) = (s for s in self.statements if s.what.startswith(beginning))
        return found


@pytest.fixture(scope="session")
def reproduced() -> Callable[[str], Reproduced]:
    @cache
    def compute(name: str) -> Reproduced:
        curves = FIGURES[name]()
        return Reproduced(curves, list(curves.statements()))

    return compute
