"""What a station declares: an answer counts within the patience of its oversight, the watchdog is fed in time."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from labnis.errors import RequestError
from labnis.station.declaring import Declarations
from labnis.station.oversight import NoOversight
from labnis.station.watchdog import FEEDINGS, StationWatchdog


class Told(NoOversight):
    patience = 5.0

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def alive(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.mark.parametrize(("timeout", "declared"), [(1e3, 0.0), (5e3, 0.0), (30e3, 25.0)])
def test_only_what_is_longer_than_the_patience_is_declared(timeout: float, declared: float) -> None:
    told = Told()
    declarations = Declarations(told)
    declarations.count(SimpleNamespace(visa_handle=SimpleNamespace(timeout=timeout)))
    declarations.alive(0.0)
    assert told.seconds == [declared]


class Relay:
    def __init__(self) -> None:
        self.said: list[str] = []

    def arm(self, timeout: float) -> None:
        self.said.append(f"arm {timeout:g}")

    def feed(self) -> None:
        self.said.append("feed")

    def disarm(self) -> None:
        self.said.append("disarm")


def test_the_watchdog_is_fed_in_time_and_only_while_it_is_armed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    relay = Relay()
    watchdog = StationWatchdog(relay, 20.0, "relay")
    watchdog.feed()
    watchdog.arm()
    for _ in range(190):
        now += 0.1
        watchdog.feed()
    watchdog.disarm()
    watchdog.disarm()
    watchdog.feed()
    assert relay.said == ["arm 20", *["feed"] * (FEEDINGS - 1), "disarm"]


def test_a_block_that_the_watchdog_would_end_is_refused() -> None:
    declarations: Any = Declarations(Told())
    declarations.watchdog = StationWatchdog(Relay(), 20.0, "relay")
    with (
        pytest.raises(RequestError, match=r"blocking\(60\): the watchdog .* allowed are 15 s"),
        declarations.blocking(60),
    ):
        pass
    with declarations.blocking(15.0):
        pass


def test_a_short_call_inside_a_long_one_does_not_end_what_was_declared() -> None:
    told = Told()
    declarations = Declarations(told)
    with declarations.blocking(60.0):
        with declarations.blocking(10.0):
            assert told.seconds[-1] == pytest.approx(60.0, abs=1.0)
        assert told.seconds[-1] == pytest.approx(60.0, abs=1.0)
    assert told.seconds[-1] == 0.0
