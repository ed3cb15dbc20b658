"""Body of the guardian's process.

It imports everything before the run starts, ignores the signals of the run's terminal, and touches no instrument while
the run responds. Otherwise it opens the bias source itself, ramps it to zero from its read-back value within the
station's limits, verifies it, and switches the output off; then it brings the set-points that the run has moved, and
not brought there itself, to their ends. It acts

- when the run ends without a last line, `kill -9` and crashes included: it watches the run itself, not only the pipe,
  which a process that the run has forked keeps open;
- when the run says that something that it moved could not be brought to its end;
- when the run has moved something and is silent for `limits.unresponsive` seconds beyond the time that it had declared:
  stopped (SIGSTOP), hung, swapped out. It acts while the run holds its locks, and again when the run says that it is
  awake, because a run that wakes in the middle of a write sets the bias once more.

If it cannot reach zero it reports why and tries again, with longer and longer pauses during which it holds no lock.
"""

import json
import os
import queue
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from labnis.errors import BusyError, ConfigurationError, TakenOverError
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
from labnis.safety.make_safe import make_safe
from labnis.safety.unblocked_output import is_behind, unblocked_output
from labnis.station import StationConfig, instrument_class, load_station

__all__ = ["main"]

POLL = 0.2
"""Time (s) between two heartbeats of a guardian that waits."""

MARGIN = 1.2
"""Time (s) that a guardian needs between two heartbeats, beside what it declares."""

LATE = 1.0
"""Time (s) between two looks after which this process itself did not run: it gives the run a new term."""

BUSY_PATIENCE = 60.0
"""Time (s) that a guardian waits for a station that another process holds by now."""

LOG_WITHIN = 1.0
"""Time (s) that writing a report to the run's log file may delay the guardian: its disk may hang."""

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""First and longest time (s) between two attempts to reach zero."""

DIED = ""
"""Put into the queue of the run's lines when the run has ended or its pipe is closed."""


