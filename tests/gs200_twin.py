"""A twin of one Yokogawa GS200 on the bias line as a fixture, for tests of its driver and of its panel."""

from collections.abc import Iterator

import pytest
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin

INSTRUMENTS = {"yoko": SimulatedInstrument("yoko", ("YokogawaGS200",), (SimulatedRole("bias", "bias"),))}


@pytest.fixture(name="twin")
def gs200_twin() -> Iterator[Twin]:
    """The twin, just switched on."""
    wiring = {"time_constant": 0.0, "divider": 1e3}
    with open_twin(SHIPPED_TRUTH, seed=0, wiring=wiring, instruments=INSTRUMENTS) as found:
        yield found
        Instrument.close_all()
