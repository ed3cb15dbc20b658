"""The command that repeats a recorded one without instruments: `replay`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from labnis.cli.options import DataOption
from labnis.visa_log.replay import replay as replay_record

__all__ = ["replay"]


def replay(
    file: Annotated[Path, typer.Argument(help="VISA record, written with --record-visa.")],
    data: DataOption = None,
) -> None:
    """Repeat a recorded command without instruments; the same messages must give the same rows, bit for bit."""
    folder = data or Path(tempfile.mkdtemp(prefix="labnis-replay-"))
    typer.echo(f"replayed into {folder}", err=True)
    found = replay_record(file, folder)
    for sentence in found.report:
        typer.echo(sentence)
    typer.echo(f"{found.messages} messages, {'all' if found.whole else 'as far as the record goes'} as recorded")
