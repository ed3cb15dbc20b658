"""35: a secret in the ledger's URL, or in the environment, is in no file, no log, no snapshot, no message."""

from pathlib import Path

import pytest

from labnis.ledger import open_ledger
from tests.faults.measuring import Lab

CANARY = "Kanarienvogel4711"


def everything_below(*folders: Path) -> bytes:
    return b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())


def test_a_run_with_a_ledger_whose_url_holds_a_secret(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite ignores parameters of a `file:` URI that it does not know, so this ledger works."""
    url = f"sqlite:///file:{lab.folder}/secret.sqlite?uri=true&password={CANARY}"
    open_ledger(url, device="nis").start_cooldown("secrets")
    lab.write_station(below=f"  device: {{name: nis}}\n  ledger: {url}  # was postgresql://labnis:{CANARY}@db/labnis\n")
    monkeypatch.setenv("LABNIS_DATABASE_PASSWORD", CANARY)
    command = ["run", "IVSweep", "--yes", "--record-visa", "--set", "points=41"]
    answer = lab.without_data_option(*command)
    assert answer.returncode == 0, answer.stderr
    lab.assert_safe()
    lab.station.unlink()  # the one place where it may be
    assert lab.run_file.is_file()
    assert len(list(lab.data.rglob("*.visa.jsonl"))) == 1
    assert CANARY.encode() not in everything_below(lab.folder)
    assert CANARY not in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://labnis:{CANARY}@127.0.0.1:1/labnis",
        f"nonsense://labnis:{CANARY}@127.0.0.1/labnis",
        f"sqlite:////nowhere/at/all.sqlite?password={CANARY}",
    ],
)
def test_a_ledger_that_cannot_be_opened(lab: Lab, url: str) -> None:
    lab.write_station(below=f"  ledger: {url}\n")
    answer = lab.without_data_option("run", "IVSweep", "--yes")
    assert answer.returncode in (2, 6), answer.stderr
    assert CANARY not in answer.stdout + answer.stderr
    assert lab.log == []
