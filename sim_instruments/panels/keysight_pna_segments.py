"""Segmented sweeps of Keysight's network analyzers: the table of segments."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keysight_pna_traces import KeysightPNATraces
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch

__all__ = ["KeysightPNASegments"]


@dataclass
class Segment:
    """One segment: whether it is swept, points, ends of the band (Hz), IF bandwidth (Hz)."""

    start: float
    stop: float
    on: bool = False
    points: int = 21
    bandwidth: float = 1e5


class KeysightPNASegments(KeysightPNATraces):
    """The segments of an analyzer; they may overlap only while that is allowed."""

    band: ClassVar[tuple[float, float]]
    settings: ClassVar[tuple[Any, ...]] = (
        Setting("[:SENSe<ch>]:SWEep:TYPE", "sweep_type", Choice("LINear", "LOGarithmic", "CW", "SEGMent")),
        Setting("[:SENSe<ch>]:SEGMent:ARBitrary", "arbitrary", Switch(False)),
        Setting("[:SENSe<ch>]:SEGMent:BWIDth[:RESolution]:CONTrol", "segment bandwidths", Switch(False)),
        Setting("[:SENSe<ch>]:SEGMent:POWer[:LEVel]:CONTrol", "segment powers", Switch(False)),
    )
    handlers: ClassVar = {
        "[:SENSe<ch>]:SEGMent:COUNt?": lambda self, _: str(len(self.segments)),
        "[:SENSe<ch>]:SEGMent<n>[:STATe]?": lambda self, call: f"{self.segment(call).on:d}",
        "[:SENSe<ch>]:SEGMent<n>:SWEep:POINts?": lambda self, call: str(self.segment(call).points),
        "[:SENSe<ch>]:SEGMent<n>:FREQuency:STARt?": lambda self, call: self.show_number(self.segment(call).start),
        "[:SENSe<ch>]:SEGMent<n>:FREQuency:STOP?": lambda self, call: self.show_number(self.segment(call).stop),
        "[:SENSe<ch>]:SEGMent<n>:BWIDth[:RESolution]?": lambda self, call: self.show_number(
            self.segment(call).bandwidth
        ),
    }

    def reset(self) -> None:
        """Return to the factory defaults: one segment, which is off."""
        self.segments = [Segment(*self.band)]
        super().reset()

    def segment(self, call: Call) -> Segment:
        """The segment of a header's second suffix."""
        channel, number = call.suffixes
        if channel != 1 or not 1 <= number <= len(self.segments):
            raise ScpiError(-114)
        return self.segments[number - 1]

    def swept(self) -> list[tuple[NDArray[np.float64], float]]:
        """Frequencies (Hz) and IF bandwidth (Hz) of each segment that is swept."""
        common = None if self.state["segment bandwidths"] else self.state["if_bandwidth"]
        return [(np.linspace(s.start, s.stop, s.points), common or s.bandwidth) for s in self.segments if s.on]

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse a segmented sweep without a segment that is on."""
        super().check_setting(name, value)
        if name == "sweep_type" and value == "SEGM" and not self.swept():
            raise ScpiError(-221, "Settings conflict;no segment is on")

    def _changed(self) -> None:
        if not self.swept() and self.state["sweep_type"] == "SEGM":
            self.state["sweep_type"] = "LIN"
        self.setting_changed("segments")

    @command("[:SENSe<ch>]:SEGMent:DELete:ALL")
    def _delete_segments(self, call: Call) -> None:
        """Delete all; the sweep is linear then."""
        call.expect(0)
        self.segments = []
        self._changed()

    @command("[:SENSe<ch>]:SEGMent<n>:ADD")
    def _add_segment(self, call: Call) -> None:
        number = call.suffixes[1]
        if not 1 <= number <= len(self.segments) + 1:
            raise ScpiError(-114)
        before = self.segments[number - 2].stop if number > 1 else self.band[0]
        self.segments.insert(number - 1, Segment(before, before if number > 1 else self.band[1]))
        self._changed()

    @command("[:SENSe<ch>]:SEGMent<n>[:STATe]")
    def _switch_segment(self, call: Call) -> None:
        self.segment(call).on = call.parse(0, Switch(False))
        self._changed()

    @command("[:SENSe<ch>]:SEGMent<n>:SWEep:POINts")
    def _set_points(self, call: Call) -> None:
        self.segment(call).points = call.parse(0, Integer(21, 1, 100003))
        self._changed()

    @command("[:SENSe<ch>]:SEGMent<n>:BWIDth[:RESolution]")
    def _set_bandwidth(self, call: Call) -> None:
        self.segment(call).bandwidth = call.parse(0, Number(1e5, 1.0, 1.5e7, "HZ"))
        self._changed()

    @command("[:SENSe<ch>]:SEGMent<n>:FREQuency:STARt")
    def _set_start(self, call: Call) -> None:
        segment = self.segment(call)
        segment.start = call.parse(0, Number(0.0, *self.band, "HZ"))
        if not self.state["arbitrary"]:
            segment.stop = max(segment.start, segment.stop)
            self._keep_order(call.suffixes[1] - 1)
        self._changed()

    @command("[:SENSe<ch>]:SEGMent<n>:FREQuency:STOP")
    def _set_stop(self, call: Call) -> None:
        segment = self.segment(call)
        segment.stop = call.parse(0, Number(0.0, *self.band, "HZ"))
        if not self.state["arbitrary"]:
            segment.start = min(segment.start, segment.stop)
            self._keep_order(call.suffixes[1] - 1)
        self._changed()

    def _keep_order(self, at: int) -> None:
        """Move the ends of the other segments, so that none overlaps the one `at`."""
        start, stop = self.segments[at].start, self.segments[at].stop
        for other in self.segments[:at]:
            other.start, other.stop = min(other.start, start), min(other.stop, start)
        for other in self.segments[at + 1 :]:
            other.start, other.stop = max(other.start, stop), max(other.stop, stop)
