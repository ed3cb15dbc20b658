"""87: a run ends while the stage is heated: the bias goes to zero first, then the heater goes off, in every case."""

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pyvisa

from sim_instruments import SHIPPED_TRUTH, SimulatedClock, load_truth, open_twin
from sim_instruments.server.fridge_web import ControllerWeb
from sim_instruments.visa import LabnisVisaLibrary
from sim_instruments.world import World
from tests.faults.commands import Command
from tests.faults.measuring import Lab, kill, wait_for
from tests.served_panel import served
from tests.triton_twin import INSTRUMENTS

STAGE = "{{instrument: {}, maximum: 0.4, maximum_power: 1.0e-2, heater_resistance: 100, rate: 1, window: 0.1}}"
TRITON = '  triton: {{type: drivers.oxford_triton.TritonFridge, address: "TCPIP0::127.0.0.1::{}::SOCKET"}}\nlabnis:\n'
BLUEFORS = '  bluefors: {{type: drivers.bluefors_controller.BlueforsController, address: "{}"}}\nlabnis:\n'
#: What the last message that switches the heater says when it is off.
OFF = ("RANGE 0,0", "SET:DEV:T8:TEMP:LOOP:MODE:OFF", "active: False")

Switched = Callable[[], list[tuple[float, str]]]


def of_lakeshore(lab: Lab) -> Iterator[Switched]:
    """The Lake Shore 372 of the twin's server."""
    edited(lab, "lakeshore")
    yield lambda: [(e.time, e.text) for e in lab.log if e.instrument == "fridge" and e.text.startswith("RANGE 0,")]


def of_triton(lab: Lab) -> Iterator[Switched]:
    """A Triton of its own at a socket of this process."""
    noted: list[tuple[float, str]] = []
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=INSTRUMENTS) as twin:
        library = pyvisa.ResourceManager(twin.visalib).visalib
        assert isinstance(library, LabnisVisaLibrary)
        panel = library.panels["triton"]
        honest = panel.execute

        def execute(message: str) -> list[bytes]:
            noted.append((time.monotonic(), message.strip()))
            return honest(message)

        panel.execute = execute  # type: ignore[method-assign]
        with served(panel) as port:
            edited(lab, "triton", TRITON.format(port))
            yield lambda: [(at, text) for at, text in noted if ":LOOP:MODE:" in text]
            assert panel.world.stage.given(panel.world.clock.time()) == 0


def of_bluefors(lab: Lab) -> Iterator[Switched]:
    """A Bluefors Temperature Controller of its own, by HTTP of this process."""
    noted: list[tuple[float, str]] = []

    class Noted(ControllerWeb):
        def answered(self, target: str, body: Any) -> tuple[int, Any]:
            if target == "/heater/update" and "active" in body:
                noted.append((time.monotonic(), f"active: {body['active']}"))
            return super().answered(target, body)

    world = World(load_truth(SHIPPED_TRUTH), SimulatedClock())
    with Noted(world).running() as web:
        edited(lab, "bluefors", BLUEFORS.format(web.address))
        yield lambda: noted
        assert not web.heaters[4]["active"]
        assert world.stage.given(world.clock.time()) == 0


def edited(lab: Lab, name: str, instrument: str = "labnis:\n") -> None:
    """Have the stage heated by an instrument, which may be another one."""
    text = lab.station.read_text(encoding="utf-8").replace("labnis:\n", instrument, 1)
    text = text.replace("fridge: lakeshore}", f"fridge: {name}, stage: {STAGE.format(name)}}}")
    lab.station.write_text(text, encoding="utf-8")


@pytest.fixture(params=[of_lakeshore, of_triton, of_bluefors])
def switched(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Switched]:
    """What switched the heater, and when (s), in order."""
    yield from request.param(lab)


@pytest.fixture
def heating(lab: Lab, switched: Switched) -> Command:
    """A run whose stage is heated and whose bias is on."""
    process = lab.under_way(lab.start("run", "lab_procedures.WarmStage", "--yes"))
    assert switched()[-1][1] not in OFF
    return process


def assert_off(lab: Lab, switched: Switched) -> None:
    """The heater is off, and went off after the bias was at zero with its output off."""
    wait_for(lambda: switched()[-1][1] in OFF, within=20.0)
    lab.assert_safe()
    bias = max(entry.time for entry in lab.log if entry.direction == "in" and entry.text.startswith(":OUTP OFF"))
    assert bias < switched()[-1][0]


def test_a_killed_run(lab: Lab, heating: Command, switched: Switched) -> None:
    kill(heating)
    assert_off(lab, switched)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped(lab: Lab, heating: Command, switched: Switched, signum: int, code: int) -> None:
    heating.send_signal(signum)
    lab.ended(heating, code)
    assert_off(lab, switched)


def test_labnis_safe(lab: Lab, heating: Command, switched: Switched) -> None:
    assert lab.safe().returncode == 0
    assert_off(lab, switched)
    lab.ended(heating, 143)


def test_a_heater_that_somebody_left_on(lab: Lab, heating: Command, switched: Switched) -> None:
    guardian = heating.guardian()
    assert guardian is not None
    guardian.kill()
    kill(heating)
    answer = lab.safe()
    assert answer.returncode == 0, answer.stderr
    assert "its heater is off now, read back" in answer.stdout
    assert_off(lab, switched)
