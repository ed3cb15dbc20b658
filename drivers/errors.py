"""Errors of instruments.

::

    InstrumentError                 any of these ends a run with exit code 5
    ├── CommunicationError          no answer, a late answer or one that cannot be read
    ├── RejectedCommandError        the instrument's error queue has an entry
    ├── SettingError                a setting reads back differently
    └── ReadingError                an answer that is not a valid measurement
        ├── OverloadError           input overload, over-range marker (9.9e37)
        └── ComplianceError         the source hit its current limit
"""

from typing import ClassVar

__all__ = [
    "CommunicationError",
    "ComplianceError",
    "InstrumentError",
    "OverloadError",
    "ReadingError",
    "RejectedCommandError",
    "SettingError",
]


class InstrumentError(Exception):
    """A fault of one instrument.

    Parameters
    ----------
    instrument
        Name and address of the instrument, as the station file has them.
    problem
        Description, with the command, the reply and the allowed values.
    advice
        What to do next.

    Attributes
    ----------
    exit_code
        Exit code of a command that it ends.

    """

    exit_code: ClassVar[int] = 5

    def __init__(self, instrument: str, problem: str, advice: str = "") -> None:
        self.instrument = instrument
        # Of a sentence that quotes another message, which may end with a full stop, too.
        self.problem = problem.removesuffix(".") if problem.endswith("..") and not problem.endswith("...") else problem
        self.advice = advice
        super().__init__(instrument, problem, advice)

    def __str__(self) -> str:
        # Not from `args`, to which QCoDeS appends when an error passes through a parameter.
        return " ".join(part for part in (f"{self.instrument}: {self.problem}", self.advice) if part)


class CommunicationError(InstrumentError):
    """No answer, a late answer, or one that cannot be read."""


class RejectedCommandError(InstrumentError):
    """The instrument's error queue has an entry."""


class SettingError(InstrumentError):
    """A setting reads back differently."""


class ReadingError(InstrumentError):
    """An answer that is not a valid measurement."""


class OverloadError(ReadingError):
    """An input overload or an over-range marker such as 9.9e37."""


class ComplianceError(ReadingError):
    """The source hit its current limit: the voltage at the device is not the one that was set."""
