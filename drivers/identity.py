"""Who answers: an instrument, or a simulated one that says so in its serial number."""

from collections.abc import Mapping

__all__ = ["TWIN_SERIAL", "is_twin"]

#: What the serial number of every simulated instrument begins with. No maker of instruments uses it.
TWIN_SERIAL = "TWIN"


def is_twin(identity: Mapping[str, str | None]) -> bool:
    """Whether `identity`, as QCoDeS's `get_idn()` returns it, is that of a simulated instrument."""
    return (identity.get("serial") or "").startswith(TWIN_SERIAL)
