"""Keysight Truevolt multimeters as meters: what their driver in QCoDeS lacks. A mix-in in front of its classes.

A reading is the mean of one or several integrations of a whole number of power-line cycles where it lasts one cycle or
longer. From the operating and service guide of the series, and **never tried on hardware**:

- Null, scaling, smoothing, a trigger source or delay, a number of samples and an aperture that somebody left stay until
  they are set again; READ? then returns other numbers, several numbers, or waits for ever.
- Overload is ±9.9e37. The ranges reach to 1.2 times their name, those of 1000 V and 3 A not.
- Autozero doubles the time of each integration.
- With the input impedance at "auto" it is above 10 Gohm up to the 10 V range; else it is 10 Mohm, which a source of
  1 Mohm feels as 9 %. `prepare_reading` sets "auto".
- Front or rear terminals are chosen by a switch that the bus only reads: the station file says which.
"""

import math
from typing import Any, ClassVar, Literal

from drivers.answers import is_choice, number, numbers
from drivers.errors import CommunicationError, SettingError
from drivers.scpi import CheckedInstrument

__all__ = ["Truevolt"]

LINE_FREQUENCIES = (50.0, 60.0)
MOST_SAMPLES = 100
OVERRANGE = 1.2
# Time (s) of one integration beyond its cycles, and that of the message.
OVERHEAD, EXCHANGE = 0.02, 3.0
VOLTS = (0.1, 1.0, 10.0, 100.0, 1000.0)
FUNCTIONS = {"V": "VOLT", "A": "CURR"}


