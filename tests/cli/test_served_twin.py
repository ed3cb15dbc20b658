"""A twin that `labnis twin serve` serves is told as simulated, as JSON and on the terminal."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.bench import ROOT, command

pytestmark = pytest.mark.faults

STATION = """\
instruments:
  keithley: {{type: drivers.keithley_2450.Keithley2450, address: "{bias}"}}
  sr830: {{type: drivers.sr830.SR830, address: "{lockin}"}}
  lakeshore: {{type: drivers.lakeshore_372.LakeShore372, address: "{fridge}", init: {{channel: 1}}}}
labnis:
  roles: {{bias: keithley, lockin: sr830, fridge: lakeshore}}
  wiring: {{series_resistance: 2000.0, amplifiers: {{preamplifier: {{gain: 1.0e+7}}}}}}
  limits: {{maximum_bias: 6.0e-3, maximum_step: 1.0e-3, ramp_rate: 0.02, compliance: 5.0e-6}}
  visalib: "@py"
"""
RUN = "run IVSweep --yes --set points=25 --set settling_time=0s --set time_constant=1ms"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder with a station file for the instruments that `labnis twin serve` serves."""
    folder = tmp_path_factory.mktemp("served")
    process = subprocess.Popen(
        [sys.executable, "-m", "labnis.cli", "twin", "serve", "--seed", "1"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines = list(iter(process.stdout.readline, "ready\n"))
        addresses = dict(line.split() for line in lines)
        (folder / "station.yaml").write_text(STATION.format(**addresses), encoding="utf-8")
        yield folder
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        process.stdout.close()


def test_every_command_says_that_a_served_twin_is_simulated(served: Path) -> None:
    assert command("cooldown start first", served).code == 0
    checked = command("check --open", served)
    assert (checked.code, checked.out.splitlines()[-1]) == (0, "ok, with SIMULATED instruments"), checked.err
    opened = json.loads(command("check --open --json", served).out)
    assert opened["simulated"] is True
    assert {one["role"]: one["problem"] for one in opened["readings"]} == {"bias": "", "lockin": "", "fridge": ""}
    assert json.loads(command("check --json", served).out)["simulated"] is None  # not known without opening them

    answer = command(f"{RUN} --json", served)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["simulated"] is True
    shown = command(RUN, served)
    assert "simulated time" in shown.err and "SIMULATED IVSweep" in shown.err
    assert "Results of a SIMULATED measurement" in shown.out

    assert [run["simulated"] for run in json.loads(command("ls --json", served).out)] == [True, True]
    assert all(entry["simulated"] for entry in json.loads(command("calibrations --json", served).out))
    assert "SIMULATED" in command("calibrations", served).out.splitlines()[0]
    run = json.loads(answer.out)["runs"][0]
    assert "no interlock, fault or pause" in command(f"log {run}", served).out
    assert json.loads(command(f"log {run} --json", served).out) == []
