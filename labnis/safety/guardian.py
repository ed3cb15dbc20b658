"""The guardian of a session: a process that makes the station safe if the run dies or does not respond.

This is the run's side; `labnis.safety.guardian_process` is the process. They exchange heartbeats over two pipes
(`labnis.safety.heartbeat`). As long as the run declares in time that it is alive, the guardian touches no instrument.

No process can act when the whole computer loses power: use the source's own limits for that.
"""

import json
import logging
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from labnis.errors import InterlockError, TakenOverError
from labnis.import_path import python_program
from labnis.printable import sentence
from labnis.safety.heartbeat import (
    ACTING,
    ALIVE,
    AWAKE,
    ENDED,
    FAILED,
    GIVES_UP,
    LOG,
    MOVES,
    NOT_SAFE,
    READY,
    RELEASE,
    SAFE,
    Heartbeat,
    say,
)
from labnis.station import StationConfig

__all__ = ["Guardian"]

logger = logging.getLogger(__name__)

READY_WITHIN = 30.0
"""Time (s) that a guardian has to start; imports on a slow disk take a while."""

MARGIN = 1.0
"""Time (s) that a run needs between two declarations, beside what it declares."""

POLL = 0.1
"""Time (s) between two looks at the guardian's heartbeats."""

LATE = 0.5
"""Time (s) between two looks after which this process itself did not run, so that it gives the guardian a new term."""

TERM = 1.3
"""Longest time (s) without a heartbeat of a guardian that has not declared more."""

ENDS_WITHIN = 5.0
"""Time (s) that a released guardian has to end."""

ATTEMPT = 15.0
"""Time (s) that a run waits for a guardian that ramps to zero in its place, beside the ramps."""


