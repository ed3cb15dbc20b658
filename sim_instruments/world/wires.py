"""Connections of one instrument: terminals that drive the device, and signals at its inputs."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sim_instruments.world.fridge import SourceState, Stage, World
from sim_instruments.world.truth import Signal, TruthError

__all__ = ["INPUTS", "SourceTerminals", "Wires", "voltage_sourcing"]

SMALLEST_LEVEL = 1e-3
"""First level (V) that is tried to let a current flow."""
GROWTH, SLOW_GROWTH = 2.0, 1.05
"""From each level that is tried to the next one."""

INPUTS: Mapping[int, Stage] = {1: "mixing_chamber", 2: "still", 3: "four_kelvin", 4: "fifty_kelvin"}
"""Stage at each input of a thermometer bridge, by default."""


@dataclass(frozen=True)
class Wires:
    """Connections of one instrument; the defaults are those of the only instrument of its kind.

    Attributes
    ----------
    source
        "bias" if its output drives the bias line, "current" if its terminals take the device's current,
        None if its output is not simulated.
    source_channel
        Which of its channels that is, where it has several; None is the first one.
    excites
        Whether its sine output is the excitation on the bias line. All lock-ins have its reference.
    signal
        Signal at input A of a lock-in, or at the input of a meter; None is the output of the current amplifier.
    auxiliary
        Signals at the auxiliary inputs of a lock-in.
    stages
        Stages at the inputs of a thermometer bridge.

    """

    source: Literal["bias", "current"] | None = "bias"
    source_channel: str | int | None = None
    excites: bool = True
    signal: Signal | None = None
    auxiliary: Mapping[int, Signal | None] = field(default_factory=lambda: {1: None})
    stages: Mapping[int, Stage] = field(default_factory=lambda: INPUTS)

    @property
    def output(self) -> int:
        """Number of the source's output, the last digits of its channel (5 of `ch05`); 1 where it has none."""
        digits = re.search(r"\d+$", str(self.source_channel))
        return int(digits[0]) if digits else 1

    def terminals(self, world: World) -> "SourceTerminals":
        """Terminals of a source with these connections."""
        return world if self.source == "bias" else _IdleTerminals(world, takes_current=self.source == "current")

    def sourcing_current(self, world: World, current: float, limit: float) -> tuple[float, float]:
        """Level (V) and current limit (A) that let a `current` (A) flow, at most with the voltage `limit` (V)."""
        if self.source == "bias":
            return voltage_sourcing(world, current, limit)
        return math.copysign(limit, current), abs(current)  # nothing is connected


class SourceTerminals(Protocol):
    """Output terminals of a source, which may measure its own current."""

    def set_source(self, *, level: float, output: bool, current_limit: float) -> None:
        """Level (V), output relay and current limit (A)."""

    def source_state(
        self, integration_time: float, voltage_range: float = ..., current_range: float = ...
    ) -> SourceState:
        """Reading of the source in `integration_time` (s), with its ranges (V, A) if known."""


def voltage_sourcing(world: World, current: float, limit: float) -> tuple[float, float]:
    """Level (V) and current limit (A) of a voltage source that acts on the device as a source of a `current` (A).

    The level is not higher than needed, because the device has no steady state far beyond, and not beyond the voltage
    `limit` (V) of the current source, at which it stays where the device lets less flow. Where the device has no steady
    state with that current it is the highest level with one: less current flows than is sourced.
    """
    if current == 0:
        return -world.voltage_offset * world.divider, math.inf
    level, growth = min(SMALLEST_LEVEL * world.divider, limit), GROWTH
    flowing = _flowing(world, math.copysign(level, current))
    while level < limit and flowing < abs(current):
        higher = min(growth * level, limit)
        try:
            flowing = _flowing(world, math.copysign(higher, current))
        except TruthError:
            if growth < GROWTH:
                break
            growth = SLOW_GROWTH  # the current may be reached before that
            continue
        level = higher
    return math.copysign(level, current), abs(current)


def _flowing(world: World, level: float) -> float:
    """Size of the current (A) through the device with a voltage source at `level` (V)."""
    return abs(float(world.device_state(level / world.divider).current))


class _IdleTerminals:
    """Terminals of a source that does not drive the bias line: a gate, or a source-meter used as a meter.

    Parameters
    ----------
    world
        The simulated fridge.
    takes_current
        Whether the device's current flows into the terminals.

    """

    def __init__(self, world: World, *, takes_current: bool) -> None:
        self._world = world
        self._takes_current = takes_current
        self._level = 0.0

    def set_source(self, *, level: float, output: bool, current_limit: float) -> None:  # never acts
        """Level (V), output relay and current limit (A)."""
        self._level = level if output else 0.0

    def source_state(
        self, integration_time: float, voltage_range: float = math.nan, current_range: float = math.nan
    ) -> SourceState:
        """Reading of the source in `integration_time` (s); its voltage has no errors of gain or offset."""
        current = self._world.truth.noise.current_offset
        if self._takes_current:
            current = self._world.metered(1 / (2 * integration_time), Signal())
        return SourceState(self._level, current, limited=False)
