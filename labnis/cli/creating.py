"""Creating a lab's own folder: `new lab`."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from labnis.cli.options import path_of
from labnis.errors import RequestError
from labnis.ui.output import say
from sim_instruments import SHIPPED_TRUTH

__all__ = ["new"]

new = typer.Typer(help="Create a lab's own folder from a template.", no_args_is_help=True, add_completion=False)


@new.callback()
def _new() -> None:
    """Keep `lab` a subcommand: typer merges a group of one command."""


@new.command("lab")
def lab(
    folder: Annotated[
        Path,
        typer.Argument(parser=path_of, metavar="FOLDER", help="Folder to create; it must be empty or not exist."),
    ],
) -> None:
    """Write a station file, a package with an instrument, a measurement and its fit, and their tests."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"{folder} exists and is not empty; give another folder")
    try:
        with as_file(files("labnis.cli") / "lab_template") as template:
            shutil.copytree(template, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(SHIPPED_TRUTH, folder / "twin.yaml")
    except OSError as error:
        raise RequestError(f"{folder}: cannot be written: {error.strerror or error}") from error
    say(f"{folder} is ready; next: cd {folder}, labnis check, labnis run mylab.maps.GateMap --dry-run")
