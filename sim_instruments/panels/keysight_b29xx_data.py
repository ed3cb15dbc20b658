"""Readings of a Keysight B2912A: the data of a measurement, and the trace buffer of each channel.

From the SCPI command reference B2910-90030, edition 2: `:READ?` and `:FETCh?` give the latest reading, `:ARRay` gives
all (4-68; readings of two channels alternate, and what is missing is not a number), the trace buffer ends to store when
it is full (4-147), its statistics and times (4-148, 4-149). Assumed: -221 for `:TRACe:POINts`, `:FEED` and `:CLEar`
while it stores, that a reset clears it, and that sizes count readings. The raw readings are stored, whatever the feed.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from sim_instruments.panels.channel_settings import channels_of
from sim_instruments.panels.front_panel import Handler, command
from sim_instruments.panels.keysight_b29xx_settings import CHANNELS, ELEMENTS, each
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import (
    Call,
    Choice,
    Integer,
    ScpiError,
    encode_values,
    find_mnemonic,
    short_form,
)
from sim_instruments.panels.stored_readings import STATISTICS, Reading

__all__ = ["NOT_A_NUMBER", "KeysightB29xxData"]

NOT_A_NUMBER, MOST_STORED = 9.91e37, 100_000


def _queries() -> dict[str, Handler]:
    """`:FETCh?`, `:READ?` and the like, of all elements or of one."""
    found: dict[str, Handler] = {}
    for elements, part in (((), ""), *(((short_form(one),), f":{one}") for one in ELEMENTS)):
        for every, word in ((False, "[:SCALar]"), (True, ":ARRay")):

            def fetch(
                self: "KeysightB29xxData", call: Call, elements: tuple[str, ...] = elements, every: bool = every
            ) -> str | bytes:
                return self.fetched(self.named(call), elements or self.elements, every=every)

            def read(
                self: "KeysightB29xxData", call: Call, elements: tuple[str, ...] = elements, every: bool = every
            ) -> str | bytes:
                self.run(self.named(call))
                return self.fetched(self.named(call), elements or self.elements, every=every)

            found |= {f":FETCh{word}{part}?": fetch, f":READ{word}{part}?": read}
    return found


class KeysightB29xxData(ScpiPanel):
    """An instrument with the readings of a measurement and a trace buffer for each channel.

    Attributes
    ----------
    elements
        Elements of a reading that are sent, in short form.
    data, traces
        Readings of the latest measurement, and those in the trace buffer, by channel.

    """

    settings: ClassVar[tuple[Any, ...]] = (
        each(":TRACe<n>:FEED", "feed", Choice("SENSe", "MATH", "LIMit")),
        each(":TRACe<n>:FEED:CONTrol", "control", Choice("NEVer", "NEXT")),
        each(":TRACe<n>:POINts", "trace points", Integer(MOST_STORED, 1, MOST_STORED)),
        each(":TRACe<n>:STATistic:FORMat", "statistic", Choice("MEAN", "SDEViation", "PKPK", "MINimum", "MAXimum")),
        each(":TRACe<n>:TSTamp:FORMat", "timestamps", Choice("ABSolute", "DELTa")),
    )
    handlers: ClassVar[dict[str, str | Handler]] = {
        **_queries(),
        ":FORMat[:DATA]?": lambda self, _: self.data_format,
        ":FORMat:ELEMents:SENSe?": lambda self, _: ",".join(self.elements),
        ":TRACe<n>:POINts:ACTual?": lambda self, call: str(len(self.traces[self.one(call)])),
    }

    def reset(self) -> None:
        """Return to the defaults, without readings."""
        self.elements: tuple[str, ...] = ("VOLT", "CURR", "RES", "TIME", "STAT", "SOUR")
        self.data_format = "ASC"
        self.data: dict[int, list[Reading]] = {channel: [] for channel in CHANNELS}
        self.traces: dict[int, list[Reading]] = {channel: [] for channel in CHANNELS}
        super().reset()

    def one(self, call: Call) -> int:
        """The channel in the header."""
        (channel,), _ = channels_of(Call(call.suffixes, ()), CHANNELS)
        return channel

    def named(self, call: Call) -> list[int]:
        """The channels in the list of a query; channel 1 without it."""
        channels, _ = channels_of(call if call.suffixes else Call((1,), call.arguments), CHANNELS)
        return channels

    def run(self, channels: Sequence[int]) -> None:
        """Measure as the triggers say."""
        raise NotImplementedError

    def encoded(self, values: list[float]) -> str | bytes:
        """`values` as text or as a block."""
        if self.data_format == "ASC":
            return ",".join([self.show_number(value) for value in values])
        values = [math.nan if value == NOT_A_NUMBER else value for value in values]
        return encode_values(values, self.data_format, swapped=self.state["byte order"] == "SWAP")

    def fetched(self, channels: Sequence[int], elements: tuple[str, ...], *, every: bool) -> str | bytes:
        """`elements` of the latest readings of some channels, or of every reading."""
        missing = dict.fromkeys(("VOLT", "CURR", "RES", "TIME", "STAT", "SOUR"), NOT_A_NUMBER)
        rows = {channel: self.data[channel] if every else self.data[channel][-1:] for channel in channels}
        longest = max(1, *(len(found) for found in rows.values())) if rows else 1
        found = [
            (rows[channel][index] if index < len(rows[channel]) else missing)[element]
            for index in range(longest)
            for channel in channels
            for element in elements
        ]
        return self.encoded(found)

    @command(":FORMat[:DATA]")
    def _set_format(self, call: Call) -> None:
        call.expect(1, 2)
        chosen = call.parse(0, Choice("ASCii", "REAL"))
        bits = int(call.optional(1, Integer(64, 32, 64)))
        self.data_format = "ASC" if chosen == "ASC" else f"REAL,{bits}"

    @command(":FORMat:ELEMents:SENSe")
    def _set_elements(self, call: Call) -> None:
        call.expect(1, len(ELEMENTS))
        named = {find_mnemonic(ELEMENTS, text) for text in call.arguments}
        self.elements = tuple(short_form(one) for one in ELEMENTS if one in named)

    @command(":SENSe<n>:DATA?")
    def _show_data(self, call: Call) -> str | bytes:
        return self._part(self.data[self.one(call)], call)

    @command(":SENSe<n>:DATA:CLEar")
    def _clear_data(self, call: Call) -> None:
        self.data[self.one(call)] = []

    def _part(self, readings: list[Reading], call: Call) -> str | bytes:
        """Elements of some `readings`: from an offset, so many."""
        offset = 0
        if call.arguments:
            named = {"STARt": 0, "CURRent": max(len(readings) - 1, 0)}
            offset = next(
                (named[one] for one in named if call.arguments[0].upper() in (one.upper(), short_form(one))), -1
            )
            offset = int(call.number(0, 0, MOST_STORED)) if offset < 0 else offset
        size = int(call.optional(1, Integer(MOST_STORED, 1, MOST_STORED)))
        chosen = readings[offset : offset + size]
        values = [one[element] for one in chosen for element in self.elements]
        return self.encoded(values or [NOT_A_NUMBER] * len(self.elements))

    # --- trace buffer -----------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse another size or feed while the buffer stores."""
        what, _, number = name.rpartition(" ")
        if what in ("trace points", "feed") and self.state["control"][int(number)] == "NEXT":
            raise ScpiError(-221)

    def keep(self, channel: int, reading: Reading) -> None:
        """Keep a reading, also in the trace buffer if that is active."""
        self.data[channel].append(reading)
        if self.state["control"][channel] == "NEXT":
            self.traces[channel].append(reading)
            if len(self.traces[channel]) >= self.state["trace points"][channel]:
                self.state["control"][channel] = "NEV"

    @command(":TRACe<n>:CLEar")
    def _clear_trace(self, call: Call) -> None:
        channel = self.one(call)
        if self.state["control"][channel] == "NEXT":
            raise ScpiError(-221)
        self.traces[channel] = []

    @command(":TRACe<n>:FREE?")
    def _show_free(self, call: Call) -> str:
        channel = self.one(call)
        size = self.state["trace points"][channel]
        return f"{size - len(self.traces[channel])},{size}"

    @command(":TRACe<n>:DATA?")
    def _show_trace(self, call: Call) -> str | bytes:
        channel = self.one(call)
        times = [one["TIME"] for one in self.traces[channel]]
        before = times[:1] + times[:-1] if self.state["timestamps"][channel] == "DELT" else times[:1] * len(times)
        shown = [one | {"TIME": one["TIME"] - then} for one, then in zip(self.traces[channel], before, strict=True)]
        return self._part(shown, call)

    @command(":TRACe<n>:STATistic:DATA?")
    def _show_statistic(self, call: Call) -> str | bytes:
        channel = self.one(call)
        statistic = STATISTICS[self.state["statistic"][channel]]
        named = [element for element in self.elements if element not in ("TIME", "STAT")]
        columns = [[one[element] for one in self.traces[channel]] for element in named]
        return self.encoded([float(statistic(column)) if column else NOT_A_NUMBER for column in columns])
