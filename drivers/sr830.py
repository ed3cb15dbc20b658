"""SRS SR830 lock-in amplifier: QCoDeS's driver plus checks of settings and overloads."""

import math
import warnings
from typing import Any

from qcodes.instrument_drivers.stanford_research import SR830 as QcodesSR830  # noqa: N811  # name of the instrument

from drivers.answers import register
from drivers.errors import OverloadError, ReadingError, SettingError
from drivers.scpi import CheckedInstrument

__all__ = ["SR830"]

# SENS and OFLT, each from number 0 (manual, "Gain and time constant commands").
SENSITIVITIES = tuple(float(f"{factor}e{decade}") for decade in range(-9, 1) for factor in (1, 2, 5))[1:-2]
TIME_CONSTANTS = tuple(float(f"{factor}e{decade}") for decade in range(-5, 5) for factor in (1, 3))

# LIAS? bits (manual, "Status byte definitions").
OVERLOADS = {1: "input or reserve", 2: "filter", 4: "output"}
UNLOCKED = 8
# *ESR? bits.
POWER_ON = 128
REJECTED = {16: "a value that is not allowed", 32: "an unknown command"}
# Four stages at 24 dB/octave: e^{−x}·(1 + x + x²/2 + x³/6) falls to 0.001 at x = 13.06.
STEEPEST_SLOPE, SETTLING = 3, 13.1
AUXILIARY_LIMIT = 10.4
# The converters end at 1.09 times the full scale (and an overload bit is set), those of the auxiliary inputs at 10.5 V.
READABLE, AUXILIARY_END = 1.2, 10.6
SMALLEST_SINE, LARGEST_SINE, SINE_STEP = 0.004, 5.0, 0.002
LOWEST_FREQUENCY, HIGHEST_FREQUENCY = 1e-3, 102e3
# Longer time constants only at frequencies up to this one (manual, OFLT).
LONG_TIME_CONSTANT, SLOW_FREQUENCY = 30.0, 200.0


