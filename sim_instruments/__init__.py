"""The twin: a simulated fridge behind the front panels of its instruments, reached through PyVISA as `@labnis`."""

from sim_instruments.instruments import ADDRESSES, SHIPPED_TRUTH
from sim_instruments.twin import Twin, open_twin
from sim_instruments.world import RealClock, SimulatedClock, Truth, TruthError, World, load_truth

__all__ = [
    "ADDRESSES",
    "SHIPPED_TRUTH",
    "RealClock",
    "SimulatedClock",
    "Truth",
    "TruthError",
    "Twin",
    "World",
    "load_truth",
    "open_twin",
]
