"""Failures at the end of a run: every step is tried, failures are collected, the most severe is raised."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from labnis.errors import InterlockError, StoppedBySignal

__all__ = ["collecting", "most_severe"]


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
        failures.append(error)


def most_severe(failures: Sequence[BaseException]) -> BaseException:
    """The most severe failure, with the others as its notes; a request to stop ranks last."""
    first, *others = sorted(failures, key=lambda error: isinstance(error, StoppedBySignal | InterlockError))
    for other in others:
        first.add_note(f"also {type(other).__name__}: {other}")
    return first
