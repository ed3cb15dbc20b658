"""Objects that fill roles: the instrument itself, or an adapter of a part, an input or a parameter of it."""

import re
from typing import Any

from drivers.roles import LockIn
from labnis.station.parameter_source import ParameterSource, Switch
from labnis.station.parameters import Parameter, part_of
from labnis.station.role_check import missing_members
from labnis.station.role_spec import (
    ALWAYS_ON,
    PARAMETERS_OF_A_SOURCE,
    PROTOCOLS,
    BiasSpec,
    MeterSpec,
    ReadingSpec,
    RoleSpec,
    SetpointSpec,
)

__all__ = ["lacks", "output_of", "parameters_of", "player_of", "uses_parameters"]


class AuxiliaryInput:
    """An auxiliary input of a lock-in as a voltmeter."""

    def __init__(self, lockin: LockIn, channel: int) -> None:
        self._lockin = lockin
        self._channel = channel

    def read(self) -> float:
        """Voltage (V) at the input."""
        return self._lockin.read_auxiliary(self._channel)


class ThermometerInput:
    """One input of an instrument with several thermometers."""

    def __init__(self, instrument: Any, channel: int | str) -> None:
        self._instrument = instrument
        self._channel = channel

    def temperature(self) -> float:
        """Temperature (K) at the input."""
        return float(self._instrument.channel_temperature(self._channel))


class ParameterThermometer:
    """A parameter that reads a temperature."""

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter

    def temperature(self) -> float:
        """Temperature (K)."""
        return self._parameter.read()


def uses_parameters(spec: RoleSpec) -> bool:
    """Whether the role names parameters, so that the class itself need not fill the role."""
    return getattr(spec, "parameter", None) is not None or (isinstance(spec, BiasSpec) and spec.level is not None)


def parameters_of(spec: RoleSpec) -> list[str]:
    """Names of the parameters, properties and methods that the role is filled through."""
    named = [getattr(spec, key, None) for key in ("parameter", *PARAMETERS_OF_A_SOURCE) if key != "switch"]
    return [name for name in (*named, *(getattr(spec, "switch", None) or ())) if name not in (None, ALWAYS_ON)]


def player_of(spec: RoleSpec, instrument: Any, described: str) -> Any:
    """What fills the role on the open `instrument`, at the instrument's own terminals.

    Parameters
    ----------
    spec
        Specification in the station file.
    instrument
        Open.
    described
        Name and address, for messages.

    Raises
    ------
    LookupError
        The message has what the instrument lacks.

    """
    auxiliary = re.fullmatch(r"aux([1-4])", str(spec.channel or ""))
    if auxiliary and hasattr(instrument, "read_auxiliary"):
        return AuxiliaryInput(instrument, int(auxiliary[1]))
    if spec.kind == "thermometer" and spec.channel is not None and hasattr(instrument, "channel_temperature"):
        return ThermometerInput(instrument, spec.channel)
    part = instrument if spec.channel is None else part_of(instrument, str(spec.channel))
    if isinstance(spec, BiasSpec) and spec.level is not None:
        return ParameterSource(part, spec, described)
    if isinstance(spec, MeterSpec | ReadingSpec) and spec.parameter is not None:
        parameter = Parameter(part, spec.parameter, described, getattr(spec, "unit", ""))
        return ParameterThermometer(parameter) if spec.kind == "thermometer" else parameter
    missing = missing_members(part, PROTOCOLS[spec.kind])
    if missing:
        raise LookupError(lacks(type(part), missing, spec))
    return part


def lacks(kind: type, missing: list[str], spec: RoleSpec) -> str:
    """Sentence on what a class lacks to fill a role, and what to do."""
    hint = {
        "bias": "; or name its parameters (level: …, output: …)",
        "analyzer": "",
        "vna": "",
        "lockin": "",
    }.get(spec.kind, "; or name its parameter (parameter: …)")
    return (
        f"{spec.instrument} is a {kind.__name__}, which cannot play this role: it lacks {', '.join(missing)}; see "
        f"drivers/roles.py for their meaning{hint}"
    )


def output_of(spec: SetpointSpec, instrument: Any, described: str, *, stands_in: bool = False) -> Switch | None:
    """The switch of a set-point's output; None if it names none. A stand-in (`stands_in`) has methods for it."""
    if spec.output is None:
        return None
    if stands_in:
        return Switch(instrument, "output_enabled", described, ("output_on", "output_off"))
    part = instrument if spec.channel is None else part_of(instrument, str(spec.channel))
    return Switch(part, spec.output, described, spec.switch)
