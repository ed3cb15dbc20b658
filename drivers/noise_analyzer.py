"""What spectrum analyzers of all makers share here: a trace of powers becomes a noise density, or an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from drivers.answers import number, possible_densities, register
from drivers.errors import ReadingError, SettingError
from drivers.trace_analyzer import TraceAnalyzer

__all__ = ["Condition", "NoiseAnalyzer"]

# Errors of a command that the model does not have: undefined header, hardware missing.
ABSENT = (-113, -241)
# Bit of the operation register; the register now, and what it has been since it was read last.
CALIBRATING = 1
ALIGNING, ALIGNED = ":STAT:OPER:COND?", ":STAT:OPER?"


@dataclass(frozen=True)
class Condition:
    """Bits of a status register that make a trace invalid, or questionable.

    Attributes
    ----------
    query
        Query of the register.
    bits
        Any of them.
    meaning
        Noun phrase for the message.
    advice
        What to do.
    error
        Class of the error; None for a warning in the log.

    """

    query: str
    bits: int
    meaning: str
    advice: str
    error: type[ReadingError] | None = ReadingError


class NoiseAnalyzer(TraceAnalyzer):
    """A spectrum analyzer that measures noise power density.

    A subclass adds `prepare` and `fetch`, and lists in `CONDITIONS` what makes its traces invalid.

    Attributes
    ----------
    noise_bandwidth
        Noise bandwidth (Hz) of the filter that the instrument chose in `prepare`.

    """

    CONDITIONS: ClassVar[Sequence[Condition]]

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, address, **options)
        self.noise_bandwidth = float("nan")

    def start(self) -> None:
        """Begin the sweeps and return at once; they are never triggered twice."""
        self.require_preparation()
        self.again(lambda: self.ask_register(ALIGNED))  # earlier alignments must not count
        self.begin()

    def interrupted(self) -> bool:
        """Whether the instrument aligns itself, or has since the start or the last call; it interrupts its sweeps."""
        return self.again(self._asked_interruption)

    def _asked_interruption(self) -> bool:
        answers = self.ask_each((ALIGNING, ALIGNED))
        now, since = (register(answer) for answer in answers)
        if now is None or since is None:
            raise self.unexpected(";".join(answers), f"{ALIGNING};{ALIGNED}", "two registers")
        return bool((now | since) & CALIBRATING)

    # --- settings ----------------------------------------------------------------------------------------------------

    def switch_off(self, command: str, off: str = "0") -> None:
        """Switch a feature off, by default with the number 0, and read it back.

        Models and firmware without the feature refuse the command, as undefined or without hardware; this is logged.

        Raises
        ------
        RejectedCommandError
            If the command is refused for another reason.
        SettingError
            If the feature is not off.

        """
        sent = f"{command} {off}"
        self.write(sent)
        entry = self.next_error()
        if entry is not None and number(entry.partition(",")[0]) in ABSENT:
            self.log.info("%s has no %s", self.described, command)
        elif entry is not None:
            raise self.rejected(entry, sent)
        elif (value := number(off)) is not None:
            self.require(f"{command}?", value)
        else:
            self.require_choice(f"{command}?", off)

    def record(self, query: str) -> None:
        """Note a setting that is not changed here, for `require_unchanged` to compare it again later."""
        answer = self.ask(query).strip()
        value = number(answer)
        self._confirmed[query] = answer if value is None else value

    # --- data --------------------------------------------------------------------------------------------------------

    def require_valid(self) -> None:
        """Raise the error of the first of `CONDITIONS` that a status register reports.

        Raises
        ------
        OverloadError
            On an overload.
        ReadingError
            If the trace is invalid for another reason.

        """
        queries = tuple(dict.fromkeys(condition.query for condition in self.CONDITIONS))
        found: dict[str, int] = {}
        for query, answer in zip(queries, self.ask_each(queries), strict=True):
            bits = register(answer)
            if bits is None:
                raise self.unexpected(answer, query, "a whole number from 0 to 65535")
            found[query] = bits
        for condition in self.CONDITIONS:
            if not found[condition.query] & condition.bits:
                continue
            problem = f"had {condition.meaning} during the sweep ({condition.query} reads {found[condition.query]})."
            if condition.error is not None:
                raise condition.error(self.described, problem, condition.advice)
            self.log.warning("%s %s %s", self.described, problem, condition.advice)

    def require_trace(self) -> None:
        """Check, after a trace was read, that nothing makes it invalid: status, error queue and settings.

        Raises
        ------
        OverloadError, ReadingError
            As `require_valid`.
        RejectedCommandError
            If the sweep left an entry in the error queue.
        SettingError
            If a setting changed since `prepare`, from the front panel or by a reset.

        """
        self.require_valid()
        self.check_errors()
        self.require_unchanged("after the measurement")

    def densities(self, power: NDArray[np.float64], query: str) -> NDArray[np.float64]:
        """Power spectral densities (W/Hz) from the powers (W) that answered `query`.

        Raises
        ------
        ReadingError
            If they are not possible.

        """
        densities = np.asarray(power / self.noise_bandwidth)
        if not possible_densities(densities, self.noise_bandwidth):
            raise self.no_trace(query, f"has powers from {power.min():.3g} to {power.max():.3g} W: not possible")
        return densities

    def require_direct_coupling(self, lowest: float, corner: float) -> None:
        """Raise SettingError if the input is AC-coupled and the band begins at `lowest`, below `corner` (Hz).

        The coupling is not changed: a DC voltage at a DC-coupled input would destroy its mixer.
        """
        if lowest >= corner:
            return
        answer = self.ask(":INP:COUP?").strip()
        if answer.upper() != "DC":
            raise SettingError(
                self.described,
                f":INP:COUP? reads {answer[:80]}; the band begins at {lowest:g} Hz, below the {corner:g} Hz of that "
                "coupling.",
                "Make sure that there is no DC voltage at its input, then select DC coupling at the instrument.",
            )
        self._confirmed[":INP:COUP?"] = answer
