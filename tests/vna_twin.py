"""A twin of one network analyzer of any model, for tests of drivers and panels."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qcodes.instrument import Instrument

from drivers.errors import InstrumentError
from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from sim_instruments.visa import LabnisVisaLibrary
from tests.acquiring import acquired

SWEEP: dict[str, Any] = {
    "center": 4.67e9,
    "span": 100e6,
    "points": 101,
    "power": -10.0,
    "if_bandwidth": 1000.0,
    "averages": 4,
}


@contextmanager
def vna_twin(model: str) -> Iterator[Twin]:
    """The twin of a `model`, named vna, just switched on."""
    instruments = {"vna": SimulatedInstrument("vna", (model,), (SimulatedRole("vna", "vna"),))}
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=instruments) as found:
        yield found
        Instrument.close_all()


def panel_of(instrument: Any) -> Any:
    """The panel that an opened instrument speaks to."""
    library = instrument.visa_handle.visalib
    assert isinstance(library, LabnisVisaLibrary)
    return library.panels["vna"]


def true_reflection(panel: Any, axis: NDArray[np.float64], power: float = -10.0) -> NDArray[np.complex128]:
    """S11 at a power (dBm) without noise: in a vanishing bandwidth."""
    found: NDArray[np.complex128] = panel.world.reflection(axis, 1e-3 * 10 ** (power / 10), 1e-12)
    return found


def require_right(vna: Any) -> None:
    """One acquisition has the World's reflection."""
    measured = acquired(vna)
    expected = true_reflection(panel_of(vna), vna.frequencies())
    np.testing.assert_allclose(measured, expected, atol=0.15 * np.max(np.abs(expected)))


def session(vna: Any) -> list[float]:
    """Numbers of two different sweeps."""
    found: list[float] = []
    for center, points, averages in ((4.62e9, 21, 4), (4.67e9, 11, 2)):
        vna.prepare(**{**SWEEP, "center": center, "points": points, "averages": averages})
        trace, axis = acquired(vna), vna.frequencies()
        found += [axis[0], axis[-1], len(trace), abs(trace[0]), vna.duration()]
    return found


def require_no_wrong_number(kind: Any, twin: Twin, played: Callable[[Any], list[float]] = session) -> None:
    """Play a session with each answer replaced by the one before, once: an error of ours, or the right numbers."""
    clean: list[float] = []
    for at in range(-1, 400):
        vna = kind(f"vna_{at + 1}", twin.addresses["vna"], visalib=twin.visalib, timeout=0.5)
        panel = panel_of(vna)
        panel.switch_on()
        behind = Behind(panel.execute, at)
        panel.execute = behind.execute
        try:
            found = played(vna)
        except InstrumentError as error:
            assert vna.name in str(error)
            found = []
        finally:
            del panel.execute
        vna.close()
        clean = clean or found
        assert not found or np.allclose(found, clean, rtol=0.1), f"answer {at}: {found}, right are {clean}"
        if behind.answered <= at:
            break
    assert clean


class Behind:
    """A panel whose answer number `at` is the one before."""

    def __init__(self, honest: Callable[[str], list[bytes]], at: int) -> None:
        self._honest, self._at = honest, at
        self.answered, self._before = 0, [b""]

    def execute(self, message: str) -> list[bytes]:
        """Answer a message."""
        answer = self._honest(message)
        if answer:
            number, self.answered = self.answered, self.answered + 1
            if number == self._at:
                answer, self._before = self._before, answer
            else:
                self._before = answer
        return answer


def require_power_before_output(vna: Any, monkeypatch: pytest.MonkeyPatch, power: str, *outputs: str) -> None:
    """A preparation sends `power` (the beginning of its command), and only then each of the `outputs`."""
    panel = panel_of(vna)
    sent: list[str] = []
    honest = panel.execute_unit
    monkeypatch.setattr(panel, "execute_unit", lambda unit: sent.append(unit) or honest(unit))
    vna.prepare(**SWEEP)
    set_at = next(at for at, unit in enumerate(sent) if unit.startswith(power))
    assert all(sent.index(output) > set_at for output in outputs)
