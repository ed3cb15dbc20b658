from collections.abc import Iterator

import pytest
import pyvisa
from bare_wire import VISALIB, Wire
from qcodes.instrument import Instrument

from sim_instruments import ADDRESSES
from sim_instruments.visa import LabnisVisaLibrary


@pytest.fixture
def visalib() -> str:
    """What any VISA program gives to open the shipped twin."""
    return VISALIB


@pytest.fixture
def twin() -> Iterator[LabnisVisaLibrary]:
    """The shipped twin, just switched on."""
    manager = pyvisa.ResourceManager(VISALIB)
    library = manager.visalib
    assert isinstance(library, LabnisVisaLibrary)
    library.reset()
    yield library
    Instrument.close_all()
    manager.close()


@pytest.fixture
def bias(twin: LabnisVisaLibrary) -> Wire:
    return Wire(ADDRESSES["bias"])


@pytest.fixture
def lockin(twin: LabnisVisaLibrary) -> Wire:
    return Wire(ADDRESSES["lockin"])


@pytest.fixture
def fridge(twin: LabnisVisaLibrary) -> Wire:
    return Wire(ADDRESSES["fridge"])
