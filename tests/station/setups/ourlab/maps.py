"""Measurements of the lab."""

from typing import ClassVar

from procedures import Measurement, SweepParameter


class FieldMap(Measurement):
    """Current of the device against field and bias."""

    REQUIRES: ClassVar[tuple[str, ...]] = ("bias", "field", "gate")
    SETPOINTS: ClassVar[tuple[str, ...]] = ("Field (T)", "Bias (V)")
    DATA_COLUMNS: ClassVar[list[str]] = ["Field reading (T)", "Gate reading (V)", "Current (A)"]
    SIGNAL: ClassVar[str] = "Current (A)"

    fields = SweepParameter("Field", units="T", default="0:0.05:2")
    biases = SweepParameter("Bias", units="V", default="-2e-3:2e-3:5")

    def startup(self) -> None:
        """Switch the bias on at zero, and set the gate."""
        self.roles.bias.prepare(maximum_bias=2e-3, maximum_current=1e-6, integration_time=0.02)
        self.roles.gate.move_to(0.5)

    def execute(self) -> None:
        """For each field and bias: set both, wait, read."""
        for field, bias in self.sweep():
            self.roles.field.move_to(field)
            self.roles.bias.move_to(bias)
            self.roles.clock.sleep(0.03)
            self.record(self.roles.field.read(), self.roles.gate.read(), self.roles.bias.read().current)


class GateMap(Measurement):
    """Current of the device against gate, at one bias."""

    REQUIRES: ClassVar[tuple[str, ...]] = ("bias", "gate")
    SETPOINTS: ClassVar[tuple[str, ...]] = ("Gate (V)",)
    DATA_COLUMNS: ClassVar[list[str]] = ["Gate reading (V)", "Current (A)"]
    SIGNAL: ClassVar[str] = "Current (A)"

    gates = SweepParameter("Gate", units="V", default="-1:1:5")

    def startup(self) -> None:
        """Bring the bias to 1 mV."""
        self.roles.bias.prepare(maximum_bias=1e-3, maximum_current=1e-6, integration_time=0.02)
        self.roles.bias.move_to(1e-3)

    def execute(self) -> None:
        """For each gate: set it, wait, read."""
        for (gate,) in self.sweep():
            self.roles.gate.move_to(gate)
            self.roles.clock.sleep(1.0)
            self.record(self.roles.gate.read(), self.roles.bias.read().current)
