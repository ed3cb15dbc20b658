"""Identities of instruments; the serial number of a simulated one has a mark."""

from collections.abc import Mapping

__all__ = ["TWIN_SERIAL", "is_twin"]

#: Beginning of the serial number of every simulated instrument. No manufacturer uses it.
TWIN_SERIAL = "TWIN"


def is_twin(identity: Mapping[str, str | None]) -> bool:
    """Whether `identity`, as QCoDeS's `get_idn()` returns it, is that of a simulated instrument."""
    return (identity.get("serial") or "").startswith(TWIN_SERIAL)
