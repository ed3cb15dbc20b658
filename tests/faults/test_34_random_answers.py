"""34: random bytes as answers, for every driver: an error of the drawn tree, and never a wait without end.

A driver is opened on the twin and then spoken to by a wire that answers whatever it likes.
"""

import random
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pyvisa
from pyvisa_py.protocols import xdrlib  # type: ignore[import-untyped]  # it has no types
from pyvisa_py.protocols.rpc import RPCUnpackError  # type: ignore[import-untyped]  # it has no types
from pyvisa_py.protocols.vxi11 import Vxi11Error  # type: ignore[import-untyped]  # it has no types
from pyvisa_py.sessions import OpenError  # type: ignore[import-untyped]  # it has no types
from qcodes.instrument import Instrument

from drivers import trace_analyzer
from drivers.errors import InstrumentError
from drivers.keithley_2450 import Keithley2450
from drivers.keysight_n5222b import KeysightN5222B
from drivers.keysight_n9030b import KeysightN9030B
from drivers.lakeshore_372 import LakeShore372
from drivers.scpi import CheckedInstrument
from drivers.sr830 import SR830
from sim_instruments import ADDRESSES, SHIPPED_TRUTH
from tests.acquiring import acquired
from tests.faults.measuring import chance

SWEEP = {"center": 4.67e9, "span": 1e8, "points": 11, "averages": 1}
LEVELS = {"maximum_voltage": 1e-3, "maximum_current": 1e-6, "compliance": 1e-6, "integration_time": 0.02}
LOCKIN = {"amplitude": 0.01, "frequency": 77.7, "time_constant": 0.03, "sensitivity": 0.1}
ANALYZER = SWEEP | {"resolution_bandwidth": 1e5, "sweep_time": 0.01}
VNA = SWEEP | {"power": -30.0, "if_bandwidth": 1e4}

SEEDS = 200

BROKEN = (
    ConnectionResetError("gone"), pyvisa.errors.InvalidSession(), RPCUnpackError("denied"), xdrlib.ConversionError("0"),
    Vxi11Error("array length too long"), OpenError(), RuntimeError("Connection was dropped by server."), EOFError(),
    struct.error("unpack requires a buffer of 16 bytes"), MemoryError("socket.recv_into scribbled past end"),
    ValueError("session"), Exception("error creating link: 9"), TypeError("buffer"),
)  # fmt: skip
"""What PyVISA and the protocols of PyVISA-py raise where a connection breaks, beside VisaIOError."""

Use = Callable[[Any], object]
DRIVERS: list[tuple[str, type[CheckedInstrument], Use, list[Use]]] = [
    (
        "bias",
        Keithley2450,
        lambda it: it.prepare(**LEVELS),
        [
            lambda it: it.prepare(**LEVELS),
            lambda it: it.output_on(),
            lambda it: it.output_enabled(),
            lambda it: it.set_level(1e-4),
            lambda it: it.level(),
            lambda it: it.read(),
            lambda it: it.output_off(),
        ],
    ),
    (
        "lockin",
        SR830,
        lambda it: it.prepare(**LOCKIN),
        [
            lambda it: it.prepare(**LOCKIN),
            lambda it: it.read(),
            lambda it: it.settling_time(),
            lambda it: it.read_auxiliary(1),
            lambda it: it.quiet(),
        ],
    ),
    (
        "analyzer",
        KeysightN9030B,
        lambda it: it.prepare(**ANALYZER),
        [lambda it: it.prepare(**ANALYZER), acquired],
    ),
    (
        "vna",
        KeysightN5222B,
        lambda it: it.prepare(**VNA),
        [lambda it: it.prepare(**VNA), acquired],
    ),
    ("fridge", LakeShore372, lambda it: it.temperature(), [lambda it: it.temperature(), lambda it: it.check_errors()]),
]


