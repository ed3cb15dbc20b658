"""Copper Mountain S5048: the family's driver with its own band."""

from collections.abc import Iterator

import pytest

from drivers.copper_mountain_s5048 import CopperMountainS5048
from drivers.roles import VectorNetworkAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from tests.vna_twin import SWEEP, require_right, vna_twin


@pytest.fixture(name="twin")
def s5048_twin() -> Iterator[Twin]:
    with vna_twin("CopperMountainS5048") as twin:
        yield twin


def test_it_fills_the_role_and_measures(twin: Twin) -> None:
    vna = CopperMountainS5048("vna", twin.addresses["vna"], visalib=twin.visalib)
    assert missing_members(vna, VectorNetworkAnalyzer) == []
    assert vna.get_idn()["model"] == "S5048"
    vna.prepare(**SWEEP)
    require_right(vna)
    vna.snapshot(update=True)
    assert vna.next_error() is None
    vna.prepare(**{**SWEEP, "center": 4.8e9 - 50e6})
    with pytest.raises(ValueError, match="center is"):
        vna.prepare(**{**SWEEP, "center": 4.8e9})
