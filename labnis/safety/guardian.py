"""A process that outlives the run and makes the station safe if the run dies.

The run holds the writing end of a pipe to the guardian, and names on it each set-point before it moves. As long as the
pipe is open nothing happens; the line "release" ends the guardian; the end of the file means that the run died without
it — `kill -9` and crashes included — and the guardian opens the bias source itself, ramps it to zero from its read-back
value within the station's limits, verifies it, and switches the output off; then it brings the set-points that the run
has moved, and not brought there itself, to their ends. It imports everything before the run starts, ignores the signals
of the run's terminal, and touches no instrument while the run is alive.

No process can act when the whole computer loses power: use the source's own limits for that.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from drivers.errors import InstrumentError
from labnis.errors import BusyError, ConfigurationError, InstrumentFault, LabnisError
from labnis.import_path import python_program
from labnis.printable import printable
from labnis.safety.make_safe import make_safe
from labnis.station import BiasUnknownError, StationConfig, instrument_class, load_station

__all__ = ["Guardian", "main"]

READY_WITHIN = 30.0
"""Time (s) that a guardian has to start; imports on a slow disk take a while."""

BUSY_PATIENCE = 60.0
"""Time (s) that a guardian waits for a station that another process holds by now."""

ATTEMPTS, PAUSE = 3, 2.0
"""Number of attempts to reach the source, and the time (s) in between: a network may recover."""


MOVES, ENDED = "moves", "ended"
"""First words of a run's lines on a set-point, followed by its role: it is moved from now on; it is at its end."""

RELEASE, FAILED = "release", "failed"
"""Last line of a run to its guardian: the bias is at zero; or it is not. No line means that the run died."""


class Guardian:
    """The guardian of a session, from `start` to the end of the context.

    The context must end only after the bias is at zero, because it releases the guardian — unless the run itself failed
    to reach zero (BiasUnknownError): then the guardian tries, over a separate connection.

    Parameters
    ----------
    config
        The station. The guardian reads the same file, and refuses one that has changed since.
    on_loss
        Called from another thread, with a sentence, if the guardian dies before it is released.

    """

    def __init__(self, config: StationConfig, *, on_loss: Callable[[str], None]) -> None:
        self._config = config
        self._on_loss = on_loss
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process, unless it is running, and wait until it is ready; one that died is replaced.

        Raises
        ------
        InstrumentFault
            It cannot be started; without one, nothing is moved.

        """
        if self._process is not None and self._process.poll() is None:
            return
        self._process = process = subprocess.Popen(  # noqa: S603  # this interpreter with this module, no shell
            python_program("labnis.safety.guardian"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _say(process, json.dumps({"station": str(self._config.path.resolve()), "text": self._config.public_text}))
            _await_ready(process)
        except BaseException:
            self._end(RELEASE)
            raise
        threading.Thread(target=self._watch, args=(process,), name="labnis-guardian", daemon=True).start()

    def note(self, role: str, moves: bool) -> None:
        """Say that the set-point `role` is moved from now on, or that it is at its end."""
        if self._process is not None:
            _say(self._process, f"{MOVES if moves else ENDED} {role}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._end(FAILED if isinstance(error, BiasUnknownError) else RELEASE)

    def _end(self, last_line: str) -> None:
        process, self._process = self._process, None  # its end is no loss from now on
        if process is None:
            return
        _say(process, last_line)
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
        process.wait()

    def _watch(self, process: "subprocess.Popen[str]") -> None:
        code = process.wait()
        if self._process is process:
            self._on_loss(f"the guardian process died (exit code {code}): without one the run stops now")


def _say(process: "subprocess.Popen[str]", line: str) -> None:
    """Write a line to the guardian; `_watch` reports one that has ended."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.write(line + "\n")
            process.stdin.flush()


def _await_ready(process: "subprocess.Popen[str]") -> None:
    """Wait until the guardian is ready to act."""
    timer = threading.Timer(READY_WITHIN, process.kill)
    timer.start()
    answer = process.stdout.readline().strip() if process.stdout else ""
    timer.cancel()
    if answer != "ready":
        raise InstrumentFault(
            f"no guardian could be started ({answer or 'it ended or did not answer'}); nothing was moved. A run needs "
            "one to ramp the bias to zero if this process dies"
        )


def main() -> int:
    """Body of the guardian's process: plan on standard input, then what the run moves, and its last line or none."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        config = _planned(json.loads(sys.stdin.readline()))
        for role in ("bias", *config.setpoints):
            instrument_class(config, config.roles[role].instrument)  # now: importing takes longer than ramping to zero
    except ConfigurationError as error:
        print(printable(" ".join(str(error).split())), flush=True)  # noqa: T201  # the run waits for one line
        return error.exit_code
    print("ready", flush=True)  # noqa: T201  # the run waits for this line
    last_line, moved = _heard(sys.stdin)
    if last_line == RELEASE:
        return 0
    cause = "the run could not ramp the bias to zero" if last_line == FAILED else "the run died"
    try:
        report, code = f"{cause}; {_persistently(lambda: _safe(config, moved))}", 0
    except Exception as error:  # noqa: BLE001  # last resort: report, never raise
        report, code = f"{cause}, the guardian failed, too: {error}", 5
    print(f"labnis guardian: {printable(report)}", file=sys.stderr, flush=True)  # noqa: T201
    return code


def _planned(plan: Mapping[str, str]) -> StationConfig:
    """The station of the run, from the same file."""
    config = load_station(Path(plan["station"]))
    if config.public_text != plan["text"]:
        raise ConfigurationError(f"{config.path} has changed since this session read it; open a new session")
    return config


def _heard(lines: Iterable[str]) -> tuple[str, set[str]]:
    """The last line of a run, empty if it died, and the set-points that it has moved and not brought to their ends."""
    moved: set[str] = set()
    for line in lines:
        word, _, role = line.strip().partition(" ")
        if word == MOVES:
            moved.add(role)
        elif word == ENDED:
            moved.discard(role)
        else:
            return word, moved
    return "", moved


def _safe(config: StationConfig, setpoints: Collection[str]) -> str:
    try:
        return make_safe(config, setpoints, patience=BUSY_PATIENCE)
    except BusyError as error:
        # Another process has opened the station since; it starts by reading the level back.
        return f"nothing done: {error}"


def _persistently(attempt: Callable[[], str]) -> str:
    """Call `attempt`, again if an instrument cannot be reached; each attempt starts by reading the level back."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except (LabnisError, InstrumentError):
            time.sleep(PAUSE)
    return attempt()


if __name__ == "__main__":
    sys.exit(main())
