"""Make the station safe from any process, over separate connections, the bias first."""

import logging
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from functools import partial

import psutil  # type: ignore[import-untyped]

from labnis.errors import BusyError
from labnis.station import OpenStation, StationConfig, open_station
from labnis.station.attempting import attempt_all
from labnis.station.lock import Holder, holder_of_station, process_of
from labnis.station.oversight import NoOversight, Oversight

__all__ = ["make_safe", "stop_holder"]

logger = logging.getLogger(__name__)

PATIENCE = 15.0
"""Time (s) that a run has to ramp down and end after a stop request."""

WORTH_TELLING = 10.0
"""Longer ramps (s) are announced."""


def make_safe(
    config: StationConfig,
    setpoints: Collection[str] | None = None,
    *,
    patience: float = 0.0,
    of_run: int | None = None,
    oversight: Oversight | None = None,
) -> str:
    """Ramp the station's bias to zero from its read-back value, verify it, and switch the output off; then set-points.

    Set-points follow as the station file says (`at_end`), the slowest last. Each is attempted even if
    others fail.

    Parameters
    ----------
    config
        Configuration of the station.
    setpoints
        Roles of the set-points that are moved; all of the station by default.
    patience
        Time (s) to wait for a station that is in use. A dying process releases its pipes and its locks one after the
        other, and a guardian may use the same station.
    of_run
        Process whose locks do not count: the run in whose place a guardian acts.
    oversight
        Is told how long the process may be silent.

    Returns
    -------
    str
        State found and actions, in one sentence.

    Raises
    ------
    BusyError
        Another process holds the station and does not release it.
    ConfigurationError
        An instrument cannot be opened.
    InstrumentError
        Ramping failed; the message has the last known bias.
    """
    oversight = oversight or NoOversight()
    deadline = time.monotonic() + patience
    while True:
        try:
            with open_station(config, of_run=of_run, oversight=oversight) as station:
                return _all_zero(station, config.setpoints if setpoints is None else setpoints)
        except BusyError:
            if time.monotonic() >= deadline:
                raise
            oversight.alive(0.0)
            time.sleep(0.02)


def _all_zero(station: OpenStation, setpoints: Collection[str]) -> str:
    """Body of `make_safe`: one attempt."""
    specs = station.config.setpoints
    moving = [role for role, spec in specs.items() if role in setpoints and spec.at_end != "stay"]
    moving.sort(key=lambda role: specs[role].longest_ramp)
    return "; ".join(attempt_all([partial(_bias_zero, station), *(partial(_finished, station, r) for r in moving)]))


def _bias_zero(station: OpenStation) -> str:
    station.open(["bias"], alone=True)
    before = station.bias.present()
    was_on = station.source.output_enabled()
    station.bias.shutdown()
    state, current = "on" if was_on else "off", station.bias.ended_current
    found = f"the bias was {before:.6g} V" if current is None else f"the source was a current source of {current:.6g} A"
    return f"{found} with the output {state}; it is 0 V now, read back, and the output is off"


def _finished(station: OpenStation, role: str) -> str:
    station.open([role], alone=True)
    setpoint = station.setpoints[role]
    if setpoint.longest_ramp > WORTH_TELLING:
        logger.warning("ramping %s to 0 takes up to %.0f s", role, setpoint.longest_ramp)
    return setpoint.finish()


def stop_holder(config: StationConfig) -> str | None:
    """End the process that holds the station: send SIGTERM first, kill it if it does not end.

    After SIGTERM a run ramps down itself; the guardian or the caller makes a killed one safe. Only a process of which
    the system confirms that it holds the lock gets a signal.

    Returns
    -------
    str or None
        What was done; None if the station was free.

    Raises
    ------
    BusyError
        The process that holds it is not known for certain, or cannot be ended.
    """
    holder = holder_of_station(config.path)
    if holder is None:
        return None
    _send(config, holder, signal.SIGTERM)
    if _gone(config, holder, PATIENCE):
        return f"the run (process {holder.pid}) was asked to stop and has ended"
    _send(config, holder, getattr(signal, "SIGKILL", signal.SIGTERM))
    if _gone(config, holder, PATIENCE):
        return f"the run (process {holder.pid}) did not stop within {PATIENCE:g} s and was killed"
    raise BusyError(f"process {holder.pid} holds the station and cannot be ended; end it by hand, then repeat")


def _send(config: StationConfig, holder: Holder, signum: int) -> None:
    """Send a signal to `holder` if it certainly holds the station."""
    process = process_of(holder, config.path)
    if process is None:
        if _gone(config, holder, 0.0):
            return
        raise BusyError(
            f"the station is in use, according to its lock file by {holder}, but the system does not confirm that this "
            "process holds it: it may belong to another user, or the file was changed. No signal was sent. End the run "
            "in its own terminal, or as its user or an administrator, then repeat."
        )
    try:
        process.send_signal(signum)  # not if another process has got this number in the meantime
    except psutil.NoSuchProcess:
        return  # it has just ended by itself
    except (psutil.AccessDenied, PermissionError) as error:
        raise BusyError(
            f"process {holder.pid} ({holder.command}) holds the station and belongs to another user; only they or an "
            "administrator can end it, then repeat"
        ) from error


def _gone(config: StationConfig, holder: Holder, patience: float) -> bool:
    """Whether `holder` releases the station within `patience` (s); its guardian may take it over."""
    deadline = time.monotonic() + patience
    while True:
        with suppress(BusyError):  # taken this moment by a process that has not noted who it is
            found = holder_of_station(config.path)
            if found is None or found.pid != holder.pid:
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
