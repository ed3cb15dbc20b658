"""Every driver whose instrument has a panel, at a raw socket, which does not say where a message ends."""

import itertools
from typing import Any

import pytest

from sim_instruments.panels import PANELS
from sim_instruments.visa import LabnisVisaLibrary
from sim_instruments.world import Wires
from tests.served_panel import served
from tests.shipped_twin import shipped_twin  # noqa: F401  # a fixture
from tests.test_house_rules import DRIVERS, instruments_of

KINDS = {kind.__name__: kind for module in DRIVERS for kind in instruments_of(module)}
NUMBERS = itertools.count()


def panel_type(kind: Any) -> Any:
    return next((PANELS[base.__name__] for base in kind.__mro__ if base.__name__ in PANELS), None)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if panel_type(kind)])
def test_it_is_opened_and_all_its_settings_are_read(name: str, twin: LabnisVisaLibrary) -> None:
    kind = KINDS[name]
    panel = panel_type(kind)(twin.world, Wires(), 0)
    with served(panel) as port:
        opened = kind(f"raw{next(NUMBERS)}", f"TCPIP0::127.0.0.1::{port}::SOCKET", visalib="@py")
        identity = opened.get_idn()
        assert str(identity["serial"]) in panel.identification
        opened.snapshot(update=True)
        opened.close()
