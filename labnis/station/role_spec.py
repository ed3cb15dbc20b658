"""Specification of a role in station.yaml: which instrument fills it, and how.

A role is one line (`lockin: sr830`) or a mapping (`gate: {instrument: smu2, kind: setpoint, parameter: voltage, …}`).
Roles with a standard name have their kind; any other role names its `kind`, which decides over the keys that it has.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from drivers import roles
from drivers.stage_heater import StageHeater
from drivers.wiring import Section
from labnis.station.bias.ramp import SHARE_OF_RATE

__all__ = [
    "ALWAYS_ON",
    "KINDS",
    "STANDARD_KINDS",
    "AmplifiedSpec",
    "BiasSpec",
    "MeterSpec",
    "Name",
    "Positive",
    "ReadingSpec",
    "RoleSpec",
    "SetpointSpec",
    "StageSpec",
    "spec_input",
]

Positive = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(min_length=1)]
Methods = Annotated[tuple[Name, Name], Field(strict=False)]

STANDARD_KINDS = {
    "bias": "bias",
    "current": "ammeter",
    "voltage": "voltmeter",
    "lockin": "lockin",
    "analyzer": "analyzer",
    "vna": "vna",
    "fridge": "thermometer",
    "stage": "stage",
}
"""Roles that have their kind by name."""


class RoleSpec(Section):
    """A role of the station.

    Attributes
    ----------
    instrument
        Name of the instrument under `instruments:`.
    kind
        Kind of the role.
    channel
        Part of the instrument: a submodule by its name, the input of a thermometer by its number, or an auxiliary input
        of a lock-in (`aux1` to `aux4`).

    """

    instrument: Name
    kind: Name
    channel: Name | int | None = None

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters, properties and methods of the instrument that the role is filled through."""
        named = self.model_dump(include={"parameter", *PARAMETERS_OF_A_SOURCE}, exclude_none=True)
        switch = named.pop("switch", ())
        return [name for name in (*named.values(), *switch) if name != ALWAYS_ON]

    @property
    def replaces_methods(self) -> bool:
        """Whether the role names parameters, so that the class of the instrument need not fill the role."""
        return any(getattr(self, key, None) is not None for key in ("parameter", "level"))

    @property
    def paths(self) -> list[str]:
        """Dotted names, within the instrument, of what the role uses: parameters, or a whole part (empty for all)."""
        part = "" if self.channel is None else str(self.channel)
        return [f"{part}.{name}".strip(".") for name in (self.parameters if self.replaces_methods else [""])]

    def shares(self, other: "RoleSpec") -> str | None:
        """A path that this role has in common with `other` on the same instrument; None if there is none."""
        pairs = [(mine, its) for mine in self.paths for its in other.paths]
        return next((mine or its for mine, its in pairs if _contains(mine, its) or _contains(its, mine)), None)


def _contains(whole: str, path: str) -> bool:
    return not whole or f"{path}.".startswith(f"{whole}.")


def _require_output_of(switch: object, output: str | None) -> None:
    if switch is not None and output is None:
        raise ValueError(
            "output is missing: the parameter or property that says whether the output is on; switch only names the "
            "methods that switch it"
        )


class AmplifiedSpec(RoleSpec):
    """A lock-in.

    Attributes
    ----------
    amplifier
        The amplifier under `wiring.amplifiers` whose output it reads.

    """

    amplifier: Name | None = None


class MeterSpec(AmplifiedSpec):
    """An ammeter or a voltmeter.

    Attributes
    ----------
    parameter
        Parameter or property that gives the reading, for an instrument without the methods of a meter.

    """

    parameter: Name | None = None


class ReadingSpec(RoleSpec):
    """Any number of an instrument.

    Attributes
    ----------
    parameter
        QCoDeS parameter or Python property; `smua.volt` for one of a submodule.
    unit
        Unit, if the parameter itself has none.

    """

    parameter: Name | None = None
    unit: str = ""


