"""Figures and statements of a source paper, and their comparison with computed values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from matplotlib.figure import Figure

__all__ = ["AnyFigure", "PublishedFigure", "Statement", "markdown_table"]

Curves = TypeVar("Curves")


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


@dataclass(frozen=True)
class PublishedFigure(Generic[Curves]):
    """A figure of a paper, computed.

    Attributes
    ----------
    caption
        Caption, in Markdown.
    compute
        Makes the curves.
    draw
        Draws them.
    compare
        Statements of the paper about them.

    """

    caption: str
    compute: Callable[[], Curves]
    draw: Callable[[Curves], Figure]
    compare: Callable[[Curves], Sequence[Statement]]


# A mapping of figures of all kinds does not have the type of their curves.
AnyFigure = PublishedFigure[Any]


def markdown_table(statements: Sequence[Statement]) -> str:
    """The statements as a Markdown table, one line each."""
    lines = ["| Source | Statement | Published | Computed | Agree | Where they differ and why |", "|-|-|-|-|-|-|"]
    for s in statements:
        cells = (s.source, s.what, s.published, s.computed, "yes" if s.holds else "**no**", s.why)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
