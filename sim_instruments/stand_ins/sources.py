"""Stand-ins of a bias source and of anything else that is set: a gate, a field, a heater."""

import math
from dataclasses import dataclass

from sim_instruments.instruments import SimulatedRole
from sim_instruments.stand_ins.stand_in import Place, StandIn

__all__ = ["BiasSource", "Setpoint", "Stage", "Terminals"]


@dataclass(frozen=True)
class Terminals:
    """One reading of a bias source: voltage (V), current (A), ranges (V, A); NaN where it has no such reading."""

    voltage: float
    current: float
    voltage_range: float = math.nan
    current_range: float = math.nan


class _Switched(StandIn):
    """An instrument with an output that is on or off."""

    _output: bool

    def _drive(self) -> None:
        """Apply level and output to the simulated fridge, if they have an effect there."""

    def output_on(self) -> None:
        """Connect the output."""
        self._switch(output=True)

    def output_off(self) -> None:
        """Disconnect the output."""
        self._switch(output=False)

    def _switch(self, *, output: bool) -> None:
        self._exchange()
        self._output = output
        self._drive()

    def output_enabled(self) -> bool:
        """Whether the output is on."""
        self._exchange()
        return self._output


class BiasSource(_Switched):
    """A voltage source on the bias line.

    It measures its current, and limits it, unless the station file names its parameters without these. As an
    ammeter it always measures its current.
    """

    def __init__(self, place: Place, role: SimulatedRole) -> None:
        super().__init__(place, role)
        by_parameters = role.options.get("level") is not None
        self._measures = (
            place.instrument.plays("ammeter") or not by_parameters or role.options.get("current") is not None
        )
        self._limits = not by_parameters or role.options.get("compliance") is not None
        self._terminals = self._wires.terminals(place.world)
        self._level = 0.0
        self._output = False
        self._compliance = math.inf
        self._integration_time = 0.02
        self._ranges = (math.nan, math.nan)
        self._drive()

    def _drive(self) -> None:
        limit = self._compliance if self._limits else math.inf
        self._terminals.set_source(level=self._level, output=self._output, current_limit=limit)

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        """Choose ranges (V, A), the current limit (A) and the time of one reading (s)."""
        self._exchange()
        self._ranges = (maximum_voltage, maximum_current if self._measures else math.nan)
        self._compliance = compliance
        self._integration_time = integration_time
        self._drive()

    def set_level(self, value: float) -> None:
        """Set the level (V)."""
        self._exchange()
        self._level = float(value)
        self._drive()

    def level(self) -> float:
        """Read the level back (V)."""
        self._exchange()
        return self._level

    def read(self) -> Terminals:
        """Measure, in one integration time. Raises the error for compliance if the current limit acts."""
        self._exchange()
        self._clock.sleep(self._integration_time)
        state = self._terminals.source_state(self._integration_time, *self._ranges)
        if state.limited:
            raise self._errors.compliance(self.name, f"the source is at its current limit of {self._compliance:g} A.")
        current = state.current if self._measures else math.nan
        return Terminals(state.voltage, current, *self._ranges)


class Setpoint(_Switched):
    """A number that is set, at once or with a finite rate, and read back; without effect on the fridge.

    Options of its role: `unit`, `slew` (units per s) for an instrument with a finite rate, and `output` for one whose
    output is off at first.
    """

    def __init__(self, place: Place, role: SimulatedRole) -> None:
        super().__init__(place, role)
        self.unit = str(role.options.get("unit") or "")
        self._slew = float(role.options.get("slew") or math.inf)
        self._from = self._target = 0.0
        self._since = self._clock.time()
        self._output = role.options.get("output") is None

    def _present(self) -> float:
        elapsed = self._clock.time() - self._since
        if math.isinf(self._slew):
            return self._target
        way = self._target - self._from
        return self._from + math.copysign(min(abs(way), self._slew * elapsed), way)

    def set_level(self, value: float) -> None:
        """Set the target."""
        self._exchange()
        self._from, self._target, self._since = self._present(), float(value), self._clock.time()

    def level(self) -> float:
        """Read the present value back."""
        self._exchange()
        return self._present()

    read = level


class Stage(_Switched):
    """A control loop that holds the mixing chamber at its level (K), as read by the thermometer."""

    def __init__(self, place: Place, role: SimulatedRole) -> None:
        super().__init__(place, role)
        self._level = self._power = 0.0
        self._output = False

    def _drive(self) -> None:
        if self._output:
            self._world.heat_stage(self._power, self._level)
        else:
            self._world.heat_stage(0.0)

    def prepare(self, *, maximum_power: float, heater_resistance: float) -> None:
        """Choose the largest power (W); the heater goes off."""
        self._power = maximum_power
        self._switch(output=False)

    def output_on(self) -> None:
        """Switch the heater on, with the present temperature of the stage as set-point."""
        self._level = self._world.temperature("mixing_chamber")
        super().output_on()

    def set_level(self, value: float) -> None:
        """Set the target (K)."""
        self._exchange()
        self._level = float(value)
        self._drive()

    def level(self) -> float:
        """Read the target back (K)."""
        self._exchange()
        return self._level
