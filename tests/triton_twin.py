"""A twin of one Oxford Triton, its driver and its panel as fixtures."""

from collections.abc import Iterator
from typing import cast

import pytest
from qcodes.instrument import Instrument

from drivers.oxford_triton import TritonFridge
from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from sim_instruments.panels.oxford_triton import OxfordTritonPanel
from sim_instruments.visa import LabnisVisaLibrary

INSTRUMENTS = {"triton": SimulatedInstrument("triton", ("TritonFridge",), (SimulatedRole("fridge", "thermometer"),))}


@pytest.fixture(name="twin")
def triton_twin() -> Iterator[Twin]:
    """The twin, just switched on."""
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=INSTRUMENTS) as found:
        yield found
        Instrument.close_all()


@pytest.fixture(name="triton")
def triton_driver(twin: Twin) -> TritonFridge:
    """Its driver."""
    return TritonFridge("triton", twin.addresses["triton"], visalib=twin.visalib)


@pytest.fixture(name="panel")
def triton_panel(triton: TritonFridge) -> OxfordTritonPanel:
    """Its panel, as the driver sees it."""
    library = cast(LabnisVisaLibrary, triton.visa_handle.visalib)
    return cast(OxfordTritonPanel, library.panels["triton"])
