"""The instruments at the simulated device, described as in a station file, and their wiring."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labnis.accuracy import Source
from sim_instruments.world import LineWiring, Signal, Stage, Wires
from sim_instruments.world.wires import INPUTS

__all__ = [
    "PLAIN",
    "SHIPPED_TRUTH",
    "Setup",
    "SimulatedInstrument",
    "SimulatedRole",
    "signal_of",
    "stage_of",
    "wires_of",
]

#: The truth file used by plain `@labnis`.
SHIPPED_TRUTH = Path(__file__).with_name("nis_device.yaml")

# Kinds of roles that read the device at the input of their instrument, the first one of it at the only input.
READS_SIGNAL = ("lockin", "ammeter", "voltmeter")
# Inputs that have a letter in place of a number.
LETTERS = ("A", "B", "C", "D")
STAGE_NAMES: tuple[tuple[str, Stage], ...] = (
    ("still", "still"),
    ("50", "fifty_kelvin"),
    ("fifty", "fifty_kelvin"),
    ("4k", "four_kelvin"),
    ("four", "four_kelvin"),
)


@dataclass(frozen=True)
class SimulatedRole:
    """A role that an instrument fills.

    Attributes
    ----------
    name
        Name of the role in the station file.
    kind
        bias, ammeter, voltmeter, lockin, analyzer, vna, thermometer, setpoint, stage or reading.
    channel
        Input of a thermometer bridge; `aux1` to `aux4` for an auxiliary input of a lock-in.
    amplifier
        Name of the amplifier whose output the instrument reads.
    options
        Further keys of the role in the station file.

    """

    name: str
    kind: str
    channel: str | int | None = None
    amplifier: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def channel_number(self) -> int | None:
        """The number in `channel` (3 of `ch03`, 2 of `B`); None if there is none."""
        if str(self.channel) in LETTERS:
            return LETTERS.index(str(self.channel)) + 1
        digits = re.search(r"\d+$", str(self.channel))
        return int(digits[0]) if digits else None

    @property
    def auxiliary(self) -> int | None:
        """Number of the auxiliary input of a lock-in."""
        return self.channel_number if str(self.channel).lower().startswith("aux") else None


@dataclass(frozen=True)
class SimulatedInstrument:
    """One instrument of a station.

    Attributes
    ----------
    name
        Name in the station file.
    models
        Names of its class and of the classes it is derived from, nearest first; they select its panel.
    roles
        Roles that it fills.
    amplifies
        Name of the amplifier that it is.

    """

    name: str
    models: tuple[str, ...]
    roles: tuple[SimulatedRole, ...] = ()
    amplifies: str | None = None

    def plays(self, kind: str) -> bool:
        """Whether one of its roles is of this kind."""
        return any(role.kind == kind for role in self.roles)


#: The instruments of plain `@labnis`, each named for its only role.
PLAIN: Mapping[str, SimulatedInstrument] = {
    name: SimulatedInstrument(name, (model,), (SimulatedRole(name, kind),))
    for name, model, kind in (
        ("bias", "Keithley2450", "bias"),
        ("lockin", "SR830", "lockin"),
        ("analyzer", "KeysightN9030B", "analyzer"),
        ("vna", "KeysightN5222B", "vna"),
        ("fridge", "LakeShore372", "thermometer"),
    )
}


@dataclass(frozen=True)
class Setup:
    """Instruments at the device, and how they are wired.

    Attributes
    ----------
    instruments
        By name; those without a panel are not served.
    wiring
        Keys of `LineWiring`.
    stated
        Errors that instruments and wiring may have.

    """

    instruments: Mapping[str, SimulatedInstrument] = field(default_factory=lambda: PLAIN)
    wiring: Mapping[str, Any] = field(default_factory=dict)
    stated: Sequence[Source] = ()


def signal_of(role: SimulatedRole, wiring: LineWiring, all_instruments: Collection[SimulatedInstrument]) -> Signal:
    """Signal at the input of an ammeter, a voltmeter or a lock-in.

    An amplifier that a voltmeter reads amplifies the device voltage, unless an ammeter reads it, too.
    """
    if role.amplifier is None:
        if role.kind == "voltmeter":
            return Signal("voltage")
        direct = role.kind == "ammeter" and role.auxiliary is None
        return Signal("current", 1.0 if direct else wiring.gain())
    readers = {
        other.kind for instrument in all_instruments for other in instrument.roles if other.amplifier == role.amplifier
    }
    of_voltage = "voltmeter" in readers and "ammeter" not in readers
    return Signal("voltage" if of_voltage else "current", wiring.gain(role.amplifier))


def stage_of(role: SimulatedRole) -> Stage:
    """The stage whose temperature a role reads, by its channel or its name."""
    named = f"{role.name} {role.channel}".lower()
    found = next((stage for part, stage in STAGE_NAMES if part in named), None)
    if role.name == "fridge":
        return "mixing_chamber"
    return found or INPUTS.get(role.channel_number or 0, "mixing_chamber")


def _part_of(role: SimulatedRole) -> str | int | None:
    """The channel of a role, or the part of the instrument where the parameter of its level is."""
    return role.channel or str(role.options.get("level", "")).rpartition(".")[0] or None


def wires_of(
    instrument: SimulatedInstrument, wiring: LineWiring, all_instruments: Collection[SimulatedInstrument]
) -> Wires:
    """Connections of `instrument`, one of `all_instruments`."""
    lockins = {role.name: other.name for other in all_instruments for role in other.roles if role.kind == "lockin"}
    exciting = lockins.get("lockin") or next(iter(lockins.values()), None)
    reading = [role for role in instrument.roles if role.kind in READS_SIGNAL and role.auxiliary is None]
    reading.sort(key=lambda role: READS_SIGNAL.index(role.kind))
    signal = signal_of(reading[0], wiring, all_instruments) if reading else None
    if instrument.amplifies is not None:
        signal = Signal(gain=wiring.gain(instrument.amplifies))
    auxiliary = {
        role.auxiliary: signal_of(role, wiring, all_instruments)
        for role in instrument.roles
        if role.auxiliary is not None
    }
    stages = {
        role.channel_number: stage_of(role)
        for role in instrument.roles
        if role.kind == "thermometer" and role.channel_number is not None
    }
    sourcing = [role for kind in ("bias", "ammeter") for role in instrument.roles if role.kind == kind]
    return Wires(
        source="bias" if instrument.plays("bias") else "current" if instrument.plays("ammeter") else None,
        source_channel=_part_of(sourcing[0]) if sourcing else None,
        excites=exciting == instrument.name,
        signal=signal,
        auxiliary={1: signal} | auxiliary,
        stages={**INPUTS, **stages},
    )
