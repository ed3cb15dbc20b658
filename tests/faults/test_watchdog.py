"""Run and guardian are killed together, as where the computer stops: the watchdog of the station switches off."""

import os
import signal
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.measuring import Lab, wait_for

TIMEOUT = 6.0
"""Time (s) without feeding after which the relay opens; the shortest with `limits.unresponsive` 1 s."""


class Relay:
    """A relay in the bias line, in this process: it outlives run and guardian."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.opened_at = 0.0
        self.fed: list[float] = []
        self.said: list[str] = []
        self.silent = False
        self._deadline = float("inf")
        relay = self

        class Line(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    if (answer := relay.answer(line.decode().strip())) is not None:
                        self.wfile.write(answer.encode() + b"\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Line)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._ends = threading.Event()
        self._timer = threading.Thread(target=self._wait, daemon=True)
        self._timer.start()

    @property
    def address(self) -> str:
        return f"TCPIP::127.0.0.1::{self._server.server_address[1]}::SOCKET"

    def answer(self, command: str) -> str | None:
        """The answer to one line."""
        if command == "*IDN?":
            return "lab,relay,TWIN7,1"
        if self.silent:
            return None
        word, _, timeout = command.partition(" ")
        self.said.append(word)
        if word == "ARM":
            self._timeout = float(timeout)
        if word == "FEED":
            self.fed.append(time.monotonic())
        self._deadline = float("inf") if word == "DISARM" else time.monotonic() + self._timeout
        return "OK"

    def _wait(self) -> None:
        while not self._ends.wait(0.01):
            if time.monotonic() > self._deadline and not self.opened_at:
                self.opened_at = time.monotonic()
                self._lab.control(do="leave", level=self._lab.source()["level"], output=False)

    def close(self) -> None:
        """End."""
        self._ends.set()
        self._timer.join()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def relay(lab: Lab) -> Iterator[Relay]:
    made = Relay(lab)
    lab.write_station(unresponsive=1.0, watchdog={"instrument": "relay", "timeout": TIMEOUT})
    text = lab.station.read_text(encoding="utf-8")
    entry = f'  relay: {{type: lab_procedures.Relay, address: "{made.address}"}}\nlabnis:\n'
    lab.station.write_text(text.replace("labnis:\n", entry, 1), encoding="utf-8")
    yield made
    made.close()


def test_a_calm_run_arms_feeds_and_disarms_it(lab: Lab, relay: Relay) -> None:
    answer = lab.run(points=301)
    assert answer.returncode == 0, answer.stderr
    assert relay.said[0] == "ARM"
    assert "FEED" in relay.said
    assert relay.said[-1] == "DISARM"
    assert not relay.opened_at
    lab.assert_safe()


def test_run_and_guardian_are_killed_together(lab: Lab, relay: Relay) -> None:
    process = lab.begin_sweep()
    wait_for(lambda: bool(relay.fed), process)
    guardian = process.guardian()
    assert guardian is not None
    killed = time.monotonic()
    for pid in (guardian.pid, process.pid):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not lab.source()["output"])
    assert TIMEOUT * 0.7 <= relay.opened_at - killed <= TIMEOUT + 1.0
    process.wait()
    answer = lab.run(points=41)  # the next run finds the source as it is, and takes the locks over
    assert answer.returncode == 0, answer.stderr
    assert lab.source() == {"level": 0.0, "output": False}


def test_the_guardian_of_a_killed_run_is_faster_and_disarms_it(lab: Lab, relay: Relay) -> None:
    process = lab.begin_sweep()
    process.kill()
    lab.assert_safe()
    wait_for(lambda: relay.said[-1] == "DISARM")
    assert not relay.opened_at


def test_a_watchdog_that_falls_silent_ends_the_run_before_it_acts(lab: Lab, relay: Relay) -> None:
    process = lab.begin_sweep()
    relay.silent = True
    said = lab.ended(process, 4)
    assert "the watchdog relay (TCPIP0::127.0.0.1::" in said
    assert "cannot be fed" in said
    lab.assert_safe()


def test_without_it_no_run_begins(lab: Lab, relay: Relay) -> None:
    relay.silent = True
    answer = lab.run()
    assert answer.returncode == 5, answer.stderr
    assert "cannot be armed" in answer.stderr
    assert not lab.ever_on()


def test_a_silent_watchdog_does_not_keep_labnis_safe_from_its_work(lab: Lab, relay: Relay) -> None:
    lab.leave(2e-3, output=True)
    relay.silent = True
    assert lab.safe().returncode == 0
    lab.assert_safe()


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (
            "instrument: relais, timeout: 6.0",
            "limits.watchdog.instrument: no instrument 'relais'; defined are",
        ),
        ("instrument: relay, timeout: 5.5", "limits.watchdog.timeout: found 5.5 s; allowed are 6 s and more"),
        ("instrument: sr830, timeout: 6.0", "sr830 is a SR830, which has no arm(), feed(), disarm()"),
    ],
)
def test_what_is_no_watchdog_is_refused(lab: Lab, relay: Relay, written: str, words: str) -> None:
    text = lab.station.read_text(encoding="utf-8")
    changed = text.replace('{"instrument": "relay", "timeout": 6.0}', f"{{{written}}}")
    assert changed != text
    lab.station.write_text(changed, encoding="utf-8")
    answer = lab.without_data_option("check")
    assert answer.returncode == 2
    assert words in answer.stderr
    assert "station.yaml, line" in answer.stderr
