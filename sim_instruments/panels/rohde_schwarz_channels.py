"""Channels and traces of Rohde & Schwarz network analyzers, and the settings that each channel has."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import Handler
from sim_instruments.panels.scpi_values import Choice, Integer, Kind, Number, Switch

__all__ = ["FORMAT", "Channel", "ChannelSetting", "Trace", "channel_settings"]

FORMAT = Choice(
    "MLOGarithmic", "MLINear", "PHASe", "UPHase", "POLar", "SMITh", "ISMith", "SWR", "REAL", "IMAGinary", "GDELay",
    "COMPlex",
)  # fmt: skip


class ChannelSetting(NamedTuple):
    """A setting that each channel has: header with the channel as its first suffix, name, kind of value."""

    header: str
    name: str
    kind: Kind

    @property
    def default(self) -> Any:
        """Value of a new channel."""
        return self.kind.default

    def commands(self) -> Iterator[tuple[str, Handler]]:
        """The command and the query."""
        yield self.header, lambda panel, call: panel.change_channel(self, call)
        yield self.header + "?", lambda panel, call: panel.show_channel(self, call)


@dataclass
class Trace:
    """One trace: what it measures and how it is shown; `sweeps` were averaged into `data` since the last clear."""

    parameter: str
    format: str = "MLOG"
    data: NDArray[np.complex128] | None = None
    sweeps: int = 0


@dataclass
class Channel:
    """One channel: settings, delays of its ports (s), traces by name, segments and what they have of their own."""

    state: dict[str, Any]
    delays: dict[int, float] = field(default_factory=lambda: {1: 0.0, 2: 0.0})
    traces: dict[str, Trace] = field(default_factory=dict)
    selected: str = ""
    segments: list[Any] = field(default_factory=list)
    controls: set[str] = field(default_factory=set)


def channel_settings(low: float, high: float) -> tuple[ChannelSetting, ...]:
    """Settings of the channels of a model from `low` to `high` (Hz)."""
    sense, frequency = "[:SENSe<ch>]", {"STARt": low, "STOP": high, "CENTer": (low + high) / 2}
    return (
        *(ChannelSetting(f"{sense}:FREQuency:{node}", node.lower(), Number(value, low, high, "HZ"))
          for node, value in frequency.items()),
        ChannelSetting(f"{sense}:FREQuency:SPAN", "span", Number(high - low, 0.0, high - low, "HZ")),
        ChannelSetting(f"{sense}:FREQuency[:CW]", "cw", Number(1e9, low, high, "HZ")),
        ChannelSetting(f"{sense}:SWEep:POINts", "points", Integer(201, 1, 100001)),
        ChannelSetting(f"{sense}:SWEep:TIME", "sweep time", Number(0.0, 0.0, 1e5, "S")),
        ChannelSetting(f"{sense}:SWEep:TIME:AUTO", "sweep time auto", Switch(True)),
        ChannelSetting(f"{sense}:SWEep:DWELl", "dwell", Number(0.0, 0.0, 1e3, "S")),
        ChannelSetting(f"{sense}:SWEep:COUNt", "sweeps", Integer(1, 1, 100000)),
        ChannelSetting(f"{sense}:SWEep:GENeration", "generation", Choice("STEPped", "ANALog")),
        ChannelSetting(
            f"{sense}:SWEep:TYPE", "type", Choice("LINear", "LOGarithmic", "POWer", "CW", "POINt", "SEGMent")
        ),
        ChannelSetting(f"{sense}:BANDwidth[:RESolution]", "bandwidth", Number(1e4, 1.0, 1e6, "HZ")),
        ChannelSetting(
            f"{sense}:BANDwidth[:RESolution]:SELect", "selectivity", Choice("NORMal", "MEDium", "HIGH")
        ),
        ChannelSetting(f"{sense}:AVERage[:STATe]", "averaging", Switch(False)),
        ChannelSetting(f"{sense}:AVERage:COUNt", "averages", Integer(10, 1, 5000)),
        ChannelSetting(f"{sense}:AVERage:MODE", "average mode", Choice("AUTO", "FLATten", "REDuce", "MOVing")),
        ChannelSetting(f"{sense}:CORRection[:STATe]", "correction", Switch(False)),
        ChannelSetting(":SOURce<ch>:POWer<p>:STATe", "port on", Switch(True)),
        ChannelSetting(":TRIGger<ch>[:SEQuence]:SOURce", "trigger", Choice("IMMediate", "EXTernal", "MANual")),
        ChannelSetting(":INITiate<ch>:CONTinuous", "continuous", Switch(True)),
        ChannelSetting(":CONFigure:CHANnel<ch>:MEASure[:STATe]", "measures", Switch(True)),
        ChannelSetting(":CALCulate<ch>:SMOothing[:STATe]", "smoothing", Switch(False)),
        ChannelSetting(":CALCulate<ch>:FILTer[:GATE]:TIME:STATe", "gate", Switch(False)),
    )  # fmt: skip
