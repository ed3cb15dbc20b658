from collections.abc import Iterator

import pytest
import pyvisa
from qcodes.instrument import Instrument

from drivers.keithley_2450 import Keithley2450
from drivers.lakeshore_372 import LakeShore372
from drivers.sr830 import SR830
from sim_instruments import ADDRESSES, SHIPPED_TRUTH
from sim_instruments.visa import LabnisVisaLibrary

VISALIB = f"{SHIPPED_TRUTH}@labnis"


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
def smu(twin: LabnisVisaLibrary) -> Keithley2450:
    return Keithley2450("smu", ADDRESSES["bias"], visalib=VISALIB)


@pytest.fixture
def lockin(twin: LabnisVisaLibrary) -> SR830:
    return SR830("lockin", ADDRESSES["lockin"], visalib=VISALIB)


@pytest.fixture
def thermometer(twin: LabnisVisaLibrary) -> LakeShore372:
    return LakeShore372("bridge", ADDRESSES["fridge"], visalib=VISALIB)
