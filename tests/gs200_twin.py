"""A twin of one Yokogawa GS200 on the bias line as a fixture, for tests of its driver and of its panel."""

from collections.abc import Iterator

import pytest

from sim_instruments import Twin
from tests.single_instrument_twin import source_twin


@pytest.fixture(name="twin")
def gs200_twin() -> Iterator[Twin]:
    """The twin, just switched on."""
    with source_twin("YokogawaGS200") as found:
        yield found
