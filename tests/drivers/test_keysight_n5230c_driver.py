"""The N5230C: two ports, and an old firmware that does not have all states."""

from collections.abc import Iterator

import numpy as np
import pytest

from drivers.keysight_n5230c import KeysightN5230C
from drivers.roles import VectorNetworkAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from tests.acquiring import acquired
from tests.vna_twin import SWEEP, panel_of, true_reflection, vna_twin


@pytest.fixture(name="twin")
def n5230c_twin() -> Iterator[Twin]:
    with vna_twin("KeysightN5230C") as twin:
        yield twin


def test_states_that_its_firmware_does_not_have_are_left_out(twin: Twin) -> None:
    vna = KeysightN5230C("vna", twin.addresses["vna"], visalib=twin.visalib, timeout=0.2)
    assert missing_members(vna, VectorNetworkAnalyzer) == []
    for _ in range(2):
        vna.prepare(**SWEEP)
        measured = acquired(vna)
        expected = true_reflection(panel_of(vna), vna.frequencies())
        np.testing.assert_allclose(measured, expected, atol=0.15 * np.max(np.abs(expected)))
    assert not vna.knows(":SENS:SWE:DWEL:SDEL?")
    assert vna.knows(":SENS:SWE:GEN?")
    assert vna.ask("SYST:ERR?") == '+0,"No error"'


def test_it_has_two_ports(twin: Twin) -> None:
    with pytest.raises(ValueError, match="S11 to S22"):
        KeysightN5230C("vna", twin.addresses["vna"], parameter="S31", visalib=twin.visalib)
