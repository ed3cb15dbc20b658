"""A twin of one Oxford Triton as a fixture, for tests of its driver and of its panel."""

from collections.abc import Iterator

import pytest
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin

INSTRUMENTS = {"triton": SimulatedInstrument("triton", ("TritonFridge",), (SimulatedRole("fridge", "thermometer"),))}


@pytest.fixture(name="twin")
def triton_twin() -> Iterator[Twin]:
    """The twin, just switched on."""
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=INSTRUMENTS) as found:
        yield found
        Instrument.close_all()
