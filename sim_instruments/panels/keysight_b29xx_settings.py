"""Settings of the front panel of a Keysight B2912A (SCPI command reference B2910-90030, edition 2), and its ranges."""

from collections.abc import Iterator

from sim_instruments.panels.channel_settings import ChannelSetting
from sim_instruments.panels.front_panel import Handler
from sim_instruments.panels.scpi_values import Choice, Integer, Kind, Number, Switch

__all__ = [
    "CHANNELS",
    "ELEMENTS",
    "HEADROOM",
    "LARGEST",
    "MOST_POINTS",
    "RANGES",
    "STEP",
    "WORDS",
    "each",
    "of_layer",
    "of_quantity",
]

CHANNELS = (1, 2)
RANGES = {"VOLT": (0.2, 2.0, 20.0, 200.0), "CURR": (*(10.0**n for n in range(-8, 1)), 1.5, 3.0)}
LARGEST = {"VOLT": 210.0, "CURR": 3.03}
HEADROOM = {"VOLT": 1.05, "CURR": 1.06}
# Steps of levels and of readings, per range (6½ digits).
STEP = 5e-7
ELEMENTS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus", "SOURce")
TRIGGERS = ("AINT", "BUS", "TIMer", "INT1", "INT2", "LAN", *(f"EXT{n}" for n in range(1, 15)))
WORDS = {"VOLT": "VOLTage", "CURR": "CURRent"}
MOST_POINTS = 2500


def each(header: str, name: str, kind: Kind) -> ChannelSetting:
    """A setting of each channel."""
    return ChannelSetting(header, name, kind, CHANNELS)


def of_quantity(short: str) -> tuple[ChannelSetting, ...]:
    """Settings of the source and of the measurement of voltage or current."""
    word, most = WORDS[short], LARGEST[short]
    dc = "[:DC]"
    compliance = 100e-6 if short == "CURR" else 2.0
    return (
        each(f"[:SOURce<n>]:{word}[:LEVel][:IMMediate][:AMPLitude]", f"{short} level", Number(0.0, -most, most)),
        each(f"[:SOURce<n>]:{word}[:LEVel]:TRIGgered[:AMPLitude]", f"{short} triggered", Number(0.0, -most, most)),
        each(f"[:SOURce<n>]:{word}:MODE", f"{short} mode", Choice("FIXed", "SWEep", "LIST")),
        each(f"[:SOURce<n>]:{word}:RANGe", f"{short} range", Number(RANGES[short][0], -most, most)),
        each(f"[:SOURce<n>]:{word}:RANGe:AUTO", f"{short} range auto", Switch(True)),
        each(f"[:SOURce<n>]:{word}:STARt", f"{short} start", Number(0.0, -most, most)),
        each(f"[:SOURce<n>]:{word}:STOP", f"{short} stop", Number(0.0, -most, most)),
        each(f"[:SOURce<n>]:{word}:POINts", "points", Integer(1, 1, MOST_POINTS)),
        each(f":SENSe<n>:{word}{dc}:PROTection[:LEVel][:BOTH]", f"{short} limit", Number(compliance, 0.0, most)),
        each(f":SENSe<n>:{word}{dc}:RANGe[:UPPer]", f"{short} sense", Number(RANGES[short][2], -most, most)),
        each(f":SENSe<n>:{word}{dc}:RANGe:AUTO", f"{short} sense auto", Switch(True)),
    )


class _All:
    """A setting of both trigger systems, that of measurements and that of the source."""

    def __init__(self, header: str, name: str, parts: tuple[ChannelSetting, ...]) -> None:
        self.header, self.name, self._parts = header, name, parts
        self.default = None

    def commands(self) -> Iterator[tuple[str, Handler]]:
        """The command, and the query of the first."""
        handlers = [dict(part.commands())[part.header] for part in self._parts]
        yield self.header, lambda panel, call: ([handler(panel, call) for handler in handlers], None)[1]
        yield self.header + "?", dict(self._parts[0].commands())[self._parts[0].header + "?"]


def of_layer(layer: str) -> Iterator[ChannelSetting | _All]:
    """Settings of a layer of the trigger systems."""
    short = layer.lower()
    for word, name, kind in (
        ("SOURce[:SIGNal]", "source", Choice(*TRIGGERS)),
        ("DELay", "delay", Number(0.0, 0.0, 1e5)),
        ("COUNt", "count", Integer(1, 1, 100_000)),
        ("TIMer", "timer", Number(1e-5, 1e-5, 1e5)),
    ):
        acquire = each(f":{layer}<n>:ACQuire:{word}", f"{short} {name}", kind)
        transient = each(f":{layer}<n>:TRANsient:{word}", f"{short} transient {name}", kind)
        yield from (acquire, transient, _All(f":{layer}<n>[:ALL]:{word}", f"{short} all {name}", (acquire, transient)))
