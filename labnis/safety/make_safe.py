"""Zero, from any process: open the bias source alone, ramp it down, prove it, switch it off."""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress

from labnis.errors import BusyError
from labnis.station.config import StationConfig
from labnis.station.lock import Holder, holder_of_station
from labnis.station.opening import open_station

__all__ = ["make_safe", "stop_holder"]

PATIENCE = 15.0
"""Time (s) that a run gets to ramp down and end by itself after it was asked to."""


def make_safe(
    config: StationConfig,
    *,
    visalib: str | None = None,
    addresses: Mapping[str, str] | None = None,
    patience: float = 0.0,
) -> str:
    """Ramp the station's bias to zero from its read-back value, verify it, and switch the output off.

    Parameters
    ----------
    config, visalib, addresses
        As for `open_station`.
    patience
        Time (s) to wait for a station that is in use. A process that dies lets go of its pipes and of its locks one
        after the other, and a guardian may be at work on the same station.

    Returns
    -------
    str
        What was found and done, in one sentence.

    Raises
    ------
    BusyError
        Another process holds the station, and did not let go of it.
    ConfigurationError
        The source cannot be opened.
    InstrumentError
        The way to zero failed; the message says what is known of the bias.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return _zero(config, visalib, addresses)
        except BusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.02)


def _zero(config: StationConfig, visalib: str | None, addresses: Mapping[str, str] | None) -> str:
    """Body of `make_safe`: one attempt."""
    with open_station(config, required_roles=("bias",), visalib=visalib, addresses=addresses) as station:
        before = station.bias.present()
        was_on = station.source.output_enabled()
        station.bias.shutdown()
    state = "on" if was_on else "off"
    return f"the bias was {before:.6g} V with the output {state}; it is 0 V now, read back, and the output is off"


def stop_holder(config: StationConfig) -> str | None:
    """End the process that holds the station: ask it first, kill it if it does not go.

    A run that is asked ramps down itself; one that is killed is made safe by its guardian or by whoever called this.

    Returns
    -------
    str or None
        What happened, or None if nobody held the station.

    Raises
    ------
    BusyError
        Somebody on another machine holds it, or it cannot be ended.
    """
    holder = holder_of_station(config.path)
    if holder is None:
        return None
    if not holder.is_here:
        raise BusyError(f"the station is in use on {holder.host} (process {holder.pid}): run `labnis safe` there")
    _send(holder, signal.SIGTERM)
    if _gone(config, holder, PATIENCE):
        return f"the run (process {holder.pid}) was asked to stop and has ended"
    _send(holder, getattr(signal, "SIGKILL", signal.SIGTERM))
    if _gone(config, holder, PATIENCE):
        return f"the run (process {holder.pid}) did not stop within {PATIENCE:g} s and was killed"
    raise BusyError(f"process {holder.pid} holds the station and cannot be ended; end it by hand, then repeat")


def _send(holder: Holder, signum: int) -> None:
    try:
        os.kill(holder.pid, signum)
    except ProcessLookupError:
        return  # it has just ended by itself
    except PermissionError as error:
        raise BusyError(
            f"process {holder.pid} ({holder.command}) holds the station and belongs to another user; only they or an "
            "administrator can end it, then repeat"
        ) from error


def _gone(config: StationConfig, holder: Holder, patience: float) -> bool:
    """Whether `holder` lets go of the station within `patience` (s); its guardian may take it over."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with suppress(BusyError):  # taken this moment by somebody who has not said who it is
            found = holder_of_station(config.path)
            if found is None or found.pid != holder.pid:
                return True
        time.sleep(0.05)
    return False
