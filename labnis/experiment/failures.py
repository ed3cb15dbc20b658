"""Failures at the end of a run: every step is tried, failures are collected, the most severe is raised."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from labnis.errors import InterlockError, StoppedBySignal

__all__ = ["collecting", "most_severe"]

_LONGEST = 10_000
"""Characters of an error that are told."""


@contextmanager
def collecting(failures: list[BaseException]) -> Iterator[None]:
    """Collect exceptions in `failures`, so that the remaining clean-up still runs."""
    try:
        yield
    except SystemExit as error:  # sys.exit() in a procedure is a failure
        ended = RuntimeError(f"sys.exit({error.code!r}) was called in mid-run")
        ended.__cause__ = error
        failures.append(ended)
    except BaseException as error:  # noqa: BLE001  # raised again at the end of the run
        failures.append(_tellable(error))


def _tellable(error: BaseException) -> BaseException:
    """`error`, or one that can be told in its place: a lab's own has any text, or none that can be read."""
    try:
        text = str(error)
    except Exception as problem:  # noqa: BLE001  # whatever its __str__ raises
        text = f"its text cannot be read: {type(problem).__name__} in __str__"
    else:
        if len(text) <= _LONGEST:
            return error
        text = f"{text[:_LONGEST]} … ({len(text)} characters)"
    return RuntimeError(f"{type(error).__name__}: {text}").with_traceback(error.__traceback__)


def most_severe(failures: Sequence[BaseException]) -> BaseException:
    """The most severe failure, with the others as its notes; a request to stop ranks last."""
    first, *others = sorted(failures, key=lambda error: isinstance(error, StoppedBySignal | InterlockError))
    for other in others:
        first.add_note(f"also {type(other).__name__}: {other}")
    return first
