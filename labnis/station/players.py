"""Objects that fill roles: the instrument itself, or an adapter of a part, an input or a parameter of it."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from drivers.answers import TEMPERATURES
from drivers.capabilities import RangedMeter, TellsSettings
from drivers.roles import Clock, Meter
from drivers.wiring import Wiring
from labnis.station.amplifier import StatedAmplifier, amplifier_of
from labnis.station.parameter_source import LARGEST_LEVEL, ParameterSource, Switch
from labnis.station.parameters import Parameter, part_of
from labnis.station.plausible_role import CHECKS, PlausibleRole
from labnis.station.role_check import channels_in_words, filling_channels, may_have_channels, missing_members
from labnis.station.role_spec import KINDS, BiasSpec, MeterSpec, ReadingSpec, RoleSpec, SetpointSpec

__all__ = ["DeviceMeter", "FunctionMeter", "at_device", "lacks", "output_of", "player_of"]


READ_BY = {"ammeter": "read", "voltmeter": "read", "reading": "read", "thermometer": "temperature"}
"""Kinds of roles that read one number → the method of an instrument that gives it."""

POSSIBLE = {"thermometer": TEMPERATURES, "ammeter": (-1e2, 1e2), "voltmeter": (-LARGEST_LEVEL, LARGEST_LEVEL)}
"""Kind of a role → smallest and largest reading that can be true (K, A, V), where the role defines them."""

_AUXILIARY = re.compile(r"aux([1-4])")
AMPLIFIER_OUTPUTS = (-1e2, 1e2)
"""Smallest and largest output (V) of an amplifier in front of a meter."""


@dataclass(frozen=True)
class FunctionMeter:
    """A function that reads a number; fills `drivers.roles.Meter`."""

    read: Callable[[], float]


@dataclass(frozen=True)
class FunctionThermometer:
    """A function that reads a temperature (K); fills `drivers.roles.Thermometer`."""

    temperature: Callable[[], float]


class DeviceMeter:
    """Fills `drivers.roles.Meter` for the device.

    Parameters
    ----------
    instrument
        Instrument that reads one number: A or V at its terminals.
    amplifier
        The amplifier in front of it; None where there is none.
    sampled_by
        The clock, where the instrument samples and does not integrate, as an auxiliary input of a lock-in does: one
        reading is then the mean of all samples in `integration_time`.
    ranged
        The instrument, or its part, where it prepares its readings by itself.
    unit
        Unit of the readings of the device.

    Attributes
    ----------
    amplifier_output
        Last output of the amplifier (V); NaN where there is none or nothing was read yet.
    integration_time
        Time (s) of one reading of an instrument that samples; 0 for a single sample.

    """

    def __init__(
        self,
        instrument: Meter,
        amplifier: StatedAmplifier | None = None,
        sampled_by: Clock | None = None,
        *,
        ranged: RangedMeter | None = None,
        unit: Literal["A", "V"] = "A",
    ) -> None:
        self._instrument = instrument
        self._ranged = ranged
        self._unit = unit
        self._amplifier = amplifier
        self._sampled_by = sampled_by
        self.amplifier_output = math.nan
        self.integration_time = 0.0

    def prepare(self, maximum: float, integration_time: float) -> None:
        """Set instrument and amplifier up, where they can be, for readings of the device up to ± `maximum` (A or V).

        Parameters
        ----------
        maximum
            Largest reading.
        integration_time
            Of one reading (s).

        Raises
        ------
        InstrumentError
            The instrument has no such range, does not accept a setting, or the amplifier has another gain.

        """
        self.integration_time = integration_time
        amplifier = self._amplifier
        if amplifier is not None:
            amplifier.prepare()
        if self._ranged is not None:
            gain = 1.0 if amplifier is None else abs(amplifier.gain)
            self._ranged.prepare_reading(unit=self._sensed, maximum=gain * maximum, integration_time=integration_time)

    @property
    def _sensed(self) -> Literal["A", "V"]:
        """Unit of what the instrument itself reads."""
        return self._unit if self._amplifier is None else "V"

    def set_otherwise(self) -> list[str]:
        """What makes other numbers of the instrument's readings until `prepare` sets it, where it tells that."""
        if self._ranged is None or missing_members(self._ranged, TellsSettings):
            return []
        return cast(TellsSettings, self._ranged).set_otherwise(self._sensed)

    @property
    def range(self) -> float:
        """Range of the instrument as one of the device (A or V), where the instrument tells it; else NaN."""
        gain = 1.0 if self._amplifier is None else abs(self._amplifier.gain)
        return float(getattr(self._ranged, "reading_range", math.nan)) / gain

    def read(self) -> float:
        """Current through the device (A), or voltage across it (V)."""
        self.amplifier_output = math.nan
        reading = self._mean()
        if self._amplifier is None:
            return reading
        self._amplifier.check(reading)
        self.amplifier_output = reading
        return reading / self._amplifier.gain

    def _mean(self) -> float:
        """What the instrument reads, integrated."""
        clock = self._sampled_by
        if clock is None:
            return float(self._instrument.read())
        # Rounding of the times must not add a sample beyond a whole number of cycles.
        end, samples = clock.time() + (1 - 1e-6) * self.integration_time, [float(self._instrument.read())]
        while clock.time() < end:
            samples.append(float(self._instrument.read()))
        return math.fsum(samples) / len(samples)


