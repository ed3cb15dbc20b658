"""Every command and every program in README.md works as described."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from labnis.cli import run

pytestmark = pytest.mark.documentation

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^ *```(\w*)\n(.*?)^ *```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
COMMANDS = [line.split("#")[0].strip() for _, text in BLOCKS for line in text.splitlines() if "labnis " in line]
PROGRAMS = [text for language, text in BLOCKS if language == "python"]

# These need a fridge, a broken run or another terminal; tests/faults and tests/cli run them.
REAL = {
    "labnis calibrate",
    "labnis check --open",
    "labnis safe",
    "labnis resume",
    "labnis recover FILE",
    "labnis twin serve --port 5025",
    "labnis new lab FOLDER",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working copy in which every README command works unchanged."""
    made = tmp_path_factory.mktemp("readme")
    shutil.copy(ROOT / "station.yaml", made)
    queue = "[{procedure: IVSweep, set: {points: 41}}, {procedure: ReflectionVsBias, set: {points: 5}}]"
    assert queue in (ROOT / "README.md").read_text(encoding="utf-8")
    (made / "night.yaml").write_text(queue, encoding="utf-8")
    shutil.copytree(ROOT / "sim_instruments", made / "sim_instruments", ignore=shutil.ignore_patterns("*.py"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        _run(patch, "labnis run IVSweep --dry-run --set points=41")
    return made


def _run(patch: pytest.MonkeyPatch, command: str) -> None:
    patch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code in (0, None), command


def _commands() -> list[str]:
    mine = [c for c in COMMANDS if c.startswith("labnis ") and c not in REAL]
    assert len(mine) >= 8
    return mine


@pytest.mark.timeout(500)  # the isotherms of a cooler alone take a minute
def test_commands_in_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for command in _commands():
        runs = [path.stem[-8:] for path in sorted(folder.glob("data/*/*/*.h5"))]
        _run(monkeypatch, command.replace("RUN RUN", " ".join(runs[-2:])).replace("RUN", runs[-1]))
    assert (folder / "run.png").stat().st_size > 10_000


def results_in(text: str) -> dict[str, tuple[float, float, str, str, float]]:
    """Result → value, σ, unit, truth and distance (σ), from a table without lines."""
    table = text[text.index("Results of a SIMULATED measurement") :]
    parts = r" {2,}[\d.]+ \S+ {2,}[\d.]+ \S+"
    rows = re.findall(
        rf"^(\S.*?) {{2,}}([\d.]+) ± ([\d.]+) (\S+){parts} {{2,}}(\S+ \S+) {{2,}}([+-][\d.]+) σ$", table, re.M
    )
    return {
        name: (float(value), float(sigma), unit, truth, float(off)) for name, value, sigma, unit, truth, off in rows
    }


def test_the_table_of_results_is_what_the_command_prints(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    _run(monkeypatch, "labnis calibrate --dry-run")
    printed = results_in(capsys.readouterr().out)
    (shown,) = [results_in(text) for _, text in BLOCKS if "Results of a SIMULATED" in text]
    assert len(shown) == 11
    assert shown.keys() == printed.keys()
    for name, (value, sigma, unit, truth, off) in printed.items():
        # Other versions of the libraries may round otherwise.
        assert shown[name][2:4] == (unit, truth)
        assert shown[name][0] == pytest.approx(value, abs=0.1 * sigma), name
        assert shown[name][1] == pytest.approx(sigma, rel=0.1), name
        assert shown[name][4] == pytest.approx(off, abs=0.15), name


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda text: text.split()[-1][:20])
def test_programs(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run = next(folder.glob("data/*/*/*IVSweep*.h5"))
    program = re.sub(r'"data/.*?\.h5"', f'"{run.as_posix()}"', program)
    exec(compile(program, "README.md", "exec"), {})  # noqa: S102  # our own README, and it must run
