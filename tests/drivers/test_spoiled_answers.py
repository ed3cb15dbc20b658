"""Every driver beside those of the shipped station: any bytes, impossible numbers and late answers, at every message.

The outcome is an error of `drivers.errors` that names the instrument, or a number that is possible.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from drivers import trace_analyzer
from drivers.errors import InstrumentError
from drivers.roles import SourceReading
from sim_instruments.panels import sim900
from sim_instruments.panels.front_panel import FrontPanel
from tests.every_driver import OTHERS, Driver, opened

IMPOSSIBLE = (
    b"0",
    b"-1",
    b"1e32",
    b"1e24",
    b"nan",
    b"inf",
    b"9.91e37",
    b"1e400",
    b"1_000",
    b"",
    b"#",
    b"#0",
    b"9" * 99,
)
GARBAGE = (b"\xc2\xb2", b"\xff\xfe", b"\x1b[2J", b";" * 9, b"," * 9, b"#9999999999", b'"', b"S11,1", b"2,2,2,2,2,2,2")

Opened = tuple[Driver, Any, Any, FrontPanel]


@pytest.fixture(params=OTHERS)
def spoiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    monkeypatch.setattr(trace_analyzer, "TIMEOUT_MARGIN", 0.1)
    monkeypatch.setattr(sim900, "ANSWER_TIME", 0.0)
    driver = OTHERS[request.param]
    with opened(driver, timeout=0.05) as found:
        yield driver, *found


def require_possible(found: Any) -> None:
    """What a driver returns without an error is a possible number."""
    if isinstance(found, SourceReading):
        assert abs(found.voltage) <= 0.03
        assert np.isnan(found.current) or abs(found.current) <= 2e-6
    elif isinstance(found, np.ndarray):
        assert np.all(np.isfinite(found))
        assert np.all(np.abs(found) <= 10)
    elif found is not None:
        assert np.isfinite(found)
        assert abs(found) <= 500


def renewed(one: Opened) -> None:
    """Switch the instrument off and on, and bring the driver in step."""
    driver, instrument, part, panel = one
    panel.switch_on()
    panel.drain()
    instrument._in_step = True
    driver.uses[0](part)


class Spoiling:
    """A panel whose answer number `at` is another."""

    def __init__(self, panel: FrontPanel, at: int, answer: bytes | None, *, lasting: bool) -> None:
        self._honest, self._at, self._answer, self._lasting = panel.execute, at, answer, lasting
        self._before, self.answered, self.query = [b""], 0, ""

    def execute(self, message: str) -> list[bytes]:
        """Answer; where the other answer is None, with the one before."""
        answers = self._honest(message)
        if not answers:
            return answers
        number, self.answered = self.answered, self.answered + 1
        self._before, before = answers, self._before
        if number == self._at:
            self.query = message
        elif not (self._lasting and message == self.query):
            return answers
        return before if self._answer is None else [self._answer]


def used(one: Opened, number: int, at: int, answer: bytes | None, *, lasting: bool) -> tuple[Spoiling, str]:
    """Use the instrument while an answer is spoiled; what the driver says, or nothing."""
    driver, _, part, panel = one
    spoiling = Spoiling(panel, at, answer, lasting=lasting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", spoiling.execute)
        try:
            require_possible(driver.uses[number](part))
        except InstrumentError as error:
            return spoiling, str(error)
    return spoiling, ""


@pytest.mark.faults
def test_every_answer_is_an_error_of_ours_or_a_possible_number(spoiled: Opened) -> None:
    """Each answer of each use is spoiled; what spoils it goes around."""
    driver, instrument, _, _ = spoiled
    spoils = itertools.cycle((*IMPOSSIBLE, *GARBAGE, None))
    silent = []
    for number, lasting in itertools.product(range(len(driver.uses)), (True, False)):
        for at in itertools.count():
            spoiling, said = None, ""
            for answer in itertools.islice(spoils, 3):
                renewed(spoiled)
                spoiling, said = used(spoiled, number, at, answer, lasting=lasting)
                if said and instrument.name not in said:
                    silent.append(f"{spoiling.query} answered {answer!r}: {said}")
            if spoiling is not None and not spoiling.query:
                break
    assert not silent, "\n".join(silent)


def test_a_snapshot_asks_nothing_that_is_not_answered(spoiled: Opened) -> None:
    """A run that begins with a snapshot ends where more than one answer is missing."""
    _, instrument, _, _ = spoiled
    assert instrument.snapshot(update=True)["parameters"]
