"""Results as a table."""

import math
from collections.abc import Collection, Iterable, Mapping

from rich.cells import cell_len
from rich.table import Table

from labnis.fit import Estimate, number_text
from labnis.ui.output import cells, encodable

__all__ = ["estimate_table"]

_LINES = 3
"""Characters between two columns; and one more at the end of a row."""


def estimate_table(
    estimates: Mapping[str, Estimate],
    *,
    truth: Mapping[str, float] | None = None,
    doubtful: Collection[str] = (),
    title: str = "",
    width: float = math.inf,
) -> Table:
    """Table of results; with `truth`, the true values and the deviations in σ beside them.

    Both parts of σ are shown where systematic uncertainty is stated, and where `width` (characters) has room for them:
    `labnis budget` has them too. Those in `doubtful` are marked.
    """
    names = [encodable(name.replace("_", " ") + (" ?" if name in doubtful else "")) for name in estimates]
    value = _column("value ± σ", map(str, estimates.values()))
    parts = [_column(name, map(_text, estimates.values(), sigmas)) for name, sigmas in _parts(estimates).items()]
    true = [] if truth is None else [_column(*column) for column in _compared(estimates, truth).items()]
    whole = len(parts) and _width([names, value, *parts, *true]) <= width
    columns = [value, *(parts if whole else ()), *true]
    fits = _width([names, *columns]) <= width

    caption = "?: in doubt, see the warnings" if doubtful else None
    table = Table(title=title or None, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("result")
    for heading, *_ in columns:
        table.add_column(heading, justify="right", no_wrap=fits)
    for row in zip(names, *(texts for _, *texts in columns), strict=True):
        table.add_row(*cells(row))
    return table


def _parts(estimates: Mapping[str, Estimate]) -> dict[str, list[float]]:
    """Noise and systematic part of σ; nothing where no systematic uncertainty is stated."""
    if all(estimate.systematic is None for estimate in estimates.values()):
        return {}
    return {
        "noise": [estimate.statistical for estimate in estimates.values()],
        "systematic": [math.nan if one.systematic is None else one.systematic for one in estimates.values()],
    }


def _text(estimate: Estimate, part: float) -> str:
    return "" if estimate.limit is not None else number_text(part, estimate.unit)


def _compared(estimates: Mapping[str, Estimate], truth: Mapping[str, float]) -> dict[str, list[str]]:
    """True values, and the deviations from them in σ."""
    values, deviations = [], []
    for name, estimate in estimates.items():
        true = truth.get(name)
        known = true is not None and estimate.sigma > 0 and estimate.limit is None
        values.append("" if true is None else str(Estimate(true, 0.0, estimate.unit)))
        deviations.append(f"{(estimate.value - true) / estimate.sigma:+.1f} σ" if true is not None and known else "")
    return {"truth": values, "off by": deviations}


def _column(heading: str, texts: Iterable[str]) -> list[str]:
    """Heading and texts, as they will be printed."""
    return [encodable(heading), *map(encodable, texts)]


def _width(columns: Iterable[list[str]]) -> int:
    """Characters that a table needs if its first column is folded at spaces, and no other."""
    names, *others = columns
    longest = [max((cell_len(word) for name in names for word in name.split()), default=0)]
    longest += [max(map(cell_len, column)) for column in others]
    return sum(longest) + _LINES * len(longest) + 1
