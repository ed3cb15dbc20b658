"""Checks of a station without opening an instrument: the classes exist and can fill their roles."""

from typing import Any

from pymeasure.instruments import Instrument as PymeasureInstrument
from pyvisa.rname import InvalidResourceName, ResourceName
from qcodes.instrument import VisaInstrument

from drivers.protection import Watchdog
from labnis.station.amplifier import lacks_gain
from labnis.station.bias.source_levels import require_levels
from labnis.station.config import StationConfig
from labnis.station.connecting import instrument_class
from labnis.station.lock_names import lock_name_of_address
from labnis.station.packages import syntax_errors
from labnis.station.players import lacks
from labnis.station.role_check import missing_members, missing_names, source_class
from labnis.station.role_spec import KINDS, RoleSpec

__all__ = ["check_station", "require_watchdog"]


def check_station(config: StationConfig) -> None:
    """Import the class of each instrument, compare it with its roles as far as the class shows it, and parse packages.

    Raises
    ------
    ConfigurationError
        A class does not exist, or lacks a method of its role or a named parameter; the bias source cannot hold the
        limits; an address is none, or that of two instruments; or a file of a lab's package is no Python. The message
        has file and line.

    """
    addresses: dict[str, str] = {}
    for name in config.instruments:
        kind = instrument_class(config, name)
        _require_address(config, name, kind, addresses)
        if config.limits.watchdog is not None and name == config.limits.watchdog.instrument:
            require_watchdog(config, name, kind)
        _require_amplifier(config, name, kind)
        for role, spec in config.roles.items():
            if spec.instrument != name:
                continue
            # pymeasure's properties are those of the class; QCoDeS's parameters are made with the instrument.
            if issubclass(kind, PymeasureInstrument) and spec.channel is None:
                absent = missing_names(kind, spec.parameters)
                if absent:
                    raise config.error(
                        ("labnis", "roles", role), f"{name} is a {kind.__name__}, which has no {', '.join(absent)}"
                    )
            if role == "bias":
                require_levels(config, source_class(kind, spec.channel))
            if not _part_or_parameter(config, role, spec, kind):
                missing = missing_members(kind, KINDS[spec.kind].protocol)
                if missing:
                    raise config.error(("labnis", "roles", role), lacks(kind, missing, spec))
    for error in syntax_errors(config.path.parent, config.packages):
        raise config.error(("labnis", "packages"), error)


def _require_address(config: StationConfig, name: str, kind: type, seen: dict[str, str]) -> None:
    """Refuse an address that is none of VISA, and one that another instrument has; `seen` are those before it."""
    address, where = config.address(name), ("instruments", name, "address")
    if not address or not issubclass(kind, VisaInstrument | PymeasureInstrument):
        return
    if "::" in address and (problem := _problem_of_address(address)):  # else it may be an alias
        raise config.error(where, f"{address} is no VISA address: {problem}")
    entries = config.instruments
    other = seen.setdefault(f"{lock_name_of_address(address)} {entries[name].get('init') or ''}", name)
    if entries[other].get("type") != entries[name].get("type"):
        raise config.error(where, f"{address} is that of {other}, too, which is another instrument")


def _problem_of_address(address: str) -> str:
    """Why `address` is none of VISA; empty if it is one."""
    single = [part for part in address.split("::") if ":" in part]
    if single and "[" not in address:  # PyVISA takes it for the name of a board or a device
        return f"{single[0]!r} has a single colon; parts are separated by two"
    try:
        ResourceName.from_string(address)
    except InvalidResourceName as error:
        return str(error)
    return ""


def _require_amplifier(config: StationConfig, name: str, kind: type) -> None:
    """Refuse the class of the instrument `name` if it is to be an amplifier's and neither reports nor sets a gain."""
    for amplifier, stated in config.wiring.amplifiers.items():
        if stated.instrument == name and (lack := lacks_gain(kind)):
            raise config.error(
                ("labnis", "wiring", "amplifiers", amplifier, "instrument"),
                f"{name} is a {kind.__name__}, which has no {lack}; the instrument of an amplifier reports its gain or "
                "sets it (drivers/capabilities.py: GainReporting, GainSetting)",
            )


def require_watchdog(config: StationConfig, name: str, player: Any) -> None:
    """Refuse `player`, the instrument `name` or its class, as the watchdog if it lacks a method."""
    if missing := missing_members(player, Watchdog):
        kind = player if isinstance(player, type) else type(player)
        raise config.error(
            ("labnis", "limits", "watchdog", "instrument"),
            f"{name} is a {kind.__name__}, which has no {', '.join(missing)}; a watchdog has arm(timeout), feed() and "
            "disarm() (drivers.protection.Watchdog)",
        )


def _part_or_parameter(config: StationConfig, role: str, spec: RoleSpec, kind: type) -> bool:
    """Whether the role is filled by something that the class does not show."""
    if role == "current" and config.source_reads_current:
        return True
    reads_channel = spec.kind == "thermometer" and hasattr(kind, "channel_temperature")
    return spec.replaces_methods or (spec.channel is not None and not reads_channel)
