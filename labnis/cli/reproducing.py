"""The command that repeats the source papers: `reproduce`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from labnis.cli.options import path_of
from labnis.errors import RequestError
from labnis.reproduction import FIGURES, Statement, markdown_table
from labnis.ui.output import cells, print_table, say

__all__ = ["reproduce"]

_DOTS_PER_INCH = 92
# Characters in a line of the table if the output is not a terminal: its cells are sentences.
_WIDEST = 120


def reproduce(
    figure: Annotated[
        list[str] | None,
        typer.Option("--figure", help=f"Only this figure; may be given again: {', '.join(FIGURES)}.", metavar="NAME"),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", parser=path_of, metavar="FOLDER", help="Folder for the figures (PNG).")
    ] = Path("reproduction"),
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown, nothing else.")] = False,
) -> None:
    """Draw the figures of the source papers, and compare their numbers with the computed ones."""
    names = list(dict.fromkeys(figure or FIGURES))
    for name in names:
        if name not in FIGURES:
            raise RequestError(f"--figure {name}: unknown figure; allowed are {', '.join(FIGURES)}")
    statements: list[Statement] = []
    for name in names:
        published = FIGURES[name]()
        file = out / f"{name}.png"
        try:
            out.mkdir(parents=True, exist_ok=True)
            published.draw().savefig(file, dpi=_DOTS_PER_INCH, pil_kwargs={"optimize": True})
        except OSError as error:
            raise RequestError(f"--out {out}: cannot be written: {error.strerror or error}") from error
        statements += published.statements()
        if not markdown:
            say(f"figure: {file}")
    if markdown:
        say(markdown_table(statements).rstrip("\n"))
    else:
        _show(statements)


def _show(statements: Sequence[Statement]) -> None:
    table = Table(show_lines=True, expand=True, leading=1)
    for heading, ratio in (("statement", 4), ("published", 3), ("computed", 4), ("agrees? why", 6)):
        table.add_column(heading, ratio=ratio)
    for s in statements:
        verdict = "yes" if s.holds else "no"
        reason = f"{verdict}: {s.why}" if s.why else verdict
        table.add_row(*cells([f"{s.source}: {s.what}", s.published, s.computed, reason]))
    print_table(table, widest=_WIDEST)
    say(f"{sum(s.holds for s in statements)} of {len(statements)} agree")
