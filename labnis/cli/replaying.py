"""The command that repeats a recorded one without instruments: `replay`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from labnis.cli.options import DataOption, path_of
from labnis.ui.output import say
from labnis.visa_log.replay import replay as replay_record

__all__ = ["replay"]


def replay(
    file: Annotated[
        Path, typer.Argument(parser=path_of, metavar="FILE", help="VISA record, written with --record-visa.")
    ],
    data: DataOption = None,
) -> None:
    """Repeat a recorded command without instruments; the same messages must give the same rows, bit for bit."""
    folder = data or Path(tempfile.mkdtemp(prefix="labnis-replay-"))
    try:
        found = replay_record(file, folder)
    finally:
        if data is None and not any(folder.iterdir()):
            folder.rmdir()
        else:
            say(f"replayed into {folder}", err=True)
    for sentence in found.report:
        say(sentence)
    say(f"{found.messages} messages, {'all' if found.whole else 'as far as the record goes'} as recorded")
