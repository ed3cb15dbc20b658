"""Recovering interrupted runs: `recover`. It imports only the storage, so that it starts quickly."""

from pathlib import Path
from typing import Annotated

import typer

from labnis.cli.options import path_of
from labnis.storage import recover as recover_run
from labnis.ui.output import say

__all__ = ["recover"]


def recover(
    file: Annotated[Path, typer.Argument(parser=path_of, metavar="FILE", help="File of a run, whole or damaged.")],
    gone: Annotated[bool, typer.Option("--gone", help="No process writes this run any more, on any machine.")] = False,
) -> None:
    """Make an interrupted run readable and complete, from its journal; an intact file is not changed."""
    report = recover_run(file, writer_is_gone=gone)
    for sentence in report.done or ("The file is intact; nothing was changed.",):
        say(sentence)
    say(f"{report.rows} row{'s' * (report.rows != 1)}, {report.status}{f': {report.reason}' if report.reason else ''}")
    if report.lost:
        say(f"lost: {report.lost}")
