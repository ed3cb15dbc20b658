"""What every sweep of the bias shares: its parameters, its bias points and how one point is approached."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pymeasure.experiment import FloatParameter, IntegerParameter, ListParameter, Procedure

from drivers.roles import BiasReading, Roles

__all__ = ["BiasProcedure", "band_refusal"]


class BiasProcedure(Procedure):  # type: ignore[misc]  # pymeasure has no type information
    """A measurement at a list of bias points.

    Attributes
    ----------
    REQUIRES, USES
        Roles that must, and that may, be filled by the station.
    COORDINATE
        The column that is swept.
    TRACES
        Trace column → (its axis, type of its values), names as "Name (unit)".
    roles
        The instruments; set by whoever runs the procedure, before `startup`.
    choose
        Function of the number of a point (from 1): the bias (V) to measure next where `order` is "information". Set
        by whoever runs the procedure.

    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("bias",)
    USES: ClassVar[tuple[str, ...]] = ("lockin", "fridge")
    COORDINATE: ClassVar[str] = "Bias (V)"
    TRACES: ClassVar[dict[str, tuple[str, type]]] = {}

    maximum_bias = FloatParameter("Largest bias", units="V", default=1e-3, minimum=0.0)
    points = IntegerParameter("Bias points", default=61, minimum=4, maximum=2_000_000)
    settling_time = FloatParameter("Settling time", units="s", default=0.03, minimum=0.0)
    # The shortest that a Keithley 2450 has on a 50 Hz line: 0.01 cycles.
    integration_time = FloatParameter("Current integration time", units="s", default=0.02, minimum=2e-4, maximum=1.0)
    maximum_current = FloatParameter("Largest expected current", units="A", default=1e-6, minimum=1e-9)
    order = ListParameter("Order of the bias points", choices=["sweep", "information"], default="sweep")

    roles: Roles
    choose: Callable[[int], float]
    first_point = 0
    """Number of the bias point to begin with; more than 0 where a run is resumed."""

    def biases(self) -> NDArray[np.float64]:
        """Bias points (V), swept from 0 to the largest; of these each is chosen where `order` is "information"."""
        return np.linspace(0.0, self.maximum_bias, self.points)

    def remaining(self) -> Iterator[tuple[int, float]]:
        """Number (from 1) and bias (V) of every point still to be measured, each chosen when its turn comes."""
        if self.order == "information":
            return ((number, self.choose(number)) for number in range(self.first_point + 1, self.points + 1))
        return islice(enumerate(self.biases().tolist(), start=1), self.first_point, None)

    def axis_lengths(self) -> dict[str, int]:
        """Number of values of every axis that a trace column has, by the axis's name in the file."""
        return {}

    def instrument_settings(self) -> dict[str, dict[str, Any]]:
        """What instruments will be prepared with: role → arguments of its `prepare`, known before anything is sent."""
        return {}

    def refusal(self) -> str:
        """Why the parameters, each allowed for itself, do not fit together; empty where they do."""
        return ""

    def point_duration(self) -> float:
        """Time (s) spent at one bias point, as far as it is known beforehand."""
        return float(self.settling_time + self.integration_time)

    def get_estimates(self) -> float:
        """Duration (s) of the whole measurement."""
        return float(self.points * self.point_duration())

    def prepare_bias(self) -> None:
        """Check the bias limits and switch the source on at zero; take the lock-in's excitation away."""
        if "lockin" in self.roles:
            self.roles.lockin.quiet()
        self.roles.bias.prepare(
            maximum_bias=self.maximum_bias,
            maximum_current=self.maximum_current,
            integration_time=self.integration_time,
        )

    def settle_at(self, bias: float) -> None:
        """Ramp to `bias` (V) and wait."""
        self.roles.bias.move_to(bias)
        self.roles.clock.sleep(self.settling_time)

    def bias_row(self, reading: BiasReading) -> dict[str, float]:
        """The columns that every point has; the fridge temperature is NaN where the station has no thermometer."""
        fridge = self.roles.get("fridge")
        return {
            "Bias (V)": reading.bias,
            "Device voltage (V)": reading.device_voltage,
            "Current (A)": reading.current,
            "Fridge temperature (K)": fridge.temperature() if fridge is not None else float("nan"),
        }


def band_refusal(procedure: Procedure) -> str:
    """Why the band `center` ± `span`/2 of `procedure` cannot be measured; empty where it can."""
    allowed = procedure.parameter_objects()["center"]
    low, high = procedure.center - procedure.span / 2, procedure.center + procedure.span / 2
    if allowed.minimum <= low and high <= allowed.maximum:
        return ""
    return (
        f"center and span give a band from {low:.10g} to {high:.10g} Hz; "
        f"it has to lie within {allowed.minimum:.10g} to {allowed.maximum:.10g} Hz"
    )
