"""Instruments that a VISA library finds, and fridges on the network."""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyvisa
from pyvisa.resources import MessageBasedResource

from drivers.bounded_read import read_in_time
from drivers.errors import CommunicationError
from drivers.models import type_of
from labnis.errors import BusyError, ConfigurationError
from labnis.printable import printable
from labnis.station.lock import hold
from labnis.station.lock_names import lock_names_of_address

__all__ = ["FoundInstrument", "discovered"]

TIMEOUT = 1000
"""Time (ms) that an instrument has to connect, and to answer."""

LONGEST_IDENTITY = 200
LONGEST_ANSWER = 4096
"""Most bytes that are read of an answer."""

WEB = re.compile(r"(https?|wss?)://", re.IGNORECASE)
OXFORD_PORT = "::33576::SOCKET"
"""A Triton's messages end with CR LF."""

SERIAL_PORT = re.compile(r"ASRL", re.IGNORECASE)
"""Addresses of serial ports: bytes sent there reach whatever is connected, at any speed."""


@dataclass(frozen=True)
class FoundInstrument:
    """One address.

    Attributes
    ----------
    address
        VISA address.
    identity
        Answer to `*IDN?`; empty if there is none.
    type
        Class of `drivers` that drives it; None if none is for this identity.
    problem
        Why there is no identity, in a few words; empty if there is one.
    certificate
        Fingerprint of the certificate of an HTTPS server that has signed it itself; empty if there is none.

    """

    address: str
    identity: str = ""
    type: str | None = None
    problem: str = ""
    certificate: str = ""


def discovered(visalib: str, also: Sequence[str] = (), *, serial_ports: bool = False) -> Iterator[FoundInstrument]:
    """Ask each instrument that the library finds, and those at the addresses `also`, for its identity.

    Nothing but `*IDN?` is sent, and only where no other program of labnis uses the instrument. A fridge at an address
    that begins with http://, https://, ws:// or wss:// is asked for the description of its system.

    Parameters
    ----------
    visalib
        PyVISA library, such as "@py"; empty for the default.
    also
        Further addresses: no library finds an instrument behind a raw socket, or a fridge's software.
    serial_ports
        Whether serial ports are asked, too.

    Raises
    ------
    ConfigurationError
        PyVISA cannot load the library.

    """
    try:
        manager = pyvisa.ResourceManager(visalib)
    except Exception as error:  # third-party libraries are loaded here
        raise ConfigurationError(
            f"PyVISA library {visalib!r} cannot be used: {error}; '@py' needs no installation"
        ) from error
    try:
        for address in dict.fromkeys([*_listed(manager, visalib), *also]):
            if WEB.match(address):
                yield _found_on_the_web(address)
            else:
                yield _found(manager, address, serial_ports or address in also)
    finally:
        manager.close()


def _listed(manager: pyvisa.ResourceManager, visalib: str) -> Sequence[str]:
    try:
        with warnings.catch_warnings():
            # PyVISA-py looks for HiSLIP and LeCroy by a package that need not be there: the manual says so.
            warnings.filterwarnings("ignore", ".*resources? discovery requires the zeroconf package", UserWarning)
            return manager.list_resources()
    except Exception as error:  # as above
        raise ConfigurationError(
            f"PyVISA library {visalib!r} does not list its instruments: {printable(error)}"
        ) from error


def _found_on_the_web(address: str) -> FoundInstrument:
    # QCoDeS takes half a second to import.
    from labnis.station.web_fridges import identified_web_fridge  # noqa: PLC0415

    try:
        identity, kind, certificate = identified_web_fridge(address)
    except (CommunicationError, ValueError) as error:
        return FoundInstrument(address, problem=f"no identity: {printable(error)}")
    return FoundInstrument(address, identity[:LONGEST_IDENTITY], kind, certificate=certificate)


def _found(manager: pyvisa.ResourceManager, address: str, may_be_serial: bool) -> FoundInstrument:
    if SERIAL_PORT.match(address) and not may_be_serial:
        return FoundInstrument(address, problem="a serial port, not asked")
    try:
        with hold(lock_names_of_address(address)):
            identity = _identity(manager, address)
    except BusyError as error:
        return FoundInstrument(address, problem=f"not asked: {error}")
    except Exception as error:  # noqa: BLE001  # PyVISA and PyVISA-py raise exceptions of many classes
        return FoundInstrument(address, problem=f"no answer to *IDN?: {type(error).__name__}: {printable(error)}")
    return FoundInstrument(address, identity, type_of(identity))


def _identity(manager: pyvisa.ResourceManager, address: str) -> str:
    opened = manager.open_resource(address, open_timeout=TIMEOUT)
    try:
        if not isinstance(opened, MessageBasedResource):
            raise TypeError("it has no messages")  # told as any other failure
        opened.timeout = TIMEOUT
        if address.upper().endswith("::SOCKET") or SERIAL_PORT.match(address):
            opened.read_termination = opened.write_termination = "\n"
        if address.upper().endswith(OXFORD_PORT):
            opened.write_termination = "\r\n"
        opened.write("*IDN?")
        return _line(opened)[:LONGEST_IDENTITY]
    finally:
        opened.close()


def _line(opened: MessageBasedResource) -> str:
    """The first line of an answer; PyVISA alone reads as long as bytes come.

    Without a terminator in `LONGEST_ANSWER` bytes it is no answer: the instrument sends something else by itself.
    """
    answer = read_in_time(opened, LONGEST_ANSWER, line=True)
    if len(answer) >= LONGEST_ANSWER:
        raise ValueError(f"it sends {LONGEST_ANSWER} bytes without an end: {answer[:20]!r}")
    if not (said := answer.decode("ascii").strip()).isprintable() or not said:
        raise ValueError(f"it answers {answer[:80]!r}")
    return said
