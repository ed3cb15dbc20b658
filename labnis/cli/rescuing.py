"""Commands for emergencies: `safe`."""

from labnis.cli.options import STATION, StationOption
from labnis.errors import ConfigurationError
from labnis.safety.make_safe import make_safe, stop_holder
from labnis.safety.stop_requests import StopRequest
from labnis.safety.unblocked_output import unblocked_output
from labnis.station import load_station
from labnis.ui.output import say

__all__ = ["safe"]

PATIENCE = 60.0
"""Time (s) to wait for the guardian of a run that was killed: it may be ramping to zero already."""


def safe(station: StationOption = STATION) -> None:
    """Ramp the station's bias to zero and verify it; a run that holds the station is ended first.

    Signals end it only when the bias is at zero: a terminal that is closed must not leave the ramp half-way.
    """
    config = load_station(station)
    stop = StopRequest()
    with stop.on_signals(), unblocked_output():
        ended = stop_holder(config)
        if ended is not None:
            say(ended)
        try:
            say(make_safe(config, patience=PATIENCE))
        except ConfigurationError as error:
            error.add_note("The bias is UNKNOWN: read the source's front panel and reduce its level slowly to 0 there.")
            raise
    if stop:
        raise stop.error("the bias is at zero")
