"""Current and differential conductance of the device against its bias."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pymeasure.experiment import FloatParameter, IntegerParameter

from procedures.bias_procedure import BiasProcedure

__all__ = ["IVSweep"]


class IVSweep(BiasProcedure):
    """Sweep the bias from −maximum to +maximum; at each point read the current and, with a lock-in, dI/dV."""

    DATA_COLUMNS: ClassVar[list[str]] = [
        "Bias (V)",
        "Device voltage (V)",
        "Current (A)",
        "Fridge temperature (K)",
        "Excitation (V)",
        "Conductance (S)",
    ]

    maximum_bias = FloatParameter("Largest bias", units="V", default=1.2e-3, minimum=0.0)
    points = IntegerParameter("Bias points", default=401, minimum=10, maximum=2_000_000)
    excitation = FloatParameter("Lock-in sine output", units="V", default=0.01, minimum=0.004, maximum=5.0)
    excitation_frequency = FloatParameter("Lock-in frequency", units="Hz", default=77.7, minimum=0.1, maximum=1e5)
    time_constant = FloatParameter("Lock-in time constant", units="s", default=0.03, minimum=1e-5)
    sensitivity = FloatParameter("Lock-in full scale", units="V", default=0.1, minimum=2e-9, maximum=1.0)

    def biases(self) -> NDArray[np.float64]:
        """Swept from the largest negative to the largest positive bias (V)."""
        return np.linspace(-self.maximum_bias, self.maximum_bias, self.points)

    def instrument_settings(self) -> dict[str, dict[str, Any]]:
        """The lock-in's: excitation, filter and full scale."""
        lockin = {
            "amplitude": self.excitation,
            "frequency": self.excitation_frequency,
            "time_constant": self.time_constant,
            "sensitivity": self.sensitivity,
        }
        return {"lockin": lockin}

    def point_duration(self) -> float:
        """The lock-in's filter settles more slowly than the bias line; about ten time constants."""
        return float(max(self.settling_time, 10 * self.time_constant) + self.integration_time)

    def startup(self) -> None:
        """Set the excitation, check the limits, switch the source on."""
        self.prepare_bias()
        if "lockin" in self.roles:
            self.roles.lockin.prepare(**self.instrument_settings()["lockin"])

    def execute(self) -> None:
        """For each bias: set, wait, read the current and the conductance."""
        for done, bias in self.remaining():
            if self.should_stop():
                return
            self.settle_at(bias)
            conductance, excitation = self.conductance()
            row = self.bias_row(self.roles.bias.read())
            self.emit("results", row | {"Excitation (V)": excitation, "Conductance (S)": conductance})
            self.emit("progress", 100 * done / self.points)

    def conductance(self) -> tuple[float, float]:
        """Differential conductance (S) and excitation on the bias line (V rms); NaN and 0 without a lock-in."""
        lockin = self.roles.get("lockin")
        if lockin is None:
            return float("nan"), 0.0
        self.roles.clock.sleep(max(0.0, lockin.settling_time() - self.settling_time))
        conductance = self.roles.wiring.device_conductance(lockin.read(), self.excitation)
        return conductance, self.excitation / self.roles.wiring.excitation_divider

    def shutdown(self) -> None:
        """Leave the lock-in at its smallest excitation."""
        if "lockin" in self.roles:
            self.roles.lockin.quiet()
