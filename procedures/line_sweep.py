"""Base class of bias sweeps whose traces may be denser around a line in the middle of a wide band."""

from pymeasure.experiment import FloatParameter, IntegerParameter

from drivers.capabilities import Segment, SegmentedSweep
from procedures.band_sweep import BandSweep
from procedures.parameter_values import ProcedureError

__all__ = ["LineSweep"]

FEWEST = 11
"""Fewest points of the dense part."""

SMALLEST_STEP = 10.0
"""Smallest distance (Hz) of two segments: their ends are read back to about 1 Hz."""


class LineSweep(BandSweep):
    """A band sweep of a network analyzer that can take each trace as one sweep of three segments.

    Of the `frequencies` points of a trace, `wing_points` lie at each side of a dense part of `line_span` around the
    centre. The distance of two points of a wing is also that of a wing and the dense part, so that no frequency is
    measured twice and all rise. All points have one IF bandwidth, and so the same noise.

    A subclass has the parameters `power`, `if_bandwidth` and `averages`, beside those of a band sweep.
    """

    line_span = FloatParameter("Span of a denser part around the centre, or 0", units="Hz", default=0.0, minimum=0.0)
    wing_points = IntegerParameter("Points at each side of the denser part, or 0", default=0, minimum=0, maximum=50000)

    def capabilities(self) -> dict[str, tuple[type, str]]:
        """A denser part needs an analyzer with segments."""
        return {self.ANALYZER: (SegmentedSweep, "line_span")} if self.line_span else {}

    def segments(self) -> list[Segment]:
        """The lower wing, the dense part and the upper wing; none where the points are evenly spaced."""
        if not self.line_span:
            return []
        half, count, step = self.line_span / 2, self.wing_points, self.wing_step()
        middle = half + step * (1 + count) / 2
        wing = (step * (count - 1), count, self.if_bandwidth)
        return [
            Segment(self.center - middle, *wing),
            Segment(self.center, self.line_span, self.frequencies - 2 * count, self.if_bandwidth),
            Segment(self.center + middle, *wing),
        ]

    def wing_step(self) -> float:
        """Distance (Hz) of two points of a wing."""
        return float((self.span - self.line_span) / 2 / self.wing_points)

    def line_step(self) -> float:
        """Distance (Hz) of two points of the dense part."""
        return float(self.line_span / (self.frequencies - 2 * self.wing_points - 1))

    def refusal(self) -> str:
        """The dense part and its wings need points, and lie within the band; the wings are coarser."""
        segments = self.line_span or self.wing_points
        return super().refusal() or (self._refusal_of_points() or self._refusal_of_steps() if segments else "")

    def _refusal_of_points(self) -> str:
        if not self.line_span or self.wing_points < 2:
            return (
                f"line_span is {self.line_span:g} Hz and wing_points is {self.wing_points}; a denser part needs both, "
                "with 2 points or more at each side (0 and 0: all points evenly spaced)"
            )
        if self.frequencies - 2 * self.wing_points < FEWEST:
            return (
                f"wing_points leaves {self.frequencies - 2 * self.wing_points} of {self.frequencies} frequencies for "
                f"line_span; {FEWEST} or more are needed"
            )
        return ""

    def _refusal_of_steps(self) -> str:
        if not self.line_span < self.span:
            return f"line_span is {self.line_span:.10g} Hz; it must be smaller than the span of {self.span:.10g} Hz"
        if not self.line_step() <= self.wing_step():
            return (
                f"line_span has a point every {self.line_step():.4g} Hz and the wings every {self.wing_step():.4g} Hz: "
                "increase line_span, or reduce wing_points"
            )
        if self.wing_step() < SMALLEST_STEP:
            return f"wing_points are {self.wing_step():.3g} Hz apart; {SMALLEST_STEP:g} Hz or more are possible"
        return ""

    def plan_notes(self) -> list[str]:
        """What segments save, beside a trace that is as dense everywhere."""
        if not self.line_span:
            return []
        even = 1 + round(self.span / self.line_step())
        once = self.averages / self.if_bandwidth
        return [
            f"each trace is one sweep of 3 segments, {self.frequencies - 2 * self.wing_points} points over "
            f"{self.line_span / 1e6:.6g} MHz and {self.wing_points} at each side: {self.frequencies} points in "
            f"{self.frequencies * once:.3g} s; as dense over all of {self.span / 1e6:.6g} MHz it would be {even} in "
            f"{even * once:.3g} s"
        ]

    def startup(self) -> None:
        """As the base class; the analyzer must have segments where a denser part is wanted."""
        segments = self.segments()
        if not segments:
            super().startup()
            return
        self.analyzer = getattr(self.roles, self.ANALYZER)
        if not hasattr(self.analyzer, "prepare_segments"):
            raise ProcedureError(f"line_span needs a sweep in segments: what fills the role {self.ANALYZER} has none")
        self.analyzer.prepare_segments(segments, power=self.power, averages=self.averages)
        self.prepare_bias()
