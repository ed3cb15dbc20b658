"""A twin of one Lake Shore 370 as a fixture, for tests of its driver and of its panel."""

from collections.abc import Iterator

import pytest
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin

ROLES = (SimulatedRole("fridge", "thermometer"), SimulatedRole("still", "thermometer", 5))
INSTRUMENTS = {"bridge": SimulatedInstrument("bridge", ("LakeShore370",), ROLES)}


@pytest.fixture(name="twin")
def lakeshore_370_twin() -> Iterator[Twin]:
    """The twin, just switched on."""
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=INSTRUMENTS) as found:
        yield found
        Instrument.close_all()
