"""Keysight Truevolt multimeters as meters: what their driver in QCoDeS lacks. A mix-in in front of its classes.

A reading is the mean of one or several integrations of a whole number of power-line cycles where it lasts one cycle or
longer. From the operating and service guide of the series, and **never tried on hardware**:

- Null, scaling, smoothing, a trigger source or delay, a number of samples and an aperture that somebody left stay until
  they are set again; READ? then returns other numbers, several numbers, or waits for ever.
- Overload is ±9.9e37. The ranges reach to 1.2 times their name, those of 1000 V and 3 A not.
- Autozero doubles the time of each integration, and separates it from the next one. A lock-in's excitation of 1.5 times
  the mains has whole cycles in 2, 10 or 100 of the mains, but not in several single ones: the mean of two such
  integrations would keep a part of it. So one cycle is used only where no more are asked for; for two and more there is
  one aperture, or 10 or 100 cycles on models without apertures.
- With the input impedance at "auto" it is above 10 Gohm up to the 10 V range; else it is 10 Mohm, which a source of
  1 Mohm feels as 9 %. `prepare_reading` sets "auto".
- Front or rear terminals are chosen by a switch that the bus only reads: the station file says which.
"""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from drivers.answers import is_choice, number
from drivers.errors import SettingError
from drivers.multimeter import Multimeter

__all__ = ["Truevolt"]

MOST_SAMPLES = 100
NPLC = (0.02, 0.2, 1, 10, 100)
LONGEST_APERTURE = 1.0
# Time (s) of one integration beyond its cycles.
OVERHEAD = 0.02


class Truevolt(Multimeter):
    """A Truevolt multimeter; see `drivers.multimeter.Multimeter` for its parameters."""

    has_aperture: ClassVar[bool]
    """Whether it has apertures in seconds, smoothing and a timer of samples."""
    has_DIG: bool  # noqa: N815  # QCoDeS sets these two
    NPLC_list: list[float]
    read_query: ClassVar[str] = ":READ?"
    emulation: ClassVar[str] = ", and that SYSTem:IDENtify is at its default"

    def _set_up(self, unit: Literal["A", "V"], chosen: float, integration_time: float) -> None:
        function = self.sensed[unit]
        at = f":SENS:{function}:DC"
        self._end_earlier(at)
        self._check_terminals()
        self._choose_function(function)
        if unit == "A" and self.IDN().get("model") != "34460A":  # which has one pair of current terminals
            self.apply(f"{at}:TERM", 3)
        self.apply(f"{at}:RANG", chosen, tolerance=1e-3 * chosen)
        self.require(f"{at}:RANG:AUTO?", 0.0)
        mains = self._mains()
        cycles, samples = self._cycles(integration_time, mains)
        self._choose_integration(at, cycles, mains)
        self.apply(f"{at}:ZERO:AUTO", True)
        for query in self._changing(unit):
            self.apply(query[:-1], False)
        if unit == "V":
            self.apply(f"{at}:IMP:AUTO", True)
        self._choose_trigger(samples)
        self._samples = samples
        self._beside = (
            ":SENS:FUNC?", f"{at}:RANG?", f"{at}:RANG:AUTO?", ":SAMP:COUN?", ":ROUT:TERM?", *self._changing(unit),
            *((f"{at}:IMP:AUTO?",) if unit == "V" else ()),
        )  # fmt: skip
        self._duration = samples * (2 * cycles / mains + OVERHEAD)

    def _changing(self, unit: Literal["A", "V"]) -> dict[str, float | str]:
        found: dict[str, float | str] = {f":SENS:{self.sensed[unit]}:DC:NULL:STAT?": 0, ":CALC:SCAL:STAT?": 0}
        return found | ({":CALC:SMO:STAT?": 0} if self.has_aperture else {})

    def _end_earlier(self, at: str) -> None:
        """End what runs or waits, and a secondary measurement, which some firmware does not have."""
        self.write(":ABOR")
        self.write(f'{at}:SEC "OFF"')
        self.discard_errors()

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """Each integration is followed by one of zero (`drivers.capabilities.TimedReading`)."""
        cycles, samples = cls._planned(NPLC, integration_time, line_frequency) or (0.0, 0)
        return 2 * samples * cycles / line_frequency

    @classmethod
    def _planned(cls, numbers: Sequence[float], seconds: float, mains: float) -> tuple[float, int] | None:
        """Power-line cycles of one integration, one of `numbers` or of an aperture, and the number of integrations."""
        needed = seconds * mains * (1 - 1e-9)
        # From one cycle on whole cycles only, which reject the mains; up to there, the next longer single integration.
        usable = [n for n in numbers if (n > 1 if needed > 1 else n >= needed)]
        if cls.has_aperture and 1 < needed <= LONGEST_APERTURE * mains:
            usable.append(math.ceil(needed))
        counts = [(n, max(1, math.ceil(needed / n))) for n in usable]
        possible = [(n, count) for n, count in counts if count <= MOST_SAMPLES and seconds > 0]
        return min(possible, key=lambda pair: (pair[0] * pair[1], pair[1]), default=None)

    def _cycles(self, seconds: float, mains: float) -> tuple[float, int]:
        found = self._planned(self.NPLC_list, seconds, mains)
        if found is None:
            raise self._impossible_time(seconds, MOST_SAMPLES * max(self.NPLC_list) / mains)
        return found

    def _choose_integration(self, at: str, cycles: float, mains: float) -> None:
        """Power-line cycles, or an aperture where the instrument has no such number of cycles."""
        if cycles in self.NPLC_list:
            self.apply(f"{at}:NPLC", cycles, tolerance=1e-3 * cycles)
        else:
            seconds = cycles / mains
            self.apply(f"{at}:APER", seconds, tolerance=1e-3 * seconds)
        if self.has_aperture:
            self.require(f"{at}:APER:ENAB?", float(cycles not in self.NPLC_list))

    def _choose_trigger(self, samples: int) -> None:
        """Readings at once, as text, `samples` for each READ?."""
        self.choose(":TRIG:SOUR", "IMM")
        self.apply(":TRIG:COUN", 1)
        self.apply(":TRIG:DEL:AUTO", True)
        if self.has_aperture:
            self.choose(":SAMP:SOUR", "IMM")
        if self.has_DIG:
            self.apply(":SAMP:COUN:PRET", 0)
        self.apply(":SAMP:COUN", samples)
        self.write(":FORM ASC")
        answer = self.ask(":FORM?").strip()
        if not answer.upper().startswith("ASC"):
            raise self.refused(":FORM?", answer[:80], "ASC")
        self._confirmed[":FORM?"] = answer.upper()

    def _asked_reading(self) -> float:
        if not self._unit:
            self._require_immediate()
        return super()._asked_reading()

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
