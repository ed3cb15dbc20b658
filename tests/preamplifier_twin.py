"""A twin with one preamplifier that has a remote control as a fixture, for tests of its driver and of its panel."""

from collections.abc import Iterator
from contextlib import contextmanager

from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from tests.metered_twin import BEHIND_AMPLIFIER, WIRING


@contextmanager
def preamplifier_twin(model: str) -> Iterator[Twin]:
    """The twin with a `preamp` of a model, just switched on, whose gain is 1e7 V/A."""
    instruments = {
        "yoko": SimulatedInstrument("yoko", ("YokogawaGS200",), (SimulatedRole("bias", "bias"),)),
        "dmm": SimulatedInstrument("dmm", ("KeithleyDMM6500",), (BEHIND_AMPLIFIER,)),
        "preamp": SimulatedInstrument("preamp", (model,), (), "femto"),
    }
    with open_twin(SHIPPED_TRUTH, seed=0, wiring=WIRING, instruments=instruments) as twin:
        yield twin
        Instrument.close_all()
