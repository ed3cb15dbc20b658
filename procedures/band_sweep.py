"""Base class of bias sweeps with a trace over a band of frequencies at each point."""

from typing import ClassVar

from pymeasure.experiment import FloatParameter

from procedures.bias_sweep import BiasSweep

__all__ = ["BandSweep"]


class BandSweep(BiasSweep):
    """A bias sweep that takes one trace of `frequencies` points over the band `center` ± `span`/2 at each point.

    A subclass has the parameters `center` and `frequencies`, within the limits of its instrument, and the rest of
    `instrument_settings`.

    Attributes
    ----------
    ANALYZER
        Role of the instrument that takes the traces.

    """

    ANALYZER: ClassVar[str]

    span = FloatParameter("Frequency span", units="Hz", default=100e6, minimum=1e3)

    def axis_lengths(self) -> dict[str, int]:
        """One axis, the frequency."""
        return {"frequency": self.frequencies}

    def band(self) -> dict[str, float]:
        """Settings of the band."""
        return {"center": self.center, "span": self.span, "points": self.frequencies}

    def refusal(self) -> str:
        """The whole band must be within the analyzer's range."""
        allowed = self.parameter_objects()["center"]
        low, high = self.center - self.span / 2, self.center + self.span / 2
        if allowed.minimum <= low and high <= allowed.maximum:
            return super().refusal()
        return super().refusal() or (
            f"center and span give a band from {low:.10g} to {high:.10g} Hz; "
            f"it must lie within {allowed.minimum:.10g} to {allowed.maximum:.10g} Hz"
        )

    def startup(self) -> None:
        """Set up the analyzer, check the limits, switch the source on."""
        self.analyzer = getattr(self.roles, self.ANALYZER)
        self.analyzer.prepare(**self.instrument_settings()[self.ANALYZER])
        self.prepare_bias()
