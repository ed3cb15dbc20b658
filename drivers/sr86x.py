"""Stanford Research Systems SR860, SR865 and SR865A: what their drivers have in common.

From the operation manuals (SR865A rev. 2.07 and 2.11, SR865 rev. 1.26, SR860 rev. 2.04) and from what others have seen:

- Numbers of sensitivities begin at the highest (`SCAL 0` is 1 V), those of the SR830 at the lowest. The sensitivity is
  the scale of displays and of the outputs CH1 and CH2; the converter's range is the input range (`IRNG`, V peak).
- Frequency, amplitude or **direct level** of the sine output may be scanned by the instrument itself (`SCNENBL`).
- The sine output has a direct level (`SOFF`, ±5 V), which drives the device through the excitation line. It is not
  changed here, since that would be a step of the bias: a level other than 0 is refused.
- The amplitude is that between both outputs, each with a load of 50 Ω. One output with an open load has this amplitude,
  too; one with 50 Ω has half of it.
- The advanced filters (`ADVFILT`, a Gaussian or a linear-phase filter in place of RC stages) settle otherwise, and the
  synchronous filter overloads with the sensitivity: both are off.
- Offset, expand and ratio change CH1, CH2 and the displays (of offsets it is not known whether also `SNAP?`): all off.
- Answers to several queries in one message come in one line, separated by semicolons (manual, "Command Syntax").
- By USB the first query after opening may time out, and its answer comes before the next one: see `ask`.
- Firmware of 2018 and before (SR865 v1.18) lacks the capture commands that QCoDeS's driver needs (QCoDeS pull request
  1112).

Never tried on hardware.
"""

import math
from typing import ClassVar

from qcodes.instrument_drivers.stanford_research.SR86x import SR86x as QcodesSR86x

from drivers.errors import CommunicationError, SettingError
from drivers.srs_lockin import STEEPEST_SLOPE, StanfordLockIn, step_of

__all__ = ["SR86x"]

# SCAL and OFLT, each from number 0.
SENSITIVITIES = tuple(float(f"{factor}e{decade}") for decade in range(0, -10, -1) for factor in (5, 2, 1))[2:]
TIME_CONSTANTS = tuple(float(f"{factor}e{decade}") for decade in range(-6, 5) for factor in (1, 3))
INPUT_RANGES = (1.0, 0.3, 0.1, 0.03, 0.01)
# The input range includes this many times the peak of a sine of full scale, for noise and interference.
HEADROOM = 2.0

SMALLEST_SINE, LARGEST_SINE = 1e-9, 2.0
LOWEST_FREQUENCY = 1e-3
# Queries until a line that was just opened is in step.
FIRST_QUERIES = 3


