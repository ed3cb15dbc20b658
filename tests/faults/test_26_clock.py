"""26: the wall clock jumps by an hour, either way, in mid-run: rates and durations stay, and the step is noted.

`time.time` is moved inside the run's own process: moving the machine's clock is nothing a test may do.
"""

import sys

import pytest

from labnis.storage import read_events, read_metadata
from tests.faults import measuring
from tests.faults.measuring import Lab

JUMPING = """\
import sys, time
real, begun, hours = time.time, time.monotonic(), float(sys.argv.pop(1))
first = []

def jumping():
    # An hour on, or back, two seconds after the first bias was set.
    if not first and "labnis.safeguards" in sys.modules and "drivers.keithley_2450" in sys.modules:
        first.append(time.monotonic())
    moved = bool(first) and time.monotonic() - first[0] > 3.0
    return real() + (3600 * hours if moved else 0.0)

time.time = jumping
from labnis.cli import main
main()
"""


@pytest.mark.parametrize("hours", [1, -1])
def test_a_jump_of_the_clock_changes_nothing_but_is_noted(
    lab: Lab, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = measuring._command
    monkeypatch.setattr(
        measuring, "_command", lambda lab, words: [sys.executable, "-c", JUMPING, str(hours), *plain(lab, words)[3:]]
    )
    answer = lab.run(points=201)
    assert answer.returncode == 0, answer.stderr
    lab.assert_safe()
    assert read_metadata(lab.run_file)["rows"] == 201
    steps = [event for event in read_events(lab.run_file) if event.kind == "clock-step"]
    assert len(steps) == 1
    assert str(3600) in str(steps[0].details) + steps[0].message or "3600" in steps[0].message
