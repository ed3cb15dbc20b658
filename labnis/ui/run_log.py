"""A log file beside each run: what the program reported during it."""

from labnis.experiment.events import Ended, Event, Started
from labnis.experiment.run import Run
from labnis.ui.log import FILE_ONLY, LogFile

__all__ = ["RunLog"]


class RunLog:
    """Observer that writes the log of each run to a file beside it: `….h5` has `….log`.

    The file has the messages of labnis, the warnings of its libraries and, at the end, results, doubts and notes. It is
    for people; the events in the run's own file are complete without it.
    """

    needs_fits = False

    def __init__(self) -> None:
        self._file: LogFile | None = None

    def __call__(self, event: Event) -> None:
        """Open the file as a run starts, close it as it ends."""
        match event:
            case Started():
                self._close()
                self._file = LogFile(event.path.with_suffix(".log"))
                FILE_ONLY.info("%s starts", type(event.procedure).__name__)
            case Ended():
                _report(event.run)
                self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _report(run: Run) -> None:
    for name, estimate in run.results.items():
        FILE_ONLY.info("%s = %s", name, estimate)
    for name, problem in run.problems.items():
        FILE_ONLY.warning("no fit (%s): %s", name, problem)
    for name, fit in run.fits.items():
        for warning in fit.warnings:
            FILE_ONLY.warning("%s: %s", name, warning)
        for note in fit.notes:
            FILE_ONLY.info("%s: %s", name, note)
    for note in run.notes:
        FILE_ONLY.info("%s", note)
    reason = run.metadata["reason"] if run.status != "done" else ""
    FILE_ONLY.info("%s: %d rows, %s%s", run.path.name, run.rows, run.status, f": {reason}" if reason else "")
