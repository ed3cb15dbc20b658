"""Measurements of this lab."""

from typing import ClassVar

from procedures import Measurement, SweepParameter


class GateMap(Measurement):
    """Current of the device against gate and bias."""

    REQUIRES: ClassVar[tuple[str, ...]] = ("bias", "gate")
    SETPOINTS: ClassVar[tuple[str, ...]] = ("Gate (V)", "Bias (V)")
    DATA_COLUMNS: ClassVar[list[str]] = ["Gate reading (V)", "Bias reading (V)", "Current (A)"]
    SIGNAL: ClassVar[str] = "Current (A)"
    ANALYSES: ClassVar[tuple[str, ...]] = ("mylab.fits.LineResistance",)

    gates = SweepParameter("Gate", units="V", default="-1:1:5")
    biases = SweepParameter("Bias", units="V", default="-2e-3:2e-3:21")

    def startup(self) -> None:
        """Check the limits, and switch the bias on at zero."""
        self.roles.bias.prepare(maximum_bias=max(map(abs, self.biases)), maximum_current=1e-6, integration_time=0.02)

    def execute(self) -> None:
        """For each gate and bias: set both, wait, read."""
        for gate, bias in self.sweep():
            self.roles.gate.move_to(gate)
            self.roles.bias.move_to(bias)
            self.roles.clock.sleep(0.03)
            reading = self.roles.bias.read()
            self.record(self.roles.gate.read(), reading.bias, reading.current)

    def point_duration(self) -> float:
        """Time (s) at one point."""
        return 0.05
