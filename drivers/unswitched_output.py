"""The output of a source that has no switch: it counts as off where it was left at 0 V."""

from typing import ClassVar

from drivers.errors import SettingError

__all__ = ["UnswitchedOutput"]


class UnswitchedOutput:
    """Part of a bias source whose output is always connected (`drivers.roles.BiasSource`).

    Until it is left at 0 V by `output_off` it counts as on, so that its level is ramped to zero.
    """

    #: Whether its output can be switched.
    has_switch: ClassVar[bool] = False
    #: Largest level (V) that counts as 0: an offset of its converter.
    largest_zero: float = 1e-5
    _left = False

    @property
    def described(self) -> str:
        """Name and address, for messages."""
        raise NotImplementedError

    def level(self) -> float:
        """The level (V) as the instrument reads it back."""
        raise NotImplementedError

    def output_on(self) -> None:
        """Note that the output is in use; it has no switch."""
        self._left = False

    def output_off(self) -> None:
        """Note that the output is not in use any more; it has no switch.

        Raises
        ------
        SettingError
            If its level is not 0.

        """
        level = self.level()
        if abs(level) > self.largest_zero:
            raise SettingError(
                self.described,
                f"has no output switch, and its level is {level:g} V.",
                "Ramp it to 0 first: labnis safe.",
            )
        self._left = True

    def output_enabled(self) -> bool:
        """Whether it may have another level than 0; it has no switch."""
        return not (self._left and abs(self.level()) <= self.largest_zero)