class SetpointSpec(ReadingSpec):
    """A number that is set by ramps, in the unit of its parameter.

    Attributes
    ----------
    minimum, maximum
        Allowed values; the minimum is −maximum by default.
    rate
        Largest rate of a ramp (units per s).
    step
        Largest single step; by default the change in 0.2 s at the full rate.
    tolerance
        Tolerance of the read-back value; by default 1e-3 of the largest allowed value.
    at_end
        End of a run: `zero` ramps to 0, `off` then also switches `output` off, `stay` does not move it.
    output, switch
        Parameter or property that says whether the output is on; the methods [on, off] that switch it, where the
        parameter cannot be set.

    """

    maximum: float
    minimum: float | None = None
    rate: Positive
    step: Positive | None = None
    tolerance: Positive | None = None
    at_end: Literal["zero", "stay", "off"] = "zero"
    output: Name | None = None
    switch: Methods | None = None

    @field_validator("minimum")
    @classmethod
    def _below_maximum(cls, minimum: float | None, info: ValidationInfo) -> float | None:
        maximum = info.data.get("maximum")
        if minimum is not None and maximum is not None and not minimum < maximum:
            raise ValueError(f"found {minimum}, not below maximum ({maximum}); it must be lower")
        return minimum

    @model_validator(mode="after")
    def _can_end(self) -> Self:
        low, high = self.limits
        if not low < high:
            raise ValueError(f"maximum is {self.maximum}; without a minimum it must be positive")
        _require_output_of(self.switch, self.output)
        if self.at_end == "off" and self.output is None:
            raise ValueError("at_end is off, which needs output: the parameter that switches the output off")
        if self.at_end == "zero" and not low <= 0 <= high:
            raise ValueError(f"at_end is zero, which is not within {low:g} to {high:g}; use stay or off")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest value allowed."""
        return -self.maximum if self.minimum is None else self.minimum, self.maximum

    @property
    def longest_ramp(self) -> float:
        """Time (s) that ramping to zero takes at most."""
        return max(abs(limit) for limit in self.limits) / (SHARE_OF_RATE * self.rate)


class StageSpec(SetpointSpec):
    """The temperature (K) of the device's stage, held by a heater; 0 is the heater switched off.

    Attributes
    ----------
    maximum_power
        Most power (W) that the heater may give.
    heater_resistance
        Of the heater (ohm).
    window
        While the stage is heated the role `fridge` may read at most the highest set-point so far and this (K) more, in
        place of limits.fridge_pause and limits.fridge_abort; beyond, the run ends.

    """

    maximum: Positive
    minimum: Literal[0] = 0
    maximum_power: Positive
    heater_resistance: Positive
    window: Positive
    unit: Literal["K"] = "K"
    at_end: Literal["off"] = "off"
    output: Literal["output_enabled"] = "output_enabled"
    switch: tuple[Literal["output_on"], Literal["output_off"]] = ("output_on", "output_off")

    @property
    def longest_ramp(self) -> float:
        """0: the heater is switched off from any set-point."""
        return 0.0


class BiasSpec(RoleSpec):
    """The bias source. A class without the methods of the role is used through its parameters or properties.

    Attributes
    ----------
    level, output
        Parameters of the level (V) and of the output's state; both or none. `output: always_on` is a source that cannot
        be switched off, a DAC for example.
    switch
        The methods [on, off] that switch the output, where the parameter cannot be set.
    range, compliance, integration_time, current
        Parameters of the voltage range (V), the current limit (A), the time of one current reading (s), and of the
        measured current (A), where the instrument has them.

    """

    level: Name | None = None
    output: Name | None = None
    switch: Methods | None = None
    range: Name | None = None
    compliance: Name | None = None
    integration_time: Name | None = None
    current: Name | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.level is not None:
            _require_output_of(self.switch, self.output)
        named = [name for name in PARAMETERS_OF_A_SOURCE if getattr(self, name) is not None]
        if named and (self.level is None or self.output is None):
            raise ValueError(
                f"{named[0]} is named, so level and output are needed, too (output: {ALWAYS_ON} where it has no switch)"
            )
        return self


ALWAYS_ON = "always_on"
"""In place of the output's parameter: the source cannot be switched off."""

PARAMETERS_OF_A_SOURCE = ("level", "output", "switch", "range", "compliance", "integration_time", "current")


@dataclass(frozen=True)
class Kind:
    """A kind of role.

    Attributes
    ----------
    protocol
        Protocol that an instrument must have to fill it.
    spec
        Its keys in the station file.
    quantities
        What an interlock can watch.

    """

    protocol: type
    spec: type[RoleSpec] = RoleSpec
    quantities: tuple[str, ...] = ()


KINDS = {
    "bias": Kind(roles.BiasSource, BiasSpec, ("current", "device_voltage", "value")),
    "ammeter": Kind(roles.Meter, MeterSpec, ("value",)),
    "voltmeter": Kind(roles.Meter, MeterSpec, ("value",)),
    "lockin": Kind(roles.LockIn, AmplifiedSpec, ("magnitude", "value")),
    "analyzer": Kind(roles.SpectrumAnalyzer),
    "vna": Kind(roles.VectorNetworkAnalyzer),
    "thermometer": Kind(roles.Thermometer, ReadingSpec, ("temperature", "value")),
    "setpoint": Kind(roles.Adjustable, SetpointSpec, ("value",)),
    "reading": Kind(roles.Reading, ReadingSpec, ("value",)),
    "stage": Kind(StageHeater, StageSpec, ("value",)),
}


def spec_input(role: str, value: Any) -> dict[str, Any] | str:
    """Input of the specification of a role, from its value in the file; or a sentence on its error."""
    given = {"instrument": value} if isinstance(value, str) else value
    if not isinstance(given, dict):
        return f"found {value!r}; the name of an instrument is needed, or a mapping with instrument: NAME"
    standard = STANDARD_KINDS.get(role)
    kind = given.get("kind", standard)
    kinds = ", ".join(KINDS)
    if kind is None:
        return f"no standard role ({', '.join(STANDARD_KINDS)}), so it needs kind: one of {kinds}"
    if kind not in KINDS:
        return f"kind is {kind!r}; allowed are {kinds}"
    if standard is not None and kind != standard:
        return f"kind is {kind!r}, but the role {role} is a {standard}; choose another name for the role"
    if kind == "bias" and role != "bias":
        return "a station has one bias; another source is a setpoint"
    return {**given, "kind": kind}