class SR830(CheckedInstrument, QcodesSR830):
    """An SR830 that fills the role of `drivers.roles.LockIn`: internal reference, input A, first harmonic."""

    default_terminator = "\n"
    _prepared = False
    _full_scale = math.inf  # V rms, from `prepare`

    def __init__(self, name: str, address: str, **options: Any) -> None:
        with warnings.catch_warnings():
            # About two parameters of QCoDeS's own class.
            warnings.filterwarnings("ignore", message=r"Parameter ch\d_databuffer .* does not correctly pass kwargs")
            super().__init__(name, address, **options)

    def prepare(self, *, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Set sine output, filter (24 dB/octave) and full scale; every setting is read back.

        Parameters
        ----------
        amplitude
            Sine output (V rms), 4 mV to 5 V in steps of 2 mV.
        frequency
            Reference frequency (Hz).
        time_constant, sensitivity
            Time constant (s) and full scale (V rms), each one of the instrument's 1-3 or 1-2-5 steps.

        Raises
        ------
        SettingError
            If a value is not one of the instrument's (nothing is sent then), or reads back differently.
        RejectedCommandError
            If a command was rejected.

        """
        try:
            self.check_settings(
                amplitude=amplitude, frequency=frequency, time_constant=time_constant, sensitivity=sensitivity
            )
        except ValueError as error:
            raise SettingError(self.described, f"{error}.") from error
        constant = _step("time constant", "s", time_constant, TIME_CONSTANTS)
        scale = _step("sensitivity", "V", sensitivity, SENSITIVITIES)
        self.discard_errors()
        for word, value in (("FMOD", 1), ("ISRC", 0), ("HARM", 1), ("OFSL", STEEPEST_SLOPE), ("PHAS", 0)):
            self.apply(word, value)
        self.apply("FREQ", frequency, tolerance=max(1e-4 * frequency, 1e-4))
        self.apply("OFLT", constant)
        self.apply("SENS", scale)
        self.apply("SLVL", round(amplitude, 3), tolerance=1.1e-3)
        self.check_errors()
        self.ask("LIAS?")  # clear overloads of the former setting
        self._prepared, self._full_scale = True, sensitivity

    @staticmethod
    def check_settings(*, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Check arguments of `prepare` without an instrument.

        Raises
        ------
        ValueError
            If an SR830 does not have a value; the message has the allowed ones.

        """
        if not SMALLEST_SINE <= amplitude <= LARGEST_SINE:
            raise ValueError(f"a sine output of {amplitude:g} V is not possible; 0.004 to 5 V are")
        steps = amplitude / SINE_STEP
        if abs(steps - round(steps)) > 1e-6:
            # The instrument rounds: a conductance from the requested amplitude would be wrong by up to a quarter.
            raise ValueError(f"a sine output of {amplitude:g} V is not possible; it goes in steps of {SINE_STEP:g} V")
        if not LOWEST_FREQUENCY <= frequency <= HIGHEST_FREQUENCY:
            raise ValueError(
                f"a frequency of {frequency:g} Hz is not possible; {LOWEST_FREQUENCY:g} to {HIGHEST_FREQUENCY:g} Hz are"
            )
        _step("time constant", "s", time_constant, TIME_CONSTANTS)
        _step("sensitivity", "V", sensitivity, SENSITIVITIES)
        if time_constant > LONG_TIME_CONSTANT and frequency > SLOW_FREQUENCY:
            raise ValueError(
                f"a time constant of {time_constant:g} s is not possible at {frequency:g} Hz; "
                f"above {LONG_TIME_CONSTANT:g} s the frequency must be at most {SLOW_FREQUENCY:g} Hz"
            )

    def quiet(self) -> float:
        """Reduce the sine output to its smallest amplitude, 4 mV, and return what is read back (V rms)."""
        return self.apply("SLVL", SMALLEST_SINE, tolerance=1e-6)

    def settling_time(self) -> float:
        """Return the time (s) until the output is within 0.1 % of its final value, at 24 dB/octave."""
        return SETTLING * TIME_CONSTANTS[self.again(self._time_constant)]

    def _time_constant(self) -> int:
        """Number of the time constant in use."""
        self.distinguish(lambda answer: register(answer) is not None)
        found = self.ask_register("OFLT?")
        if found >= len(TIME_CONSTANTS):
            raise self.unexpected(str(found), "OFLT?", f"0 to {len(TIME_CONSTANTS) - 1}")
        return found

    def read(self) -> complex:
        """Return X + iY (V rms) of one instant; repeated without a usable answer.

        Raises
        ------
        OverloadError
            If an overload bit is set during this reading.
        ReadingError
            If the reference is not locked.
        SettingError
            If the instrument was switched off and on since `prepare`: its settings are lost.

        """
        return self.again(self._read)

    def _read(self) -> complex:
        """One attempt of `read`, from the first query to the last, because the status query also clears the status."""
        self.ask_register("LIAS?")  # bits latch: clear earlier ones
        query = "SNAP?1,2"
        x, y = self.ask_reading(query, 2)
        status = self.ask_register("LIAS?")
        if self._prepared and self.ask_register("*ESR?") & POWER_ON:
            raise SettingError(
                self.described,
                "was switched off and on since it was prepared (*ESR? bit 7): its settings are lost.",
                "Find the reason, then start the run again.",
            )
        overloads = [name for bit, name in OVERLOADS.items() if status & bit]
        if overloads:
            raise OverloadError(
                self.described,
                f"{' and '.join(overloads)} overload at X = {x:g} V, Y = {y:g} V (LIAS? {status}).",
                "Choose a higher full scale, or a smaller excitation.",
            )
        if status & UNLOCKED:
            raise ReadingError(self.described, f"the reference is not locked (LIAS? {status}).")
        reading = complex(self.measured(x, f"X ({query})"), self.measured(y, f"Y ({query})"))
        if max(abs(x), abs(y)) > READABLE * self._full_scale:
            raise self.unexpected(f"{x:g},{y:g}", query, f"at most {self._full_scale:g} V, the full scale,")
        return reading

    def read_auxiliary(self, channel: int) -> float:
        """Return the voltage (V) at auxiliary input `channel`, 1 to 4.

        Raises
        ------
        OverloadError
            Beyond ±10.4 V, the range of the converter.

        """
        if channel not in (1, 2, 3, 4):
            raise SettingError(self.described, f"has no auxiliary input {channel}; it has 1 to 4.")
        voltage = self.again(lambda: self._auxiliary(channel))
        if abs(voltage) >= AUXILIARY_LIMIT:
            raise OverloadError(
                self.described,
                f"auxiliary input {channel} is at {voltage:g} V, the end of its range.",
                "Lower the gain of what feeds it.",
            )
        return voltage

    def _auxiliary(self, channel: int) -> float:
        query = f"OAUX?{channel}"
        (answer,) = self.ask_reading(query)
        voltage = self.measured(answer, f"auxiliary input {channel} ({query})")
        if abs(voltage) > AUXILIARY_END:
            raise self.unexpected(f"{voltage:g}", query, f"at most ±{AUXILIARY_END:g} (V)")
        return voltage

    def next_error(self) -> str | None:
        """Return what the event status register reports as rejected since the last query; None if nothing."""
        status = self.ask_register("*ESR?")
        rejected = [text for bit, text in REJECTED.items() if status & bit]
        return f"{' and '.join(rejected)} (*ESR? {status})" if rejected else None


def _step(what: str, unit: str, value: float, steps: tuple[float, ...]) -> int:
    """Return the number of the step equal to `value`; ValueError if there is none."""
    for number, step in enumerate(steps):
        if math.isclose(step, value, rel_tol=1e-6):
            return number
    allowed = ", ".join(f"{step:g}" for step in steps)
    raise ValueError(f"has no {what} of {value:g} {unit}; it has {allowed} {unit}")
