"""Base class of bias sweeps: parameters, bias points and the approach of one point."""

from collections import deque
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pymeasure.experiment import FloatParameter, IntegerParameter, ListParameter

from drivers.roles import BiasReading
from procedures.measurement import Measurement
from procedures.sweep_parameter import SweepParameter

__all__ = ["BiasSweep"]

Real = NDArray[np.float64]


READINGS = {
    "Bias reading (V)": "bias",
    "Device voltage (V)": "device_voltage",
    "Current (A)": "current",
    "Source voltage (V)": "source_voltage",
    "Source current (A)": "source_current",
    "Amplifier voltage (V)": "amplifier_voltage",
    "Voltage range (V)": "voltage_range",
    "Current range (A)": "current_range",
}
"""Column → attribute of `drivers.roles.BiasReading`."""


AHEAD = 1000
"""So many of the next points are offered to a source that measures by itself."""

SHORTEST_INTEGRATION = 1e-4
"""Time (s): a Keithley 2450 integrates over 0.01 cycles of mains of 50 or 60 Hz, or more."""


class BiasSweep(Measurement):
    """A measurement at a list of bias points.

    An `integration_time` of 0 is one of `POWER_LINE_CYCLES`, which depends on the station.

    The points are `bias_points` or, where that is empty, `points` even steps up to `maximum_bias`. With
    `direction="up-down"` each pass goes there and back; `repeats` passes follow each other.
    """

    REQUIRES: ClassVar[tuple[str, ...]] = ("bias",)
    USES: ClassVar[tuple[str, ...]] = ("current", "voltage", "lockin", "fridge")
    SETPOINTS: ClassVar[tuple[str, ...]] = ("Repeat (1)", "Direction (1)", "Bias (V)")
    DATA_COLUMNS: ClassVar[list[str]] = [*READINGS, "Fridge temperature (K)"]
    POWER_LINE_CYCLES: ClassVar[int] = 1

    maximum_bias = FloatParameter("Largest bias", units="V", default=1e-3, minimum=0.0, maximum=1e3)
    points = IntegerParameter("Bias points", default=61, minimum=4, maximum=2_000_000)
    bias_points = SweepParameter("Bias", units="V", default="")
    direction = ListParameter("Direction", choices=["up", "down", "up-down"], default="up")
    repeats = IntegerParameter("Passes", default=1, minimum=1, maximum=1000)
    settling_time = FloatParameter("Settling time", units="s", default=0.03, minimum=0.0, maximum=86_400.0)
    integration_time = FloatParameter(
        "Current integration time, or 0 for whole cycles of the mains", units="s", default=0.0, minimum=0.0, maximum=1.0
    )
    maximum_current = FloatParameter("Largest expected current", units="A", default=1e-6, minimum=1e-9, maximum=10.0)
    order = ListParameter("Order of the bias points", choices=["sweep", "information"], default="sweep")

    arrived = 0.0
    """Time (s) of the experiment's clock at which the present bias was reached."""

    def follow_mains(self, line_frequency: float) -> None:
        """Replace times and frequencies of 0 by those that suit mains of `line_frequency` (Hz)."""
        if self.integration_time == 0:
            self.integration_time = self.POWER_LINE_CYCLES / line_frequency

    def biases(self) -> Real:
        """Bias points (V) of one pass upwards; with order=information each point is chosen from these."""
        listed = np.array(self.bias_points, dtype=np.float64)
        return listed if listed.size else np.linspace(self.lowest_bias(), self.maximum_bias, self.points)

    def lowest_bias(self) -> float:
        """First bias (V) of a pass of even steps."""
        return 0.0

    def setpoints(self) -> dict[str, Real]:
        """Passes and directions, where there are several, and biases."""
        biases = self.biases()
        grid: dict[str, Real] = {}
        if self.repeats > 1:
            grid["Repeat (1)"] = np.arange(1.0, self.repeats + 1)
        if self.direction == "up-down":
            grid["Direction (1)"] = np.array([1.0, -1.0])
        return grid | {"Bias (V)": biases[::-1] if self.direction == "down" else biases}

    def order_of_points(self) -> NDArray[np.int64]:
        """Positions in the grid; each downward pass begins at the end."""
        order = super().order_of_points()
        if self.direction != "up-down":
            return order
        passes = order.reshape(-1, 2, self.biases().size)
        passes[:, 1] = passes[:, 1, ::-1].copy()
        return passes.ravel()

    def refusal(self) -> str:
        """order=information excludes direction and repeats; a list of points needs at least 4, and not only zero.

        No meter integrates for less than `SHORTEST_INTEGRATION`.
        """
        if 0 < self.integration_time < SHORTEST_INTEGRATION:
            return f"integration_time is {self.integration_time:g} s; {SHORTEST_INTEGRATION:g} s or more are possible"
        if self.order == "information" and (self.direction != "up" or self.repeats != 1):
            return "order=information chooses each bias itself; direction and repeats have no meaning then"
        if 0 < len(self.bias_points) < 4:
            return f"bias_points has {len(self.bias_points)} points; at least 4 are needed"
        if not self.biases().any():
            return "all bias points are at 0 V; the largest |bias| must be more than 0"
        return ""

    def largest_bias(self) -> float:
        """Largest absolute bias (V), for which the source is prepared."""
        return float(np.abs(self.biases()).max())

    def point_duration(self) -> float:
        """Time (s) at one bias point, as far as it is known beforehand: a meter with auto-zero takes longer to read."""
        reading = self.integration_time if self.reading_time is None else self.reading_time(self.integration_time)
        return float(self.settling_time + reading)

    def prepare_bias(self) -> None:
        """Check the bias limits and switch the source on at zero; reduce the lock-in's excitation to its smallest."""
        self.follow_mains(self.roles.wiring.line_frequency)
        lockin = self.roles.get("lockin")
        if lockin is not None:
            lockin.quiet()
        self.roles.bias.prepare(
            maximum_bias=self.largest_bias(),
            maximum_current=self.maximum_current,
            integration_time=self.integration_time,
        )

    def settle_at(self, bias: float) -> None:
        """Ramp to `bias` (V) and wait."""
        self.roles.bias.move_to(bias)
        self.arrived = self.roles.clock.time()
        self.roles.clock.sleep(self.settling_time)

    def bias_row(self, reading: BiasReading, fridge: float | None = None) -> dict[str, Any]:
        """Columns common to all points; `fridge` is the temperature (K) of the fridge, by default that of now."""
        row = {label: getattr(reading, name) for label, name in READINGS.items()}
        return row | {"Fridge temperature (K)": self.fridge_temperature() if fridge is None else fridge}

    def fridge_temperature(self) -> float:
        """Temperature (K) of the fridge now; NaN without a thermometer."""
        fridge = self.roles.get("fridge")
        return fridge.temperature() if fridge is not None else float("nan")

    def bias_rows(self, *, ahead: bool) -> Iterator[dict[str, Any]]:
        """For each remaining point: set, wait, read the bias; the columns common to all points.

        With `ahead`, a source that can measures several points by itself, where nothing else is read at each. Their
        fridge temperature is that after the last one of them.
        """
        measured: deque[BiasReading] = deque()
        biases, fridge = self.biases_in_order() if ahead else [], float("nan")
        for number, (*_, bias) in enumerate(self.sweep(measured), self.first_point):
            if measured:
                reading = measured.popleft()
                self.emit("age", self.roles.clock.time() - reading.measured)
                yield self.bias_row(reading, fridge)
                continue
            self.settle_at(bias)
            yield self.bias_row(self.roles.bias.read())
            following = biases[number + 1 : number + 1 + AHEAD]
            measured.extend(self.roles.bias.read_along(following, self.settling_time) if following else ())
            if measured:
                fridge = self.fridge_temperature()

    def biases_in_order(self) -> list[float]:
        """The bias (V) of every point, in the order in which they are measured."""
        *_, biases = self.setpoints().values()
        return [float(bias) for bias in biases[self.order_of_points() % biases.size]]
