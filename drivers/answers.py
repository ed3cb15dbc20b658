"""What an answer of an instrument may be: how SCPI writes numbers, and which of them are possible."""

import math
import re

import numpy as np
from numpy.typing import NDArray

from drivers.errors import OverloadError, ReadingError

__all__ = [
    "DESTRUCTIVE_POWER",
    "OVERFLOW",
    "TEMPERATURES",
    "is_choice",
    "is_same",
    "largest_ratio",
    "marker",
    "measured",
    "number",
    "numbers",
    "possible_densities",
    "possible_ratios",
    "register",
]

#: Readings from here on are SCPI's markers for over-range (±9.9e37), not-a-number (9.91e37) and the like.
OVERFLOW = 9.8e37
#: SCPI's marker for not-a-number; it differs from that for infinity, 9.9e37, in the third digit.
NOT_A_NUMBER, MARKER_PRECISION = 9.91e37, 5e-4
#: Temperatures (K) of a thermometer in a dilution fridge: below the first there is no resistance thermometer, above
#: the last one the sensors leave their calibration.
TEMPERATURES = (1e-3, 420.0)
#: Power (W) that destroys the input of a spectrum analyzer, and a density (W/Hz) far below kT of its first amplifier.
DESTRUCTIVE_POWER, SMALLEST_DENSITY = 10.0, 1e-26
#: Ratios of amplitudes: a receiver's noise is above the first. No device reflects the second; the third is a
#: transmission through 60 dB of net gain. Station files do not state the gain of a line.
SMALLEST_RATIO, LARGEST_REFLECTION, LARGEST_TRANSMISSION = 1e-10, 10.0, 1e3
#: Power (dBm) that destroys the receiver of a network analyzer (Keysight PNA: +30 dBm).
DESTRUCTIVE_DBM = 30.0

# Not everything that Python takes for a number: no underscores, no digits beyond ASCII.
NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)", re.ASCII | re.IGNORECASE)
LONGEST_NUMBER = 64


def number(text: str) -> float | None:
    """The number that `text` is, which may be a marker, infinite or NaN; None if it is no number."""
    text = text.strip()
    return float(text) if len(text) <= LONGEST_NUMBER and NUMBER.fullmatch(text) else None


def numbers(text: str, count: int) -> list[float] | None:
    """The `count` comma-separated numbers that `text` is; None if it is anything else."""
    parts = text.split(",", count)
    found = [value for part in parts if (value := number(part)) is not None]
    return found if len(found) == len(parts) == count else None


def register(text: str) -> int | None:
    """The whole number of at most 16 bits that `text` is; None if it is anything else."""
    value = number(text)
    return int(value) if value is not None and value.is_integer() and 0 <= value < 1 << 16 else None


def is_choice(text: str, choice: str) -> bool:
    """Whether `text` is the `choice` (in short form): NOIS, in some firmware in long form (NOISE); a name in quotes."""
    found, choice = text.strip().lstrip("+").strip("\"'").upper(), choice.upper()
    return found == choice or (len(choice) >= 3 and choice.isalpha() and found.isalpha() and found.startswith(choice))


def is_same(text: str, setting: float | str) -> bool:
    """Whether `text` is the `setting`, a number or a choice."""
    return is_choice(text, setting) if isinstance(setting, str) else number(text) == setting


def marker(value: float) -> str | None:
    """What a `value` means that SCPI uses as a marker; None for other values."""
    if not abs(value) >= OVERFLOW:
        return None
    if math.isclose(value, NOT_A_NUMBER, rel_tol=MARKER_PRECISION):
        return f"not a number (marker {value:g}): the instrument has no valid value"
    return f"over-range (marker {value:g})"


def measured(value: float, quantity: str, described: str) -> float:
    """Return `value`, the reading of a `quantity` by the instrument `described`, if it is a measurement.

    Raises
    ------
    OverloadError
        For an over-range marker, and that for not-a-number.
    ReadingError
        For NaN or infinity.

    """
    if not math.isfinite(value):
        raise ReadingError(described, f"{quantity} reads {value}; a finite number is needed.")
    meaning = marker(value)
    if meaning is not None:
        raise OverloadError(described, f"{quantity} is {meaning}.", "Choose a higher range, or check the input.")
    return value


def possible_densities(densities: NDArray[np.float64], bandwidth: float) -> bool:
    """Whether these can be noise densities (W/Hz) at an analyzer's input, measured with a filter of `bandwidth` (Hz).

    NaN is not possible.
    """
    return bool(np.all((densities >= SMALLEST_DENSITY) & (densities * bandwidth <= DESTRUCTIVE_POWER)))


def largest_ratio(power: float) -> float:
    """Largest transmission at a source power (dBm): a receiver that measured more would be destroyed."""
    return float(min(LARGEST_TRANSMISSION, 10 ** ((DESTRUCTIVE_DBM - power) / 20)))


def possible_ratios(ratios: NDArray[np.complex128], *, reflection: bool, power: float) -> bool:
    """Whether these can be the values of an S-parameter at a source power (dBm). NaN and all zero are not."""
    magnitudes = np.abs(ratios)
    largest = min(LARGEST_REFLECTION if reflection else math.inf, largest_ratio(power))
    return bool(np.all(magnitudes <= largest) and np.max(magnitudes) >= SMALLEST_RATIO)
