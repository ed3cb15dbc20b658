"""Checks of a station without opening an instrument: the classes exist and can fill their roles."""

from labnis.station.config import StationConfig
from labnis.station.connecting import instrument_class
from labnis.station.players import lacks, uses_parameters
from labnis.station.role_check import missing_members
from labnis.station.role_spec import PROTOCOLS, RoleSpec

__all__ = ["check_station"]


def check_station(config: StationConfig) -> None:
    """Import the class of each instrument, and compare it with its roles, as far as the class shows it.

    Raises
    ------
    ConfigurationError
        The message has file and line of a class that does not exist or lacks a method of its role.

    """
    for name in config.instruments:
        kind = instrument_class(config, name)
        for role, spec in config.roles.items():
            if spec.instrument == name and not _part_or_parameter(config, role, spec, kind):
                missing = missing_members(kind, PROTOCOLS[spec.kind])
                if missing:
                    raise config.error(("labnis", "roles", role), lacks(kind, missing, spec))


def _part_or_parameter(config: StationConfig, role: str, spec: RoleSpec, kind: type) -> bool:
    """Whether the role is filled by something that the class does not show."""
    if role == "current" and spec.instrument == config.bias.instrument and spec.channel is None:
        return True  # the source itself measures it
    reads_channel = spec.kind == "thermometer" and hasattr(kind, "channel_temperature")
    return uses_parameters(spec) or (spec.channel is not None and not reads_channel)
