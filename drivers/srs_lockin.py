"""What the lock-in amplifiers of Stanford Research Systems have in common: SR830, SR860, SR865, SR865A.

Their settings are single words. They have no error queue: a rejected command sets a bit of the event status register
(`*ESR?`), which also has a bit for a power-on and one for any key pressed at the front panel. Reading clears it.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from drivers.answers import number, register
from drivers.errors import OverloadError, ReadingError, SettingError
from drivers.scpi import CheckedInstrument

__all__ = ["StanfordLockIn", "step_of"]

# *ESR? bits.
REJECTED = {16: "a value that is not allowed", 32: "an unknown command"}
KEY_PRESSED, POWER_ON = 64, 128
# Four stages at 24 dB/octave: e^{−x}·(1 + x + x²/2 + x³/6) falls to 0.001 at x = 13.06.
STEEPEST_SLOPE, SETTLING = 3, 13.1
AUXILIARY_LIMIT, AUXILIARY_END = 10.4, 10.6
# AC coupling is a high-pass at 0.16 Hz: from this frequency (Hz) on it takes less than 0.35 % of the amplitude.
LOWEST_COUPLED = 2.0
# The frequency with each reading tells a reset; its last digits are rounded.
SAME_FREQUENCY = 1e-3


class StanfordLockIn(CheckedInstrument):
    """A mix-in, as `CheckedInstrument`; a subclass has its commands and the bits of its status word.

    Parameters
    ----------
    name, address
        Of the instrument.
    differential
        Whether the signal is A − B; otherwise it is at input A.

    """

    default_terminator = "\n"

    reading_query: ClassVar[str]
    """Query of X, Y and the internal frequency of one instant."""
    auxiliary_query: ClassVar[str]
    """Query of an auxiliary input; its format has the number from 0."""
    first_auxiliary: ClassVar[int]
    """Number of the first auxiliary input."""
    overloads: ClassVar[Mapping[int, str]]
    """Bits of `LIAS?`, and what each says."""
    time_constants: ClassVar[tuple[float, ...]]
    """Time constants (s), from number 0 of `OFLT`."""
    largest_reading: ClassVar[float]
    """Largest X or Y that is possible, in full scales."""

    beside: ClassVar[tuple[str, ...]] = ("PHAS?", "HARM?", "ISRC?", "OFLT?", "OFSL?", "SLVL?")
    """Queries of the settings that each reading confirms."""

    UNLOCKED: ClassVar[int] = 8

    def __init__(self, name: str, address: str, differential: bool = False, **options: Any) -> None:
        self._differential = differential
        self._events = 0  # bits of *ESR? that have been seen since `prepare`
        self._full_scale, self._frequency = math.inf, math.nan  # V rms, Hz, from `prepare`
        super().__init__(name, address, **options)

    # --- settings ----------------------------------------------------------------------------------------------------

    @staticmethod
    @abstractmethod
    def check_settings(*, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Check arguments of `prepare` without sending anything; ValueError if the instrument does not have one."""

    def _begin(self, **settings: float) -> None:
        """Check the arguments of `prepare`, and forget what was confirmed and seen before."""
        try:
            self.check_settings(**settings)
        except ValueError as error:
            raise SettingError(self.described, f"{error}.") from error
        self._confirmed = {}
        self._full_scale, self._frequency = math.inf, math.nan
        self.discard_errors()
        self._events = 0

    def _finish(self, frequency: float, sensitivity: float) -> None:
        """Check at the end of `prepare` that nothing was rejected, and clear overloads of the former setting."""
        self.check_errors()
        self.ask("LIAS?")
        self._full_scale, self._frequency = sensitivity, frequency

    def _couple(self, frequency: float) -> None:
        """AC coupling, as the device's direct current would overload the input; direct where AC would attenuate."""
        self.apply("ICPL", int(frequency < LOWEST_COUPLED))

    def next_error(self) -> str | None:
        """Return what the event status register reports as rejected since the last query; None if nothing."""
        status = self._asked_events()
        rejected = [text for bit, text in REJECTED.items() if status & bit]
        return f"{' and '.join(rejected)} (*ESR? {status})" if rejected else None

    def _asked_events(self) -> int:
        status = self.ask_register("*ESR?")
        self._events |= status
        return status

    def _check_events(self) -> None:
        """Raise if the instrument lost its settings, or a key was pressed and one of them is another."""
        self._asked_events()
        if self._events & POWER_ON:
            raise SettingError(
                self.described,
                "was switched off and on since it was prepared (*ESR? bit 7): its settings are lost.",
                "Find the reason, then start the run again.",
            )
        if self._events & KEY_PRESSED:
            for query in tuple(self._confirmed):
                self._confirm(query)
            self._events &= ~KEY_PRESSED

    def _confirm(self, query: str) -> None:
        """Compare a setting with what was confirmed; read it again, with the line cleared, before it counts as another.

        Raises
        ------
        SettingError
            If it is another.

        """
        known = self._confirmed[query]
        found = self.ask_number(query)
        if found != known:
            self.lost_step()
            found = self.ask_number(query)
        if found != known:
            raise SettingError(
                self.described,
                f"{query} reads {found:.10g}; {known:.10g} was confirmed when it was prepared.",
                "It was changed at the front panel, by another program or by a reset: prepare the measurement again.",
            )

    def _confirm_beside(self) -> None:
        """Compare the settings `beside` a reading, which are asked in one message, with what was confirmed."""
        for query, answer in zip(self.beside, self.ask_each(self.beside), strict=True):
            if number(answer) != self._confirmed[query]:
                self.lost_step()
                self._confirm(query)

    def set_otherwise(self, unit: str) -> list[str]:
        """What makes another amplitude than that of the signal (`drivers.capabilities.TellsSettings`)."""
        del unit
        return self.differing({"HARM?": 1, "ISRC?": int(self._differential)})

    # --- readings ----------------------------------------------------------------------------------------------------

    def settling_time(self) -> float:
        """Return the time (s) until the output is within 0.1 % of its final value, at 24 dB/octave."""
        return SETTLING * self.time_constants[self.again(self._time_constant)]

    def _time_constant(self) -> int:
        """Number of the time constant in use."""
        self.distinguish(lambda answer: register(answer) is not None)
        found = self.ask_register("OFLT?")
        if found >= len(self.time_constants):
            raise self.unexpected(str(found), "OFLT?", f"0 to {len(self.time_constants) - 1}")
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
            If the instrument was switched off and on, reset or changed since `prepare`.

        """
        return self.again(self._read)

    def _read(self) -> complex:
        """One attempt of `read`, from the first query to the last, because the status query also clears the status."""
        self.ask_register("LIAS?")  # bits latch: clear earlier ones
        query = self.reading_query
        x, y, frequency = self.ask_reading(query, 3)
        status = self.ask_register("LIAS?")
        if not math.isnan(self._frequency):
            self._check_events()
            self._confirm_beside()
            if not math.isclose(frequency, self._frequency, rel_tol=SAME_FREQUENCY):
                self._confirm("FREQ?")
                raise self.unexpected(f"{frequency:g}", query, f"{self._frequency:g} (Hz) as the last number")
        overloads = [name for bit, name in self.overloads.items() if status & bit]
        if overloads:
            raise OverloadError(
                self.described,
                f"{' and '.join(overloads)} overload at X = {x:g} V, Y = {y:g} V (LIAS? {status}).",
                "Choose a higher full scale, or a smaller excitation.",
            )
        if status & self.UNLOCKED:
            raise ReadingError(self.described, f"the reference is not locked (LIAS? {status}).")
        reading = complex(self.measured(x, f"X ({query})"), self.measured(y, f"Y ({query})"))
        if max(abs(x), abs(y)) > self.largest_reading * self._full_scale:
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
        query = self.auxiliary_query.format(channel - 1 + self.first_auxiliary)
        (answer,) = self.ask_reading(query)
        voltage = self.measured(answer, f"auxiliary input {channel} ({query})")
        if abs(voltage) > AUXILIARY_END:
            raise self.unexpected(f"{voltage:g}", query, f"at most ±{AUXILIARY_END:g} (V)")
        return voltage


def step_of(what: str, unit: str, value: float, steps: tuple[float, ...]) -> int:
    """Return the number of the step equal to `value`; ValueError if there is none."""
    for at, step in enumerate(steps):
        if math.isclose(step, value, rel_tol=1e-6):
            return at
    allowed = ", ".join(f"{step:g}" for step in steps)
    raise ValueError(f"has no {what} of {value:g} {unit}; it has {allowed} {unit}")
