"""The pages of docs/how-to, followed: each of their commands runs, with the names of what a test has.

What is done at a fridge is done at a served twin. Your own instrument and measurement are in `test_own_lab`.
"""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import labnis
from labnis.storage import list_runs, open_run, read_fits
from sim_instruments import SHIPPED_TRUTH
from tests.cli.test_served_twin import serving
from tests.documentation.pages import BLOCK, DOCS, command, commands_of, executed, text_of
from tests.faults.commands import Command
from tests.run.bench import Answer, write_station

pytestmark = [pytest.mark.documentation, pytest.mark.timeout(300)]  # measurements at the served twin take their time

HOW_TO = DOCS / "how-to"
SOURCE = "TCPIP0::192.168.10.21::inst0::INSTR"
FRIDGE = "http://localhost:49099"
QUICKLY = "--yes --set points=25 --set settling_time=0s"
"""A real measurement is asked for in a terminal, and takes its time."""
FOLLOWED = {"bluefors", "cluster", "figures", "import-and-refit", "read-a-file", "station", "went-wrong"}


def test_every_how_to_is_followed() -> None:
    assert {page.stem for page in HOW_TO.glob("*.md")} == FOLLOWED


def files_of(page: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each file of a page."""
    text = re.sub(r"^ {3}(?=```)", "", text_of(page), flags=re.MULTILINE)
    return ((block["file"], block["text"]) for block in BLOCK.finditer(text) if block["file"])


def succeed(line: str, folder: Path, *, code: int = 0) -> Answer:
    """What a command answers, with its exit code as expected."""
    answer = command(shlex.split(line), folder)
    assert answer.code == code, (line, answer.out, answer.err)
    return answer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Instrument → address, where the last words of the page on Bluefors have served its station."""
    folder = tmp_path_factory.mktemp("served")
    ((_, text),) = files_of(HOW_TO / "bluefors.md")
    (folder / "station.yaml").write_text(text, encoding="utf-8")
    shutil.copy(SHIPPED_TRUTH, folder / "nis_device.yaml")
    (line,) = [line for line in commands_of(HOW_TO / "bluefors.md") if "twin serve" in line]
    with serving(folder, *shlex.split(line)[3:]) as addresses:
        yield addresses


def at_the_fridge(text: str, served: dict[str, str], folder: Path) -> None:
    """A station file with the addresses of what is served."""
    for address, name in ((SOURCE, "keithley"), (FRIDGE, "bluefors")):
        text = text.replace(address, served[name])
    folder.mkdir()
    (folder / "station.yaml").write_text(text.replace("labnis:\n", 'labnis:\n  visalib: "@py"\n'), encoding="utf-8")
    shutil.copy(SHIPPED_TRUTH, folder / "nis_device.yaml")


def minimal_station() -> str:
    """The station of one source-meter, in docs/station.md."""
    ((_, text),) = files_of(DOCS / "station.md")
    return text


def test_the_own_station(tmp_path: Path, served: dict[str, str]) -> None:
    at_the_fridge(minimal_station(), served, tmp_path / "fridge")
    (tmp_path / "station.yaml").write_text(minimal_station(), encoding="utf-8")
    shutil.copy(SHIPPED_TRUTH, tmp_path / "nis_device.yaml")
    answers = {}
    for line in commands_of(HOW_TO / "station.md"):
        if line.startswith("labnis discover "):
            assert len(shlex.split(line)) == 4
            found = succeed(f"labnis discover {served['keithley']} {served['bluefors']}", tmp_path).out
            assert "drivers.keithley_2450.Keithley2450" in found and "drivers.bluefors_control.BlueforsControl" in found
            continue
        real = "dry-run" not in line and line != "labnis check"
        more = f" {QUICKLY}" if line == "labnis run IVSweep" else ""
        answers[line] = succeed(line + more, tmp_path / "fridge" if real else tmp_path)
    assert "SIMULATED" in answers["labnis run IVSweep --dry-run"].out
    assert "bias  keithley" in answers["labnis check --open"].out
    assert "it is 0 V now, read back, and the output is off" in answers["labnis safe"].out
    run, rehearsal = [list_runs(folder / "data") for folder in (tmp_path / "fridge", tmp_path)]
    assert [(one.cooldown, one.status) for one in (*run, *rehearsal)] == [("2026-11-run3", "done"), ("dry-run", "done")]


def test_the_station_with_a_bluefors_fridge(tmp_path: Path, served: dict[str, str]) -> None:
    ((name, text),) = files_of(HOW_TO / "bluefors.md")
    (tmp_path / name).write_text(text, encoding="utf-8")
    for line in commands_of(HOW_TO / "bluefors.md"):
        if "twin serve" in line:
            continue  # it has served all of this
        if "--open" not in line:
            succeed(line, tmp_path)
            continue
        at_the_fridge(text, served, tmp_path / "fridge")
        readings = {
            one["role"]: one for one in json.loads(succeed(f"{line} --json", tmp_path / "fridge").out)["readings"]
        }
        assert {role: one["problem"] for role, one in readings.items()} == dict.fromkeys(
            ("bias", "fridge", "still"), ""
        )
        assert readings["fridge"]["value"] == pytest.approx(0.010, rel=0.05)
    assert [run.procedure for run in list_runs(tmp_path / "data")] == ["IVSweep"]


def test_an_imported_file_and_its_refit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = executed(HOW_TO / "import-and-refit.md", tmp_path, monkeypatch)
    results = notebook.cells[-1].outputs[0].data["text/plain"]
    assert results.count("µeV") == 3
    imported, refitted = commands_of(HOW_TO / "import-and-refit.md")
    write_station(tmp_path)
    assert "gap" in succeed(imported, tmp_path).out
    run = list_runs(tmp_path / "data")[-1]
    succeed(refitted.replace("RUN", f"'{run.path}' --fix dynes=1e-4"), tmp_path)
    assert list(read_fits(run.path)) == ["current_voltage", "current_voltage@2"]


def test_a_file_that_is_read_without_labnis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = executed(HOW_TO / "read-a-file.md", tmp_path, monkeypatch)
    (said,) = [out.text for out in notebook.cells[-1].outputs if out.output_type == "stream"]
    assert "done 101 rows, current in A" in said
    (run,) = list_runs(tmp_path / "data")
    gap = labnis.open_run(run.path).results["gap"]
    assert gap.systematic
    (found,) = re.findall(r"^current_voltage gap (\S+) (\S+) eV$", said, re.MULTILINE)
    assert [float(number) for number in found] == pytest.approx([gap.value, gap.sigma], rel=1e-9)
    after = [cell.source for cell in notebook.cells[1:]]
    assert not any("labnis" in cell for cell in after), "the first cell is the only one that needs labnis"
    (export,) = commands_of(HOW_TO / "read-a-file.md")
    (formats,) = re.findall(r"--to (\S+)", export)
    for number, one in enumerate(formats.split("|")):
        line = export.replace(formats, one).replace("RUN", f"'{run.path}'") + f" --out {number}"
        succeed(line, tmp_path, code=2 if one == "touchstone" else 0)  # a curve has no S11
        assert (tmp_path / str(number)).exists() == (one != "touchstone")


def eventually(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_figures_and_reports(tmp_path: Path) -> None:
    write_station(tmp_path)
    for seed in (1, 2):
        succeed(f"labnis run IVSweep --dry-run --seed {seed} --set points=41", tmp_path)
    first, second = (run.path for run in list_runs(tmp_path / "data"))
    page = HOW_TO / "figures.md"
    ((name, style),) = files_of(page)
    (tmp_path / name).write_text(style, encoding="utf-8")
    lines = [line for line in commands_of(page) if "FILE" not in line and " RUN " in line]
    assert len(lines) == 5
    for line in lines:
        given = re.sub(r"\bRUN\b", f"'{second}'", re.sub(r"\bRUN\b", f"'{first}'", line, count=1))
        succeed(given, tmp_path)
        file = tmp_path / line.split()[-1 if "--style" not in line and "--column" not in line else -3]
        assert file.stat().st_size > 10_000, file
    figure = labnis.open_run(first).plot("conductance")
    assert figure.axes[0].get_ylabel() == "Conductance (µS)"
    assert figure.get_figwidth() == pytest.approx(3.4)


def test_the_refit_on_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_TEMPORARY_DIRECTORY", str(tmp_path))
    write_station(tmp_path)
    succeed("labnis run IVSweep --dry-run --set points=41", tmp_path)
    succeed("labnis run ReflectionVsBias --dry-run --set points=5", tmp_path)
    scheduler, worker = re.findall(r"^ *(dask \w+(?: [^#\n]*)?)#", text_of(HOW_TO / "cluster.md"), re.MULTILINE)
    file = tmp_path / "scheduler.json"
    with ExitStack() as stack:

        def start(line: str) -> None:
            words = [str(Path(sys.executable).with_name("dask")), *shlex.split(line)[1:]]
            process = stack.enter_context(
                subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.send_signal, signal.SIGINT)

        start(f"{scheduler} --host 127.0.0.1 --port 0 --no-dashboard --scheduler-file '{file}'")
        eventually(lambda: file.exists() and file.read_text(encoding="utf-8").endswith("}"))
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
        worker = worker.replace("tcp://scheduler:8786", address).replace("--nworkers 32", "--nworkers 2")
        start(f"{worker} --no-dashboard --local-directory '{tmp_path}'")
        looked, kept = [line for line in commands_of(HOW_TO / "cluster.md") if "COOLDOWN" in line]
        runs = [run.path for run in list_runs(tmp_path / "data")]
        for line, fits in ((looked, 1), (kept, 2)):
            here = line.replace("COOLDOWN", "dry-run").replace("tcp://scheduler:8786", address)
            assert "damping" in succeed(here, tmp_path).out
            assert len(read_fits(runs[-1])) == fits


def test_what_went_wrong(tmp_path: Path, served: dict[str, str]) -> None:
    folder = tmp_path / "fridge"
    at_the_fridge(minimal_station(), served, folder)
    succeed("labnis cooldown start first", folder)
    process = Command(
        ("run", "IVSweep", *shlex.split(QUICKLY.replace("=25", "=301")), "--station", str(folder / "station.yaml")), {}
    )
    eventually(lambda: any(open_run(run.path).attrs["rows"] > 30 for run in list_runs(folder / "data")))
    process.kill()
    process.communicate()
    (run,) = list_runs(folder / "data")

    lines = list(dict.fromkeys(commands_of(HOW_TO / "went-wrong.md")))
    ran = []

    def follow(words: str, more: str = "", **names: object) -> str:
        (line,) = [one for one in lines if one.startswith(f"labnis {words}")]
        ran.append(line)
        for name, value in names.items():
            line = re.sub(rf"\b{name}\b", f"'{value}'", line)
        return succeed(f"{line} {more}", folder).out

    assert "interrupted" in follow("ls")
    assert "the output is off" in follow("safe")
    assert "SIMULATED" in follow("check --open")
    follow("recover", FILE=run.path)
    assert open_run(run.path).attrs["status"] == "failed"
    follow("resume", "--yes")
    assert open_run(run.path).attrs["status"] == "done"
    assert "resumed" in follow("log", RUN=run.path)
    assert "gap" in follow("show", RUN=run.path)
    number = json.loads(succeed("labnis calibrations --simulated --json", folder).out)[0]["number"]
    follow("ledger used-by", NUMBER=number)
    assert "revoked" in follow("ledger revoke", NUMBER=number)
    assert sorted(ran) == sorted(lines)
