"""The shipped twin as a fixture, for tests of drivers and of panels."""

from collections.abc import Iterator

import pytest
import pyvisa
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH
from sim_instruments.visa import LabnisVisaLibrary

VISALIB = f"{SHIPPED_TRUTH}@labnis"


@pytest.fixture(name="twin")
def shipped_twin() -> Iterator[LabnisVisaLibrary]:
    """The shipped twin, just switched on."""
    manager = pyvisa.ResourceManager(VISALIB)
    library = manager.visalib
    assert isinstance(library, LabnisVisaLibrary)
    library.reset()
    yield library
    Instrument.close_all()
    manager.close()
