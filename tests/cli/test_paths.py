"""Paths: any folder name, `~`, and control characters."""

import inspect
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from labnis.cli import COMMANDS
from labnis.cli.options import path_of
from tests.run.bench import STATION_TEXT, Commands, changed, write_station
from tests.storage.conftest import run_factory

ODD = ("a?b=c", "a%20b", "a#b", "a b", "Müller", "it's", 'a"b', "[bold]x[-]", "a&b;c")


@pytest.mark.parametrize("name", ODD)
def test_cooldowns_and_calibrations_stay_in_a_folder_of_any_name(name: str, tmp_path: Path, labnis: Commands) -> None:
    folder = tmp_path / name
    quoted = "'" + str(folder).replace("'", "'\\''") + "'"
    assert labnis(f"cooldown start first --data {quoted}").code == 0
    assert "first" in labnis(f"cooldown list --data {quoted}").out
    assert (folder / "ledger.sqlite").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "station.yaml", "truth.yaml"])


def test_the_station_s_own_data_folder_may_have_any_name_too(tmp_path: Path, labnis: Commands) -> None:
    odd = "lab's?data #1%20"
    station = write_station(tmp_path / odd, STATION_TEXT)
    quoted = "'" + str(station).replace("'", "'\\''") + "'"
    assert labnis(f"cooldown start first --station {quoted}").code == 0
    assert (tmp_path / odd / "data" / "ledger.sqlite").is_file()


def test_a_tilde_is_the_home_folder_in_options_and_in_the_station_file(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    assert labnis("cooldown start first --data=~/option").code == 0
    write_station(tmp_path, changed(STATION_TEXT, "  data: data", "  data: ~/station\n  ledger: sqlite:///~/book.db"))
    assert labnis("cooldown start first").code == 0
    assert sorted(path.name for path in home.iterdir()) == ["book.db", "option", "station"]
    assert not (tmp_path / "~").exists()


def test_control_characters_in_a_path_are_refused_with_file_and_line(tmp_path: Path, labnis: Commands) -> None:
    write_station(tmp_path, changed(STATION_TEXT, "  data: data", '  data: "da\\x1bta"'))
    line = next(n for n, text in enumerate(Path("station.yaml").read_text().splitlines(), 1) if "x1b" in text)
    answer = labnis("ls")
    assert answer.code == 2 and f"station.yaml, line {line}: labnis.data: " in answer.err, answer.err
    assert "control characters" in answer.err and "\x1b" not in answer.err
    answer = labnis("ls --data 'da\x07ta'")
    assert answer.code == 2 and "control characters" in answer.err and "\x07" not in answer.err


def callbacks(name: str) -> list[Any]:
    """Functions of a command, or of all commands of a group."""
    found = getattr(import_module(f"labnis.cli.{COMMANDS[name][0]}"), f"{name}_" if iskeyword(name) else name)
    return (
        [found]
        if callable(found) and not isinstance(found, typer.Typer)
        else [one.callback for one in found.registered_commands]
    )


def test_every_path_on_the_command_line_expands_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert path_of("~/x") == tmp_path / "x"
    parsers = {}
    for name in COMMANDS:
        for callback in callbacks(name):
            for parameter in inspect.signature(callback, eval_str=True).parameters.values():
                kind, *described = get_args(parameter.annotation)
                if Path in (kind, *get_args(kind)):
                    parsers[f"{name} {parameter.name}"] = described[0].parser
    assert len(parsers) > 20
    assert set(parsers.values()) == {path_of}


@pytest.mark.parametrize("command", ["show", "log", "resume --dry-run"])
def test_a_run_is_named_by_a_path_with_a_tilde(
    command: str, tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    run = run_factory(tmp_path / "data")()
    run.finish("done")
    answer = labnis(f"{command} --data data '~/{run.path.relative_to(tmp_path)}'")
    assert "no such file" not in answer.err
    assert answer.code == (2 if "resume" in command else 0), answer.err
    for name in ("~/no.h5", "~nobody-of-this-name/x", f"{'x' * 300}.h5"):
        answer = labnis(f"{command} --data data {name}")
        assert answer.code == 2 and name in answer.err and "Traceback" not in answer.err
