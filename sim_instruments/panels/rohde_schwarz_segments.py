"""Segmented sweeps of Rohde & Schwarz network analyzers: the table of segments that each channel has.

From R&S's example of a segmented sweep for the ZNB and its C++ toolbox, which send and query these commands, from the
ZNB user manual (page on the dialog Define Segments: a start at or beyond the stop moves it by 1 Hz; one point has equal
ends; segments that are off have no points; two frequencies or more are needed) and from the help of the ZVA, whose
subsystem has the same headers (a new segment follows the last one; setting a bandwidth or a power of a segment makes
all of them count). Assumed: defaults of a new segment, error numbers, and that ends in a wrong order are no error.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import Handler, command
from sim_instruments.panels.rohde_schwarz_channels import Channel
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, Integer, Number, ScpiError, Switch

__all__ = ["RohdeSchwarzSegments", "Segment"]

#: Time (s) from one point to the next, beside that of the filter.
POINT_OVERHEAD = 1e-5
CONTROLS = {"bandwidth": "BWIDth[:RESolution]", "power": "POWer[:LEVel]", "dwell": "SWEep:DWELl", "time": "SWEep:TIME"}


@dataclass
class Segment:
    """One segment: ends (Hz), points, IF bandwidth (Hz), power (dBm), whether it is swept."""

    start: float
    stop: float
    points: int
    bandwidth: float
    power: float
    on: bool = True


def _set_control(name: str) -> Handler:
    def handler(panel: "RohdeSchwarzSegments", call: Call) -> None:
        controls = panel.channel(call).controls
        (controls.add if call.parse(0, Switch(False)) else controls.discard)(name)
        panel.restart(panel.channel(call))

    return handler


def _show_control(name: str) -> Handler:
    return lambda panel, call: f"{name in panel.channel(call).controls:d}"


class RohdeSchwarzSegments(ScpiPanel):
    """The part of the panel that has segments; `controls` of a channel are those that segments have of their own."""

    band: ClassVar[tuple[float, float]]
    power: ClassVar[Number]
    bandwidths: ClassVar[NDArray[np.float64]]
    port_power: dict[int, float]
    handlers: ClassVar = {
        "[:SENSe<ch>]:SEGMent<n>:COUNt?": lambda self, call: str(len(self.channel(call).segments)),
        "[:SENSe<ch>]:SEGMent<n>[:STATe]?": lambda self, call: f"{self.segment(call).on:d}",
        "[:SENSe<ch>]:SEGMent<n>:SWEep:POINts?": lambda self, call: str(self.segment(call).points),
        "[:SENSe<ch>]:SEGMent<n>:FREQuency:STARt?": lambda self, call: self.show_number(self.segment(call).start),
        "[:SENSe<ch>]:SEGMent<n>:FREQuency:STOP?": lambda self, call: self.show_number(self.segment(call).stop),
        "[:SENSe<ch>]:SEGMent<n>:FREQuency:CENTer?": lambda self, call: self.show_number(
            (self.segment(call).start + self.segment(call).stop) / 2
        ),
        "[:SENSe<ch>]:SEGMent<n>:FREQuency:SPAN?": lambda self, call: self.show_number(
            self.segment(call).stop - self.segment(call).start
        ),
        "[:SENSe<ch>]:SEGMent<n>:BWIDth[:RESolution]?": lambda self, call: self.show_number(
            self.segment(call).bandwidth
        ),
        "[:SENSe<ch>]:SEGMent<n>:POWer[:LEVel]?": lambda self, call: self.show_number(self.segment(call).power),
        "[:SENSe<ch>]:SEGMent<n>:SWEep:TIME:SUM?": lambda self, call: self.show_number(
            self.segmented_time(self.channel(call))
        ),
        **{
            f"[:SENSe<ch>]:SEGMent<n>:{header}:CONTrol{mark}": handler(name)
            for name, header in CONTROLS.items()
            for mark, handler in (("", _set_control), ("?", _show_control))
        },
    }

    @abstractmethod
    def channel(self, call: Call) -> Channel:
        """The channel of a header's first suffix; it must exist."""

    @abstractmethod
    def restart(self, channel: Channel) -> None:
        """Delete what was measured with other settings."""

    def segment(self, call: Call) -> Segment:
        """The segment of a header's second suffix."""
        segments, number = self.channel(call).segments, call.suffixes[1]
        if not 1 <= number <= len(segments):
            raise ScpiError(-114)
        found: Segment = segments[number - 1]
        return found

    def segmented(self, channel: Channel) -> list[tuple[NDArray[np.float64], float, float | None]]:
        """Frequencies (Hz), IF bandwidth (Hz) and power (dBm; None: that of the port) of each segment that is on."""
        own, state = channel.controls, channel.state
        return [
            (
                np.linspace(one.start, one.stop, one.points),
                one.bandwidth if "bandwidth" in own else state["bandwidth"],
                one.power if "power" in own else None,
            )
            for one in channel.segments
            if one.on
        ]

    def parts(self, channel: Channel) -> list[tuple[NDArray[np.float64], float, float | None]]:
        """Frequencies (Hz), IF bandwidth (Hz) and own power (dBm) of each part of a sweep of any type."""
        state = channel.state
        if state["type"] == "SEGM":
            return self.segmented(channel)
        fixed = state["type"] in ("CW", "POIN")
        ends = (state["cw"], state["cw"]) if fixed else (state["start"], state["stop"])
        return [(np.linspace(*ends, state["points"]), state["bandwidth"], None)]

    def frequencies(self, channel: Channel) -> NDArray[np.float64]:
        """Frequency of each point (Hz), shape (points,)."""
        return np.concatenate([axis for axis, *_ in self.parts(channel)])

    def segmented_time(self, channel: Channel) -> float:
        """Time (s) of one segmented sweep."""
        return self.fastest(self.segmented(channel), channel)

    def fastest(self, parts: Sequence[tuple[NDArray[np.float64], float, float | None]], channel: Channel) -> float:
        """Shortest time (s) of one sweep of the `parts`."""
        dwell = channel.state["dwell"]
        return float(sum(axis.size * (1 / bandwidth + POINT_OVERHEAD + dwell) for axis, bandwidth, _ in parts))

    def check_segmented(self, channel: Channel) -> None:
        """Refuse a segmented sweep of fewer than two frequencies."""
        axes = [axis for axis, *_ in self.segmented(channel)]
        if not axes or np.unique(np.concatenate(axes)).size < 2:
            raise ScpiError(-221, "Settings conflict;two frequencies are needed")

    def _changed(self, call: Call) -> None:
        channel = self.channel(call)
        if channel.state["type"] == "SEGM" and not self.segmented(channel):
            channel.state["type"] = "LIN"
        self.restart(channel)

    @command("[:SENSe<ch>]:SEGMent<n>:DELete:ALL", "[:SENSe<ch>]:SEGMent<n>:CLEar")
    def _delete_all(self, call: Call) -> None:
        call.expect(0)
        self.channel(call).segments.clear()
        self._changed(call)

    @command("[:SENSe<ch>]:SEGMent<n>:DELete")
    def _delete(self, call: Call) -> None:
        call.expect(0)
        self.channel(call).segments.remove(self.segment(call))
        self._changed(call)

    @command("[:SENSe<ch>]:SEGMent<n>:ADD")
    def _add(self, call: Call) -> None:
        """One more segment, from the highest frequency of the others to the end of the range."""
        call.expect(0)
        channel = self.channel(call)
        if call.suffixes[1] != len(channel.segments) + 1:
            raise ScpiError(-114)
        start = max([one.stop for one in channel.segments], default=self.band[0])
        new = Segment(start, self.band[1], 51, channel.state["bandwidth"], self.port_power[1])
        channel.segments.append(new)
        self._changed(call)

    @command("[:SENSe<ch>]:SEGMent<n>[:STATe]")
    def _switch(self, call: Call) -> None:
        self.segment(call).on = call.parse(0, Switch(True))
        self._changed(call)

    @command("[:SENSe<ch>]:SEGMent<n>:SWEep:POINts")
    def _set_points(self, call: Call) -> None:
        segment = self.segment(call)
        segment.points = call.parse(0, Integer(51, 1, 100001))
        if segment.points == 1:
            segment.stop = segment.start
        self._changed(call)

    @command("[:SENSe<ch>]:SEGMent<n>:BWIDth[:RESolution]")
    def _set_bandwidth(self, call: Call) -> None:
        wanted: float = call.parse(0, Number(1e4, 1.0, 1e6, "HZ"))
        # Rounded up, as that of the channel.
        allowed = self.bandwidths[np.searchsorted(self.bandwidths, wanted * (1 - 1e-12))]
        self.segment(call).bandwidth = float(allowed)
        self.channel(call).controls.add("bandwidth")
        self._changed(call)

    @command("[:SENSe<ch>]:SEGMent<n>:POWer[:LEVel]")
    def _set_power_of_segment(self, call: Call) -> None:
        self.segment(call).power = call.parse(0, self.power)
        self.channel(call).controls.add("power")
        self._changed(call)

    @command("[:SENSe<ch>]:SEGMent<n>:FREQuency:STARt")
    def _set_start(self, call: Call) -> None:
        segment = self.segment(call)
        segment.start = call.parse(0, Number(0.0, *self.band, "HZ"))
        if segment.start >= segment.stop:
            segment.stop = min(segment.start + (segment.points > 1), self.band[1])
        self._changed(call)

    @command("[:SENSe<ch>]:SEGMent<n>:FREQuency:STOP")
    def _set_stop(self, call: Call) -> None:
        segment = self.segment(call)
        segment.stop = call.parse(0, Number(0.0, *self.band, "HZ"))
        if segment.stop <= segment.start:
            segment.start = max(segment.stop - (segment.points > 1), self.band[0])
        self._changed(call)
