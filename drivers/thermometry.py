"""What a thermometer that another computer reads checks: the number is a temperature, and it is not old."""

from drivers.answers import TEMPERATURES, measured
from drivers.errors import ReadingError

__all__ = ["MAXIMUM_AGE", "checked_kelvin", "checked_maximum_age", "require_recent"]

MAXIMUM_AGE = 180.0
"""Age (s) beyond which a reading is not used. A scanner comes back to a channel after all the others."""

CLOCKS_AGREE = 30.0
"""Time (s) by which a reading may be in the future: clocks of two computers differ, and times are rounded."""


def checked_kelvin(value: float, quantity: str, described: str) -> float:
    """Return `value` if it is a temperature (K) of a fridge.

    Parameters
    ----------
    value
        Reading (K).
    quantity
        What was read, for the message.
    described
        Name and address of the instrument.

    Raises
    ------
    ReadingError
        It is no temperature, or outside of what the sensors of a fridge can read.

    """
    low, high = TEMPERATURES
    if not measured(value, quantity, described) > 0:
        raise ReadingError(
            described, f"{quantity} reads {value:g} K, which is not a temperature.", "Check the sensor and its curve."
        )
    if not low <= value <= high:
        raise ReadingError(
            described,
            f"{quantity} reads {value:g} K; {low:g} to {high:g} K are possible.",
            "Check the sensor, its curve and the unit.",
        )
    return value


def checked_maximum_age(name: str, maximum_age: float) -> float:
    """Return `maximum_age` (s) if it can be the largest age of a reading.

    Raises
    ------
    ValueError
        It is no number above 0.

    """
    if isinstance(maximum_age, bool) or not isinstance(maximum_age, int | float) or not 0 < maximum_age <= 86400:
        raise ValueError(f"{name}: maximum_age is {maximum_age!r}; allowed are times (s) above 0 and up to 86400")
    return float(maximum_age)


def require_recent(age: float, maximum_age: float, quantity: str, described: str) -> None:
    """Refuse a reading that is older than `maximum_age` (s), or in the future.

    Raises
    ------
    ReadingError
        The message says how old it is.

    """
    if age > maximum_age:
        raise ReadingError(
            described,
            f"{quantity} is {age:.0f} s old; maximum_age is {maximum_age:g} s.",
            "Check that the channel is scanned and that the fridge's software runs. A longer scan needs a larger "
            "maximum_age in init.",
        )
    if not age >= -CLOCKS_AGREE:
        raise ReadingError(
            described,
            f"{quantity} is {-age:.0f} s in the future.",
            "Set the clocks and time zones of this computer and of the fridge's computer.",
        )
