"""The twin: one simulated fridge behind the front panels of five instruments, reached through PyVISA as `@labnis`."""

from pathlib import Path

from sim_instruments.clock import RealClock, SimulatedClock
from sim_instruments.truth import Truth, TruthError, load_truth

__all__ = ["ADDRESSES", "SHIPPED_TRUTH", "RealClock", "SimulatedClock", "Truth", "TruthError", "load_truth"]

#: VISA resource name of the instrument in each role.
ADDRESSES: dict[str, str] = {
    "bias": "USB0::0x05E6::0x2450::04000001::0::INSTR",
    "lockin": "GPIB0::8::INSTR",
    "analyzer": "TCPIP0::n9030b.sim::inst0::INSTR",
    "vna": "TCPIP0::n5222b.sim::inst0::INSTR",
    "fridge": "GPIB0::12::INSTR",
}

#: The truth file used by plain `@labnis`.
SHIPPED_TRUTH = Path(__file__).with_name("nis_device.yaml")
