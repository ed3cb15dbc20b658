"""A bare VISA session for tests of the exact messages of a front panel."""

import pyvisa
from pyvisa.resources import MessageBasedResource

from sim_instruments import SHIPPED_TRUTH

VISALIB = f"{SHIPPED_TRUTH}@labnis"


class Wire:
    """A bare VISA session with line-feed terminations."""

    def __init__(self, address: str) -> None:
        resource = pyvisa.ResourceManager(VISALIB).open_resource(address)
        assert isinstance(resource, MessageBasedResource)
        self.resource = resource
        resource.write_termination = "\n"

    def send(self, message: str) -> None:
        self.resource.write(message)

    def ask(self, message: str) -> str:
        return self.resource.query(message).rstrip("\r\n")
