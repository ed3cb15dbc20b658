"""The SR865: what differs from the SR860, whose tests are in test_sr860_driver.py."""

import pytest

from drivers.errors import SettingError
from drivers.sr865 import SR865
from sim_instruments import Twin
from tests.sr860_twin import sr860_twin  # noqa: F401  # a fixture


@pytest.fixture
def model() -> str:
    return "SR865"


def test_its_highest_frequency_is_that_of_the_model(twin: Twin) -> None:
    lockin = SR865("lockin", twin.addresses["lockin"], visalib=twin.visalib)
    settings = {"amplitude": 0.1, "time_constant": 0.03, "sensitivity": 0.02}
    lockin.prepare(frequency=2e6, **settings)
    assert abs(lockin.read()) < 0.02
    with pytest.raises(SettingError, match="Hz is not possible"):
        lockin.prepare(frequency=1.01 * 2e6, **settings)
