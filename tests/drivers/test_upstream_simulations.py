"""Drivers at simulations that others wrote (PyVISA-sim): an identity, then a true error, and never a wrong number.

Further ones are in the tests of each driver: 2450, 2600B, QDAC-II, 34465A, N9020B, 336, 372, M5065.
"""

from importlib.resources import files

import pytest

from drivers.copper_mountain_m5180 import CopperMountainM5180
from drivers.errors import CommunicationError, InstrumentError
from drivers.keysight_e5080b import KeysightE5080B
from drivers.yokogawa_gs200 import YokogawaGS200
from tests.vna_twin import SWEEP


def library(package: str, file: str) -> str:
    return f"{files(package) / file}@sim"


def test_a_gs200_of_qcodes_has_another_header_for_its_output() -> None:
    # Newer versions of QCoDeS answer the first query of a message of several, older ones none.
    simulation = library("qcodes.instrument.sims", "Yokogawa_GS200.yaml")
    yoko = YokogawaGS200("sim", "GPIB::1::INSTR", visalib=simulation, timeout=0.2)
    try:
        assert yoko.get_idn()["model"] == "GS200"
        with pytest.raises(CommunicationError, match=r"^sim \(GPIB::1::INSTR\): .*'ERROR' to ':OUTP\?'"):
            yoko.output_enabled()
        with pytest.raises(CommunicationError, match=r"^sim \(GPIB::1::INSTR\): .* to ':SOUR:LEV\?;.*expected"):
            yoko.read()
        with pytest.raises(CommunicationError, match=r"answered '.*' to ':SYST:ERR\?'"):
            yoko.prepare(maximum_voltage=5e-3, maximum_current=1e-6, compliance=1e-6, integration_time=0.04)
    finally:
        yoko.close()


def test_an_m5180_of_qcodes_has_an_identity_and_no_readiness() -> None:
    simulation = library("qcodes.instrument.sims", "CopperMountain_M5180.yaml")
    vna = CopperMountainM5180("sim", "TCPIP0::localhost::hislip0::INSTR", visalib=simulation, timeout=0.2)
    try:
        assert vna.get_idn()["model"] == "M5180"
        with pytest.raises(InstrumentError, match=r"^sim .*TCPIP0::localhost.*'ERROR'"):
            vna.prepare(**SWEEP)
    finally:
        vna.close()


def test_an_e5080b_of_contrib_has_no_numbers_of_traces() -> None:
    simulation = library("qcodes_contrib_drivers.sims", "Keysight_E5080B.yaml")
    with pytest.raises(
        CommunicationError, match=r"^sim \(TCPIP::192\.168\.0\.10::INSTR\): no usable answer to 'CALC:PAR:MNUM\?'"
    ):
        KeysightE5080B("sim", "TCPIP::192.168.0.10::INSTR", visalib=simulation, timeout=0.2)
