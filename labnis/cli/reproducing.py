"""The command that repeats the source papers: `reproduce`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labnis.errors import RequestError
from labnis.reproduction import FIGURES, Statement, markdown_table

__all__ = ["reproduce"]

# Characters in a line of the table if the output is not a terminal.
_WIDTH = 120
_DOTS_PER_INCH = 92


def reproduce(
    figure: Annotated[
        list[str] | None,
        typer.Option("--figure", help=f"Only this figure; may be given again: {', '.join(FIGURES)}.", metavar="NAME"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the figures (PNG).")] = Path("reproduction"),
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown, nothing else.")] = False,
) -> None:
    """Draw the figures of the source papers, and compare each published number with the computed one."""
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
            typer.echo(f"figure: {file}")
    if markdown:
        typer.echo(markdown_table(statements), nl=False)
    else:
        _show(statements)


def _show(statements: Sequence[Statement]) -> None:
    # A pipe has no width; a terminal's own width is used.
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    table = Table(show_lines=True, expand=True)
    for heading, ratio in (("statement", 4), ("published", 3), ("computed", 4), ("agrees? why", 6)):
        table.add_column(heading, ratio=ratio)
    for s in statements:
        verdict = "yes" if s.holds else "[bold]no[/]"
        what = escape(f"{s.source}: {s.what}")
        reason = f"{verdict}: {escape(s.why)}" if s.why else verdict
        table.add_row(what, escape(s.published), escape(s.computed), reason)
    console.print(table)
    console.print(f"{sum(s.holds for s in statements)} of {len(statements)} agree", highlight=False)
