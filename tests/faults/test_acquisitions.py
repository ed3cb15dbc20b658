"""A stop request or a warm fridge during a spectrum of 40 s ends the acquisition at the instrument, and the bias."""

import signal
import time
from itertools import pairwise

import pytest

from labnis.safety.interlocks import INTERVAL
from tests.faults.measuring import Lab, wait_for

SPECTRUM = ("maximum_bias=1.3e-3", "bias_points=1e-3,1.1e-3,1.2e-3,1.3e-3", "sweep_time=4", "averages=10")


@pytest.mark.parametrize(("cause", "code"), [("signal", 130), ("warm", 4)])
def test_a_long_spectrum_is_ended(lab: Lab, cause: str, code: int) -> None:
    lab.write_station(fridge_abort=0.15)
    words = [word for setting in SPECTRUM for word in ("--set", setting)]
    process = lab.start("run", "EmittedPowerVsBias", "--yes", *words)
    wait_for(lambda: bool(lab.sent("analyzer", ":INIT:SAN")), process)
    at = time.monotonic()
    if cause == "signal":
        process.send_signal(signal.SIGINT)
    else:
        lab.control(do="temperatures", schedule=[[0.0, 0.3]])
    lab.ended(process, code)
    begun = next(b.time for a, b in pairwise(lab.trajectory(at)) if abs(b.level) < abs(a.level) - 1e-5)
    assert begun - at <= 2.0 + (INTERVAL if cause == "warm" else 0.0)
    assert lab.sent("analyzer", ":ABOR")
    lab.assert_safe()


def test_an_absurd_request_is_refused_before_anything_opens(lab: Lab) -> None:
    for setting in ("averages=10000", "sweep_time=4000"):
        answer = lab.labnis("run", "EmittedPowerVsBias", "--yes", "--set", setting)
        assert answer.returncode == 2, answer.stderr
        assert "at most 3600 s are allowed" in answer.stderr
    assert lab.log == []
