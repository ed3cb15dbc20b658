"""A twin of one Keithley 2602B whose channel A is on the bias line, as a fixture for tests of driver and panel."""

from collections.abc import Iterator

import pytest
import pyvisa
from pyvisa.resources import MessageBasedResource
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from sim_instruments.panels.keithley_2600b import Keithley2600BPanel
from sim_instruments.visa import LabnisVisaLibrary


def twin_of(model: str, channel: str = "smua") -> dict[str, SimulatedInstrument]:
    """One instrument `smu` of the class `model`."""
    return {"smu": SimulatedInstrument("smu", (model,), (SimulatedRole("bias", "bias", channel=channel),))}


@pytest.fixture(name="twin")
def keithley_2600b_twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    """The twin, just switched on; the name of another class is the fixture's parameter."""
    instruments = twin_of(getattr(request, "param", "Keithley2600B"))
    wiring = {"time_constant": 0.0, "divider": 1e3}
    with open_twin(SHIPPED_TRUTH, seed=0, wiring=wiring, instruments=instruments) as found:
        yield found
        Instrument.close_all()


@pytest.fixture(name="wire")
def plain_wire(twin: Twin) -> MessageBasedResource:
    """A connection without a driver."""
    opened = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["smu"])
    assert isinstance(opened, MessageBasedResource)
    opened.read_termination = opened.write_termination = "\n"
    return opened


@pytest.fixture(name="panel")
def simulated_panel(wire: MessageBasedResource) -> Keithley2600BPanel:
    """The panel itself."""
    assert isinstance(wire.visalib, LabnisVisaLibrary)
    found = wire.visalib.panels["smu"]
    assert isinstance(found, Keithley2600BPanel)
    return found


EMPTY = "0.00000e+00\tQueue Is Empty\t0.00000e+00\t1.00000e+00"


def next_error(wire: MessageBasedResource) -> str:
    """Number and text of the oldest entry of the error queue."""
    answer = wire.query("print(errorqueue.next())").split("\t")
    return f"{float(answer[0]):.0f} {answer[1]}"
