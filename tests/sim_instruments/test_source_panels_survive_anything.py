"""For any message of a client, the panel of a source answers or reports an error, and continues."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_instruments.panels import FrontPanel
from sim_instruments.visa import LabnisVisaLibrary
from tests.sim_instruments.test_panels_survive_anything import messages
from tests.single_instrument_twin import opened_wire, source_twin

pytestmark = pytest.mark.faults


@pytest.fixture(params=["QDac2", "SIM928", "KeysightB29xx", "Keithley2400", "Keithley6430"])
def panel(request: pytest.FixtureRequest) -> Iterator[FrontPanel]:
    with source_twin(request.param) as twin:
        library = opened_wire(twin).visalib
        assert isinstance(library, LabnisVisaLibrary)
        yield library.panels["source"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_panel_survives(panel: FrontPanel, data: st.DataObject) -> None:
    for message in data.draw(messages(panel)):
        panel.receive(message)
    panel.switch_on()
    panel.receive(b"*IDN?")
    assert panel.take(200) == (panel.identification.encode() + panel.terminator, True)
