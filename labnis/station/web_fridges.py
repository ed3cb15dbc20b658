"""Fridges on the network: which software it is, by its answer to a request that changes nothing."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from drivers.bluefors_control import BlueforsControl
from drivers.bluefors_controller import BlueforsController
from drivers.errors import CommunicationError
from drivers.web_line import UntrustedCertificateError, WebInstrument

__all__ = ["identified_web_fridge"]

TIMEOUT = 2.0
"""Time (s) that the server has for an answer."""

# Without a key, because it would go to a server that is not known.
UNTRUSTED: dict[str, Any] = {"verify": False, "key_variable": ""}


def identified_web_fridge(address: str) -> tuple[str, str, str]:
    """Identity, type and fingerprint of the certificate of the fridge at `address`, `https://…` or `wss://…` for one.

    The fingerprint is empty where the certificate is trusted as usual, or where there is none.

    Raises
    ------
    CommunicationError, ValueError
        No known software answers, or the address cannot be used.

    """
    failures: list[Exception] = []
    for kind in _kinds(address):
        try:
            return _identified(kind, address)
        except (CommunicationError, ValueError) as error:
            failures.append(error)
    raise failures[0]


def _kinds(address: str) -> Sequence[type[WebInstrument]]:
    """Those that have this scheme; first the one that usually has the port."""
    scheme, port = address.partition(":")[0].lower(), address.rstrip("/").rpartition(":")[2]
    kinds: list[type[WebInstrument]] = [BlueforsControl, BlueforsController]
    found = [kind for kind in kinds if scheme in kind.ports]
    return sorted(found, key=lambda kind: str(kind.ports[scheme]) != port)


def _identified(kind: type[WebInstrument], address: str) -> tuple[str, str, str]:
    named = f"{kind.__module__}.{kind.__name__}"
    try:
        opened = kind("fridge", address, timeout=TIMEOUT)
    except UntrustedCertificateError:
        opened = kind("fridge", address, timeout=TIMEOUT, **UNTRUSTED)
        with closing(opened):
            return _identity(opened), named, opened.fingerprint()
    with closing(opened):
        return _identity(opened), named, ""


def _identity(opened: WebInstrument) -> str:
    """The identity as text.

    Raises
    ------
    CommunicationError
        What has answered is another server.

    """
    found = opened.get_idn()
    if not (found["serial"] or found["firmware"]):
        raise CommunicationError(opened.described, "answers, but not as software of a fridge that is known.")
    return ",".join(found[key] or "" for key in ("vendor", "model", "serial", "firmware"))
