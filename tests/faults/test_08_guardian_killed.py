"""8: the guardian is killed: the run stops within a second."""

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

from labnis.storage import read_metadata
from tests.faults.measuring import Lab


def guardian_of(pid: int) -> int:
    """The process that guards the run `pid`."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"labnis.safety.guardian_process" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise AssertionError("the run has no guardian")


def test_without_its_guardian_a_run_stops(lab: Lab) -> None:
    process = lab.begin_sweep()
    killed = time.monotonic()
    os.kill(guardian_of(process.pid), signal.SIGKILL)
    said = lab.ended(process, 4)
    assert "guardian" in said
    lab.assert_safe()
    ramp = next(b.time for a, b in pairwise(lab.trajectory(killed)) if abs(b.level - a.level) > 1e-4)
    assert ramp - killed <= 1.0
    known = read_metadata(lab.run_file)
    assert known["status"] == "aborted"
    assert "guardian" in known["reason"]


CHANGED = """
import sys
from pathlib import Path
import labnis
from procedures import IVSweep

station = Path(sys.argv[sys.argv.index("--station") + 1])
with labnis.open_session(station, data=sys.argv[sys.argv.index("--data") + 1]) as session:
    station.write_text(station.read_text().replace("series_resistance: 2000.0", "series_resistance: 1000.0"))
    session.run(IVSweep())
"""


def test_a_guardian_does_not_take_another_station_file_than_the_session(lab: Lab) -> None:
    """It is started by the first run; what it would ramp to zero has to be what the run moves."""
    process = lab.start_interpreter(python=("-c", CHANGED))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1  # a traceback: no command of labnis
    assert "has changed since this session read it" in said
    assert "nothing was moved" in said
    assert lab.log == []


def test_a_run_that_is_stopped_together_with_its_guardian(lab: Lab) -> None:
    process = lab.begin_sweep()
    os.kill(guardian_of(process.pid), signal.SIGKILL)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (4, 143), said  # whichever was noticed first
    lab.assert_safe()
