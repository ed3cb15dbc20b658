"""Reads from a socket that end in time: PyVISA-py waits for as long as single bytes come."""

import time

import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.resources import MessageBasedResource, TCPIPSocket

__all__ = ["read_in_time"]

#: First part (bytes) of a read; each part is at most as long as all before it, so a trickle takes twice the time.
FIRST = 16
#: Time (s) beyond twice the timeout that an answer may take in all, and the slowest rate (bytes/s) of a long one.
LONGEST, SLOWEST = 2.0, 1e5


def read_in_time(handle: MessageBasedResource, count: int, *, line: bool) -> bytes:
    """Read `count` bytes, or less up to the end of a `line`, which is the read termination of `handle`.

    Raises
    ------
    pyvisa.Error
        They do not come in time.

    """
    if not isinstance(handle, TCPIPSocket):
        return handle.read_bytes(count, break_on_termchar=line)
    end = (handle.read_termination or "").encode()[-1:]
    deadline = time.monotonic() + 2e-3 * handle.timeout + LONGEST + (0 if line else count / SLOWEST)
    found = b""
    while len(found) < count:
        if time.monotonic() > deadline:
            raise pyvisa.VisaIOError(StatusCode.error_timeout)
        size = min(max(FIRST, len(found)), count - len(found))
        part = handle.read_bytes(size, break_on_termchar=line)
        found += part
        if line and (len(part) < size or (end and part.endswith(end))):
            break
    return found