class MadWire:
    """In place of a VISA resource: takes every command, but some answers, or all, are whatever it likes, or none."""

    timeout = 1000.0
    session = 0
    interface_type = pyvisa.constants.InterfaceType.gpib
    read_termination = "\n"

    def __init__(self, seed: int, true_wire: Any) -> None:
        self.visalib = self
        self.asked = 0
        self._random = chance(seed)
        self._true = true_wire
        # From a wire on which now and then an answer is wrong to one that never says anything right.
        self._madness = self._random.choice([0.02, 0.1, 0.5, 1.0])

    def write(self, command: str) -> int:
        return int(self._true.write(command))

    def read_bytes(self, count: int, *, break_on_termchar: bool = False) -> bytes:
        if not self._mad():
            return bytes(self._true.read_bytes(count, break_on_termchar=break_on_termchar))
        answer = self._answer()  # the true answer comes at a wrong time, or is thrown away
        if break_on_termchar:
            return answer + b"\n" * (self._random.random() < 0.8)
        return answer[:count].ljust(count, b"0") if self._random.random() < 0.8 else answer[:count]

    def clear(self, _session: int = 0) -> None:
        if self._mad():
            self._answer()
        self._true.clear()

    def _mad(self) -> bool:
        self.asked += 1
        return self._random.random() < self._madness

    def _answer(self) -> bytes:
        dice: random.Random = self._random
        match dice.randrange(8):
            case 0:
                raise pyvisa.VisaIOError(pyvisa.constants.StatusCode.error_timeout)
            case 1:
                raise dice.choice(BROKEN)
            case 2 | 3:
                return dice.randbytes(dice.randrange(40))
            case 4:
                return bytes(dice.choices(b"0123456789.,;+-eE#NANINF\"' ", k=dice.randrange(12)))
            case 5:
                return dice.choice([b"nan", b"-inf", b"9.9e37", b"1e400", b"", b"0", b"1", b"-1", b"255", b"#0"])
            case 6:
                return b",".join(dice.choices([b"nan", b"1e-3", b"9.91e37", b"7", b"x"], k=dice.randrange(5)))
        return b'+0,"No error"'


@pytest.fixture(params=DRIVERS, ids=[role for role, *_ in DRIVERS])
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[Any, list[Use]]]:
    role, kind, prepare, uses = request.param
    manager = pyvisa.ResourceManager(f"{SHIPPED_TRUTH}@labnis")
    instrument = kind(f"fuzzed_{role}", ADDRESSES[role], visalib=f"{SHIPPED_TRUTH}@labnis")
    try:
        prepare(instrument)
        yield instrument, uses
    finally:
        instrument.close()
        Instrument.close_all()
        manager.close()


def test_every_answer_is_a_value_or_an_error_of_ours(
    opened: tuple[Any, list[Use]], monkeypatch: pytest.MonkeyPatch
) -> None:
    instrument, uses = opened
    monkeypatch.setattr(trace_analyzer, "TIMEOUT_MARGIN", 0.1)
    # A failed prepare() leaves an analyzer unprepared; here every attempt begins with a prepared one that is in step.
    prepared, confirmed = getattr(instrument, "_prepared", None), dict(instrument._confirmed)
    true_wire, identity = instrument.visa_handle, instrument._identity
    refused = 0
    for seed in range(SEEDS):
        for use in uses:
            instrument._prepared, instrument._in_step = prepared, True
            instrument._confirmed = dict(confirmed)
            instrument._identity = identity if seed % 2 else ""  # without one it cannot be put in step again
            wire = MadWire(seed, true_wire)

            def handle(_: CheckedInstrument, wire: MadWire = wire) -> MadWire:
                return wire

            with monkeypatch.context() as swapped:
                swapped.setattr(CheckedInstrument, "visa_handle", property(handle), raising=False)
                refused += refuses(instrument, use, wire)
            true_wire.clear()
    assert refused > SEEDS / 4


def refuses(instrument: Any, use: Use, wire: MadWire) -> bool:
    """Whether `use` raises an error of the drawn tree; any other is a failure."""
    began = time.monotonic()
    try:
        use(instrument)
    except InstrumentError as error:
        assert instrument.name in str(error)
        return True
    finally:
        assert time.monotonic() - began < 2.0
        assert wire.asked < 2000
    return False
