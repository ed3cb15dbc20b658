"""Protocols of what protects the device beyond a role: optional for a source, or an instrument of its own."""

from typing import Protocol

__all__ = ["CoarselyLimited", "CurrentSourcing", "Watchdog"]


class CurrentSourcing(Protocol):
    """Optional for a bias source: an earlier user may have left it as a current source, whose current is live."""

    def sources_current(self) -> bool:
        """Whether it sources current, and not voltage, as the instrument answers."""

    def set_current(self, current: float) -> None:
        """Write the level of the current source (A), once. Never retried."""

    def current_level(self) -> float:
        """The level of the current source (A), as the instrument reads it back."""


class CoarselyLimited(Protocol):
    """Optional for a bias source whose own current limit does not go as low as a device may need.

    A lower compliance is then a limit on the current that is measured: a reading beyond it counts as one at the
    compliance, one row late.
    """

    smallest_compliance: float
    """Lowest current limit of its own (A); infinite if it has none."""


class Watchdog(Protocol):
    """An instrument that switches the output off by itself: a source with such a timer, or a relay in the bias line.

    Its methods may be called at any moment between two other calls of the same instrument, also while a ramp of its own
    is running.
    """

    def arm(self, timeout: float) -> None:
        """Begin: without `feed` the output goes off after `timeout` (s). Returns when the instrument confirmed it."""

    def feed(self) -> None:
        """Begin the timeout anew."""

    def disarm(self) -> None:
        """End: the instrument does nothing by itself any more."""
