import pytest

from drivers.keithley_2450 import Keithley2450
from drivers.lakeshore_372 import LakeShore372
from drivers.sr830 import SR830
from sim_instruments import ADDRESSES
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import VISALIB, shipped_twin  # noqa: F401  # a fixture


@pytest.fixture
def smu(twin: LabnisVisaLibrary) -> Keithley2450:
    return Keithley2450("smu", ADDRESSES["bias"], visalib=VISALIB)


@pytest.fixture
def lockin(twin: LabnisVisaLibrary) -> SR830:
    return SR830("lockin", ADDRESSES["lockin"], visalib=VISALIB)


@pytest.fixture
def thermometer(twin: LabnisVisaLibrary) -> LakeShore372:
    return LakeShore372("bridge", ADDRESSES["fridge"], visalib=VISALIB)
