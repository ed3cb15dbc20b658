"""Figures and statements of a source paper, and their comparison with computed values."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from matplotlib.figure import Figure

__all__ = ["Claim", "PublishedFigure", "Statement", "markdown_table"]


@dataclass(frozen=True)
class Statement:
    """One published statement beside the computed value.

    Attributes
    ----------
    source
        Paper and place.
    what
        Quantity or fact.
    published
        As the paper has it.
    computed
        By labnis, now.
    holds
        Whether `computed` agrees with `published` by the rule of this statement.
    why
        Difference and its reason, or assumptions; never empty if they do not agree.

    Raises
    ------
    ValueError
        A statement does not hold and has no reason.

    """

    source: str
    what: str
    published: str
    computed: str
    holds: bool
    why: str = ""

    def __post_init__(self) -> None:
        if not self.holds and not self.why:
            raise ValueError(
                f"why is empty for {self.what!r} ({self.source}), which does not hold; say where it differs"
            )


class Claim(NamedTuple):
    """The paper's part of a `Statement`."""

    source: str
    what: str
    published: str

    def beside(self, computed: str, holds: bool | np.bool_, why: str = "") -> Statement:
        """The statement, with what labnis computes."""
        return Statement(*self, computed, bool(holds), why)


class PublishedFigure(ABC):
    """A figure of a paper; its curves are computed when an object of it is made, and are its attributes."""

    caption: ClassVar[str]
    """In Markdown."""

    @abstractmethod
    def draw(self) -> Figure:
        """The figure."""

    @abstractmethod
    def statements(self) -> Iterable[Statement]:
        """What the paper says about the curves."""


def markdown_table(statements: Sequence[Statement]) -> str:
    """The statements as a Markdown table, one line each."""
    lines = ["| Source | Statement | Published | Computed | Agree | Where they differ and why |", "|-|-|-|-|-|-|"]
    for s in statements:
        cells = (s.source, s.what, s.published, s.computed, "yes" if s.holds else "**no**", s.why)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
