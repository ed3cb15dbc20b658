"""A twin of two Rohde & Schwarz analyzers as a fixture, for tests of their drivers and of their panels."""

from collections.abc import Iterator
from typing import Any

import pytest
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin

INSTRUMENTS = {
    name: SimulatedInstrument(name, (model,), (SimulatedRole(name, "analyzer"),))
    for name, model in (("fsv", "RohdeSchwarzFSV"), ("fsw", "RohdeSchwarzFSW"))
}
SWEEP: dict[str, Any] = {
    "center": 4.67e9,
    "span": 100e6,
    "points": 1001,
    "resolution_bandwidth": 1e6,
    "sweep_time": 0.5,
    "averages": 20,
}


@pytest.fixture(name="twin")
def analyzer_twin() -> Iterator[Twin]:
    """The twin, just switched on."""
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=INSTRUMENTS) as found:
        yield found
        Instrument.close_all()
