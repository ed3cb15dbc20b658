"""Front panels of the lock-in amplifiers SR860, SR865 and SR865A of Stanford Research Systems.

From the operation manuals (SR865A rev. 2.07, chapter 4; SR865 rev. 1.26), and from drivers of people who have one.
Assumed, because no source says so: the settings at power-up other than those of the data channels (here the sine is at
its smallest amplitude, RC filters), the amplitude's resolution of three digits, that a scale overloads at 1.09 times
its end, that an output beyond its scale is still right in `OUTP?` and `SNAP?`, and that offsets do not change these.
Not simulated: the advanced and the synchronous filter, the chopper, dual reference, FFT, streaming; a scan can be
enabled only.
"""

import cmath
import math
import re
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Setting, command, split_arguments
from sim_instruments.panels.scpi_values import Call, Integer, Kind, Number, ScpiError, find_mnemonic
from sim_instruments.panels.sr860_capture import CapturePanel
from sim_instruments.panels.srs_lockin import StanfordLockInPanel
from sim_instruments.panels.word_panel import Table
from sim_instruments.world.lockin_filter import NOISE_BANDWIDTH

__all__ = ["SR860Panel", "SR865APanel", "SR865Panel"]

SENSITIVITIES = [factor * 10.0**decade for decade in range(0, -10, -1) for factor in (5, 2, 1)][2:]
TIME_CONSTANTS = [factor * 10.0**decade for decade in range(-6, 5) for factor in (1, 3)]
INPUT_RANGES = [1.0, 0.3, 0.1, 0.03, 0.01]
SCALE_OVERLOAD = 1.09
PARAMETERS = (
    "X", "Y", "R", "THeta", "IN1", "IN2", "IN3", "IN4", "XNOise", "YNOise", "OUT1", "OUT2", "PHAse", "SAMp", "LEVel",
    "FInt", "FExt",
)  # fmt: skip
CH1_OVERLOAD, CH2_OVERLOAD, INPUT_OVERLOAD, FIRST_CHANNEL_OVERLOAD = 1, 2, 16, 256

# A space must separate the word and its parameters; none may precede the question mark.
UNIT = re.compile(r"\s*:?(\*?[A-Za-z]+)(\??)(?:\s+(.*?))?\s*", re.ASCII | re.DOTALL)


class Enumerated(Kind):
    """One of several words, also named by its number, which is what a query answers; the default comes first."""

    def __init__(self, *words: str, default: int = 0) -> None:
        self.words = words
        self.default = default

    def parse(self, text: str) -> int:
        """Number for `text`."""
        if re.fullmatch(r"[+-]?\d+", text):
            return Integer(0, 0, len(self.words) - 1).parse(text)
        return self.words.index(find_mnemonic(self.words, text))


def _words(**kinds: Kind) -> tuple[Setting, ...]:
    return tuple(Setting(word, word, kind) for word, kind in kinds.items())


def _switch(default: int = 0) -> Enumerated:
    return Enumerated("OFF", "ON", default=default)


