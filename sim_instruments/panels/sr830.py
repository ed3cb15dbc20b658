"""Front panel of a Stanford Research Systems SR830 lock-in amplifier (manual revision 2.5, chapter 5).

Input B is at the ground of the signal, so that A − B has the signal of A. The line filters are notches with a quality
of 4. The synchronous filter has no effect.
"""

import cmath
import math
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi_values import Call, Integer, Number, ScpiError
from sim_instruments.panels.sr830_storage import StoragePanel
from sim_instruments.panels.srs_lockin import StanfordLockInPanel
from sim_instruments.panels.word_panel import Table, word_settings
from sim_instruments.world.lockin_filter import NOISE_BANDWIDTH

__all__ = ["SR830Panel"]

SENSITIVITIES = [factor * 10.0**decade for decade in range(-9, 1) for factor in (1, 2, 5)][1:28]
TIME_CONSTANTS = [factor * 10.0**decade for decade in range(-5, 5) for factor in (1, 3)]
# FAST transfers scale full scale to ±30000 counts, and the converters end at ±10.9 V for 10 V full scale.
COUNTS = 30000
OVERLOAD = 1.09
SINE_STEP = 2e-3
LINE_FILTER_QUALITY = 4

INPUT_OVERLOAD, FILTER_OVERLOAD, OUTPUT_OVERLOAD = 1, 2, 4


def _choice(default: int, high: int) -> Integer:
    return Integer(default, 0, high)


