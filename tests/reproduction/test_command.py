"""`labnis reproduce`: exactly the figures that were asked for, and the table."""

from pathlib import Path

import matplotlib.image
import pytest

from labnis.reproduction import FIGURES
from tests.run.bench import Commands, labnis  # noqa: F401  # a fixture


@pytest.mark.parametrize("name", ["powers", "photon-bath"])
def test_draws_the_figure_that_was_asked_for(name: str, tmp_path: Path, labnis: Commands) -> None:  # noqa: F811
    answer = labnis(f"reproduce --figure {name} --out figures")
    assert answer.code == 0
    (file,) = (tmp_path / "figures").iterdir()
    assert file.name == f"{name}.png"
    assert answer.out.startswith(f"figure: {Path('figures') / file.name}\n")
    pixels = matplotlib.image.imread(file)
    assert pixels.shape[0] > 250
    assert pixels.shape[1] > 400
    assert pixels.std() > 0.05


def test_prints_the_table(labnis: Commands) -> None:  # noqa: F811
    lines = labnis("reproduce --figure powers --figure powers").out.splitlines()
    (heading,) = (line for line in lines if "published" in line)
    assert "computed" in heading
    assert "why" in heading
    assert lines[-1] == "4 of 4 agree"
    assert max(map(len, lines)) <= 120
    assert sum("Efficiency" in line for line in lines) == 1


def test_prints_markdown_and_nothing_else(labnis: Commands) -> None:  # noqa: F811
    lines = labnis("reproduce --figure powers --markdown").out.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("| ") or line.startswith("|-") for line in lines)


def test_another_name_is_refused_with_those_that_there_are(tmp_path: Path, labnis: Commands) -> None:  # noqa: F811
    answer = labnis("reproduce --figure powers --figure '[b]nothing[/b]'")
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("labnis: --figure [b]nothing[/b]: unknown figure; allowed are ")
    assert all(name in answer.err for name in FIGURES)
    assert not (tmp_path / "reproduction").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path, labnis: Commands) -> None:  # noqa: F811
    (tmp_path / "file").write_text("in the way")
    answer = labnis("reproduce --figure powers --out file")
    assert answer.code == 2
    assert "--out file: cannot be written" in answer.err


def test_without_a_terminal_the_text_is_plain_and_the_folder_is_reproduction(
    tmp_path: Path,
    labnis: Commands,  # noqa: F811
) -> None:
    answer = labnis("reproduce --figure powers")
    assert "\x1b" not in answer.out
    assert (tmp_path / "reproduction/powers.png").is_file()
