"""SRS SR830 lock-in amplifier: QCoDeS's driver plus checks of settings and overloads.

From the SR830 manual, revision 2.5:

- The line filters (`ILIN`) are notches of low quality at the line frequency and twice that: between the two they turn
  phase and amplitude of the signal. The synchronous filter (`SYNC`) changes the time of settling.
- With `ISRC` 2 and 3 the input is a current amplifier and the numbers are in A, whatever the driver calls them.
- A change of sensitivity, reserve or slope may change the time constant: it is read once more at the end.
- Offset and expand (`OEXP`), ratio and quantity of the displays (`DDEF`) change `OUTR?`, the buffers and the analog
  outputs; X and Y are read with `SNAP?`, and offset and expand are switched off nevertheless.
- The reserve (`RMOD`) and the shield (`IGND`) stay as they are: they depend on the interference, and what is too little
  reserve is an overload.
"""

import warnings
from typing import Any, ClassVar

from qcodes.instrument_drivers.stanford_research import SR830 as QcodesSR830  # noqa: N811  # name of the instrument

from drivers.srs_lockin import STEEPEST_SLOPE, StanfordLockIn, step_of

__all__ = ["SR830"]

# SENS and OFLT, each from number 0 (manual, "Gain and time constant commands").
SENSITIVITIES = tuple(float(f"{factor}e{decade}") for decade in range(-9, 1) for factor in (1, 2, 5))[1:-2]
TIME_CONSTANTS = tuple(float(f"{factor}e{decade}") for decade in range(-5, 5) for factor in (1, 3))

SMALLEST_SINE, LARGEST_SINE, SINE_STEP = 0.004, 5.0, 0.002
LOWEST_FREQUENCY, HIGHEST_FREQUENCY = 1e-3, 102e3
# Longer time constants only at frequencies up to this one (manual, OFLT).
LONG_TIME_CONSTANT, SLOW_FREQUENCY = 30.0, 200.0


class SR830(StanfordLockIn, QcodesSR830):
    """An SR830 that fills the role of `drivers.roles.LockIn`: internal reference, first harmonic, voltage input.

    Parameters
    ----------
    name, address
        Of the instrument.
    differential
        Whether the signal is A − B; otherwise it is at input A.

    """

    reading_query = "SNAP?1,2,9"
    auxiliary_query = "OAUX?{}"
    first_auxiliary = 1
    overloads: ClassVar = {1: "input or reserve", 2: "filter", 4: "output"}
    time_constants = TIME_CONSTANTS
    # The converters end at 1.09 times the full scale, and an overload bit is set.
    largest_reading = 1.2

    def __init__(self, name: str, address: str, differential: bool = False, **options: Any) -> None:
        with warnings.catch_warnings():
            # About two parameters of QCoDeS's own class.
            warnings.filterwarnings("ignore", message=r"Parameter ch\d_databuffer .* does not correctly pass kwargs")
            super().__init__(name, address, differential, **options)

    def prepare(self, *, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Set sine output, input, filter (24 dB/octave) and full scale; every setting is read back.

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
        self._begin(amplitude=amplitude, frequency=frequency, time_constant=time_constant, sensitivity=sensitivity)
        constant = step_of("time constant", "s", time_constant, TIME_CONSTANTS)
        scale = step_of("sensitivity", "V", sensitivity, SENSITIVITIES)
        for word, value in (("FMOD", 1), ("ISRC", int(self._differential)), ("ILIN", 0), ("HARM", 1), ("PHAS", 0)):
            self.apply(word, value)
        self._couple(frequency)
        self.apply("OFSL", STEEPEST_SLOPE)
        self.apply("SYNC", 0)
        for quantity in (1, 2, 3):
            self._show_unchanged(quantity)
        self.apply("FREQ", frequency, tolerance=max(1e-4 * frequency, 1e-4))
        self.apply("OFLT", constant)
        self.apply("SENS", scale)
        self.require("OFLT?", constant)
        self.apply("SLVL", round(amplitude, 3), tolerance=1.1e-3)
        self._finish(frequency, sensitivity)

    def ask_each(self, queries: tuple[str, ...]) -> tuple[str, ...]:
        """Send several queries in one message; each answer is a line of its own (manual, 5-2)."""
        message = ";".join(queries)
        answers = [self.ask(message)]
        for _ in queries[1:]:
            answers.append(self.receive_line(message))
            self._last_answer = answers[-1]
        return tuple(answers)

    def _show_unchanged(self, quantity: int) -> None:
        """Switch offset and expand of X, Y or R (1 to 3) off."""
        self.write(f"OEXP {quantity},0,0")
        query = f"OEXP?{quantity}"
        offset, expand = self.ask_numbers(query, 2)
        if offset or expand:
            raise self.refused(query, f"{offset:g},{expand:g}", "0,0")

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
        step_of("time constant", "s", time_constant, TIME_CONSTANTS)
        step_of("sensitivity", "V", sensitivity, SENSITIVITIES)
        if time_constant > LONG_TIME_CONSTANT and frequency > SLOW_FREQUENCY:
            raise ValueError(
                f"a time constant of {time_constant:g} s is not possible at {frequency:g} Hz; "
                f"above {LONG_TIME_CONSTANT:g} s the frequency must be at most {SLOW_FREQUENCY:g} Hz"
            )

    def quiet(self) -> float:
        """Reduce the sine output to its smallest amplitude, 4 mV, and return what is read back (V rms)."""
        return self.apply("SLVL", SMALLEST_SINE, tolerance=1e-6)
