"""A twin of a SIM900 with a SIM928 in port 3 on the bias line as a fixture; upstream's driver sleeps on its clock."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from qcodes_contrib_drivers.drivers.StanfordResearchSystems import SIM928 as UPSTREAM

from sim_instruments import Twin
from tests.single_instrument_twin import source_twin


@pytest.fixture(name="twin")
def sim900_twin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Twin]:
    """The twin, just switched on."""
    with source_twin("SIM928", "port3") as found:
        monkeypatch.setattr(UPSTREAM, "time", SimpleNamespace(sleep=found.clock.sleep))
        yield found
