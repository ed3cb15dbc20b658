"""PyVISA libraries: one whose instruments are simulated, and one that answers from a VISA record."""

from sim_instruments.visa.library import LabnisVisaLibrary
from sim_instruments.visa.record import SUFFIX, VERSION, Record, RecordedRun, RecordError
from sim_instruments.visa.replay import ReplayEndedError, ReplayLibrary, open_replay

__all__ = [
    "SUFFIX",
    "VERSION",
    "LabnisVisaLibrary",
    "Record",
    "RecordError",
    "RecordedRun",
    "ReplayEndedError",
    "ReplayLibrary",
    "open_replay",
]
