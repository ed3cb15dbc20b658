"""The twin: a simulated fridge behind the front panels of its instruments, reached through PyVISA as `@labnis`.

Instruments without a front panel have stand-ins, which fill their roles directly.
"""

from sim_instruments.instruments import SHIPPED_TRUTH, Setup, SimulatedInstrument, SimulatedRole
from sim_instruments.panels import ADDRESSES
from sim_instruments.stand_ins import Errors, SimulatedError
from sim_instruments.twin import Twin, open_twin
from sim_instruments.world import SimulatedClock, Truth, TruthError, load_truth

__all__ = [
    "ADDRESSES",
    "SHIPPED_TRUTH",
    "Errors",
    "Setup",
    "SimulatedClock",
    "SimulatedError",
    "SimulatedInstrument",
    "SimulatedRole",
    "Truth",
    "TruthError",
    "Twin",
    "load_truth",
    "open_twin",
]
