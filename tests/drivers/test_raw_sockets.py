"""Every driver whose instrument has a panel, at a raw socket, which does not say where a message ends."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import pyvisa
from qcodes.instrument import Instrument

from sim_instruments.panels import PANELS
from sim_instruments.visa import LabnisVisaLibrary
from sim_instruments.world import Wires, World
from tests.served_panel import served
from tests.shipped_twin import VISALIB
from tests.test_house_rules import DRIVERS, instruments_of

KINDS = {kind.__name__: kind for module in DRIVERS for kind in instruments_of(module)}
NUMBERS = itertools.count()


def panel_type(kind: Any) -> Any:
    return next((PANELS[base.__name__] for base in kind.__mro__ if base.__name__ in PANELS), None)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    manager = pyvisa.ResourceManager(VISALIB)
    library = manager.visalib
    assert isinstance(library, LabnisVisaLibrary)
    library.reset()
    yield library.world
    Instrument.close_all()
    manager.close()


@pytest.mark.parametrize(
    "name", [name for name, kind in KINDS.items() if getattr(panel_type(kind), "identification", "")]
)
def test_it_is_opened_and_no_query_of_a_snapshot_is_without_an_answer(
    name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run reads all settings twice: each missing answer would take the timeout, 5 s."""
    monkeypatch.setattr("drivers.line.MOST_UNANSWERED", 0)
    kind = KINDS[name]
    panel = panel_type(kind)(world, Wires(), 0)
    with served(panel) as port:
        opened = kind(f"raw{next(NUMBERS)}", f"TCPIP0::127.0.0.1::{port}::SOCKET", visalib="@py")
        identity = opened.get_idn()
        assert str(identity["serial"]) in panel.identification
        opened.snapshot(update=True)
        opened.close()
