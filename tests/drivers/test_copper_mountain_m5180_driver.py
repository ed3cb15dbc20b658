"""Copper Mountain M5180: the family's driver with its own band."""

from collections.abc import Iterator

import pytest

from drivers.copper_mountain_m5180 import CopperMountainM5180
from drivers.roles import VectorNetworkAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from tests.vna_twin import SWEEP, require_right, vna_twin


@pytest.fixture(name="twin")
def m5180_twin() -> Iterator[Twin]:
    with vna_twin("CopperMountainM5180") as twin:
        yield twin


def test_it_fills_the_role_and_measures(twin: Twin) -> None:
    vna = CopperMountainM5180("vna", twin.addresses["vna"], visalib=twin.visalib)
    assert missing_members(vna, VectorNetworkAnalyzer) == []
    assert vna.get_idn()["model"] == "M5180"
    vna.prepare(**SWEEP)
    require_right(vna)
    vna.snapshot(update=True)
    assert vna.next_error() is None
    vna.prepare(**{**SWEEP, "center": 18e9 - 50e6})
    with pytest.raises(ValueError, match="center is"):
        vna.prepare(**{**SWEEP, "center": 18e9})
