"""Making runs whole that broke off: `recover`. It needs the storage alone, and starts as quickly."""

from pathlib import Path
from typing import Annotated

import typer

from labnis.storage import recover as recover_run

__all__ = ["recover"]


def recover(
    file: Annotated[Path, typer.Argument(help="File of a run, whole or damaged.")],
    gone: Annotated[bool, typer.Option("--gone", help="Nobody writes this run any more, wherever that was.")] = False,
) -> None:
    """Make a run that broke off readable and complete, from its journal; a healthy one is left alone."""
    report = recover_run(file, writer_is_gone=gone)
    for sentence in report.done or ("The file is healthy; nothing was changed.",):
        typer.echo(sentence)
    typer.echo(f"{report.rows} rows, {report.status}{f': {report.reason}' if report.reason else ''}")
    if report.lost:
        typer.echo(f"lost: {report.lost}")
