"""A twin of one SR860, or of a relative, as the lock-in: a fixture for tests of its driver and of its panel."""

from collections.abc import Iterator

import pytest
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin


@pytest.fixture(name="model")
def lockin_model() -> str:
    """The model; a test may give another as a parameter."""
    return "SR860"


@pytest.fixture(name="twin")
def sr860_twin(model: str) -> Iterator[Twin]:
    """The twin, just switched on, of a lock-in at the output of the current amplifier."""
    instruments = {
        "smu": SimulatedInstrument("smu", ("Keithley2450",), (SimulatedRole("bias", "bias"),)),
        "lockin": SimulatedInstrument("lockin", (model,), (SimulatedRole("lockin", "lockin"),)),
    }
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={"time_constant": 0.0}, instruments=instruments) as found:
        yield found
        Instrument.close_all()
