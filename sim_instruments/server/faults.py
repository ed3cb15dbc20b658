"""Faults that the twin simulates on request: the affected message of an instrument, and the effect.

=========== ============================ ====================================================================
kind        counts the instrument's      what happens
=========== ============================ ====================================================================
delay       answers                      the answer is sent `seconds` later; other clients are served meanwhile
drop        answers                      the answer is lost
truncate    answers                      the answer is cut, without its terminator
garble      answers                      some bytes change, always to bytes outside ASCII: without a checksum a
                                         changed digit could not be detected
swap        answers                      the client gets its previous query's answer in place of this one
implausible answers in text              each number in it is replaced by one that no instrument can send
ignore      messages with a setting      the settings that match are silently not carried out, the rest is
reset       messages                     a power cycle comes before the message is carried out
disconnect  messages                     the connections break before it is carried out; new ones are refused
                                         for `seconds`
overload    messages                     from here on the input is overloaded (lock-in, analyzers)
compliance  messages                     from here on the current limit acts at any current (source)
=========== ============================ ====================================================================

Overload and compliance last for `seconds`, or until the faults are cleared where that is 0.
"""

import math
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pydantic.dataclasses
from pydantic import ConfigDict, NonNegativeFloat, NonNegativeInt, StringConstraints

from sim_instruments.panels.front_panel import split_outside

__all__ = ["STRICT", "Fault", "FaultScript", "Kind", "spoiled"]

STRICT = ConfigDict(extra="forbid", strict=True)
"""Requests to the twin have no unknown keys, and no text in place of a number."""

Text = Annotated[str, StringConstraints(max_length=200)]
Kind = Literal[
    "delay", "drop", "truncate", "garble", "swap", "implausible", "ignore", "reset", "disconnect", "overload",
    "compliance",
]  # fmt: skip

OF_ANSWERS: frozenset[Kind] = frozenset({"delay", "drop", "truncate", "garble", "swap", "implausible"})
NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
IMPOSSIBLE = (b"+1.000000E+32", b"-1.000000E+24", b"NAN")
#: Conditions, and the kinds of roles of the instruments that can have them.
CONDITIONS: dict[Kind, tuple[str, ...]] = {"overload": ("lockin", "analyzer", "vna"), "compliance": ("bias",)}


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Fault:
    """One scripted fault.

    Attributes
    ----------
    instrument
        Name of the instrument that it strikes.
    kind
        See the table above.
    after
        Number of matching messages (or answers) before the first affected one.
    count
        Number of consecutive affected messages; None for all that follow.
    match
        Only messages that contain this text count, in any case; for `ignore`, a setting must contain it.
    seconds
        Length of a delay, of a refusal or of a condition (s); may be infinite.
    do
        Its name among the requests of the control socket.

    Raises
    ------
    pydantic.ValidationError
        The message names what is allowed.

    """

    instrument: Text
    kind: Kind
    after: NonNegativeInt = 0
    count: NonNegativeInt | None = 1
    match: Text = ""
    seconds: NonNegativeFloat = 0.0
    do: Literal["fault"] = "fault"

    def concerns(self, instrument: str, message: str) -> bool:
        """Whether `message` of `instrument` counts for this fault."""
        if instrument != self.instrument or self.match.lower() not in message.lower():
            return False
        return self.kind != "ignore" or self.rest_of(message) != message

    def rest_of(self, message: str) -> str:
        """`message` without the settings that match; the next one must not use its header path."""
        units = split_outside(message, ";")
        return ";".join(unit for unit in units if "?" in unit or self.match.lower() not in unit.lower())


@dataclass
class _Armed:
    fault: Fault
    seen: int = 0
    struck: int = 0

    def strikes(self) -> bool:
        """Count one message; whether it is struck."""
        number, self.seen = self.seen, self.seen + 1
        fault = self.fault
        hit = number >= fault.after and (fault.count is None or number < fault.after + fault.count)
        self.struck += hit
        return hit


class FaultScript:
    """The faults that are armed and the number of messages each has struck; for use by several threads.

    Parameters
    ----------
    seed
        Seed of the place of a cut and of the bytes that change.

    """

    def __init__(self, seed: int) -> None:
        self._armed: list[_Armed] = []
        self._random = np.random.default_rng(seed)
        # Instrument and lasting fault → its end (s, monotonic).
        self._lasting: dict[tuple[str, Kind], float] = {}
        self._lock = threading.Lock()

    def arm(self, fault: Fault) -> None:
        """Add a fault, which counts messages from now on."""
        with self._lock:
            self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Remove all faults; conditions and refusals end."""
        with self._lock:
            self._armed.clear()
            self._lasting.clear()

    def struck(self) -> list[int]:
        """How many messages each armed fault has struck, in the order of arming."""
        with self._lock:
            return [armed.struck for armed in self._armed]

    def before(self, instrument: str, message: str) -> list[Fault]:
        """Faults that strike `message` before it is carried out."""
        with self._lock:
            struck = self._strike(instrument, message, of_answers=False)
            for fault in struck:
                seconds = fault.seconds or (math.inf if fault.kind in CONDITIONS else 0.0)
                self._lasting[instrument, fault.kind] = time.monotonic() + seconds
        return struck

    def after(self, instrument: str, message: str) -> list[Fault]:
        """Faults that strike the answer to `message`."""
        with self._lock:
            return self._strike(instrument, message, of_answers=True)

    def _strike(self, instrument: str, message: str, *, of_answers: bool) -> list[Fault]:
        return [
            armed.fault
            for armed in self._armed
            if (armed.fault.kind in OF_ANSWERS) == of_answers
            and armed.fault.concerns(instrument, message)
            and armed.strikes()
        ]

    def holds(self, instrument: str, kind: Kind) -> bool:
        """Whether the condition `kind`, or the refusal of "disconnect", lasts at `instrument`."""
        return time.monotonic() < self._lasting.get((instrument, kind), -math.inf)

    def spoil(self, struck: Iterable[Fault], answer: bytes, previous: bytes) -> bytes:
        """`answer` after the faults that affect it; `previous` is the answer before it."""
        with self._lock:
            for fault in struck:
                answer = spoiled(fault.kind, answer, previous, self._random)
        return answer


def spoiled(kind: Kind, answer: bytes, previous: bytes, random: np.random.Generator) -> bytes:
    """`answer` after one fault; `previous` is the answer before it."""
    if kind == "drop":
        return b""
    if kind == "swap":
        return previous
    body = answer.rstrip(b"\r\n")
    if kind == "truncate":
        return body[: random.integers(0, len(body))] if body else b""
    if kind == "implausible" and not body.startswith(b"#"):  # not a block
        return NUMBER.sub(IMPOSSIBLE[random.integers(len(IMPOSSIBLE))], answer)
    if kind == "garble" and body:
        garbled = bytearray(answer)
        number = random.integers(1, max(2, len(body) // 4))
        for index in random.choice(len(body), size=number, replace=False):
            garbled[index] = random.integers(128, 256)
        return bytes(garbled)
    return answer
