"""32: malicious names: paths are slugged, the original is stored unchanged, and not sent to any instrument."""

import shlex
from pathlib import Path

import pytest

from labnis.storage import list_runs, read_metadata
from sim_instruments.panels import FrontPanel
from tests.faults.measuring import SWEEP, Lab
from tests.run.bench import Commands, write_station
from tests.storage.test_metadata import HOSTILE

MARK = "xyzzy4711"
NO_UTF_8 = "\udc80"
PROCEDURE = "tests.faults.lab_procedures.WithSample"


@pytest.fixture
def labnis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    write_station(tmp_path)
    return Commands(monkeypatch, capsys)


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every message that reaches an instrument of the twin."""
    received: list[bytes] = []
    original = FrontPanel.receive

    def noted(panel: FrontPanel, message: bytes) -> None:
        received.append(message)
        original(panel, message)

    monkeypatch.setattr(FrontPanel, "receive", noted)
    return received


@pytest.mark.parametrize("text", [*(text for text in HOSTILE if text != NO_UTF_8), "[red]x[/red]"])
def test_a_sample_is_kept_unchanged_and_never_sent(
    labnis: Commands, messages: list[bytes], tmp_path: Path, text: str
) -> None:
    given = text + MARK
    answer = labnis(f"run {PROCEDURE} --dry-run --set points=20 --set {shlex.quote(f'sample={given}')}")
    assert answer.code == 0, answer.err
    assert len(messages) > 50
    assert not [message for message in messages if MARK.encode() in message or b"*RST" in message.upper()]
    (run,) = list_runs(tmp_path / "data")
    assert read_metadata(run.path)["parameters"]["sample"] == given
    assert run.path.is_relative_to(tmp_path / "data")
    assert MARK not in str(run.path)
    shown = labnis(f"show {run.run_id}")
    assert shown.code == 0, shown.err
    assert MARK in shown.out
    assert "\x1b[2J" not in shown.out


def test_bytes_that_are_no_text_are_refused(labnis: Commands, tmp_path: Path) -> None:
    answer = labnis(f"run {PROCEDURE} --dry-run --set {shlex.quote(f'sample=a{NO_UTF_8}')}")
    assert answer.code == 2
    assert "sample" in answer.err
    assert not (tmp_path / "data").exists()


def test_nor_at_real_addresses(lab: Lab) -> None:
    answer = lab.labnis(
        "run", PROCEDURE, "--yes", *SWEEP, "--set", "points=41", "--set", f"sample=a;*RST\n;:SOUR:VOLT 5 {MARK}"
    )
    assert answer.returncode == 0, answer.stderr
    lab.assert_safe()
    received = [entry.text for entry in lab.log if entry.direction == "in"]
    assert len(received) > 50
    assert not [text for text in received if MARK in text or "*RST" in text.upper() or "VOLT 5" in text]


@pytest.mark.parametrize("name", ["../../x", "<script>", "a;*RST", "nul.h5", "試料", "[red]x[/red]", "x" * 10_000])
def test_a_cooldown_is_a_folder_inside_the_data_folder_and_shown_as_it_is(
    labnis: Commands, messages: list[bytes], tmp_path: Path, name: str
) -> None:
    assert labnis(f"cooldown start -- {shlex.quote(name)}").code == 0
    assert labnis("run IVSweep --dry-run --set points=20").code == 0
    (run,) = list_runs(tmp_path / "data")
    assert run.path.parts[: len(tmp_path.parts) + 1] == (tmp_path / "data").parts
    assert len(run.path.relative_to(tmp_path / "data").parts) == 3
    assert read_metadata(run.path)["cooldown"] == name
    assert not [message for message in messages if name.encode() in message or b"*RST" in message.upper()]
    if len(name) < 20:
        assert name in labnis("cooldown list").out


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\u202eabc", "", "\x1b[2J"])
def test_a_cooldown_with_an_unreadable_name_is_refused(labnis: Commands, name: str) -> None:
    answer = labnis(f"cooldown start -- {shlex.quote(name)}")
    assert answer.code in (2, 6)
    assert "printable" in answer.err
    assert "\x1b" not in answer.err