class _Watch:
    """Watches over one run; fills `labnis.station.oversight.Oversight` while it acts.

    Parameters
    ----------
    config
        Station of the run.
    run
        The run's process.
    heard
        What the run says, unbuffered: a thread that waits for a buffered line cannot be left at the end.

    Attributes
    ----------
    patience
        None: the run waits no longer than declared.

    """

    patience = 0.0

    def __init__(self, config: StationConfig, run: int, heard: FileIO) -> None:
        self._heard = heard
        self._config = config
        self._run = run
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._heartbeat = Heartbeat(self._beat, MARGIN)
        self._moved: set[str] = set()
        self._acts_at = float("inf")
        self._pause = SHORTEST_PAUSE
        self._safe = False
        self._gives_up = self._acts_in_place = self._session_is_over = False
        self._log: Path | None = None
        for body in (self._listen, self._await_death):
            threading.Thread(target=body, daemon=True).start()

    def _beat(self, line: str) -> None:
        """Write a heartbeat, unless the run has not read the ones before: it does not need them any more."""
        if not is_behind(sys.stdout):
            say(sys.stdout, line)

    # --- what it sees -----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        for line in self._heard:
            said = line.decode().strip()
            self._session_is_over |= said in (FAILED, RELEASE)
            self._lines.put(said)
        self._session_is_over = True
        self._lines.put(DIED)

    def _await_death(self) -> None:
        """Wait until the run has ended; a dead process that its parent has not waited for yet has ended."""
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if hasattr(os, "pidfd_open"):
                select.select([os.pidfd_open(self._run)], [], [])
            else:
                run = psutil.Process(self._run)
                while run.is_running() and run.status() != psutil.STATUS_ZOMBIE:
                    time.sleep(POLL)
        self._lines.put(DIED)

    def until_the_end(self) -> int:
        """Watch until the run has released this process, or everything that it moved is at its end; the exit code."""
        looked = time.monotonic()
        while True:
            self.alive(0.0)
            line = None
            with suppress(queue.Empty):
                line = self._lines.get(timeout=POLL)
            now = time.monotonic()
            if now - looked > LATE:  # this process itself was stopped
                self._acts_at = max(self._acts_at, now + self._config.limits.unresponsive)
            looked = now
            if line == RELEASE:
                return 0
            if line == DIED:
                self._heed_the_rest()
                return self._in_the_end("the run died", of_run=self._run)
            if line == FAILED:
                return self._in_the_end(self._missed(), of_run=None) if self._moved else 0
            if line is not None:
                self._heed(line)
            elif self._moved and now > self._acts_at:
                self._in_place_of_run()
                looked = time.monotonic()

    def _heed(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == ALIVE:
            self._acts_at = float(rest) + self._config.limits.unresponsive
        elif word == MOVES:
            self._moved.add(rest)
        elif word == ENDED:
            self._moved.discard(rest)
        elif word == LOG:
            self._log = Path(json.loads(rest))
        elif word in (AWAKE, GIVES_UP):
            self._gives_up = word == GIVES_UP
            say(sys.stdout, self._in_place_of_run())

    # --- what it does -----------------------------------------------------------------------------------------------

    def _in_place_of_run(self) -> str:
        """Act for a run that lives, and note when to look again; the answer to the run."""
        say(sys.stdout, ACTING)
        cause = self._missed() if self._gives_up else f"the run (process {self._run}) does not respond"
        self._acts_in_place = True
        try:
            report = f"{SAFE} {_line(self._all_at_their_ends(of_run=self._run, patience=0.0))}"
        except TakenOverError as error:  # it acts again at once, with locks of its own
            report = f"{NOT_SAFE} {_line(error)}"
        except Exception as error:  # noqa: BLE001  # last resort: report, never raise
            report = f"{NOT_SAFE} {_line(error)}"
            self._report(f"{cause}, the guardian failed, too: {_told(error)}")
        else:
            if not self._safe:
                self._report(f"{cause}; {report.partition(' ')[2]}")
            self._safe = True
            if self._gives_up:  # it sets nothing more, so that there is nothing to look after
                self._moved.clear()
        self._acts_in_place = False
        self._acts_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return report

    def _missed(self) -> str:
        """What the run did not do."""
        if "bias" in self._moved:
            return "the run could not switch the bias off at zero"
        return f"the run could not bring {', '.join(sorted(self._moved))} to its end"

    def _in_the_end(self, cause: str, *, of_run: int | None) -> int:
        """Act after the last line of the run, until all is at its end or another process has opened the station."""
        pause = SHORTEST_PAUSE
        while True:
            try:
                report = self._all_at_their_ends(of_run=of_run, patience=BUSY_PATIENCE)
            except BusyError as error:
                # Another process has opened the station since; it starts by reading the level back.
                self._report(f"{cause}; nothing done: {error}")
                return 0
            except Exception as error:  # noqa: BLE001  # last resort: report, never raise
                self._report(f"{cause}, the guardian failed, too: {_told(error)}")
                self._report(f"trying again in {pause:g} s; `labnis safe` does it at once from any terminal")
            else:
                self._report(f"{cause}; {report}")
                return 0
            self.alive(pause)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _heed_the_rest(self) -> None:
        """Heed what the run had said before it died: its end may be noticed before its last lines are read."""
        with suppress(queue.Empty):
            while True:
                self._heed_moves(self._lines.get(timeout=0.05))

    def _heed_moves(self, line: str) -> None:
        if line.startswith((MOVES, ENDED, LOG)):
            self._heed(line)

    def _all_at_their_ends(self, *, of_run: int | None, patience: float) -> str:
        setpoints = self._moved - {"bias"}
        return make_safe(self._config, setpoints, patience=patience, of_run=of_run, oversight=self)

    def _report(self, text: str) -> None:
        """Tell the run's terminal, also after the run has ended, and the log file beside the run."""
        say(sys.stderr, f"labnis guardian: {text}")
        if self._log is not None:
            writing = threading.Thread(target=_append, args=(self._log, _line(text)), daemon=True)
            writing.start()
            writing.join(LOG_WITHIN)

    def note(self, role: str, moves: bool) -> None:
        """Do nothing: no other process watches over this one."""

    def failed(self, error: Exception) -> None:
        """Do nothing: what has failed is reported, and tried again."""

    def alive(self, seconds: float) -> None:
        """Declare to the run that the next call takes at most `seconds`."""
        self._heartbeat.declare(seconds)

    def permit(self) -> None:
        """Raise TakenOverError if it acts in place of a run whose session is over: the locks may be another's now."""
        if self._acts_in_place and self._session_is_over:
            raise TakenOverError("the session of the run is over", safe=False)


def _append(path: Path, text: str) -> None:
    """Body of a thread: append a line to the log file at `path`, in the form of the others there."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} WARNING labnis.safety.guardian_process: {text}\n")
    except OSError as error:
        say(sys.stderr, f"labnis guardian: {path} cannot be written: {error}")


def _told(error: Exception) -> str:
    """What failed, and what else was attempted."""
    return "; ".join([str(error), *getattr(error, "__notes__", [])])


def _line(text: object) -> str:
    """In one line."""
    return " ".join(str(text).split())


def _planned(plan: Mapping[str, Any]) -> StationConfig:
    """The station of the run, from the same file."""
    config = load_station(Path(plan["station"]))
    if config.public_text != plan["text"]:
        raise ConfigurationError(f"{config.path} has changed since this session read it; open a new session")
    return config


def main() -> int:
    """Body of the process: plan on standard input, then the run's lines."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with unblocked_output():
        return _guard(FileIO(sys.stdin.fileno(), closefd=False))


def _guard(heard: FileIO) -> int:
    plan = json.loads(heard.readline())
    try:
        config = _planned(plan)
        used = [config.roles[role].instrument for role in ("bias", *config.setpoints)]
        if config.limits.watchdog is not None:
            used.append(config.limits.watchdog.instrument)
        for name in used:
            instrument_class(config, name)  # now: importing takes longer than ramping to zero
    except ConfigurationError as error:
        say(sys.stdout, _line(error))  # the run waits for one line
        return error.exit_code
    say(sys.stdout, READY)
    return _Watch(config, int(plan["run"]), heard).until_the_end()


if __name__ == "__main__":
    sys.exit(main())
