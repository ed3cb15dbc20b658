"""One acquisition of an instrument: start, wait, fetch; aborted where the wait ends early."""

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, TypeVar

from drivers.errors import CommunicationError, ComplianceError, OverloadError, ReadingError, SettingError

if TYPE_CHECKING:
    from drivers.roles import Acquisition, Clock, SourceReading

__all__ = ["acquire", "readable", "reconnections"]

POLL, LATEST = 0.05, 10.0
"""Time (s) between two queries whether an acquisition is complete, and its largest delay, also of start and fetch."""
REPETITIONS = 2
"""How often an acquisition is repeated whose instrument has lost its connection."""
LONGEST_INTERRUPTION = 900.0
"""Largest delay (s) by an instrument that interrupts the acquisition (`drivers.capabilities.Interruptible`)."""

Data = TypeVar("Data")


def reconnections(instrument: object) -> int:
    """How often the connection of `instrument`, a channel or a whole, was opened again; 0 where it does not say."""
    return int(getattr(getattr(instrument, "root_instrument", instrument), "reconnections", 0))


def readable(
    numbers: Sequence[float], reading: "Callable[[float, float, float], SourceReading]"
) -> "list[SourceReading]":
    """The readings of a sweep, of which each has three `numbers`, up to the first at a limit or beyond a range."""
    found = []
    for three in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
        try:
            found.append(reading(*three))
        except (ComplianceError, OverloadError):
            break
    return found


def acquire(instrument: "Acquisition[Data]", name: str, clock: "Clock", expect: Callable[[float], None]) -> Data:
    """Make one acquisition and return its data; one whose connection broke is repeated once it is open again.

    Parameters
    ----------
    instrument
        Prepared.
    name
        Its role and name, for messages.
    clock
        What to wait by.
    expect
        Called with the longest time (s) of the next call.

    Raises
    ------
    SettingError
        Its duration is not a number, infinite or negative.
    ReadingError
        It is still not complete `LATEST` after its duration, or after its last interruption.

    """
    duration = instrument.duration()
    if not (isinstance(duration, Real) and 0 <= duration < math.inf):
        raise SettingError(
            name, f"has an acquisition of {duration!r} s; duration() returns a finite time (s), 0 or more."
        )
    for _ in range(REPETITIONS):
        before = reconnections(instrument)
        try:
            return _once(instrument, name, duration, clock, expect)
        except (CommunicationError, ReadingError):  # the latter for a trace that ends with the connection
            if reconnections(instrument) == before:
                raise
    return _once(instrument, name, duration, clock, expect)


def _once(
    instrument: "Acquisition[Data]", name: str, duration: float, clock: "Clock", expect: Callable[[float], None]
) -> Data:
    expect(LATEST)
    try:
        instrument.start()
        _wait(instrument, name, duration, clock)
        expect(LATEST)
        return instrument.fetch()
    except BaseException as error:
        try:
            instrument.abort()  # which opens a connection that broke, if that is possible
        except Exception as failure:  # noqa: BLE001  # a lab's driver may fail in any way
            error.add_note(f"The acquisition could not be aborted either: {failure}")
        raise


def _wait(instrument: "Acquisition[Data]", name: str, duration: float, clock: "Clock") -> None:
    """Wait until the acquisition is complete."""
    patience = 1.1 * duration + LATEST
    latest = clock.time() + patience
    last = latest + LONGEST_INTERRUPTION
    clock.sleep(duration)
    while not instrument.finished():
        now = clock.time()
        if _interrupted(instrument):
            latest = min(now + patience, last)
        if now > latest:
            raise ReadingError(
                name,
                f"has not finished an acquisition of {duration:g} s {LATEST:g} s after its end.",
                "Check its trigger source.",
            )
        clock.sleep(POLL)


def _interrupted(instrument: object) -> bool:
    """Whether `instrument` can say that it interrupts its acquisitions, and says so."""
    ask = getattr(instrument, "interrupted", None)
    return bool(ask is not None and ask())
