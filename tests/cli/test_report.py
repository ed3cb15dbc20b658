"""Reports: one file with all that a colleague needs, and nothing from elsewhere."""

import html
import json
import re
import shlex
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import labnis as package
from labnis.cli import reporting
from labnis.storage import read_metadata
from labnis.ui.report import browser
from tests.run.bench import BUDGETED_TEXT, Commands, changed, write_station

NOTE = "cooled <script>alert(1)</script> & warmed"


@pytest.fixture
def run(labnis: Commands, tmp_path: Path) -> Path:
    """A run with a budget, and with a note that is no markup."""
    write_station(tmp_path, BUDGETED_TEXT)
    words = ["run", "IVSweep", "--dry-run", "--json", "--seed", "3", "--set", "points=61", "--note", NOTE]
    answer = labnis(shlex.join(words))
    assert answer.code == 0, answer.err
    return Path(json.loads(answer.out)["runs"][0])


class Page(HTMLParser):
    """What a page loads, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "href") and not value.startswith("#")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_report_has_all_and_loads_nothing(labnis: Commands, run: Path, tmp_path: Path) -> None:
    answer = labnis(f"report {run} --out r.html --title 'For <you>'")
    assert answer.code == 0, answer.err
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    stored = package.open_run(run)
    for name, estimate in stored.results.items():
        assert name.replace("_", " ") in page.text and str(estimate) in page.text
    fit = stored.fits["current_voltage"]
    words = " ".join(page.text.split())
    for text in (NOTE, "For <you>", "SIMULATED", "series resistance", *fit.notes, *fit.assumed.values(), stored.run_id):
        assert text in words, text
    assert stored.metadata["git_commit"] in words
    assert "script" not in page.tags
    (figure,) = page.loaded
    assert figure.startswith("data:image/svg+xml;base64,")


def test_settings_have_their_units(labnis: Commands, run: Path, tmp_path: Path) -> None:
    assert labnis(f"report {run} --out r.html").code == 0
    text = Page((tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert "maximum_bias 0.0012 V" in text and "series_resistance 2000 ohm" in text


@pytest.mark.parametrize("words", ["", "--until gap=10% --fix dynes=1e-4 --set points=101 --twin other.yaml"])
def test_the_commands_of_a_report_repeat_the_run(words: str, labnis: Commands, run: Path, tmp_path: Path) -> None:
    if words:
        truth = (tmp_path / "truth.yaml").read_text(encoding="utf-8")
        (tmp_path / "other.yaml").write_text(changed(truth, "gap: 215.0e-6", "gap: 180.0e-6"), encoding="utf-8")
        run = Path(json.loads(labnis(f"run IVSweep --dry-run --seed 5 --json {words}").out)["runs"][0])
    assert labnis(f"report {run} --out r.html").code == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8").partition("How to reproduce")[2]
    commands, truth = map(html.unescape, re.findall(r"<pre>(.*?)</pre>", page, flags=re.DOTALL))
    (tmp_path / "truth.yaml").write_text(truth, encoding="utf-8")
    refit, again = commands.strip().splitlines()
    first = package.open_run(run).results
    assert labnis(refit.removeprefix("labnis ")).code == 0
    answer = labnis(f"{again.removeprefix('labnis ')} --json")
    assert answer.code == (7 if words else 0), "another gap than that of the run before is doubted"
    for name, one in json.loads(answer.out)["results"].items():
        assert one["value"] == first[name].value


def test_a_file_alone_is_shown_and_reported(labnis: Commands, run: Path, tmp_path: Path) -> None:
    (tmp_path / "station.yaml").unlink()
    for words in ("show RUN --figure f.png", "log RUN", "budget RUN", "report RUN --out r.html"):
        answer = labnis(words.replace("RUN", str(run)))
        assert answer.code == 0, answer.err
    assert "station.yaml: cannot be read" in labnis("show 1234").err


@pytest.mark.parametrize("with_station", [True, False])
def test_a_run_of_another_lab_is_asked_of_the_ledger_there(
    with_station: bool, labnis: Commands, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert labnis("ledger revoke 1 --why 'the cable'").code == 0
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    if with_station:
        write_station(tmp_path / "other", BUDGETED_TEXT)
    assert "it was revoked: the cable" in labnis(f"show {run}").out
    assert labnis(f"report {run} --out r.html").code == 0
    assert "Warning: it was revoked: the cable" in Page(Path("r.html").read_text(encoding="utf-8")).text


def test_a_cooldown_is_reported_with_what_was_revoked(labnis: Commands, run: Path, tmp_path: Path) -> None:
    assert labnis("run IVSweep --dry-run --seed 4 --set points=41").code == 0
    (number,) = [one["number"] for one in json.loads(labnis("ledger history gap --simulated --json").out)][:1]
    assert labnis(f"ledger revoke {number} --why 'the <b>cable</b>'").code == 0
    answer = labnis("report dry-run --out r.html")
    assert answer.code == 0 and "2 runs" in answer.out
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "All results" in page.text and "b" not in page.tags
    assert "Warning: it was revoked: the <b>cable</b>" in page.text
    assert page.text.count("gap ?") >= 2, "among all results, and with the run"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--out r.docx", "the name must end with .html or .pdf"),
        ("--out there.html", "there.html exists; give another name"),
        ("--out none/r.html", "cannot be written: No such file or directory"),
        ("--out r.pdf", "a PDF needs Chromium or Chrome, and there is none here; write .html"),
    ],
)
def test_what_cannot_be_written(
    words: str, told: str, labnis: Commands, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "browser", str)
    (tmp_path / "there.html").touch()
    answer = labnis(f"report {run} {words}")
    assert answer.code == 2 and told in answer.err


@pytest.mark.skipif(not browser(), reason="no Chromium or Chrome, which prints the PDF")
def test_a_pdf(labnis: Commands, run: Path, tmp_path: Path) -> None:
    assert labnis(f"report {run} --out r.pdf").code == 0
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF-")


def test_times_are_those_of_the_lab_everywhere(
    labnis: Commands, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ls`, figure and report had UTC, and the ledger the local time."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        local = read_metadata(run)["start"].astimezone()
        assert f"{local:%Y-%m-%d %H:%M}" in labnis("ls").out
        assert f"{local:%Y-%m-%d %H:%M}" in labnis("ledger history gap --simulated").out
        assert labnis(f"report {run} --out r.html").code == 0
        assert f"{local:%Y-%m-%d %H:%M} +0545" in (tmp_path / "r.html").read_text(encoding="utf-8")
        (header, *_) = [text.get_text() for part in package.open_run(run).plot().subfigs for text in part.texts]
        assert f"{local:%Y-%m-%d %H:%M}" in header
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_revoked_run_is_in_doubt_in_its_budget_and_its_log(labnis: Commands, run: Path) -> None:
    assert labnis("ledger revoke 1 --why 'the cable'").code == 0
    assert "in doubt (?): current_voltage: it was revoked: the cable" in labnis(f"log {run}").out
    assert "no warning" not in labnis(f"log {run}").out
    told = labnis(f"budget {run}").out
    assert "gap ?" in " ".join(told.split()) and "?: it was revoked: the cable" in told
    record = json.loads(labnis(f"budget {run} --json").out)["current_voltage"]
    assert record["warnings"] == ["it was revoked: the cable"]


def test_a_figure_says_that_a_run_has_no_fit_or_was_not_completed(labnis: Commands, tmp_path: Path) -> None:
    write_station(tmp_path, BUDGETED_TEXT)
    made = labnis("run IVSweep --dry-run --json --seed 3 --set points=21 --set maximum_bias=3e-5")
    run = package.open_run(json.loads(made.out)["runs"][0])
    assert run.problems
    texts = " ".join(str(text.get_text()) for part in run.plot().subfigs for one in part.subfigs for text in one.texts)
    assert "no fit (current_voltage): " in texts
    header = replace(run, status="aborted").plot().subfigs[0].texts[0].get_text()
    assert header.endswith("aborted, 21 rows")
