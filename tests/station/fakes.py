"""A bias source and a clock for unit tests: no protocol, no physics, every write in a log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.errors import CommunicationError
from drivers.roles import SourceReading
from labnis.station import Limits

LIMITS = Limits(maximum_bias=6e-3, maximum_step=0.1e-3, ramp_rate=5e-3, compliance=5e-6)


class FakeClock:
    """Time that advances with every sleep and write."""

    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


@dataclass(frozen=True)
class FakePanels:
    """A twin with panels only."""

    visalib: str
    addresses: Mapping[str, str]
    clock: FakeClock = field(default_factory=FakeClock)
    stand_ins: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class FakeSource:
    """A source-meter; `broken` names the methods that fail, `ignores` those without effect."""

    clock: FakeClock = field(default_factory=FakeClock)
    value: float = 0.0
    output: bool = False
    latency: float = 0.0
    writes: list[tuple[float, float]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    ignores: set[str] = field(default_factory=set)
    lost_answers: int = 0
    meter_offset: float = 0.0
    settings: dict[str, float] = field(default_factory=dict)

    def _call(self, name: str) -> bool:
        self.calls.append(name)
        self.clock.now += self.latency
        if name in self.broken:
            raise CommunicationError("fake", f"no answer to {name}.")
        return name not in self.ignores

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        if self._call("prepare"):
            self.settings = {
                "maximum_voltage": maximum_voltage,
                "maximum_current": maximum_current,
                "compliance": compliance,
                "integration_time": integration_time,
            }

    def output_on(self) -> None:
        if self._call("output_on"):
            self.output = True

    def output_off(self) -> None:
        if self._call("output_off"):
            self.output = False

    def output_enabled(self) -> bool:
        self._call("output_enabled")
        return self.output

    def set_level(self, voltage: float) -> None:
        if self._call("set_level"):
            self.value = voltage
            self.writes.append((self.clock.now, voltage))

    def level(self) -> float:
        self._call("level")
        if self.lost_answers:
            self.lost_answers -= 1
            raise CommunicationError("fake", "the answer to level was lost.")
        return self.value

    def read(self) -> SourceReading:
        self._call("read")
        voltage = self.value if self.output else 0.0
        return SourceReading(voltage + self.meter_offset, voltage / 1e4)
