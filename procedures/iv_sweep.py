"""Current and differential conductance of the device against its bias."""

from collections.abc import Collection, Container
from typing import Any, ClassVar

from pymeasure.experiment import FloatParameter, IntegerParameter

from procedures.bias_sweep import BiasSweep

__all__ = ["IVSweep"]

WHOLE = 0.01
"""Cycles by which an integration time may differ from whole ones: at most this part of the excitation is then left."""


class IVSweep(BiasSweep):
    """Sweep the bias from −maximum to +maximum; at each point read the current and, with a lock-in, dI/dV."""

    DATA_COLUMNS: ClassVar[list[str]] = [
        *BiasSweep.DATA_COLUMNS,
        "Excitation (V)",
        "Lockin X (V)",
        "Lockin Y (V)",
        "Conductance (S)",
    ]
    SIGNAL: ClassVar[str] = "Current (A)"
    ANALYSES: ClassVar[tuple[str, ...]] = ("labnis.fit.analyses.CurrentVoltage",)
    POWER_LINE_CYCLES: ClassVar[int] = 2

    maximum_bias = FloatParameter("Largest bias", units="V", default=1.2e-3, minimum=0.0, maximum=1e3)
    points = IntegerParameter("Bias points", default=401, minimum=10, maximum=2_000_000)
    excitation = FloatParameter("Lock-in sine output", units="V", default=0.01, minimum=0.004, maximum=5.0)
    # Two cycles of the mains are three of the excitation then.
    excitation_frequency = FloatParameter(
        "Lock-in frequency, or 0 for 1.5 times that of the mains", units="Hz", default=0.0, minimum=0.0, maximum=1e5
    )
    time_constant = FloatParameter("Lock-in time constant", units="s", default=0.01, minimum=1e-5, maximum=3e4)
    sensitivity = FloatParameter("Lock-in full scale", units="V", default=0.1, minimum=2e-9, maximum=1.0)

    def follow_mains(self, line_frequency: float) -> None:
        """As the base class; the excitation has three cycles in two of the mains, so that its harmonics are apart."""
        super().follow_mains(line_frequency)
        if self.excitation_frequency == 0:
            self.excitation_frequency = 3 / 2 * line_frequency

    def lowest_bias(self) -> float:
        """First bias (V): the negative of the largest."""
        return -float(self.maximum_bias)

    def refusal_with(self, roles: Collection[str]) -> str:
        """With a lock-in the current is integrated over whole cycles of the excitation, which else remains in it."""
        if "lockin" not in roles:
            return super().refusal_with(roles)
        cycles = self.excitation_frequency * self.integration_time
        whole = max(round(cycles), 1)
        if abs(cycles - whole) > WHOLE:
            return (
                f"integration_time {self.integration_time:g} s is {cycles:.4g} cycles of the excitation of "
                f"{self.excitation_frequency:g} Hz, so that a part of it would be read as current; take whole cycles, "
                f"such as excitation_frequency {whole / self.integration_time:g} Hz"
            )
        return super().refusal_with(roles)

    def instrument_settings(self) -> dict[str, dict[str, Any]]:
        """Settings of the lock-in: excitation, filter and full scale."""
        lockin = {
            "amplitude": self.excitation,
            "frequency": self.excitation_frequency,
            "time_constant": self.time_constant,
            "sensitivity": self.sensitivity,
        }
        return {"lockin": lockin}

    def point_duration(self) -> float:
        """Time (s) at one point: the current is read while the lock-in's filter settles, about 13 time constants."""
        alone = self.filled is not None and "lockin" not in self.filled
        return float(max(super().point_duration(), 0.0 if alone else 13 * self.time_constant))

    def measures_ahead(self, roles: Container[str]) -> bool:
        """Without a lock-in only the bias is read at each point, which some sources do by themselves."""
        return "lockin" not in roles and self.order == "sweep"

    def startup(self) -> None:
        """Set the excitation, check the limits, switch the source on."""
        self.prepare_bias()
        lockin = self.roles.get("lockin")
        if lockin is not None:
            lockin.prepare(**self.instrument_settings()["lockin"])

    def execute(self) -> None:
        """For each bias: set, wait, read the current and, once its filter has settled, the lock-in."""
        for row in self.bias_rows(ahead=self.measures_ahead(self.roles)):
            self.record(row | self.conductance())

    def conductance(self) -> dict[str, float]:
        """Columns of the lock-in: excitation on the bias line (V rms), X, Y (V rms) and conductance (S).

        Without a lock-in the excitation is 0 and the rest NaN.
        """
        lockin = self.roles.get("lockin")
        if lockin is None:
            nothing = float("nan")
            return {"Excitation (V)": 0.0, "Lockin X (V)": nothing, "Lockin Y (V)": nothing, "Conductance (S)": nothing}
        self.roles.clock.sleep(max(0.0, self.arrived + lockin.settling_time() - self.roles.clock.time()))
        signal = lockin.read()
        return {
            "Excitation (V)": self.excitation / self.roles.wiring.excitation_divider,
            "Lockin X (V)": signal.real,
            "Lockin Y (V)": signal.imag,
            "Conductance (S)": self.roles.wiring.device_conductance(signal, self.excitation),
        }

    def shutdown(self) -> None:
        """Reduce the lock-in to its smallest excitation."""
        lockin = self.roles.get("lockin")
        if lockin is not None:
            lockin.quiet()
