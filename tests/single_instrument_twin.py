"""A twin of one bias source, for tests of its driver and of its panel."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pyvisa
from pyvisa.resources import MessageBasedResource
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.visa import LabnisVisaLibrary

__all__ = ["opened_wire", "panel_of", "source_twin"]

Panel = TypeVar("Panel", bound=FrontPanel)


@contextmanager
def source_twin(model: str, channel: str | int | None = None) -> Iterator[Twin]:
    """The twin, just switched on, with a source named `source` on the bias line."""
    instruments = {"source": SimulatedInstrument("source", (model,), (SimulatedRole("bias", "bias", channel),))}
    wiring = {"time_constant": 0.0, "divider": 1e3}
    with open_twin(SHIPPED_TRUTH, seed=0, wiring=wiring, instruments=instruments) as found:
        yield found
        Instrument.close_all()


def panel_of(instrument: Instrument, kind: type[Panel]) -> Panel:
    """The panel at which an open instrument is."""
    library = instrument.visa_handle.visalib  # type: ignore[attr-defined]  # of each VisaInstrument
    assert isinstance(library, LabnisVisaLibrary)
    found = library.panels["source"]
    assert isinstance(found, kind)
    return found


def opened_wire(twin: Twin) -> MessageBasedResource:
    """A session of PyVISA alone."""
    opened = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["source"])
    assert isinstance(opened, MessageBasedResource)
    opened.read_termination = opened.write_termination = "\n"
    return opened
