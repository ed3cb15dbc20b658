"""Any bytes, and well-formed but impossible numbers, as the answer to any query of any driver.

The outcome is an error of `drivers.errors` that names the instrument, the query and what is wrong, or a number that is
possible.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drivers import trace_analyzer
from drivers.errors import InstrumentError
from drivers.keithley_2450 import Keithley2450
from drivers.keysight_n5222b import KeysightN5222B
from drivers.keysight_n9030b import KeysightN9030B
from drivers.lakeshore_372 import LakeShore372
from drivers.roles import SourceReading
from drivers.scpi import CheckedInstrument
from drivers.sr830 import SR830
from sim_instruments import ADDRESSES
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.panels.scpi_values import definite_block
from sim_instruments.visa import LabnisVisaLibrary
from tests.acquiring import acquired
from tests.shipped_twin import VISALIB

pytestmark = pytest.mark.faults

LEVELS = {"maximum_voltage": 1e-3, "maximum_current": 1e-6, "compliance": 1e-6, "integration_time": 0.02}
LOCKIN = {"amplitude": 0.01, "frequency": 77.7, "time_constant": 0.03, "sensitivity": 0.1}
POINTS = 11
SWEEP = {"center": 4.67e9, "span": 1e8, "points": POINTS, "averages": 1}
SPECTRUM = SWEEP | {"resolution_bandwidth": 1e5, "sweep_time": 0.01}
TRACE = SWEEP | {"power": -30.0, "if_bandwidth": 1e4}

#: Role → driver, its preparation, its other uses.
USES: dict[str, tuple[type[CheckedInstrument], Callable[[Any], Any], list[Callable[[Any], Any]]]] = {
    "bias": (
        Keithley2450,
        lambda it: it.prepare(**LEVELS),
        [
            lambda it: it.output_on(),
            lambda it: it.output_enabled(),
            lambda it: it.set_level(1e-4),
            lambda it: it.level(),
            lambda it: it.read(),
            lambda it: it.start_ramp([1e-4, 2e-4], 0.01),
            lambda it: it.ramp_running(),
            lambda it: it.halt_ramp(),
            lambda it: it.output_off(),
        ],
    ),
    "lockin": (
        SR830,
        lambda it: it.prepare(**LOCKIN),
        [
            lambda it: it.read(),
            lambda it: it.settling_time(),
            lambda it: it.read_auxiliary(1),
            lambda it: it.quiet(),
            lambda it: it.check_errors(),
        ],
    ),
    "analyzer": (KeysightN9030B, lambda it: it.prepare(**SPECTRUM), [acquired]),
    "vna": (KeysightN5222B, lambda it: it.prepare(**TRACE), [acquired]),
    "fridge": (LakeShore372, lambda it: None, [lambda it: it.temperature(), lambda it: it.check_errors()]),
}

IMPOSSIBLE = [b"0", b"-1", b"1e32", b"-1e32", b"nan", b"inf", b"-inf", b"9.91e37", b"-9.9e37", b"1e400", b"1_000", b""]
NUMBERS = st.sampled_from(IMPOSSIBLE) | st.floats().map(lambda value: f"{value:g}".encode())
LISTS = st.lists(NUMBERS, max_size=20).map(b",".join) | st.lists(NUMBERS, max_size=20).map(b";".join)
BLOCKS = st.one_of(
    st.lists(st.floats(), min_size=2 * POINTS, max_size=2 * POINTS).map(
        lambda values: definite_block(np.array(values, ">f8").tobytes())
    ),
    st.binary(max_size=40).map(definite_block),
    st.integers(0, 10**9).map(lambda length: b"#9%09d" % length),
)
#: `is_integer` and `int` of long digits, and the words of a trigger model, have parsers of their own.
WORDS = st.sampled_from(
    [b"9" * 5000, b"+", b"IDLE", b"RUNNING;RUNNING;2", b"PAUSED", b'"', b'"NO CATALOG"', b'"a,S11,b"', b"-222,",
     b"2) DELAY_CONSTANT DELAY: 1e-.5\n4) BRANCH_COUNTER VALUE: 2 BRANCH_BLOCK: 2;1", b"W", b"#", b"#0", b"\xc2\xb2"]
)  # fmt: skip
ANSWERS = st.one_of(NUMBERS, LISTS, BLOCKS, WORDS, st.binary(max_size=60))


@dataclass
class Spoiling:
    """A panel whose answer number `at` is `answer`, and all later ones to the same query if `lasting`."""

    panel: FrontPanel
    at: int
    answer: bytes
    lasting: bool
    answered: int = 0
    query: str | None = None

    def __post_init__(self) -> None:
        self._honest = self.panel.execute

    def execute(self, message: str) -> list[bytes]:
        answers = self._honest(message)
        if not answers:
            return answers
        number, self.answered = self.answered, self.answered + 1
        if number == self.at:
            self.query = message
        elif self.query != message or not self.lasting:
            return answers
        return [self.answer]


@dataclass
class Opened:
    """A driver of the twin in `role`."""

    role: str
    twin: LabnisVisaLibrary
    instrument: Any

    def renew(self) -> None:
        """Switch the instrument off and on, and bring the driver in step."""
        self.twin.panels[self.role].switch_on()
        self.twin.panels[self.role].drain()
        self.instrument._in_step = True
        USES[self.role][1](self.instrument)

    def spoiled(self, use: Callable[[Any], Any], at: int, answer: bytes, *, lasting: bool) -> tuple[Spoiling, str]:
        """Use the instrument while one answer is spoiled; what the driver says, or nothing."""
        spoiling = Spoiling(self.twin.panels[self.role], at, answer, lasting)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spoiling.panel, "execute", spoiling.execute)
            try:
                require_possible(use(self.instrument))
            except InstrumentError as error:
                return spoiling, str(error)
            return spoiling, ""


def require_possible(found: Any) -> None:
    """What a driver returns without an error is a possible number."""
    if isinstance(found, SourceReading):
        assert abs(found.voltage) <= 0.03
        assert abs(found.current) <= 2e-6
    elif isinstance(found, np.ndarray):
        assert np.all(np.isfinite(found))
        assert np.all(np.abs(found) <= 10)
        assert len(found) == POINTS
    elif found is not None:
        assert np.isfinite(found)
        assert abs(found) <= 500


@pytest.fixture(params=USES)
def opened(request: pytest.FixtureRequest, twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch) -> Opened:
    monkeypatch.setattr(trace_analyzer, "TIMEOUT_MARGIN", 0.2)
    role = request.param
    instrument = USES[role][0](f"spoiled_{role}", ADDRESSES[role], visalib=VISALIB, timeout=0.2)
    instrument.log.setLevel("ERROR")
    return Opened(role, twin, instrument)


@settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(number=st.integers(0, 9), at=st.integers(0, 40), answer=ANSWERS, lasting=st.booleans())
@example(number=0, at=0, answer=b"0", lasting=True)
def test_whatever_is_answered_is_an_error_of_ours_or_a_possible_number(
    opened: Opened, number: int, at: int, answer: bytes, lasting: bool
) -> None:
    _, prepare, others = USES[opened.role]
    uses = [prepare, *others]
    opened.renew()
    _, said = opened.spoiled(uses[number % len(uses)], at, answer, lasting=lasting)
    assert not said or opened.instrument.name in said


def test_an_impossible_number_is_told_with_its_query(opened: Opened) -> None:
    """Every query of every use, each impossible number: the message names the query and what was answered."""
    _, prepare, others = USES[opened.role]
    silent = []
    for use, answer in itertools.product([prepare, *others], IMPOSSIBLE):
        for at in itertools.count():
            opened.renew()
            spoiling, said = opened.spoiled(use, at, answer, lasting=True)
            if spoiling.query is None:
                break
            if (spoiling.query, answer) == ("*ESR?", b"0"):
                continue  # an answer like any other: the sweeps are not complete
            header = spoiling.query.partition(";*OPC?")[0].partition("?")[0].partition(" ")[0]
            if said and not (opened.instrument.described in said and header in said):
                silent.append(f"{spoiling.query} answered {answer!r}: {said}")
    assert not silent, "\n".join(silent)
