"""One acquisition of an instrument, as a procedure makes it."""

from typing import Any

from drivers.roles import Acquisition, Roles
from drivers.wiring import Wiring
from labnis.station import SystemClock

__all__ = ["acquired"]


def acquired(instrument: Acquisition[Any]) -> Any:
    """The data of one acquisition; simulated time passes meanwhile where the instrument is simulated."""
    library: Any = instrument.visa_handle.visalib  # type: ignore[attr-defined]  # every instrument here speaks VISA
    return Roles(clock=getattr(library, "clock", SystemClock()), wiring=Wiring()).acquire(instrument)
