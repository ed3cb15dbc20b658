"""Names under which a station file and its instruments are locked: one instrument has the same name for every program.

An instrument is locked under its VISA address as written, under that address with each IP address of its host, and,
once it has answered ``*IDN?``, under its serial number.
"""

import contextlib
import ipaddress
import logging
import os
import re
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]

__all__ = ["lock_name_of_address", "lock_name_of_serial", "lock_name_of_station", "lock_names_of_address"]

logger = logging.getLogger(__name__)

RESOLVED_WITHIN = 2.0
"""Time (s) that the name service has for the host of one address."""

THIS_MACHINE = "LOCALHOST"


def lock_name_of_station(path: Path) -> str:
    """Name of the station file at `path`: the same for every form of its path."""
    return f"station {os.path.normcase(path.resolve())}"


def lock_name_of_address(address: str) -> str:
    """Name of an instrument: the same for every form of its VISA address that needs no name service."""
    name, host = _parsed(address)
    return _named(name, host, THIS_MACHINE if _is_this_machine(host) else host)


def lock_names_of_address(address: str) -> set[str]:
    """Names of an instrument: as `lock_name_of_address`, and with each IP address of its host.

    A host that is not resolved within 2 s is locked under the written name only, with a warning.

    Notes
    -----
    Two addresses of one instrument on two buses (GPIB and LAN) have different names; its serial number is the same.

    """
    name, host = _parsed(address)
    return {lock_name_of_address(address)} | {_named(name, host, found) for found in _addresses_of(host)}


def lock_name_of_serial(identity: Mapping[str, str | None]) -> str | None:
    """Name of an instrument by the serial number in its answer to ``*IDN?``; None if that identifies no instrument.

    A number without any digit but 0, such as "0" or "N/A", identifies none.
    """
    serial = str(identity.get("serial") or "").strip()
    if not re.search("[1-9]", serial):
        return None
    maker = " ".join(str(identity.get(part) or "") for part in ("vendor", "model"))
    return " ".join(f"instrument {maker.upper()} serial number {serial.upper()}".split())


def _parsed(address: str) -> tuple[str, str]:
    """The address in its canonical form, and its host; the host is empty where there is none."""
    from pyvisa.rname import InvalidResourceName, ResourceName  # noqa: PLC0415  # most commands start without PyVISA

    name = address.upper()
    with contextlib.suppress(InvalidResourceName):  # an alias or another kind of address is used unchanged
        resource = ResourceName.from_string(name)
        return str(resource).upper(), str(getattr(resource, "host_address", "")).upper()
    return name, ""


def _named(name: str, host: str, replacement: str) -> str:
    return f"instrument {name.replace(f'::{host}::', f'::{replacement.upper()}::', 1) if host else name}"


def _is_this_machine(host: str) -> bool:
    """Whether `host` is this machine, as far as that is known without a name service."""
    if host.lower().rstrip(".") in ("localhost", socket.gethostname().lower()):
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return mapped.is_loopback or mapped.is_unspecified or str(mapped) in _own_addresses()


def _own_addresses() -> set[str]:
    return {entry.address.partition("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries}


def _addresses_of(host: str) -> set[str]:
    """IP addresses of `host`; "LOCALHOST" in place of those of this machine."""
    if not host:
        return set()
    found: list[str] = []

    def resolve() -> None:
        with contextlib.suppress(OSError, UnicodeError):  # an unknown host; opening the instrument reports it
            found.extend(str(entry[4][0]) for entry in socket.getaddrinfo(host.lower(), None))

    thread = threading.Thread(target=resolve, name="labnis-resolve", daemon=True)
    thread.start()
    thread.join(RESOLVED_WITHIN)
    if thread.is_alive():
        logger.warning("%s was not resolved within %g s: locked under this name only", host, RESOLVED_WITHIN)
    return {THIS_MACHINE if _is_this_machine(address) else address for address in list(found)}
