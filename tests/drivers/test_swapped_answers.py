"""One swapped answer at any query of any driver: an error or the right numbers, never wrong ones.

A swap is what an instrument does that is one answer behind for a moment: the client gets the answer before in place of
the one to its query.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pytest
from qcodes.instrument import Instrument

from drivers.errors import InstrumentError
from drivers.keithley_2450 import Keithley2450
from drivers.keysight_n5222b import KeysightN5222B
from drivers.keysight_n9030b import KeysightN9030B
from drivers.lakeshore_372 import LakeShore372
from drivers.scpi import CheckedInstrument
from drivers.sr830 import SR830
from sim_instruments import ADDRESSES
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.visa import LabnisVisaLibrary
from tests.acquiring import acquired
from tests.shipped_twin import VISALIB

pytestmark = pytest.mark.faults

Numbers = list[Any]
Session = Callable[[Any, LabnisVisaLibrary], Numbers]


def prepared_source(smu: Keithley2450, largest: float, current: float) -> None:
    smu.prepare(maximum_voltage=largest, maximum_current=current, compliance=5e-6, integration_time=0.02)


def source_session(smu: Keithley2450, twin: LabnisVisaLibrary) -> Numbers:
    """Two preparations for different ranges, and readings at three levels, two of them in a row."""
    found: Numbers = []
    prepared_source(smu, 0.15, 1e-6)
    smu.output_on()
    for level in (1e-3, 3e-3):
        smu.set_level(level)
        twin.clock.sleep(0.1)
        found += [*values_of(smu), smu.level(), smu.output_enabled()]
    twin.panels["bias"].receive(b":SOUR:VOLT 5e-3")  # what changes while the client only reads
    twin.clock.sleep(0.1)
    found += [*values_of(smu), smu.level()]
    twin.panels["bias"].receive(b":SOUR:VOLT 2e-3")
    found.append(smu.level())
    smu.set_level(0.0)
    smu.output_off()
    prepared_source(smu, 1e-3, 1e-8)
    found += [smu.output_enabled(), *smu._ranges]
    return found


def values_of(smu: Keithley2450) -> Numbers:
    reading = smu.read()
    return [reading.voltage, reading.current, reading.voltage_range, reading.current_range]


def lockin_session(lockin: SR830, twin: LabnisVisaLibrary) -> Numbers:
    """Two preparations, each with two readings of all that it reads, while the bias changes."""
    found: Numbers = []
    for time_constant, amplitude in ((0.01, 0.1), (0.03, 0.2)):
        lockin.prepare(amplitude=amplitude, frequency=77.7, time_constant=time_constant, sensitivity=0.1)
        for level in (2e-3, 4e-3):
            twin.world.set_source(level=level, output=True, current_limit=1e-3)
            twin.clock.sleep(20.0)
            x = lockin.read().real
            found += [x, lockin.read_auxiliary(1), lockin.read_auxiliary(2), lockin.settling_time()]
    return [*found, lockin.quiet()]


def analyzer_session(analyzer: KeysightN9030B, _twin: LabnisVisaLibrary) -> Numbers:
    """Two different spectra; numbers of points that could be a bandwidth."""
    found: Numbers = []
    for center, points, bandwidth, averages in ((4.62e9, 1000, 1010.0, 2), (4.71e9, 101, 1e6, 50)):
        analyzer.prepare(
            center=center, span=1e6, points=points, resolution_bandwidth=bandwidth, sweep_time=0.5, averages=averages
        )
        for _ in range(2):
            spectrum = acquired(analyzer)
            axis = analyzer.frequencies()
            found += [axis[0], axis[-1], len(axis), len(spectrum), np.median(spectrum), analyzer.duration()]
    return found


def vna_session(vna: KeysightN5222B, _twin: LabnisVisaLibrary) -> Numbers:
    """Two different sweeps, each measured twice."""
    found: Numbers = []
    for center, points, bandwidth, averages in ((4.62e9, 101, 1e3, 4), (4.67e9, 51, 1e4, 100)):
        vna.prepare(center=center, span=1e8, points=points, power=-10.0, if_bandwidth=bandwidth, averages=averages)
        for _ in range(2):
            trace = acquired(vna)
            axis = vna.frequencies()
            found += [axis[0], axis[-1], len(axis), len(trace), abs(trace[0]), np.angle(trace[0]), vna.duration()]
    return found


def fridge_session(bridge: LakeShore372, _twin: LabnisVisaLibrary) -> Numbers:
    """Temperatures of four stages, and of one without a sensor."""
    found: Numbers = []
    for channel in (1, 2, 3, 4, 1):
        found.append(bridge.channel_temperature(channel))
        bridge.check_errors()
    with pytest.raises(InstrumentError):
        bridge.channel_temperature(7)
    return [*found, bridge.channel_temperature(1)]


SESSIONS: dict[str, tuple[type[CheckedInstrument], Session]] = {
    "bias": (Keithley2450, source_session),
    "lockin": (SR830, lockin_session),
    "analyzer": (KeysightN9030B, analyzer_session),
    "vna": (KeysightN5222B, vna_session),
    "fridge": (LakeShore372, fridge_session),
}


@dataclass
class Behind:
    """A panel that is one answer behind at its answer number `at`, once."""

    panel: FrontPanel
    at: int | None = None
    answered: int = 0
    before: list[bytes] = field(default_factory=list)
    asked: str = ""

    def __post_init__(self) -> None:
        self._honest = self.panel.execute

    def execute(self, message: str) -> list[bytes]:
        answer = self._honest(message)
        if not answer:
            return answer
        number, self.answered = self.answered, self.answered + 1
        if number == self.at:
            self.asked = message
            answer, self.before = self.before, answer
            return answer
        self.before = answer
        return answer


@pytest.fixture(params=SESSIONS)
def role(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param
    Instrument.close_all()


def played(role: str, twin: LabnisVisaLibrary, at: int | None) -> tuple[Numbers | None, Behind]:
    """The numbers of a session with one swap, None if it ended with an error of ours; and what was swapped."""
    kind, session = SESSIONS[role]
    twin.reset()
    instrument = kind(f"behind_{role}", ADDRESSES[role], visalib=VISALIB, timeout=1)
    behind = Behind(twin.panels[role], at)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(behind.panel, "execute", behind.execute)
            return session(instrument, twin), behind
    except InstrumentError as error:
        assert instrument.name in str(error)
        return None, behind
    finally:
        instrument.close()


def test_one_swapped_answer_never_makes_a_wrong_number(role: str, twin: LabnisVisaLibrary) -> None:
    clean, undisturbed = played(role, twin, None)
    assert clean is not None
    wrong, right = [], 0
    for at in count(1):
        found, behind = played(role, twin, at)
        if not behind.asked:
            break
        right += found is not None
        if found is not None and not np.allclose(found, clean, rtol=0.05, atol=0):
            differing = [(a, b) for a, b in zip(found, clean, strict=True) if not np.isclose(a, b, rtol=0.05, atol=0)]
            wrong.append(f"answer {at}, to {behind.asked!r}: {differing} (found, right)")
    assert not wrong, "\n".join(wrong)
    assert at >= undisturbed.answered  # every query was hit
    assert right > 0.1 * at  # and some swaps are overcome
