"""Several things may fail while a run ends: each is collected, all is tried, and the most severe is raised."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from labnis.errors import InterlockError, StoppedBySignal

__all__ = ["collecting", "most_severe"]


@contextmanager
def collecting(failures: list[BaseException]) -> Iterator[None]:
    """Collect what is raised inside in `failures`, so that the remaining clean-up still runs."""
    try:
        yield
    except SystemExit as error:  # a procedure that calls sys.exit() has not measured what was asked for
        ended = RuntimeError(f"sys.exit({error.code!r}) was called in mid-run")
        ended.__cause__ = error
        failures.append(ended)
    except BaseException as error:  # noqa: BLE001  # raised again at the end of the run, when everything is safe
        failures.append(error)


def most_severe(failures: Sequence[BaseException]) -> BaseException:
    """The first failure, with the others as its notes; a request to stop comes after what went wrong."""
    first, *others = sorted(failures, key=lambda error: isinstance(error, StoppedBySignal | InterlockError))
    for other in others:
        first.add_note(f"also {type(other).__name__}: {other}")
    return first
