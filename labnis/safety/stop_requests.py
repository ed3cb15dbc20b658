"""Stop requests: a run that is asked to stop finishes its point, makes the outputs safe, and then ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from labnis.errors import LabnisError, StoppedBySignal

__all__ = ["StopRequest"]

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


class StopRequest:
    """Whether the run was asked to stop, and why. Only the first reason counts; any thread may ask.

    Attributes
    ----------
    signum
        The signal, if a signal caused the request.
    reason
        Any other cause: an interlock violation, a lost guardian.

    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.reason: LabnisError | None = None

    def __bool__(self) -> bool:
        return self.signum is not None or self.reason is not None

    def ask(self, reason: LabnisError) -> None:
        """Ask the run to stop for `reason`."""
        if not self:
            self.reason = reason

    def error(self, state: str) -> LabnisError:
        """The error that the run ends with; `state` says what was made safe."""
        if self.reason is not None:
            return self.reason
        return StoppedBySignal(self.signum or signal.SIGTERM, state)

    def clear(self) -> None:
        """Forget the request: the run that it stopped is over."""
        self.signum = self.reason = None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Turn SIGINT, SIGTERM and SIGHUP into stop requests during the context.

        No signal interrupts the run between two bytes or during the ramp to zero. If SIGHUP is ignored it stays
        ignored: under `nohup` a run outlives its terminal. Signals reach the main thread only: in any other thread the
        context changes nothing; use `ask`.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(signum: int, _frame: FrameType | None) -> None:
            if not self:
                self.signum = signum

        hangup = getattr(signal, "SIGHUP", None)
        heeded = [number for number in _SIGNALS if number != hangup or signal.getsignal(number) != signal.SIG_IGN]
        previous = {number: signal.signal(number, note) for number in heeded}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
