"""The minimal station of docs/station.md: its file and its commands, in a folder of its own."""

import re
import shlex
from pathlib import Path

import pytest

from labnis.station import load_station
from labnis.storage import list_runs
from tests.documentation.pages import BLOCK, command
from tests.run.bench import ROOT

pytestmark = pytest.mark.documentation

BLOCKS = list(BLOCK.finditer((ROOT / "docs" / "station.md").read_text(encoding="utf-8")))


def test_the_station_is_one_source_meter_and_its_commands_succeed(tmp_path: Path) -> None:
    (file,) = [block for block in BLOCKS if block["file"]]
    (tmp_path / file["file"]).write_text(file["text"], encoding="utf-8")
    config = load_station(tmp_path / file["file"])
    assert (list(config.roles), list(config.instruments)) == (["bias"], ["keithley"])
    (console,) = [block["text"] for block in BLOCKS if block["kind"] == "console"]
    check, copy, check_dry, rehearsal = [shlex.split(line.removeprefix("$ ")) for line in console.splitlines()]
    assert command(check, tmp_path).code == 0
    without = command(check_dry, tmp_path)
    assert without.code == 2, "a dry run needs the truth file"
    assert re.search(
        r"line 16: labnis\.twin\.file: there is no .*nis_device\.yaml; a truth file is copied", without.err
    )
    for words in (copy, check_dry):
        answer = command(words, tmp_path)
        assert answer.code == 0, answer.err
    measured = command(rehearsal, tmp_path)
    assert measured.code == 0, measured.err
    assert "Results of a SIMULATED measurement" in measured.out
    (run,) = list_runs(tmp_path / "data")
    assert (run.procedure, run.status) == ("IVSweep", "done")