class SR86x(StanfordLockIn, QcodesSR86x):
    """What the drivers of each model have in common; one of them fills the role of `drivers.roles.LockIn`."""

    reading_query = "SNAP? 0,1,15"
    auxiliary_query = "OAUX? {}"
    first_auxiliary = 0
    overloads: ClassVar = {1: "CH1 scale", 2: "CH2 scale", 16: "input range", 64: "synchronous filter"}
    time_constants = TIME_CONSTANTS
    beside = ("IVMD?", "SOFF?", "COFA? 0", "COFA? 1", *StanfordLockIn.beside)
    # The numbers are not limited by the scale, and a signal may pass it between two queries.
    largest_reading = 10.0

    highest_frequency: ClassVar[float]
    """Of the internal reference (Hz)."""

    _in_first_query = False

    def ask(self, cmd: str) -> str:
        """As `InstrumentLine.ask`; before the first query of all the line is cleared until `*IDN?` is answered."""
        if not self._identity and not self._in_first_query:
            self._in_first_query = True
            self._answer_at_all()
        return super().ask(cmd)

    def _answer_at_all(self) -> None:
        for _ in range(FIRST_QUERIES):
            try:
                self.device_clear()
                super().ask("*IDN?")
            except CommunicationError as error:
                self.log.warning("the first query is repeated: %s", error)
            except Exception as error:  # noqa: BLE001  # PyVISA and its libraries raise many classes
                self.log.warning("%s cannot be cleared: %s", self.described, error)
                return
            else:
                return

    def prepare(self, *, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Set sine output, input, filter (24 dB/octave) and full scale; every setting is read back.

        Parameters
        ----------
        amplitude
            Sine output (V rms), 1 nV to 2 V; the instrument keeps about three digits.
        frequency
            Reference frequency (Hz).
        time_constant, sensitivity
            Time constant (s) and full scale (V rms), each one of the instrument's 1-3 or 1-2-5 steps. The input range
            follows the full scale.

        Raises
        ------
        SettingError
            If a value is not one of the instrument's (nothing is sent then), reads back differently, or the sine output
            has a direct level or is scanned.
        RejectedCommandError
            If a command was rejected.

        """
        self._begin(amplitude=amplitude, frequency=frequency, time_constant=time_constant, sensitivity=sensitivity)
        constant = step_of("time constant", "s", time_constant, TIME_CONSTANTS)
        scale = step_of("sensitivity", "V", sensitivity, SENSITIVITIES)
        self._require_idle_output()
        for word, value in (("RSRC", 0), ("HARM", 1), ("PHAS", 0), ("IVMD", 0), ("ISRC", int(self._differential))):
            self.apply(word, value)
        self._couple(frequency)
        self.apply("IRNG", _input_range(sensitivity))
        for word, value in (("OFSL", STEEPEST_SLOPE), ("SYNC", 0), ("ADVFILT", 0)):
            self.apply(word, value)
        for quantity in (0, 1, 2):
            for word in ("COFA", "CEXP", "CRAT"):
                self.write(f"{word} {quantity},0")
                self.require(f"{word}? {quantity}", 0)
        self.apply("FREQ", frequency, tolerance=max(1e-5 * frequency, 1e-4))
        self.apply("OFLT", constant)
        self.apply("SCAL", scale)
        self.apply("SLVL", amplitude, tolerance=max(1e-3 * amplitude, 1e-9))
        self._finish(frequency, sensitivity)

    def set_otherwise(self, unit: str) -> list[str]:
        """As of every lock-in; a current input, too."""
        return super().set_otherwise(unit) + self.differing({"IVMD?": 0})

    def _require_idle_output(self) -> None:
        """Refuse a sine output with a direct level, or one that is scanned: nothing here may make it jump."""
        level = self.ask_number("SOFF?")
        if level:
            raise SettingError(
                self.described,
                f"has a direct level of {level:g} V at its sine output (SOFF?), which drives the device.",
                "Bring it to 0 by hand: changing it at once would be a step of the bias.",
            )
        self._confirmed["SOFF?"] = level
        if self.ask_flag("SCNENBL?"):
            raise SettingError(
                self.described,
                "scans its frequency, amplitude or direct level by itself (SCNENBL?).",
                "Switch the scan off at its front panel, with the device disconnected or protected.",
            )

    @classmethod
    def check_settings(cls, *, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Check arguments of `prepare` without an instrument.

        Raises
        ------
        ValueError
            If the instrument does not have a value; the message has the allowed ones.

        """
        if not SMALLEST_SINE <= amplitude <= LARGEST_SINE:
            raise ValueError(f"a sine output of {amplitude:g} V is not possible; 1e-9 to {LARGEST_SINE:g} V are")
        if not LOWEST_FREQUENCY <= frequency <= cls.highest_frequency:
            raise ValueError(
                f"a frequency of {frequency:g} Hz is not possible; {LOWEST_FREQUENCY:g} to {cls.highest_frequency:g} "
                "Hz are"
            )
        step_of("time constant", "s", time_constant, TIME_CONSTANTS)
        step_of("sensitivity", "V", sensitivity, SENSITIVITIES)

    def quiet(self) -> float:
        """Reduce the sine output to its smallest amplitude, 1 nV, and return what is read back (V rms)."""
        return self.apply("SLVL", SMALLEST_SINE, tolerance=SMALLEST_SINE / 2)


def _input_range(sensitivity: float) -> int:
    """Number of the lowest input range that includes signal and headroom; the highest if none does."""
    needed = HEADROOM * math.sqrt(2) * sensitivity
    return max((number for number, largest in enumerate(INPUT_RANGES) if largest >= needed), default=0)