class Truevolt(CheckedInstrument):
    """A multimeter that fills `drivers.roles.Meter` and `drivers.capabilities.RangedMeter`.

    Parameters
    ----------
    name, address
        Of the instrument.
    terminals
        The input terminals that the device is connected to: `front` or `rear`.

    """

    models: ClassVar[tuple[str, ...]]
    """Models that the class is for, as in their identity."""
    current_ranges: ClassVar[tuple[float, ...]]
    """Ranges of direct current (A)."""
    has_aperture: ClassVar[bool]
    """Whether it has apertures in seconds, smoothing and a timer of samples."""
    has_DIG: bool  # noqa: N815  # QCoDeS sets these two
    NPLC_list: list[float]

    def __init__(self, name: str, address: str, terminals: Literal["front", "rear"] = "front", **kwargs: Any) -> None:
        if terminals not in ("front", "rear"):
            raise SettingError(name, f"terminals: {terminals!r} is given; write front or rear under init.")
        self._terminals = terminals
        self._unit: Literal["A", "V", ""] = ""
        self._samples, self._range, self._duration = 1, math.inf, 10.0
        super().__init__(name, address, **kwargs)

    def get_idn(self) -> dict[str, str | None]:
        """The identity.

        Raises
        ------
        CommunicationError
            If it is that of a model that the class is not for, or of an emulated one.

        """
        found = super().get_idn()
        if found.get("model") not in self.models:
            raise CommunicationError(
                self.described,
                f"has the identity {found.get('vendor')} {found.get('model')}; {' or '.join(self.models)} is expected.",
                "Check the address, and that SYSTem:IDENtify is at its default.",
            )
        return found

    def prepare_reading(self, *, unit: Literal["A", "V"], maximum: float, integration_time: float) -> None:
        """Set everything that a reading depends on, and read it back.

        Parameters
        ----------
        unit
            `V` or `A`: direct voltage or current.
        maximum
            Largest reading (V or A); the fixed range includes it.
        integration_time
            Of one reading (s). The mean of up to 100 integrations replaces one that it cannot do.

        Raises
        ------
        SettingError
            If the instrument holds other values, has no such range or time, or other terminals are switched on.
        RejectedCommandError
            If its error queue has an entry.

        """
        if unit not in FUNCTIONS or not (math.isfinite(maximum) and math.isfinite(integration_time)):
            raise SettingError(
                self.described, f"cannot prepare for {maximum} {unit} in {integration_time} s; nothing was sent."
            )
        self._confirmed, self._unit = {}, ""
        function = FUNCTIONS[unit]
        at = f":SENS:{function}:DC"
        chosen = self._range_for(unit, abs(maximum))
        self._end_earlier(at)
        self._check_terminals()
        self.write(f':SENS:FUNC "{function}"')
        self._require_function(function)
        if unit == "A" and self.IDN().get("model") != "34460A":  # which has one pair of current terminals
            self.apply(f"{at}:TERM", 3)
        self.apply(f"{at}:RANG", chosen, tolerance=1e-3 * chosen)
        self.require(f"{at}:RANG:AUTO?", 0.0)
        cycles, samples = self._cycles(integration_time)
        self.apply(f"{at}:NPLC", cycles, tolerance=1e-3 * cycles)
        if self.has_aperture:
            self.require(f"{at}:APER:ENAB?", 0.0)
        self.apply(f"{at}:ZERO:AUTO", True)
        self.apply(f"{at}:NULL:STAT", False)
        if unit == "V":
            self.apply(f"{at}:IMP:AUTO", True)
        self._choose_trigger(samples)
        self.check_errors()
        self.require_unchanged("at the end of its preparation")
        self._unit, self._range, self._samples = unit, chosen, samples
        self._duration = samples * (2 * cycles / self._confirmed[":SYST:LFR?"] + OVERHEAD)  # type: ignore[operator]  # a number

    def _range_for(self, unit: str, largest: float) -> float:
        ranges = VOLTS if unit == "V" else self.current_ranges
        found = next((one for one in ranges if largest <= one * self._reach(one)), None)
        if found is None:
            raise SettingError(
                self.described,
                f"{largest:g} {unit} is beyond {ranges[-1]:g} {unit}, its highest range.",
                "Lower the maximum, or the gain of the amplifier in front of it.",
            )
        return found

    def _reach(self, one: float) -> float:
        """How far a range reaches, in units of itself."""
        return 1.0 if one in (VOLTS[-1], self.current_ranges[-1]) else OVERRANGE

    def _end_earlier(self, at: str) -> None:
        """End what runs or waits, and a secondary measurement, which some firmware does not have."""
        self.write(":ABOR")
        self.write(f'{at}:SEC "OFF"')
        self.discard_errors()

    def _check_terminals(self) -> None:
        """Front or rear, as the station file says."""
        answer = self.ask(":ROUT:TERM?").strip()
        found = {"FRON": "front", "FRONT": "front", "REAR": "rear"}.get(answer.upper())
        if found is None:
            raise self.unexpected(answer, ":ROUT:TERM?", "FRON or REAR")
        if found != self._terminals:
            raise SettingError(
                self.described,
                f"has its {found} terminals switched on; the station file says {self._terminals}.",
                "Press its switch Front/Rear, or write terminals: front or rear under init of the instrument.",
            )
        self._confirmed[":ROUT:TERM?"] = answer.upper()

    def _require_function(self, function: str) -> None:
        answer = self.ask(":SENS:FUNC?")
        if not is_choice(answer, function):
            raise self.refused(":SENS:FUNC?", answer.strip()[:80], function)
        self._confirmed[":SENS:FUNC?"] = function

    def _cycles(self, seconds: float) -> tuple[float, int]:
        """Power-line cycles of one integration, and the number of integrations."""
        frequency = self.ask_number(":SYST:LFR?")
        if frequency not in LINE_FREQUENCIES:
            raise self.unexpected(f"{frequency:g}", ":SYST:LFR?", "50 or 60 (Hz)")
        self._confirmed[":SYST:LFR?"] = frequency
        needed = seconds * frequency * (1 - 1e-9)
        # From one cycle on whole cycles only, which reject the mains; below, the next longer single integration.
        usable = [n for n in self.NPLC_list if (n >= 1 if needed > 1 else n >= needed)]
        counts = [(n, max(1, math.ceil(needed / n))) for n in usable]
        possible = [(n, count) for n, count in counts if count <= MOST_SAMPLES]
        if not (seconds > 0 and possible):
            raise SettingError(
                self.described,
                f"an integration time of {seconds:g} s is not possible.",
                f"Allowed are up to {MOST_SAMPLES * max(self.NPLC_list) / frequency:g} s.",
            )
        return min(possible, key=lambda pair: (pair[0] * pair[1], pair[1]))

    def _choose_trigger(self, samples: int) -> None:
        """Readings at once, as text, `samples` for each READ?, without math."""
        self.apply(":CALC:SCAL:STAT", False)
        self.choose(":TRIG:SOUR", "IMM")
        self.apply(":TRIG:COUN", 1)
        self.apply(":TRIG:DEL:AUTO", True)
        if self.has_aperture:
            self.apply(":CALC:SMO:STAT", False)
            self.choose(":SAMP:SOUR", "IMM")
        if self.has_DIG:
            self.apply(":SAMP:COUN:PRET", 0)
        self.apply(":SAMP:COUN", samples)
        self.write(":FORM ASC")
        answer = self.ask(":FORM?").strip()
        if not answer.upper().startswith("ASC"):
            raise self.refused(":FORM?", answer[:80], "ASC")
        self._confirmed[":FORM?"] = answer.upper()

    def read(self) -> float:  # type: ignore[override, unused-ignore]  # QCoDeS's returns an array
        """Measure once (V or A, as prepared; unprepared in the function that is set), repeated without a usable answer.

        Raises
        ------
        OverloadError
            If the input is beyond the range.
        SettingError
            If the instrument was reset, or its function or range changed, since it was prepared.

        """
        with self.waiting(self._duration + EXCHANGE):
            return self.again(self._asked_reading)

    def _asked_reading(self) -> float:
        function = FUNCTIONS[self._unit] if self._unit else ""
        if not function:
            self._require_immediate()
        queries: tuple[str, ...] = (":READ?", ":SENS:FUNC?")
        if function:
            queries += (f":SENS:{function}:DC:RANG?", f":SENS:{function}:DC:RANG:AUTO?", ":SAMP:COUN?")
        self.distinguish(lambda answer: numbers(answer.partition(";")[0], self._samples) is not None)
        answers = self.ask_each(queries)
        self._check_unchanged(queries, answers)
        found = numbers(answers[0], self._samples)
        if found is None:
            raise self.unexpected(answers[0], ":READ?", f"{self._samples} number(s)")
        values = [self.measured(value, "the input (:READ?)") for value in found]
        largest = max(map(abs, values))
        if largest > self._range * OVERRANGE * (1 + 1e-6):
            raise self.unexpected(f"{largest:g}", ":READ?", f"at most {self._range:g} (V or A), its range,")
        return math.fsum(values) / len(values)

    def _require_immediate(self) -> None:
        """Whether READ? gives one reading at once: an unprepared instrument may wait for a trigger, for ever."""
        for query, wanted in ((":TRIG:SOUR?", "IMM"), (":SAMP:COUN?", "1"), (":TRIG:COUN?", "1")):
            answer = self.ask(query)
            if not (is_choice(answer, wanted) or number(answer) == number(wanted) is not None):
                raise SettingError(
                    self.described,
                    f"{query} reads {answer.strip()[:80]}, left by an earlier user; a reading needs {wanted}.",
                    "Nothing was measured. A run sets it; else set it at the front panel.",
                )

    def _check_unchanged(self, queries: tuple[str, ...], answers: tuple[str, ...]) -> None:
        """Whether what was answered beside a reading is as it was prepared."""
        if not self._unit:
            if not any(is_choice(answers[1], one) for one in FUNCTIONS.values()):
                raise SettingError(self.described, f"measures {answers[1].strip()[:80]}.", "Set it to VOLT or CURR.")
            return
        function = FUNCTIONS[self._unit]
        known: tuple[str | float, ...] = (function, self._range, 0.0, float(self._samples))
        for query, expected, answer in zip(queries[1:], known, answers[1:], strict=True):
            if isinstance(expected, str):
                same = is_choice(answer, expected)
            else:
                found = number(answer)
                same = found is not None and math.isclose(found, expected, rel_tol=1e-3)
            if not same:
                self.lost_step()
                raise SettingError(
                    self.described,
                    f"{query} reads {answer.strip()[:80]} beside a reading; {expected} was prepared.",
                    "The instrument was changed or reset: prepare the measurement again.",
                )
