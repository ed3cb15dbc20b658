"""What a station tells the process that watches over its use: what moves, and how long it may be silent."""

from typing import Protocol

__all__ = ["NoOversight", "Oversight"]


class Oversight(Protocol):
    """Called while a station is used; filled by the guardian of a run, and by the guardian's own process.

    Attributes
    ----------
    patience
        Time (s) that the process may be silent beyond what it has declared. The answer of an instrument counts as
        within it.

    """

    patience: float

    def note(self, role: str, moves: bool) -> None:
        """Say that `role`, the bias or a set-point, is moved from now on, or that it is at its end."""

    def failed(self, error: Exception) -> None:
        """Say that `error` kept something that was moved from its end, and let the guardian try. Never raises."""

    def alive(self, seconds: float) -> None:
        """Say that the next call takes at most `seconds`. Never raises."""

    def permit(self) -> None:
        """Called before each write to what moves.

        Raises
        ------
        TakenOverError
            The process was silent for too long, and its guardian has taken over: nothing may be written.

        """


class NoOversight:
    """For a station that is used without a guardian: a dry run, or commands that move nothing."""

    patience = 0.0

    def note(self, role: str, moves: bool) -> None:
        """Do nothing."""

    def failed(self, error: Exception) -> None:
        """Do nothing."""

    def alive(self, seconds: float) -> None:
        """Do nothing."""

    def permit(self) -> None:
        """Do nothing."""
