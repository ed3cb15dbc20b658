"""Results as a table."""

import math
from collections.abc import Collection, Mapping

from rich.table import Table

from labnis.fit import Estimate, number_text
from labnis.ui.output import cells, encodable

__all__ = ["estimate_table"]


def estimate_table(
    estimates: Mapping[str, Estimate],
    *,
    truth: Mapping[str, float] | None = None,
    doubtful: Collection[str] = (),
    title: str = "",
) -> Table:
    """Table of results; with `truth`, the true values and the deviations in σ beside them.

    Both parts of σ are shown where systematic uncertainty is stated. Those in `doubtful` are marked.
    """
    caption = "?: in doubt, see the warnings" if doubtful else None
    table = Table(title=title or None, title_justify="left", caption=caption, caption_justify="left")
    stated = any(estimate.systematic is not None for estimate in estimates.values())
    table.add_column("result")
    table.add_column(encodable("value ± σ"), justify="right")
    for part in ("noise", "systematic") if stated else ():
        table.add_column(part, justify="right")
    if truth is not None:
        table.add_column("truth", justify="right")
        table.add_column("off by", justify="right")
    for name, estimate in estimates.items():
        texts = [name.replace("_", " ") + (" ?" if name in doubtful else ""), str(estimate)]
        if stated:
            parts = (estimate.statistical, math.nan if estimate.systematic is None else estimate.systematic)
            texts += [number_text(part, estimate.unit) if estimate.limit is None else "" for part in parts]
        if truth is not None and name in truth:
            true = Estimate(truth[name], 0.0, estimate.unit)
            known = estimate.sigma > 0 and estimate.limit is None
            off = f"{(estimate.value - truth[name]) / estimate.sigma:+.1f} σ" if known else ""
            texts += [str(true), off]
        table.add_row(*cells(texts))
    return table
