"""Front panels of the simulated instruments: their remote interfaces, as a VISA session sees them."""

from collections import Counter
from collections.abc import Mapping

from sim_instruments.instruments import PLAIN, SimulatedInstrument, wires_of
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.panels.keithley_2450 import Keithley2450Panel
from sim_instruments.panels.keysight_n5222b import KeysightN5222BPanel
from sim_instruments.panels.keysight_n9030b import KeysightN9030BPanel
from sim_instruments.panels.keysight_truevolt_models import (
    Keysight34460APanel,
    Keysight34461APanel,
    Keysight34465APanel,
    Keysight34470APanel,
)
from sim_instruments.panels.lakeshore_372 import LakeShore372Panel
from sim_instruments.panels.sr830 import SR830Panel
from sim_instruments.panels.yokogawa_gs200 import YokogawaGS200Panel
from sim_instruments.world.fridge import World

__all__ = ["ADDRESSES", "PANELS", "FrontPanel", "front_panels", "panel_of"]

#: Class names of drivers, labnis's own and those of QCoDeS and pymeasure, and their panels.
PANELS: Mapping[str, type[FrontPanel]] = {
    "Keithley2450": Keithley2450Panel,
    "SR830": SR830Panel,
    "KeysightN9030B": KeysightN9030BPanel,
    "KeysightN5222B": KeysightN5222BPanel,
    "LakeShore372": LakeShore372Panel,
    "LakeshoreModel372": LakeShore372Panel,
    "Model_372": LakeShore372Panel,
    "YokogawaGS200": YokogawaGS200Panel,
    "GS200": YokogawaGS200Panel,
    "Keysight34460A": Keysight34460APanel,
    "Keysight34461A": Keysight34461APanel,
    "Keysight34465A": Keysight34465APanel,
    "Keysight34470A": Keysight34470APanel,
}


def panel_of(instrument: SimulatedInstrument) -> type[FrontPanel] | None:
    """The panel of the instrument's model; None if there is none."""
    return next((PANELS[model] for model in instrument.models if model in PANELS), None)


def front_panels(world: World, instruments: Mapping[str, SimulatedInstrument] = PLAIN) -> dict[str, FrontPanel]:
    """The front panels around `world`, just switched on, of those `instruments` that have one, by name."""
    panels: dict[str, FrontPanel] = {}
    count: Counter[type[FrontPanel]] = Counter()
    for name, instrument in instruments.items():
        if (kind := panel_of(instrument)) is not None:
            wires = wires_of(instrument, world.wiring, instruments.values())
            panels[name] = kind(world, wires, count[kind])
            count[kind] += 1
    return panels


#: VISA resource name of each instrument of plain `@labnis`.
ADDRESSES = {name: kind.resource.format(0) for name, one in PLAIN.items() if (kind := panel_of(one)) is not None}
