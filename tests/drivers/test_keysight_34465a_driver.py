"""The Keysight 34465A as a meter: what it has beyond the 34461A; the rest is in test_keysight_34461a_driver.py."""

import pytest

from drivers.keysight_34465a import Keysight34465A
from tests.metered_twin import metered_twin, panel_of


@pytest.mark.parametrize(("seconds", "cycles"), [(2e-5, 0.001), (1e-4, 0.006), (1.2e-3, 0.06)])
def test_it_has_shorter_integrations(seconds: float, cycles: float) -> None:
    with metered_twin("Keysight34465A") as twin:
        dmm = Keysight34465A("dmm", twin.addresses["dmm"], visalib=twin.visalib)
        dmm.prepare_reading(unit="V", maximum=1.0, integration_time=seconds)
        assert panel_of(twin).state["VOLT nplc"] == cycles
        assert dmm.read() == pytest.approx(-0.3436, rel=0.1)
