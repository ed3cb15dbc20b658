"""Several things may fail on the way out of a run: each is kept, all is tried, and the gravest is raised at the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from labnis.errors import InterlockError, StoppedBySignal

__all__ = ["gravest", "keeping"]


@contextmanager
def keeping(failures: list[BaseException]) -> Iterator[None]:
    """Keep what is raised inside in `failures`, so that the rest of the way out is gone whatever happened."""
    try:
        yield
    except SystemExit as error:  # a procedure that calls sys.exit() has not measured what was asked for
        ended = RuntimeError(f"sys.exit({error.code!r}) was called in mid-run")
        ended.__cause__ = error
        failures.append(ended)
    except BaseException as error:  # noqa: BLE001  # raised again at the end of the run, when everything is safe
        failures.append(error)


def gravest(failures: Sequence[BaseException]) -> BaseException:
    """The first failure, with the others as its notes; that the run was asked to stop comes after what went wrong."""
    first, *others = sorted(failures, key=lambda error: isinstance(error, StoppedBySignal | InterlockError))
    for other in others:
        first.add_note(f"also {type(other).__name__}: {other}")
    return first