def at_device(
    spec: RoleSpec,
    player: Any,
    instruments: Mapping[str, Any],
    wiring: Wiring,
    clock: Clock,
    described: Callable[[str], str],
) -> Any:
    """What fills the role for the device: a meter reads it in its units, a lock-in checks the amplifier it reads.

    Parameters
    ----------
    spec
        Of the role.
    player
        What fills it at the instrument's terminals.
    instruments
        Open instruments by name; stand-ins are not among them.
    wiring, clock
        Of the station.
    described
        Gives name and address of an instrument, for messages.

    """
    amplifier = amplifier_of(wiring, spec, instruments, described)
    if isinstance(player, PlausibleRole):
        player.amplifier = amplifier
    if not isinstance(spec, MeterSpec):
        return player
    part = instrument = instruments.get(spec.instrument)
    if instrument is None:
        part = player
    elif spec.channel is not None and not samples(spec):
        part = part_of(instrument, str(spec.channel))
    prepares = spec.parameter is None and not samples(spec) and not missing_members(part, RangedMeter)
    return DeviceMeter(
        player,
        amplifier,
        clock if samples(spec) else None,
        ranged=cast(RangedMeter, part) if prepares else None,
        unit="V" if spec.kind == "voltmeter" else "A",
    )


def samples(spec: RoleSpec) -> bool:
    """Whether what fills the role samples and does not integrate: an auxiliary input of a lock-in."""
    return _AUXILIARY.fullmatch(str(spec.channel or "")) is not None


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
    auxiliary = _AUXILIARY.fullmatch(str(spec.channel or ""))
    if auxiliary and hasattr(instrument, "read_auxiliary"):
        return Parameter(
            instrument, "read_auxiliary", described, arguments=(int(auxiliary[1]),), possible=AMPLIFIER_OUTPUTS
        )
    if spec.kind == "thermometer" and spec.channel is not None and hasattr(instrument, "channel_temperature"):
        return FunctionThermometer(
            Parameter(
                instrument, "channel_temperature", described, arguments=(spec.channel,), possible=TEMPERATURES
            ).read
        )
    part = instrument if spec.channel is None else part_of(instrument, str(spec.channel))
    if isinstance(spec, BiasSpec) and spec.level is not None:
        return ParameterSource(part, spec, described)
    named = getattr(spec, "parameter", None)
    missing = [] if named else missing_members(part, KINDS[spec.kind].protocol)
    if missing:
        raise LookupError(lacks(part, missing, spec))
    name = named or READ_BY.get(spec.kind)
    if name is None:
        return PlausibleRole(part, spec.kind, described) if spec.kind in CHECKS else part
    amplified = getattr(spec, "amplifier", None) is not None
    possible = AMPLIFIER_OUTPUTS if amplified else POSSIBLE.get(spec.kind, (-math.inf, math.inf))
    unit = getattr(spec, "unit", "") or ("" if named else getattr(part, "unit", ""))
    found = Parameter(part, name, described, unit, possible=possible)
    return FunctionThermometer(found.read) if spec.kind == "thermometer" else found


def lacks(player: Any, missing: list[str], spec: RoleSpec) -> str:
    """Sentence on what an instrument, or its class, lacks to fill a role, and what to do."""
    kind = player if isinstance(player, type) else type(player)
    if spec.channel is None and (channels := filling_channels(player, KINDS[spec.kind].protocol)):
        return (
            f"{spec.instrument} is a {kind.__name__}, whose channels play this role; name one of them: "
            f"{channels_in_words(channels)}"
        )
    part = "its" if spec.channel is not None or not may_have_channels(player) else "its channel (channel: …) and the"
    if isinstance(spec, BiasSpec):
        hint = f"or name {part} parameters (level: …, output: …)"
    elif isinstance(spec, MeterSpec | ReadingSpec):
        hint = f"or name {part} parameter (parameter: …)"
    else:
        hint = f"the kind {spec.kind} needs a class with these methods, see docs/station.md"
    return (
        f"{spec.instrument} is a {kind.__name__}, which cannot play this role: it lacks {', '.join(missing)}; see "
        f"drivers/roles.py for their meaning; {hint}"
    )


def output_of(spec: SetpointSpec, instrument: Any, described: str, *, stands_in: bool = False) -> Switch | None:
    """The switch of a set-point's output; None if it names none. A stand-in (`stands_in`) has methods for it."""
    if spec.output is None:
        return None
    if stands_in:
        return Switch(instrument, "output_enabled", described, ("output_on", "output_off"))
    part = instrument if spec.channel is None else part_of(instrument, str(spec.channel))
    return Switch(part, spec.output, described, spec.switch)
