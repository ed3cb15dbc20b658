"""The simulated instruments that plain `@labnis` has, by the role that each fills in the shipped station."""

from pathlib import Path

__all__ = ["ADDRESSES", "SHIPPED_TRUTH"]

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
