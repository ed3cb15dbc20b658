"""4 and 5: signals, once, twice, eleven times, at any moment: zero, rows kept, 130 or 143."""

import signal
import subprocess
import time

import pytest

from labnis.storage import read_metadata
from tests.faults.measuring import Lab, chance


def storm(process: "subprocess.Popen[str]", signum: int, count: int, seed: int) -> None:
    """`count` signals within about a second: during a write, a read, the ramp, the last flush, the end."""
    moments = chance(seed)
    for _ in range(count):
        time.sleep(moments.uniform(0.0, 0.15))
        if process.poll() is None:
            process.send_signal(signum)


@pytest.mark.parametrize(
    ("signum", "count", "code"),
    [
        (signal.SIGINT, 1, 130),
        (signal.SIGINT, 2, 130),
        (signal.SIGINT, 11, 130),
        (signal.SIGTERM, 11, 143),
        (signal.SIGHUP, 1, 143),
    ],
)
def test_the_ramp_is_finished_whatever_comes(lab: Lab, signum: int, count: int, code: int) -> None:
    process = lab.begin_sweep()
    time.sleep(chance(signum * count).uniform(0.0, 1.0))
    storm(process, signum, count, seed=signum * count)
    said = lab.ended(process, code)
    lab.assert_safe()
    assert "the bias is at zero" in said
    known = read_metadata(lab.run_file)
    assert known["status"] == "aborted"
    assert signal.Signals(signum).name in known["reason"]
    assert known["rows"] > 5


@pytest.mark.parametrize("seconds", [0.3, 2.5])
def test_during_the_start_nothing_has_moved_or_it_goes_back(lab: Lab, seconds: float) -> None:
    process = lab.start("run", "IVSweep", "--yes")
    time.sleep(seconds)
    storm(process, signal.SIGINT, 3, seed=int(10 * seconds))
    process.communicate(timeout=60)
    assert process.returncode != 0
    lab.assert_safe()


def test_a_terminal_that_is_gone(lab: Lab) -> None:
    process = lab.begin_sweep()
    assert process.stdout
    assert process.stderr
    process.stdout.close()  # whoever writes to it from now on fails
    process.stderr.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 143
    lab.assert_safe()
    assert read_metadata(lab.run_file)["status"] == "aborted"
