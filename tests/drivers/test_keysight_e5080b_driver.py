"""The E5080B: traces by their numbers."""

from collections.abc import Iterator

import numpy as np
import pytest

from drivers.errors import InstrumentError
from drivers.keysight_e5080b import KeysightE5080B
from drivers.roles import VectorNetworkAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from tests.acquiring import acquired
from tests.vna_twin import SWEEP, panel_of, true_reflection, vna_twin


@pytest.fixture(name="twin")
def e5080b_twin() -> Iterator[Twin]:
    with vna_twin("KeysightE5080B") as twin:
        yield twin


@pytest.fixture
def vna(twin: Twin) -> KeysightE5080B:
    return KeysightE5080B("vna", twin.addresses["vna"], visalib=twin.visalib)


def test_it_fills_the_role_and_measures(vna: KeysightE5080B) -> None:
    assert missing_members(vna, VectorNetworkAnalyzer) == []
    panel = panel_of(vna)
    panel.execute("CALC:PAR:DEL:ALL;:CALC:PAR:DEF:EXT 'a','S22';DEF:EXT 'b','S11'")
    vna.prepare(**SWEEP)
    measured = acquired(vna)
    expected = true_reflection(panel, vna.frequencies())
    np.testing.assert_allclose(measured, expected, atol=0.15 * np.max(np.abs(expected)))
    assert vna.snapshot(update=True)["parameters"]["power"]["value"] == -10
    assert vna.ask("SYST:ERR?") == '+0,"No error"'


def test_a_trace_that_was_deleted_is_told(vna: KeysightE5080B) -> None:
    vna.prepare(**SWEEP)
    panel_of(vna).execute("CALC:PAR:DEL:ALL")
    with pytest.raises(InstrumentError):
        acquired(vna)


def test_limits_of_the_family(vna: KeysightE5080B) -> None:
    vna.prepare(**{**SWEEP, "center": 52e9, "power": 20.0})
    with pytest.raises(ValueError, match=r"power is 20\.1 dBm; allowed are -100 to 20 dBm"):
        vna.prepare(**{**SWEEP, "power": 20.1})
