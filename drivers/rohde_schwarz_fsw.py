"""Rohde & Schwarz FSW as a spectrum analyzer that measures noise power density."""

from typing import ClassVar

from drivers.noise_analyzer import Condition
from drivers.rohde_schwarz_spectrum import RohdeSchwarzSpectrum

__all__ = ["RohdeSchwarzFSW"]

TOO_FAST = 2


class RohdeSchwarzFSW(RohdeSchwarzSpectrum):
    """An FSW; see `drivers.rohde_schwarz_spectrum`. It has up to 100001 points, and says if a sweep is too fast."""

    MOST_POINTS: ClassVar[int] = 100_001
    MOST_SWEEPS: ClassVar[int] = 32_767
    CONDITIONS: ClassVar = (
        *RohdeSchwarzSpectrum.CONDITIONS,
        Condition(
            ":STAT:QUES:TIM:COND?",
            TOO_FAST,
            "a sweep time too low for its filter",
            "The density of a smooth spectrum is right, but a line is too low, broad and displaced: sweep more slowly.",
            None,
        ),
    )
