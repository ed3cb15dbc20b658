"""87: a run ends while the stage is heated: the bias goes to zero first, then the heater goes off, in every case."""

import signal

import pytest

from tests.faults.commands import Command
from tests.faults.measuring import Lab, kill, wait_for

STAGE = (
    "stage: {instrument: lakeshore, maximum: 0.4, maximum_power: 1.0e-2, heater_resistance: 100, rate: 1, window: 0.1}"
)


@pytest.fixture
def heating(lab: Lab) -> Command:
    """A run whose stage is heated and whose bias is on."""
    text = lab.station.read_text(encoding="utf-8")
    lab.station.write_text(text.replace("fridge: lakeshore}", f"fridge: lakeshore, {STAGE}}}"), encoding="utf-8")
    process = lab.under_way(lab.start("run", "lab_procedures.WarmStage", "--yes"))
    assert switched(lab)[-1] != "RANGE 0,0"
    return process


def switched(lab: Lab) -> list[str]:
    """What switched the heater, in order."""
    return lab.sent("fridge", "RANGE 0,")


def assert_off(lab: Lab) -> None:
    """The heater is off, and went off after the bias was at zero with its output off."""
    wait_for(lambda: switched(lab)[-1] == "RANGE 0,0", within=20.0)
    lab.assert_safe()
    order = [entry.text for entry in lab.log if entry.direction == "in"]
    heater = max(number for number, text in enumerate(order) if text == "RANGE 0,0")
    bias = max(number for number, text in enumerate(order) if text.startswith(":OUTP OFF"))
    assert bias < heater


def test_a_killed_run(lab: Lab, heating: Command) -> None:
    kill(heating)
    assert_off(lab)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped(lab: Lab, heating: Command, signum: int, code: int) -> None:
    heating.send_signal(signum)
    lab.ended(heating, code)
    assert_off(lab)


def test_labnis_safe(lab: Lab, heating: Command) -> None:
    assert lab.safe().returncode == 0
    assert_off(lab)
    lab.ended(heating, 143)


def test_a_heater_that_somebody_left_on(lab: Lab, heating: Command) -> None:
    guardian = heating.guardian()
    assert guardian is not None
    guardian.kill()
    kill(heating)
    answer = lab.safe()
    assert answer.returncode == 0, answer.stderr
    assert "its heater is off now, read back" in answer.stdout
    assert_off(lab)
