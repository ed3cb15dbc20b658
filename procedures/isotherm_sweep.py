"""I–V curve and dI/dV of the device at several temperatures of its stage."""

from collections.abc import Container
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pymeasure.experiment import FloatParameter, IntegerParameter

from drivers.errors import ReadingError
from procedures.bias_sweep import BiasSweep
from procedures.iv_sweep import IVSweep
from procedures.sweep_parameter import SweepParameter

__all__ = ["IsothermSweep"]

POLL = 10.0
"""Time (s) between two readings of the thermometer while the stage settles."""
BASE = 0.01
"""Temperature (K) of the stage without a heater, as far as an estimate of the duration needs it."""


class IsothermSweep(IVSweep):
    """Sweep the bias at each temperature of the stage; between two of them the bias is at zero.

    A temperature of 0 is the heater switched off: the base temperature of the fridge. A curve begins when all readings
    of the thermometer within `stage_settling` are within `stage_tolerance` of the set-point or, without a heater, of
    each other's mean. The stage cools by itself: its T² relaxes with `stage_relaxation`, which counts in the estimate
    of the duration only.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("bias", "stage", "fridge")
    SETPOINTS: ClassVar[tuple[str, ...]] = ("Stage (K)", *BiasSweep.SETPOINTS)
    ANALYSES: ClassVar[tuple[str, ...]] = (
        "labnis.fit.isotherm_analyses.HeatBalance",
        "labnis.fit.temperature_and_gap_analysis.TemperatureAndGapCurves",
    )

    temperatures = SweepParameter("Stage", units="K", default="0,0.14,0.23,0.32", minimum=0.0, maximum=10.0)
    points = IntegerParameter("Bias points of a curve", default=61, minimum=10, maximum=2_000_000)
    # Gap and temperature point by point need a quieter dI/dV than the curve; waiting for the stage takes longer.
    time_constant = FloatParameter("Lock-in time constant", units="s", default=0.03, minimum=1e-5, maximum=3e4)
    stage_settling = FloatParameter("Settling of the stage", units="s", default=120.0, minimum=20.0, maximum=86_400.0)
    stage_tolerance = FloatParameter("Tolerance of the stage", units="%", default=1.0, minimum=0.01, maximum=20.0)
    stage_relaxation = FloatParameter(
        "Relaxation time of the stage as it cools", units="s", default=300.0, minimum=0.0, maximum=86_400.0
    )
    stage_patience = FloatParameter("Longest wait for the stage", units="s", default=3600.0, minimum=60.0, maximum=1e6)

    def setpoints(self) -> dict[str, NDArray[np.float64]]:
        """Temperatures (K), and the set-points of one curve."""
        return {"Stage (K)": np.array(self.temperatures, dtype=np.float64)} | super().setpoints()

    def refusal(self) -> str:
        """As the base class; also without a temperature."""
        if not self.temperatures:
            return "temperatures is empty; at least one is needed, such as 0,0.14,0.23"
        return super().refusal()

    def get_estimates(self) -> float:
        """Duration (s) of the curves, and of the stage: it cools by its relaxation; heating takes less."""
        kelvin = [max(one, BASE) for one in self.temperatures]
        cooling = sum(self._cooling(*pair) for pair in pairwise(kelvin))
        return float(super().get_estimates() + len(kelvin) * self.stage_settling + cooling)

    def _cooling(self, warm: float, cold: float) -> float:
        """Time (s) from `warm` (K) until the stage is within the tolerance of `cold`: its heater is off until then."""
        reached = cold * (1 + self.stage_tolerance / 100)
        above = (warm**2 - BASE**2) / (reached**2 - BASE**2)
        return float(min(self.stage_relaxation * np.log(max(above, 1.0)), self.stage_patience))

    def measures_ahead(self, roles: Container[str]) -> bool:
        """Each point is measured by its own messages: the stage is waited for between them."""
        del roles
        return False

    def execute(self) -> None:
        """For each temperature: bias to zero, heat, settle; then for each bias as in the base class."""
        present = None
        for temperature, *_, bias in self.sweep():
            if temperature != present:
                self.roles.bias.move_to(0.0)
                self.roles.stage.move_to(temperature)
                self.settle_stage(temperature)
                present = temperature
            self.settle_at(bias)
            row = self.bias_row(self.roles.bias.read())  # while the filter of the lock-in settles
            self.record(row | self.conductance())

    def settle_stage(self, temperature: float) -> None:
        """Wait until the thermometer shows a steady `temperature` (K; 0 without a heater).

        Raises
        ------
        ReadingError
            It does not within `stage_patience`.

        """
        clock, readings = self.roles.clock, np.full(max(int(self.stage_settling / POLL), 2) + 1, np.nan)
        latest = clock.time() + self.stage_patience
        while True:
            readings = np.append(readings[1:], self.roles.fridge.temperature())
            aim = temperature or float(readings.mean())
            if (np.abs(readings - aim) <= self.stage_tolerance / 100 * aim).all():
                return
            if clock.time() > latest:
                raise ReadingError(
                    "stage",
                    f"is not steady{f' at {temperature:g} K' if temperature else ''} after {self.stage_patience:g} s: "
                    f"the role fridge reads {readings[-1]:.4g} K.",
                    "Check the heater, its PID values and maximum_power, or raise stage_patience or stage_tolerance.",
                )
            clock.sleep(POLL)
