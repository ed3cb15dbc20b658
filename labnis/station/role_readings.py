"""One reading of every role of an open station, compared with its limits, without changing anything."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from drivers.capabilities import TellsSettings
from drivers.errors import InstrumentError
from labnis.station.bias.current_source import is_live_current_source
from labnis.station.opening import OpenStation
from labnis.station.players import DeviceMeter
from labnis.station.role_check import missing_members

__all__ = ["RoleReading", "read_roles"]

READ_IN_THE_RUN = {
    "analyzer": "its sweeps are set up by each run",
    "vna": "its sweeps are set up by each run",
}
"""Kinds of roles that have nothing to read before they are prepared."""

NO_SWITCH = "it has no output switch: 0 V is off"


@dataclass(frozen=True)
class RoleReading:
    """What a role reads.

    Attributes
    ----------
    role, instrument
        Names in the station file.
    value
        The reading, in `unit`; None if there is none.
    unit
        Unit; empty if it is not known.
    remark
        What else there is to say: the state of an output, or why nothing was read.
    allowed
        Limits of the value; empty if there are none.
    problem
        What is wrong, in one sentence; empty if nothing is.

    """

    role: str
    instrument: str
    value: float | None
    unit: str
    remark: str = ""
    allowed: str = ""
    problem: str = ""


def read_roles(station: OpenStation, roles: Iterable[str]) -> Iterator[RoleReading]:
    """Read each of the open `roles` once. A reading that fails is a problem, and the others are read all the same."""
    for role in roles:
        spec = station.config.roles[role]
        try:
            yield _reading(station, role)
        except InstrumentError as error:
            yield RoleReading(role, spec.instrument, None, "", problem=str(error))


def _reading(station: OpenStation, role: str) -> RoleReading:
    spec = station.config.roles[role]
    if spec.kind in READ_IN_THE_RUN:
        return RoleReading(role, spec.instrument, None, "", READ_IN_THE_RUN[spec.kind])
    if role == "bias":
        return _of_bias(station)
    if role in station.setpoints:
        return _of_setpoint(station, role)
    if role == "current" and station.config.source_reads_current:
        return RoleReading(role, spec.instrument, None, "A", "read by the source while its output is on")
    player = station.roles.get(role)
    if others := _set_otherwise(player):
        remark = f"not read, it would be wrong: {', '.join(others)}. A run sets it."
        return RoleReading(role, spec.instrument, None, "", remark)
    value = player.temperature() if spec.kind == "thermometer" else player.read()
    unit = {"ammeter": "A", "voltmeter": "V", "lockin": "V", "thermometer": "K"}.get(spec.kind)
    return RoleReading(role, spec.instrument, abs(value) if spec.kind == "lockin" else value, unit or player.unit)


def _set_otherwise(player: Any) -> list[str]:
    """What makes other numbers of the readings of a meter or a lock-in, where it tells that."""
    if isinstance(player, DeviceMeter):
        return player.set_otherwise()
    return [] if missing_members(player, TellsSettings) else list(player.set_otherwise("V"))


def _of_bias(station: OpenStation) -> RoleReading:
    """Level and output of the source, behind the divider; a live current source, or a level left on, is a problem."""
    config, source = station.config, station.source
    largest, problem = config.limits.maximum_bias, ""
    name = config.bias.instrument
    if is_live_current_source(source, station.described(name)):
        problem = "it sources current, with its output on: `labnis safe` ramps it to 0 and switches it off."
        return RoleReading("bias", name, None, "V", "output on", f"±{largest:g}", problem)
    bias, is_on = config.wiring.bias(source.level()), source.output_enabled()
    if is_on and abs(bias) > largest:
        problem = f"its output is on at {bias:g} V, beyond limits.maximum_bias ({largest:g} V): use `labnis safe`."
    elif is_on and bias != 0:
        problem = f"its output is on at {bias:g} V, which an earlier run has left: use `labnis safe`."
    remark = _output(is_on) if problem or getattr(source, "has_switch", True) else NO_SWITCH
    return RoleReading("bias", name, bias, "V", remark, f"±{largest:g}", problem)


def _of_setpoint(station: OpenStation, role: str) -> RoleReading:
    moved, spec = station.setpoints[role], station.config.roles[role]
    value = moved.read()
    inside = moved.minimum <= value <= moved.maximum
    allowed = f"{moved.minimum:g} to {moved.maximum:g}"
    problem = "" if inside else f"it reads {value:g} {moved.unit}, and {allowed} are allowed.".replace("  ", " ")
    return RoleReading(role, spec.instrument, value, moved.unit, _output(moved.output_is_on()), allowed, problem)


def _output(is_on: bool | None) -> str:
    return {True: "output on", False: "output off", None: ""}[is_on]