class Guardian:
    """The guardian of a session, from `start` to the end of the context; fills `labnis.station.oversight.Oversight`.

    The context must end only after everything that was moved is at its end, because it releases the guardian — unless
    the run itself failed to bring it there (`failed`): then the guardian tries, over separate connections, at once and
    after the end.

    Parameters
    ----------
    config
        The station. The guardian reads the same file, and refuses one that has changed since.
    on_loss
        Called from another thread, with a sentence, if the guardian dies or hangs before it is released.

    Attributes
    ----------
    patience
        Of the station: `limits.unresponsive` (s).

    """

    def __init__(self, config: StationConfig, *, on_loss: Callable[[str], None]) -> None:
        self.patience = config.limits.unresponsive
        self._config = config
        self._on_loss = on_loss
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._heartbeat = Heartbeat(self._say, MARGIN)
        self._moved: set[str] = set()
        self._acts = False
        self._taken_over: TakenOverError | None = None

    def start(self) -> None:
        """Start the process, unless it is running, and wait until it is ready; one that died is replaced.

        Raises
        ------
        InterlockError
            It cannot be started; without one, nothing is moved.
        TakenOverError
            It acts, or has acted, in place of an earlier run of this session.

        """
        if self._taken_over is not None:
            raise TakenOverError(f"{sentence(self._taken_over)} Open a new session.", safe=self._taken_over.safe)
        if self._process is not None and self._process.poll() is None:
            return
        self._process = process = subprocess.Popen(  # noqa: S603  # this interpreter with this module, no shell
            python_program("labnis.safety.guardian_process"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            plan = {
                "station": str(self._config.path.resolve()),
                "text": self._config.public_text,
                "run": os.getpid(),
            }
            say(process.stdin, json.dumps(plan))
            _await_ready(process)
        except BaseException:
            self._end(RELEASE)
            raise
        for role in self._moved:  # as the guardian that was replaced knew
            self._say(f"{MOVES} {role}")
        self._lines = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process, self._lines), name="labnis-guardian-pipe", daemon=True).start()
        threading.Thread(target=self._watch, args=(process,), name="labnis-guardian", daemon=True).start()

    # --- what the run says ------------------------------------------------------------------------------------------

    def _say(self, line: str) -> None:
        process = self._process
        if process is not None:
            say(process.stdin, line)

    def note(self, role: str, moves: bool) -> None:
        """Say that `role`, the bias or a set-point, is moved from now on, or that it is at its end."""
        self.alive(0.0)
        if moves:
            self._moved.add(role)
        else:
            self._moved.discard(role)
        self._say(f"{MOVES if moves else ENDED} {role}")

    def failed(self, error: Exception) -> None:
        """Let the guardian bring to its end what `error` kept from there, and wait; this run sets nothing more."""
        if self._process is not None and self._taken_over is None:
            self._hand_over(GIVES_UP, f"a move to its end failed: {sentence(error)}")

    def log_to(self, path: Path) -> None:
        """Say that the log file of the run that begins is `path`: the guardian's reports are written there, too."""
        self._say(f"{LOG} {json.dumps(str(path))}")

    def alive(self, seconds: float) -> None:
        """Declare that the next call takes at most `seconds`; a run that is too late hands over to the guardian."""
        if self._process is None or self._taken_over is not None:
            return
        late = time.monotonic() - self._heartbeat.until
        if self._moved and (self._acts or late > self.patience):
            advice = "a call that takes longer is declared with `with roles.blocking(seconds):`"
            self._hand_over(
                AWAKE,
                f"the run did not respond for {late + MARGIN:.1f} s (limits.unresponsive is {self.patience:g} s).",
                f" If it was not stopped from outside: {advice}.",
            )
        else:
            self._heartbeat.declare(seconds)

    def permit(self) -> None:
        """Called before each write; raises TakenOverError if the guardian acts in place of this run."""
        self.alive(0.0)
        if self._taken_over is not None:
            raise self._taken_over

    def _hand_over(self, word: str, why: str, advice: str = "") -> None:
        """Tell the guardian that this run sets nothing any more, and wait until it has reached zero or failed."""
        self._say(word)
        deadline = time.monotonic() + ATTEMPT + self._longest_ramp()
        while self._process is not None and time.monotonic() < deadline:
            with suppress(queue.Empty):
                word, _, text = self._answers.get(timeout=POLL).partition(" ")
                break
        else:
            word, text = NOT_SAFE, "the guardian has not reached zero yet"
        if self._process is None:  # `on_loss` has asked the run to stop, which then moves the rest itself
            logger.warning("the guardian is lost before it had brought everything to its end: use `labnis safe`")
            return
        self._taken_over = TakenOverError(
            f"{why} Its guardian acts in its place: {sentence(text)} This run sets nothing more.{advice}",
            safe=word == SAFE,
        )

    def _longest_ramp(self) -> float:
        limits = self._config.limits
        ramps = [self._config.setpoints[role].longest_ramp for role in self._moved - {"bias"}]
        return 2 * (2 * limits.maximum_bias / limits.ramp_rate + sum(ramps))

    # --- what the guardian says -------------------------------------------------------------------------------------

    def _watch(self, process: "subprocess.Popen[str]") -> None:
        """Body of a thread: heed the guardian's lines; a guardian that ends or is silent too long is lost."""
        looked = time.monotonic()
        until = looked + TERM
        while self._process is process:
            with suppress(queue.Empty):
                line = self._lines.get(timeout=POLL)
                if not line:
                    self._lost(process, f"died (exit code {process.wait()})")
                    return
                until = self._heeded(line) or until
            now = time.monotonic()
            if now - looked > LATE:  # this process itself was stopped
                until = max(until, now + TERM)
            looked = now
            if now > until and self._lines.empty():
                self._lost(process, "does not respond")
                return

    def _heeded(self, line: str) -> float:
        """Heed one line of the guardian; return the time (s) until which it may be silent, 0 if it does not say."""
        word, _, rest = line.partition(" ")
        if word == ALIVE:
            return float(rest)
        if word == ACTING:
            self._acts = True
        elif word in (SAFE, NOT_SAFE):
            self._answers.put(line)
        return 0.0

    def _lost(self, process: "subprocess.Popen[str]", how: str) -> None:
        """Stop the run; a guardian that hangs is killed, so that it does not act once it wakes."""
        if self._process is process:
            process.kill()
            self._process = None
            self._on_loss(f"the guardian process {how}: without one the run stops now")

    # --- the end ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        unsafe = self._moved if self._taken_over is None else not self._taken_over.safe
        self._end(FAILED if unsafe else RELEASE)

    def _end(self, last_line: str) -> None:
        process, self._process = self._process, None  # its end is no loss from now on
        if process is None:
            return
        say(process.stdin, last_line)
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        patience = ENDS_WITHIN if last_line == RELEASE else ATTEMPT + self._longest_ramp()
        try:
            code = process.wait(patience)
            if code and last_line == FAILED:
                logger.warning("the guardian (process %d) died (exit code %d): use `labnis safe`", process.pid, code)
        except subprocess.TimeoutExpired:
            if last_line == RELEASE:
                logger.warning("the guardian (process %d) does not respond at its end and is killed", process.pid)
                process.kill()
            else:
                logger.warning("the guardian (process %d) has not reached zero yet and continues to try", process.pid)


def _read(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str]") -> None:
    """Body of a thread: put the lines of the guardian into `lines`, then an empty one."""
    if process.stdout is not None:
        with suppress(OSError, ValueError):
            for line in process.stdout:
                lines.put(line.strip())
    lines.put("")


def _await_ready(process: "subprocess.Popen[str]") -> None:
    """Wait until the guardian is ready to act."""
    timer = threading.Timer(READY_WITHIN, process.kill)
    timer.start()
    answer = process.stdout.readline().strip() if process.stdout else ""
    timer.cancel()
    if answer != READY:
        why = answer or f"it ended, or was not ready within {READY_WITHIN:g} s: is the computer very busy?"
        raise InterlockError(
            f"no guardian could be started ({why}); nothing was moved. A run needs one to ramp the bias to zero if "
            "this process dies."
        )