class SR860Panel(StanfordLockInPanel, CapturePanel):
    """An SR860; those of the family differ in their highest frequency."""

    identification = "Stanford_Research_Systems,SR860,TWIN0011,v1.51"
    resource = "USB{}::0xB506::0x2000::002949::0::INSTR"
    number_format = ".10g"
    HIGHEST_FREQUENCY: ClassVar[float] = 500e3
    settings: ClassVar[tuple[Any, ...]] = (
        # reference and sine output
        *_words(TBMODE=Enumerated("AUTO", "INternal"), PHAS=Number(0.0, -3.6e5, 3.6e5, "DEG"), HARM=Integer(1, 1, 99)),
        *_words(FREQ=Number(1e5, 1e-3, 4e6, "HZ"), HARMDUAL=Integer(1, 1, 99), SLVL=Number(1e-9, 1e-9, 2.0, "V")),
        *_words(SOFF=Number(0.0, -5.0, 5.0, "V"), REFM=Enumerated("COMmon", "DIFference")),
        *_words(RSRC=Enumerated("INT", "EXT", "DUAL", "CHOP"), RTRG=Enumerated("SIN", "POSttl", "NEGttl")),
        *_words(REFZ=Enumerated("50ohms", "1Meg", default=1), BLAZEX=Enumerated("BLAZEX", "BISYNC", "UNISYNC")),
        # signal
        *_words(IVMD=Enumerated("VOLTage", "CURRent"), ISRC=Enumerated("A", "A-B"), ICPL=Enumerated("AC", "DC")),
        *_words(IGND=Enumerated("FLOat", "GROund", default=1), IRNG=Enumerated("1V", "300M", "100M", "30M", "10M")),
        *_words(ICUR=Enumerated("1MEG", "100MEG"), SCAL=Integer(0, 0, 27), OFLT=Integer(10, 0, 21)),
        *_words(OFSL=Integer(0, 0, 3), SYNC=_switch(), ADVFILT=_switch(), SCNENBL=_switch()),
        # interface and display
        *_words(LIAE=Integer(0, 0, 65535), ERRE=Integer(0, 0, 255), LOCL=Integer(0, 0, 2), OVRM=_switch(1)),
        *_words(KEYC=_switch(1), DBLK=_switch(), DLAY=Integer(0, 0, 5), GSPD=Integer(0, 0, 16)),
        Table("COUT", (0, 1), Integer(0, 0, 1)),
        Table("CEXP", (0, 1, 2), Integer(0, 0, 2)),
        Table("COFA", (0, 1, 2), _switch()),
        Table("COFP", (0, 1, 2), Number(0.0, -999.99, 999.99), real=".2f"),
        Table("CRAT", (0, 1, 2), _switch()),
        Table("CGRF", (0, 1, 2, 3), _switch(1)),
        Table("AUXV", (0, 1, 2, 3), Number(0.0, -10.5, 10.5, "V"), real=".10g"),
        Table("PSTF", (0, 1, 2, 3), Number(1e3, 1e-3, 4e6, "HZ"), real=".10g"),
        Table("PSTA", (0, 1, 2, 3), Number(0.1, 1e-9, 2.0, "V"), real=".10g"),
        Table("PSTL", (0, 1, 2, 3), Number(0.0, -5.0, 5.0, "V"), real=".10g"),
    )
    input_settings = ("RSRC", "HARM", "IVMD", "ISRC")
    handlers: ClassVar = {
        "TBSTAT?": "1",
        "ILVL?": lambda self, _: str(self._signal_strength()),
        "ENBW?": lambda self, _: self.show_number(NOISE_BANDWIDTH[self._stages] / self.time_constant),
        "OAUX?": lambda self, call: self.show_number(self._auxiliary_input(round(call.number(0, 0, 3)) + 1)),
        "CUROVLDSTAT?": lambda self, _: str(self._present_overloads()),
        "FREQINT?": lambda self, _: self.show_number(self.state["FREQ"]),
        "FREQEXT?": lambda self, _: self.show_number(self.state["FREQ"] if not self.wires.excites else 0.0),
        "FREQDET?": lambda self, _: self.show_number(self.state["FREQ"] * self.state["HARM"]),
    }

    def reset(self) -> None:
        """Return to the default settings."""
        self._shown = [0, 1, 2, 3]  # the assignment of data channels
        super().reset()
        self.empty_buffer()

    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one command, whose parameters a space separates from its word."""
        match = UNIT.fullmatch(unit)
        handler = self.commands().get(match[1].upper() + match[2]) if match else None
        if match is None or handler is None:
            raise ScpiError(-113)
        return handler(self, Call((), split_arguments(match[3] or "")))

    def execute(self, message: str) -> list[bytes]:
        """Execute one message; the answers of its queries come in one line, separated by semicolons."""
        answers = super().execute(message)
        return [b";".join(answers)] if answers else []

    def interrupted(self) -> None:
        """An answer that is unread when the next message comes is lost."""
        self._output.clear()

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse a frequency beyond that of the model."""
        if name == "FREQ" and value > self.HIGHEST_FREQUENCY:
            raise ScpiError(-222)

    def setting_changed(self, name: str) -> None:
        """Round to the instrument's resolution and act."""
        if name == "FREQ":
            self.state[name] = max(float(f"{self.state[name]:.5e}"), 1e-3)
        elif name == "SLVL":
            self.state[name] = max(float(f"{self.state[name]:.2e}"), 1e-9)
        elif name == "SOFF":
            self.state[name] = round(self.state[name], 4)
        super().setting_changed(name)

    @command("FREQINT")
    def _internal_frequency(self, call: Call) -> None:
        self.change_setting(Setting("FREQ", "FREQ", Number(1e5, 1e-3, 4e6, "HZ")), call)

    # --- signal path ------------------------------------------------------------------------------------

    @property
    def sensitivity(self) -> float:
        """Full scale (V rms)."""
        number: int = self.state["SCAL"]
        return SENSITIVITIES[number]

    @property
    def time_constant(self) -> float:
        """Time constant of each filter stage (s)."""
        number: int = self.state["OFLT"]
        return TIME_CONSTANTS[number]

    @property
    def _locked(self) -> bool:
        return self.state["RSRC"] == 0 or not self.wires.excites

    def _connected(self) -> bool:
        return bool(self.state["IVMD"] == 0)

    def _peak(self) -> float:
        """Largest voltage at the converter (V), in input ranges."""
        direct = self._demodulator.auxiliary(1) if self.state["ICPL"] and self._connected() else 0.0
        peak = abs(direct) + math.sqrt(2) * abs(self._demodulator.input)
        return math.inf if self.overloaded else peak / INPUT_RANGES[self.state["IRNG"]]

    def _signal_strength(self) -> int:
        """Indicator of the input range, 0 to 4; each of its steps is assumed to be a factor 4."""
        peak = self._peak()
        return 4 if peak > 1 else sum(peak > one for one in (1 / 64, 1 / 16, 1 / 4))

    def _check_input(self) -> None:
        if self._peak() > 1:
            self.lockin_status |= INPUT_OVERLOAD

    def _convert(self, value: float) -> float:
        largest = INPUT_RANGES[self.state["IRNG"]] / math.sqrt(2)
        return math.copysign(min(abs(value), largest), value)

    def signal(self, time: float) -> complex:
        """X + iY at `time` (s), V rms; sets the overload bits of the outputs and data channels."""
        signal = super().signal(time)
        self.lockin_status |= self._scale_overloads(signal)
        return signal

    def _scale_overloads(self, signal: complex) -> int:
        shown = (signal.real, signal.imag, abs(signal))
        over = [abs(self._at_output(number, value)) > SCALE_OVERLOAD for number, value in enumerate(shown)]
        channels = self.state["COUT"]
        bits: int = CH1_OVERLOAD * over[2 * channels[0][0]]
        bits |= CH2_OVERLOAD * (over[1] and channels[1][0] == 0)
        for channel, parameter in enumerate(self._shown):
            if parameter < len(shown):
                bits |= FIRST_CHANNEL_OVERLOAD << channel if abs(shown[parameter]) > self.sensitivity else 0
        return bits

    def _at_output(self, quantity: int, value: float) -> float:
        """X, Y or R (0 to 2) with ratio, offset and expand, in scales."""
        ratio = self._auxiliary_input(3) if self.state["CRAT"][quantity][0] else 1.0
        scaled = value / self.sensitivity / (ratio or math.inf)
        if self.state["COFA"][quantity][0]:
            scaled -= self.state["COFP"][quantity][0] / 100
        return float(scaled * 10.0 ** self.state["CEXP"][quantity][0])

    def _present_overloads(self) -> int:
        before, self.lockin_status = self.lockin_status, 0
        self.signal(self.world.clock.time())
        present, self.lockin_status = self.lockin_status, before | self.lockin_status
        return present

    # --- readings ---------------------------------------------------------------------------------------

    def _values(self, numbers: list[int]) -> str:
        signal = self.signal(self.world.clock.time())
        return ",".join([self.show_number(self._value(number, signal)) for number in numbers])

    def _value(self, number: int, signal: complex) -> float:
        """Value of parameter 0 to 16."""
        if number <= 3:
            return (signal.real, signal.imag, abs(signal), math.degrees(cmath.phase(signal)))[number]
        if number <= 7:
            return self._auxiliary_input(number - 3)
        if number <= 9:
            return abs(self._demodulator.noise) / math.sqrt(2 * NOISE_BANDWIDTH[self._stages] / self.time_constant)
        settings = {12: "PHAS", 13: "SLVL", 14: "SOFF", 15: "FREQ"}
        if number in settings:
            return float(self.state[settings[number]])
        return float(self.state["AUXV"][number - 10][0]) if number <= 11 else 0.0

    @command("OUTP?")
    def _output_value(self, call: Call) -> str:
        call.expect(1)
        return self._values([call.parse(0, Enumerated(*PARAMETERS))])

    @command("OUTR?")
    def _channel_value(self, call: Call) -> str:
        call.expect(1)
        return self._values([self._shown[call.parse(0, Enumerated("DAT1", "DAT2", "DAT3", "DAT4"))]])

    @command("SNAP?")
    def _snap(self, call: Call) -> str:
        call.expect(2, 3)
        return self._values([call.parse(index, Enumerated(*PARAMETERS)) for index in range(len(call.arguments))])

    @command("SNAPD?")
    def _snap_channels(self, call: Call) -> str:
        call.expect(0)
        return self._values(self._shown)

    @command("CDSP")
    def _assign_channel(self, call: Call) -> None:
        call.expect(2)
        channel = call.parse(0, Enumerated("DAT1", "DAT2", "DAT3", "DAT4"))
        self._shown[channel] = call.parse(1, Enumerated(*PARAMETERS))

    @command("CDSP?")
    def _show_channel(self, call: Call) -> str:
        call.expect(1)
        return str(self._shown[call.parse(0, Enumerated("DAT1", "DAT2", "DAT3", "DAT4"))])

    # --- auto functions ---------------------------------------------------------------------------------

    @command("ARNG")
    def _auto_range(self, call: Call) -> None:
        peak = math.sqrt(2) * abs(self._demodulator.input)
        self.state["IRNG"] = max((n for n, one in enumerate(INPUT_RANGES) if one > 1.2 * peak), default=0)

    @command("ASCL")
    def _auto_scale(self, call: Call) -> None:
        signal = abs(self.signal(self.world.clock.time()))
        self.state["SCAL"] = max((n for n, scale in enumerate(SENSITIVITIES) if scale > signal), default=0)

    @command("OAUT")
    def _auto_offset(self, call: Call) -> None:
        quantity = round(call.number(0, 0, 2))
        signal = self.signal(self.world.clock.time())
        value = (signal.real, signal.imag, abs(signal))[quantity]
        self.state["COFP"][quantity] = (round(value / self.sensitivity * 100, 2),)
        self.state["COFA"][quantity] = (1,)


class SR865Panel(SR860Panel):
    """An SR865."""

    identification = "Stanford_Research_Systems,SR865,TWIN0012,v1.51"
    resource = "USB{}::0xB506::0x2000::003100::0::INSTR"
    HIGHEST_FREQUENCY = 2e6


class SR865APanel(SR860Panel):
    """An SR865A."""

    identification = "Stanford_Research_Systems,SR865A,TWIN0013,v1.51"
    resource = "USB{}::0xB506::0x2000::004100::0::INSTR"
    HIGHEST_FREQUENCY = 4e6
