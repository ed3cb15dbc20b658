"""A process that outlives the run and makes the station safe if the run dies.

The run holds the writing end of a pipe to the guardian. As long as the pipe is open nothing happens; the line "release"
ends the guardian; the end of the file means that the run died without it — `kill -9` and crashes included — and the
guardian opens the bias source itself, ramps it to zero from its read-back value within the station's limits, verifies
it, and switches the output off; then it brings the station's set-points to their ends. It imports everything
before the run starts, ignores the signals of the run's terminal, and touches no instrument while the run is alive.

No process can act when the whole computer loses power: use the source's own limits for that.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from drivers.errors import InstrumentError
from labnis.errors import BusyError, ConfigurationError, InstrumentFault, LabnisError
from labnis.safety.make_safe import make_safe
from labnis.station import BiasUnknownError, StationConfig, instrument_class, load_station

__all__ = ["guarded", "main"]

READY_WITHIN = 30.0
"""Time (s) that a guardian has to start; imports on a slow disk take a while."""

BUSY_PATIENCE = 60.0
"""Time (s) that a guardian waits for a station that another process holds by now."""

ATTEMPTS, PAUSE = 3, 2.0
"""Number of attempts to reach the source, and the time (s) in between: a network may recover."""


@contextmanager
def guarded(config: StationConfig, *, on_loss: Callable[[str], None]) -> Iterator[None]:
    """Run a guardian for the station `config` during the context.

    The context must end only after the bias is at zero, because it releases the guardian — unless the run itself failed
    to reach zero (BiasUnknownError): then the guardian tries, over a separate connection.

    Parameters
    ----------
    config
        The station. The guardian reads the same file, and refuses one that has changed since.
    on_loss
        Called from another thread, with a sentence, if the guardian dies before it is released.

    Raises
    ------
    InstrumentFault
        No guardian can be started; without one, nothing is moved.
    """
    plan = json.dumps({"station": str(config.path.resolve()), "text": config.public_text})
    process = subprocess.Popen(  # this interpreter with this module, no shell
        [sys.executable, "-m", "labnis.safety.guardian"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    released = threading.Event()
    try:
        _say(process, plan)
        _await_ready(process)
        watch = threading.Thread(target=_watch, args=(process, released, on_loss), name="labnis-guardian", daemon=True)
        watch.start()
        yield
    except BiasUnknownError:
        released.set()
        _say(process, FAILED)
        raise
    finally:
        released.set()
        _say(process, RELEASE)
        process.wait()


RELEASE, FAILED = "release", "failed"
"""Last line of a run to its guardian: the bias is at zero; or it is not. No line means that the run died."""


def _say(process: "subprocess.Popen[str]", line: str) -> None:
    """Write a line to the guardian; `_watch` reports a guardian that has ended."""
    if process.stdin is None or process.stdin.closed:
        return
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        if line in (RELEASE, FAILED):
            process.stdin.close()
    except BrokenPipeError:
        process.stdin = None


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


def _watch(process: "subprocess.Popen[str]", released: threading.Event, on_loss: Callable[[str], None]) -> None:
    code = process.wait()
    if not released.is_set():
        on_loss(f"the guardian process died (exit code {code}): without one the run stops now")


def main() -> int:
    """Body of the guardian's process: plan on standard input, later "release" or the end of the file."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        config = _planned(json.loads(sys.stdin.readline()))
        for role in ("bias", *config.setpoints):
            instrument_class(config, config.roles[role].instrument)  # now: importing takes longer than ramping to zero
    except ConfigurationError as error:
        print(" ".join(str(error).split()), flush=True)  # noqa: T201  # the run waits for one line
        return error.exit_code
    print("ready", flush=True)  # noqa: T201  # the run waits for this line
    last_words = sys.stdin.readline().strip()
    if last_words == RELEASE:
        return 0
    cause = "the run could not ramp the bias to zero" if last_words == FAILED else "the run died"
    try:
        report, code = f"{cause}; {_persistently(lambda: _safe(config))}", 0
    except Exception as error:  # noqa: BLE001  # last resort: report, never raise
        report, code = f"{cause}, the guardian failed, too: {error}", 5
    print(f"labnis guardian: {report}", file=sys.stderr, flush=True)  # noqa: T201
    return code


def _planned(plan: Mapping[str, str]) -> StationConfig:
    """The station of the run, from the same file."""
    config = load_station(Path(plan["station"]))
    if config.public_text != plan["text"]:
        raise ConfigurationError(f"{config.path} has changed since this session read it; open a new session")
    return config


def _safe(config: StationConfig) -> str:
    try:
        return make_safe(config, patience=BUSY_PATIENCE)
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
