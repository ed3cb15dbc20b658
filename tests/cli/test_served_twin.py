"""A twin that `labnis twin serve` serves is told as simulated, as JSON and on the terminal."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.run.bench import ROOT, changed, command, write_station

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


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[dict[str, str]]:
    """Instrument → address of what `labnis twin serve` serves with these options."""
    process = subprocess.Popen(
        [sys.executable, "-m", "labnis.cli", "twin", "serve", "--seed", "1", *options],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield dict(line.split() for line in iter(process.stdout.readline, "ready\n"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        process.stdout.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder with a station file for the instruments that `labnis twin serve` serves."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder) as addresses:
        (folder / "station.yaml").write_text(STATION.format(**addresses), encoding="utf-8")
        yield folder


OTHERS = """\
instruments:
  yoko: {type: drivers.yokogawa_gs200.YokogawaGS200, address: "GPIB0::1::INSTR"}
  sr830: {type: drivers.sr830.SR830, address: "GPIB0::8::INSTR"}
  gate_source: {type: drivers.yokogawa_gs200.YokogawaGS200, address: "GPIB0::2::INSTR"}
labnis:
  roles:
    bias: yoko
    current: {instrument: sr830, channel: aux1, amplifier: femto}
    gate: {instrument: gate_source, kind: setpoint, parameter: voltage, maximum: 1.0, rate: 0.1}
  wiring: {divider: 100.0, series_resistance: 2000.0, amplifiers: {femto: {gain: -1.0e+7}}}
  limits: {maximum_bias: 6.0e-3, maximum_step: 1.0e-3, ramp_rate: 0.02, compliance: 5.0e-6}
  visalib: "@py"
  twin: {file: truth.yaml}
"""


def test_the_instruments_of_a_station_file_are_served(tmp_path: Path) -> None:
    file = write_station(tmp_path, OTHERS)
    with serving(tmp_path, "--station", "station.yaml") as addresses:
        assert list(addresses) == ["yoko", "sr830", "gate_source"]
        text = OTHERS
        for address, name in (
            ("GPIB0::1::INSTR", "yoko"),
            ("GPIB0::8::INSTR", "sr830"),
            ("GPIB0::2::INSTR", "gate_source"),
        ):
            text = changed(text, address, addresses[name])
        write_station(tmp_path, text)
        assert command("cooldown start first", tmp_path).code == 0
        answer = command(f"check --station {file.name} --open --json", tmp_path)
        readings = {one["role"]: one for one in json.loads(answer.out)["readings"]}
        assert [one["problem"] for one in readings.values()] == ["", "", ""], answer.err
        assert abs(readings["current"]["value"]) < 1e-9
        measured = command("run IVSweep --yes --set points=25 --set settling_time=0s --json", tmp_path)
        assert measured.code == 0, measured.err
        assert json.loads(measured.out)["simulated"] is True


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
    assert (shown.out + shown.err).count("value ± σ") == 1

    assert [run["simulated"] for run in json.loads(command("ls --json", served).out)] == [True, True]
    assert all(entry["simulated"] for entry in json.loads(command("calibrations --simulated --json", served).out))
    assert "SIMULATED" in command("calibrations --simulated", served).out.splitlines()[0]
    run = json.loads(answer.out)["runs"][0]
    assert "no interlock, fault or pause" in command(f"log {run}", served).out
    assert json.loads(command(f"log {run} --json", served).out) == []
