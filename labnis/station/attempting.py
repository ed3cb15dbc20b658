"""Steps of which each is attempted, whatever the others do."""

from collections.abc import Callable, Iterable

from labnis.station.bias.ramped_bias import BiasUnknownError

__all__ = ["attempt_all"]


def attempt_all(steps: Iterable[Callable[[], str]]) -> list[str]:
    """Call each of `steps`, even if others fail, and return what they have done, in one sentence each.

    Raises
    ------
    BaseException
        The most severe of what failed: a bias that is unknown, or else the first. The others and what was done are its
        notes.

    """
    done: list[str] = []
    failures: list[BaseException] = []
    for step in steps:
        try:
            done.append(step())
        except BaseException as error:  # noqa: BLE001  # the others are still made safe
            failures.append(error)
    if failures:
        worst = next((error for error in failures if isinstance(error, BiasUnknownError)), failures[0])
        for text in [*(f"also: {error}" for error in failures if error is not worst), *done]:
            worst.add_note(text)
        raise worst
    return done
