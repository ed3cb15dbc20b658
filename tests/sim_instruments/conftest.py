import pytest
from bare_wire import VISALIB, Wire

from sim_instruments import ADDRESSES
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import shipped_twin  # noqa: F401  # a fixture


@pytest.fixture
def visalib() -> str:
    """What any VISA program gives to open the shipped twin."""
    return VISALIB


@pytest.fixture
def bias(twin: LabnisVisaLibrary) -> Wire:
    return Wire(ADDRESSES["bias"])


@pytest.fixture
def lockin(twin: LabnisVisaLibrary) -> Wire:
    return Wire(ADDRESSES["lockin"])


@pytest.fixture
def fridge(twin: LabnisVisaLibrary) -> Wire:
    return Wire(ADDRESSES["fridge"])
