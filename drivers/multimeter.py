"""What multimeters have in common as meters: model, terminals, ranges, the mains, and what is asked beside a reading.

A base of driver modules; it has no instrument class of its own.
"""

import math
from abc import abstractmethod
from typing import Any, ClassVar, Literal

from drivers.answers import is_choice, numbers
from drivers.errors import CommunicationError, SettingError
from drivers.unchanged_opening import UnchangedOpening

__all__ = ["LINE_FREQUENCIES", "Multimeter"]

LINE_FREQUENCIES = (50.0, 60.0)
OVERRANGE = 1.2
# Time (s) of a message beyond what it measures.
EXCHANGE = 3.0
VOLTS = (0.1, 1.0, 10.0, 100.0, 1000.0)
TERMINALS = {"FRON": "front", "FRONT": "front", "REAR": "rear"}


class Multimeter(UnchangedOpening):
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
    sensed: ClassVar[dict[str, str]] = {"V": "VOLT", "A": "CURR"}
    """Unit of a reading → function, as the instrument answers it."""
    current_ranges: ClassVar[tuple[float, ...]]
    """Ranges of direct current (A)."""
    read_query: ClassVar[str]
    """The query that measures."""
    emulation: ClassVar[str]
    """What to check where the identity is another model's."""

    def __init__(self, name: str, address: str, terminals: Literal["front", "rear"] = "front", **kwargs: Any) -> None:
        if terminals not in ("front", "rear"):
            raise SettingError(name, f"terminals: {terminals!r} is given; write front or rear under init.")
        self._terminals = terminals
        self._unit: Literal["A", "V", ""] = ""
        self._samples, self._range, self._duration = 1, math.inf, 10.0
        self._beside: tuple[str, ...] = ()
        super().__init__(name, address, **kwargs)

    def connect_message(self, idn_param: str = "IDN", begin_time: float | None = None) -> None:
        """As every instrument's; then refuse another model."""
        super().connect_message(idn_param, begin_time)
        self.get_idn()

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
                f"Check the address{self.emulation}.",
            )
        return found

    @property
    def reading_range(self) -> float:
        """Range of the readings (V or A) as prepared, which each reading confirms; NaN before."""
        return self._range if self._unit else math.nan

    def prepare_reading(self, *, unit: Literal["A", "V"], maximum: float, integration_time: float) -> None:
        """Set everything that a reading depends on, and read it back.

        Parameters
        ----------
        unit
            `V` or `A`: direct voltage or current.
        maximum
            Largest reading (V or A); the fixed range includes it.
        integration_time
            Of one reading (s). The mean of up to 100 integrations replaces one that the instrument cannot do.

        Raises
        ------
        SettingError
            If the instrument holds other values, has no such range or time, or other terminals are switched on.
        RejectedCommandError
            If its error queue has an entry.

        """
        if unit not in self.sensed or not (math.isfinite(maximum) and math.isfinite(integration_time)):
            raise SettingError(
                self.described, f"cannot prepare for {maximum} {unit} in {integration_time} s; nothing was sent."
            )
        self._confirmed, self._unit, self._samples = {}, "", 1
        chosen = self._range_for(unit, abs(maximum))
        self._set_up(unit, chosen, integration_time)
        self.check_errors()
        self.require_unchanged("at the end of its preparation")
        self._unit, self._range = unit, chosen

    @abstractmethod
    def _changing(self, unit: Literal["A", "V"]) -> dict[str, float | str]:
        """Query of each setting that changes the number of a reading → what `prepare_reading` makes of it."""

    def set_otherwise(self, unit: Literal["A", "V"]) -> list[str]:
        """What changes the number of a reading, and `prepare_reading` would change (`capabilities.TellsSettings`)."""
        function = self.differing({":SENS:FUNC?": self.sensed[unit]})
        return function or self.differing(self._changing(unit))

    @abstractmethod
    def _set_up(self, unit: Literal["A", "V"], chosen: float, integration_time: float) -> None:
        """Set everything for a range (V or A); sets what is asked `_beside` a reading, and its `_duration` (s)."""

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

    def _check_terminals(self) -> None:
        """Front or rear, as the station file says."""
        answer = self.ask(":ROUT:TERM?").strip()
        found = TERMINALS.get(answer.upper())
        if found is None:
            raise self.unexpected(answer, ":ROUT:TERM?", "FRON or REAR")
        if found != self._terminals:
            raise SettingError(
                self.described,
                f"has its {found} terminals switched on; the station file says {self._terminals}.",
                "Press its switch Front/Rear, or write terminals: front or rear under init of the instrument.",
            )
        self._confirmed[":ROUT:TERM?"] = answer.upper()

    def _choose_function(self, function: str) -> None:
        self.write(f':SENS:FUNC "{function}"')
        self.require_choice(":SENS:FUNC?", function)

    def _mains(self) -> float:
        """Frequency of the mains (Hz)."""
        frequency = self.ask_number(":SYST:LFR?")
        if frequency not in LINE_FREQUENCIES:
            raise self.unexpected(f"{frequency:g}", ":SYST:LFR?", "50 or 60 (Hz)")
        self._confirmed[":SYST:LFR?"] = frequency
        return frequency

    def _impossible_time(self, seconds: float, longest: float) -> SettingError:
        return SettingError(
            self.described,
            f"an integration time of {seconds:g} s is not possible.",
            f"Allowed are up to {longest:g} s.",
        )

    def read(self) -> float:
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
        queries = (self.read_query, *(self._beside if self._unit else (":SENS:FUNC?",)))
        self.distinguish(lambda answer: numbers(answer.partition(";")[0], self._samples) is not None)
        answers = self.ask_each(queries)
        if self._unit:
            self.require_as_confirmed(queries[1:], answers[1:], "beside a reading")
        elif not any(is_choice(answers[1], one) for one in self.sensed.values()):
            known = " or ".join(self.sensed.values())
            raise SettingError(self.described, f"measures {answers[1].strip()[:80]}.", f"Set it to {known}.")
        found = numbers(answers[0], self._samples)
        if found is None:
            raise self.unexpected(answers[0], self.read_query, f"{self._samples} number(s)")
        values = [self.measured(value, f"the input ({self.read_query})") for value in found]
        largest = max(map(abs, values))
        if largest > self._range * OVERRANGE * (1 + 1e-6):
            raise self.unexpected(f"{largest:g}", self.read_query, f"at most {self._range:g} (V or A), its range,")
        return math.fsum(values) / len(values)