class SR830Panel(StanfordLockInPanel, StoragePanel):
    """An SR830. At power-up it has its standard settings, except that the sine is at 4 mV."""

    identification = "Stanford_Research_Systems,SR830,TWIN0002,ver1.07"
    resource = "GPIB{}::8::INSTR"
    settings: ClassVar[tuple[Any, ...]] = (
        # reference and phase
        *word_settings(PHAS=Number(0.0, -360.0, 729.99), FREQ=Number(1000.0, 1e-3, 102e3), HARM=Integer(1, 1, 19999)),
        *word_settings(FMOD=_choice(1, 1), RSLP=_choice(0, 2), SLVL=Number(1.0, 0.004, 5.0)),
        # input and filters
        *word_settings(ISRC=_choice(0, 3), IGND=_choice(0, 1), ICPL=_choice(0, 1), ILIN=_choice(0, 3)),
        # gain and time constant
        *word_settings(SENS=_choice(26, 26), RMOD=_choice(2, 2), OFLT=_choice(8, 19), OFSL=_choice(1, 3)),
        *word_settings(SYNC=_choice(0, 1)),
        # setup and interface
        *word_settings(OUTX=_choice(1, 1), KCLK=_choice(1, 1), ALRM=_choice(1, 1), OVRM=_choice(1, 1)),
        *word_settings(LOCL=_choice(0, 2), LIAE=_choice(0, 255), ERRE=_choice(0, 255)),
        # channel displays: quantity, ratio
        Table("DDEF", (1, 2), _choice(0, 4), _choice(0, 2)),
        Table("FPOP", (1, 2), _choice(1, 1)),
        # X, Y, R: offset (% of full scale), expansion; they act on the displays, not on OUTP? and SNAP?
        Table("OEXP", (1, 2, 3), Number(0.0, -105, 105), _choice(0, 2), real=".2f"),
        Table("AUXV", (1, 2, 3, 4), Number(0.0, -10.5, 10.5), real=".3f"),
    )

    input_settings = ("FMOD", "HARM", "ISRC")
    handlers: ClassVar = {
        "OAUX?": lambda self, call: format(self._auxiliary_input(round(call.number(0, 1, 4))), ".6g"),
        "ARSV": lambda self, call: call.expect(0),
    }

    def switch_on(self) -> None:
        """Start as after power-up, with a settled filter."""
        self._setups: dict[int, dict[str, float]] = {}
        super().switch_on()
        self.state["SLVL"] = 0.004
        self._excite()
        self._input_changed()
        self._demodulator.settle_at_once()

    def reset(self) -> None:
        """Return to the standard settings; the data buffer is emptied."""
        super().reset()
        self.empty_buffer()

    def setting_changed(self, name: str) -> None:
        """Round to the instrument's resolution and set the excitation."""
        if name == "SLVL":
            self.state[name] = round(self.state[name] / SINE_STEP) * SINE_STEP
        super().setting_changed(name)
        if name in ("SRAT", "SEND"):
            self.empty_buffer()

    def complete_due_operation(self) -> None:
        """Store the samples that have become due since the last message."""
        super().complete_due_operation()
        self.store_due_samples()

    # --- signal path ------------------------------------------------------------------------------------

    @property
    def sensitivity(self) -> float:
        """Full scale (V rms)."""
        number: int = self.state["SENS"]
        return SENSITIVITIES[number]

    @property
    def time_constant(self) -> float:
        """Time constant of each filter stage (s)."""
        number: int = self.state["OFLT"]
        return TIME_CONSTANTS[number]

    @property
    def _locked(self) -> bool:
        return self.state["FMOD"] == 1 or not self.wires.excites

    def _connected(self) -> bool:
        return self.state["ISRC"] in (0, 1)

    def _front_end(self) -> complex:
        transmission, frequency = super()._front_end(), self.state["FREQ"]
        for multiple in (1, 2):  # notches at the line frequency and twice that
            if self.state["ILIN"] & multiple:
                notch = multiple * self.world.wiring.line_frequency
                width = frequency * notch / LINE_FILTER_QUALITY
                transmission *= (notch**2 - frequency**2) / (notch**2 - frequency**2 + 1j * width)
        return transmission

    def _check_input(self) -> None:
        if self.overloaded or abs(self._demodulator.input) > OVERLOAD:
            self.lockin_status |= INPUT_OVERLOAD

    def _convert(self, value: float) -> float:
        full_scale = self.sensitivity
        if abs(value) > OVERLOAD * full_scale:
            self.lockin_status |= OUTPUT_OVERLOAD
            return math.copysign(OVERLOAD * full_scale, value)
        return round(value / full_scale * COUNTS) * full_scale / COUNTS

    def display(self, channel: int, signal: complex) -> float:
        """Value of a channel display; offsets act here, not on OUTP? and SNAP?."""
        what, ratio = self.state["DDEF"][channel]
        x, y, r = signal.real, signal.imag, abs(signal)
        offset = {key: percent / 100 * self.sensitivity for key, (percent, _) in self.state["OEXP"].items()}
        if what >= 3:
            value = self._auxiliary_input(what - 2 + 2 * (channel - 1))
        elif what == 2:
            value = abs(self._demodulator.noise) / math.sqrt(2 * NOISE_BANDWIDTH[self._stages] / self.time_constant)
        elif channel == 1:
            value = (x - offset[1], r - offset[3])[what]
        else:
            value = (y - offset[2], math.degrees(cmath.phase(signal)))[what]
        if ratio:
            value /= self._auxiliary_input(ratio + 2 * (channel - 1)) or math.inf
        return value

    def _readings(self, numbers: list[int]) -> str:
        """Values 1 to 11 of SNAP?, all of one instant."""
        signal = self.signal(self.world.clock.time())
        values = []
        for number in numbers:
            if number <= 4:
                values.append((signal.real, signal.imag, abs(signal), math.degrees(cmath.phase(signal)))[number - 1])
            elif number <= 8:
                values.append(self._auxiliary_input(number - 4))
            else:
                values.append(self.state["FREQ"] if number == 9 else self.display(number - 9, signal))
        return ",".join([format(value, ".6g") for value in values])

    @command("OUTP?")
    def _output_value(self, call: Call) -> str:
        call.expect(1)
        return self._readings([round(call.number(0, 1, 4))])

    @command("OUTR?")
    def _display_value(self, call: Call) -> str:
        call.expect(1)
        return self._readings([round(call.number(0, 1, 2)) + 9])

    @command("SNAP?")
    def _snap(self, call: Call) -> str:
        call.expect(2, 6)
        return self._readings([round(call.number(index, 1, 11)) for index in range(len(call.arguments))])

    # --- auto functions ---------------------------------------------------------------------------------

    @command("AOFF")
    def _auto_offset(self, call: Call) -> None:
        offsets = self.state["OEXP"]
        quantity = call.channel(offsets)
        signal = self.signal(self.world.clock.time())
        value = (signal.real, signal.imag, abs(signal))[quantity - 1]
        offsets[quantity] = (round(value / self.sensitivity * 100, 2), offsets[quantity][1])

    @command("AGAN")
    def _auto_gain(self, call: Call) -> None:
        if self.time_constant > 1:
            raise ScpiError(-200)
        self._settle(self.world.clock.time())
        signal = abs(self._demodulator.output(self._stages))
        self.state["SENS"] = next((n for n, scale in enumerate(SENSITIVITIES) if scale > signal), 26)

    # --- setups ------------------------------------------------------------------------------

    @command("SSET")
    def _save_setup(self, call: Call) -> None:
        self._setups[round(call.number(0, 1, 9))] = {
            name: value for name, value in self.state.items() if not isinstance(value, dict)
        }

    @command("RSET")
    def _recall_setup(self, call: Call) -> None:
        setup = self._setups.get(round(call.number(0, 1, 9)))
        if setup is None:
            raise ScpiError(-200)
        self.state |= setup
        self.setting_changed("SLVL")
