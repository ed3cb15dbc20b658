"""13, 14 and 34 once more, driver by driver over a socket: answers that are late, swapped, cut off or nonsense.

The whole command meets the same faults in `test_11_silent_instruments.py`; here each driver does, at random moments,
and what it returns is compared with what it returns undisturbed.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import pyvisa
from numpy.typing import NDArray
from qcodes.instrument import Instrument

from drivers import trace_analyzer
from drivers.errors import CommunicationError, InstrumentError, ReadingError
from drivers.keysight_n5222b import KeysightN5222B
from drivers.keysight_n9030b import KeysightN9030B
from drivers.scpi import CheckedInstrument
from drivers.trace_analyzer import TraceAnalyzer
from tests.acquiring import acquired
from tests.faults.measuring import Lab, chance
from tests.faults.test_34_random_answers import DRIVERS, Use

TIMEOUT = 0.15
"""Time (s) that the drivers wait here."""

LONGEST = 12.0
"""Time (s) within which any reading has ended: every question may be asked three times, the line cleared in between."""

READ: dict[str, Callable[[Any], Any]] = {
    "bias": lambda it: [getattr(it.read(), name) for name in ("voltage", "current")],
    "lockin": lambda it: [abs(it.read())],
    "analyzer": acquired,
    "vna": acquired,
    "fridge": lambda it: [it.temperature()],
}
"""Role → its numbers, as an array-like whose length and order say which is which."""


@dataclass
class Spoken:
    """A prepared driver on a socket."""

    role: str
    instrument: CheckedInstrument
    uses: list[Use]

    def read(self) -> NDArray[Any]:
        """Its numbers; whatever happens, soon."""
        began = time.monotonic()
        try:
            return np.atleast_1d(READ[self.role](self.instrument))
        finally:
            assert time.monotonic() - began < LONGEST

    def agree(self, numbers: NDArray[Any], clean: NDArray[Any]) -> bool:
        """Whether these are the same quantities, in the same places; noise may change them by a factor of 3."""
        if numbers.shape != clean.shape:
            return False
        ratio = np.abs(numbers) / np.abs(clean)
        return bool(np.all((ratio > 1 / 3) & (ratio < 3)))


@pytest.fixture(params=DRIVERS, ids=[role for role, *_ in DRIVERS])
def spoken(request: pytest.FixtureRequest, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spoken]:
    role, kind, prepare, uses = request.param
    monkeypatch.setattr(trace_analyzer, "TIMEOUT_MARGIN", TIMEOUT)
    manager = pyvisa.ResourceManager("@py")
    instrument = kind(f"tcp_{role}", lab.server.addresses[role], visalib="@py", timeout=TIMEOUT)
    try:
        prepare(instrument)
        if role in ("bias", "lockin"):
            lab.leave(2e-3, output=True)  # readings that are not just noise
        time.sleep(0.1)  # the lock-in's filter settles: 0.4 s of the twin's time
        yield Spoken(role, instrument, uses)
    finally:
        lab.control(do="clear")
        instrument.close()
        Instrument.close_all()
        manager.close()


@pytest.mark.parametrize("kind", ["swap", "delay", "garble", "drop"])
def test_a_number_is_the_right_one_or_an_error(lab: Lab, spoken: Spoken, kind: str) -> None:
    clean, struck = spoken.read(), 0
    for seed in range(2):
        dice = chance(seed)
        lab.control(do="clear")
        lab.fault(spoken.role, kind, after=dice.randrange(3), count=dice.randrange(1, 3), seconds=1.4 * TIMEOUT)
        for _ in range(3):
            try:
                numbers = spoken.read()
            except InstrumentError as error:
                assert spoken.instrument.name in str(error)
            else:
                if kind != "garble" or spoken.role not in ("analyzer", "vna"):  # a block has no checksum
                    assert spoken.agree(numbers, clean), (kind, seed, numbers, clean)
        struck += sum(lab.control(do="faults")["struck"])
        lab.control(do="clear")
        assert spoken.agree(spoken.read(), clean), "the line is still out of step"
    assert struck >= 2


def test_nothing_but_nonsense_ends_soon(lab: Lab, spoken: Spoken) -> None:
    """34: every answer has bytes in it that no instrument sends."""
    lab.fault(spoken.role, "garble", count=None)
    for use in reversed(spoken.uses):  # after a failed prepare(), nothing else would be asked
        began = time.monotonic()
        with pytest.raises(InstrumentError, match=spoken.instrument.name):
            use(spoken.instrument)
        assert time.monotonic() - began < LONGEST
    lab.control(do="clear")
    spoken.uses[0](spoken.instrument)  # prepares it again
    assert spoken.read().size


# --- 14: blocks -------------------------------------------------------------------------------------------------------

BLOCKS = {"analyzer": ":FETC:SAN1?", "vna": ":CALC:DATA? SDATA"}
#: Transfer formats in use: REAL,64 with and without swapped bytes.
FORMATS: dict[type, str] = {KeysightN9030B: "<f8", KeysightN5222B: ">f8"}


@pytest.mark.parametrize("spoken", [one for one in DRIVERS if one[0] in BLOCKS], indirect=True, ids=list(BLOCKS))
def test_a_trace_that_breaks_off_is_given_up_as_a_whole(lab: Lab, spoken: Spoken) -> None:
    whole = spoken.read()
    lab.fault(spoken.role, "truncate", BLOCKS[spoken.role], count=None)
    for _ in range(6):
        with pytest.raises(InstrumentError, match=spoken.instrument.name):
            spoken.read()
    assert min(lab.control(do="faults")["struck"]) >= 6
    lab.control(do="clear")
    assert spoken.read().shape == whole.shape


class CutWire:
    """A line on which the instrument falls silent after some bytes."""

    timeout = 1000.0

    def __init__(self, sent: bytes) -> None:
        self._left = sent

    def write(self, _command: str) -> int:
        return 0

    def read_bytes(self, count: int, **_: Any) -> bytes:
        if count > len(self._left):
            raise pyvisa.VisaIOError(pyvisa.constants.StatusCode.error_timeout)
        found, self._left = self._left[:count], self._left[count:]
        return found


@pytest.mark.parametrize("opened", [one for one in DRIVERS if one[0] in BLOCKS], indirect=True, ids=list(BLOCKS))
def test_wherever_a_block_breaks_off_there_is_no_trace(
    opened: tuple[TraceAnalyzer, list[Use]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cut of a block as this instrument sends it, and every header that announces something else."""
    instrument, _ = opened
    dtype = FORMATS[type(instrument)]
    values = np.linspace(1e-12, 1.0, 22)
    content = values.astype(dtype).tobytes()
    block = b"#3%03d" % len(content) + content + b"\n"

    def received(sent: bytes) -> NDArray[np.float64]:
        instrument._in_step = True
        wire = CutWire(sent)
        with monkeypatch.context() as cut:
            cut.setattr(CheckedInstrument, "visa_handle", property(lambda _: wire), raising=False)
            return instrument.ask_block("TRACE?", 22, dtype)

    np.testing.assert_array_equal(received(block), values)
    for length in range(len(block)):
        with pytest.raises((ReadingError, CommunicationError)):
            received(block[:length])
    for header in (b"#0", b"#9", b"#3184", b"#3168", b"#3 76", b"#2176", b"176", b"\n#3176", b"#3-17"):
        with pytest.raises((ReadingError, CommunicationError)):
            received(header + content + b"\n")
    with pytest.raises(ReadingError):
        received(block[:-1] + content + b"\n")  # the end of one answer and another behind it
