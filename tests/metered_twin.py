"""A twin with one Keysight multimeter at a current amplifier as a fixture, for tests of its driver and of its panel."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyvisa
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.visa import LabnisVisaLibrary

WIRING = {"time_constant": 0.0, "divider": 1e3, "amplifiers": {"femto": {"gain": -1e7}}}
BEHIND_AMPLIFIER = SimulatedRole("current", "ammeter", amplifier="femto")


def panel_of(twin: Twin, name: str = "dmm") -> FrontPanel:
    """The front panel of an instrument of the twin."""
    library = pyvisa.ResourceManager(twin.visalib).visalib
    assert isinstance(library, LabnisVisaLibrary)
    return library.panels[name]


@contextmanager
def metered_twin(
    model: str, role: SimulatedRole = BEHIND_AMPLIFIER, wiring: Mapping[str, Any] = WIRING
) -> Iterator[Twin]:
    """The twin with a `dmm` of a model, in a role, just switched on; 1 mV of bias is on the device."""
    instruments = {
        "yoko": SimulatedInstrument("yoko", ("YokogawaGS200",), (SimulatedRole("bias", "bias"),)),
        "dmm": SimulatedInstrument("dmm", (model,), (role,)),
    }
    with open_twin(SHIPPED_TRUTH, seed=0, wiring=wiring, instruments=instruments) as twin:
        panel_of(twin, "yoko").receive(b":SOUR:LEV 1;:OUTP ON")
        yield twin
        Instrument.close_all()
