"""Microwave reflection of the resonator against the bias of the junctions that damp it."""

from typing import Any, ClassVar

from pymeasure.experiment import FloatParameter, IntegerParameter

from procedures.line_sweep import LineSweep

__all__ = ["ReflectionVsBias"]


class ReflectionVsBias(LineSweep):
    """Step the bias from zero to well beyond the gap and take one reflection trace at each point."""

    ANALYZER: ClassVar[str] = "vna"
    REQUIRES: ClassVar[tuple[str, ...]] = ("bias", "vna")
    TRACES: ClassVar[dict[str, tuple[str, type]]] = {"S11 (1)": ("Frequency (Hz)", complex)}
    SIGNAL: ClassVar[str] = "S11 (1)"
    ANALYSES: ClassVar[tuple[str, ...]] = ("labnis.fit.analyses.Reflection",)

    maximum_bias = FloatParameter("Largest bias", units="V", default=2.4e-3, minimum=0.0, maximum=1e3)
    center = FloatParameter("Centre frequency", units="Hz", default=4.67e9, minimum=10e6, maximum=26.5e9)
    frequencies = IntegerParameter("Frequency points", default=201, minimum=11, maximum=100001)
    span = FloatParameter("Frequency span", units="Hz", default=50e6, minimum=1e3)
    power = FloatParameter("Probe power at the analyzer", units="dBm", default=-30.0, minimum=-95.0, maximum=13.0)
    if_bandwidth = FloatParameter("IF bandwidth", units="Hz", default=1e3, minimum=1.0, maximum=15e6)
    averages = IntegerParameter("Averaged sweeps", default=10, minimum=1, maximum=65536)

    def instrument_settings(self) -> dict[str, dict[str, Any]]:
        """Settings of the network analyzer: band, power and averaging; none where it sweeps segments."""
        if self.line_span:
            return {}
        sweep = {"power": self.power, "if_bandwidth": self.if_bandwidth, "averages": self.averages}
        return {"vna": self.band() | sweep}

    def point_duration(self) -> float:
        """Time (s) at one point: one inverse IF bandwidth for each frequency, times the averages."""
        return super().point_duration() + float(self.frequencies * self.averages / self.if_bandwidth)

    def execute(self) -> None:
        """For each bias: set, wait, read the current, take a trace."""
        self.emit("axis", {"Frequency (Hz)": self.analyzer.frequencies()})
        for *_, bias in self.sweep():
            self.settle_at(bias)
            row = self.bias_row(self.roles.bias.read())
            self.record(row | {"S11 (1)": self.roles.acquire(self.analyzer)})
