"""A twin of one network analyzer of any model, for tests of drivers and panels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from sim_instruments.visa import LabnisVisaLibrary

SWEEP: dict[str, Any] = {
    "center": 4.67e9,
    "span": 100e6,
    "points": 101,
    "power": -10.0,
    "if_bandwidth": 1000.0,
    "averages": 4,
}


@contextmanager
def vna_twin(model: str) -> Iterator[Twin]:
    """The twin of a `model`, named vna, just switched on."""
    instruments = {"vna": SimulatedInstrument("vna", (model,), (SimulatedRole("vna", "vna"),))}
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=instruments) as found:
        yield found
        Instrument.close_all()


def panel_of(instrument: Any) -> Any:
    """The panel that an opened instrument speaks to."""
    library = instrument.visa_handle.visalib
    assert isinstance(library, LabnisVisaLibrary)
    return library.panels["vna"]


def true_reflection(panel: Any, axis: NDArray[np.float64], power: float = -10.0) -> NDArray[np.complex128]:
    """S11 at a power (dBm) without noise: in a vanishing bandwidth."""
    found: NDArray[np.complex128] = panel.world.reflection(axis, 1e-3 * 10 ** (power / 10), 1e-12)
    return found
