"""Front panels of the simulated instruments: their remote interfaces, as a VISA session sees them."""

from collections import Counter
from collections.abc import Mapping

from sim_instruments.instruments import PLAIN, SimulatedInstrument, wires_of
from sim_instruments.panels.basel_sp983a import BaselSP983aPanel
from sim_instruments.panels.copper_mountain import (
    CopperMountainM5065Panel,
    CopperMountainM5180Panel,
    CopperMountainS5048Panel,
)
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.panels.keithley_2400 import Keithley2400Panel
from sim_instruments.panels.keithley_2450 import Keithley2450Panel
from sim_instruments.panels.keithley_2600b import KEITHLEY_2600B
from sim_instruments.panels.keithley_6430 import Keithley6430Panel
from sim_instruments.panels.keithley_dmm6500 import KeithleyDMM6500Panel
from sim_instruments.panels.keysight_b29xx import KeysightB29xxPanel
from sim_instruments.panels.keysight_e5080b import KeysightE5080BPanel
from sim_instruments.panels.keysight_n5222b import KeysightN5222BPanel
from sim_instruments.panels.keysight_n5230c import KeysightN5230CPanel
from sim_instruments.panels.keysight_n5245a import KeysightN5245APanel
from sim_instruments.panels.keysight_n9020b import KeysightN9020BPanel
from sim_instruments.panels.keysight_n9030b import KeysightN9030BPanel
from sim_instruments.panels.keysight_truevolt_models import (
    Keysight34460APanel,
    Keysight34461APanel,
    Keysight34465APanel,
    Keysight34470APanel,
)
from sim_instruments.panels.lakeshore_336 import LakeShore336Panel
from sim_instruments.panels.lakeshore_370 import LakeShore370Panel
from sim_instruments.panels.lakeshore_372 import LakeShore372Panel
from sim_instruments.panels.oxford_triton import OxfordTritonPanel
from sim_instruments.panels.qdac2 import QDac2Panel
from sim_instruments.panels.rohde_schwarz_fsv import RohdeSchwarzFSVPanel
from sim_instruments.panels.rohde_schwarz_fsw import RohdeSchwarzFSWPanel
from sim_instruments.panels.rohde_schwarz_znb import (
    RohdeSchwarzZNB8Panel,
    RohdeSchwarzZNB20Panel,
    RohdeSchwarzZNB40Panel,
)
from sim_instruments.panels.sim900 import SIM900Panel
from sim_instruments.panels.sr570 import SR570Panel
from sim_instruments.panels.sr830 import SR830Panel
from sim_instruments.panels.sr860 import SR860Panel, SR865APanel, SR865Panel
from sim_instruments.panels.yokogawa_gs200 import YokogawaGS200Panel
from sim_instruments.world.fridge import World

__all__ = ["ADDRESSES", "PANELS", "FrontPanel", "front_panels", "panel_of"]

#: Class names of drivers, labnis's own and those of QCoDeS and pymeasure, and their panels.
PANELS: Mapping[str, type[FrontPanel]] = {
    "Keithley2400": Keithley2400Panel,
    "Keithley2450": Keithley2450Panel,
    "Keithley6430": Keithley6430Panel,
    "Keithley_6430": Keithley6430Panel,
    **KEITHLEY_2600B,
    "SR830": SR830Panel,
    "SR860": SR860Panel,
    "SR865": SR865Panel,
    "SR865A": SR865APanel,
    "KeysightN9030B": KeysightN9030BPanel,
    "KeysightN9020B": KeysightN9020BPanel,
    "Agilent_N9000A": KeysightN9020BPanel,
    "RohdeSchwarzFSV": RohdeSchwarzFSVPanel,
    "RFSpectrumAnalyzer": RohdeSchwarzFSVPanel,
    "FSL": RohdeSchwarzFSVPanel,
    "RohdeSchwarzFSW": RohdeSchwarzFSWPanel,
    "FSW": RohdeSchwarzFSWPanel,
    "KeysightN5222B": KeysightN5222BPanel,
    "KeysightN5245A": KeysightN5245APanel,
    "KeysightN5230C": KeysightN5230CPanel,
    "KeysightE5080B": KeysightE5080BPanel,
    "KeySight_E5080B": KeysightE5080BPanel,
    "RohdeSchwarzZNB8": RohdeSchwarzZNB8Panel,
    "RohdeSchwarzZNB20": RohdeSchwarzZNB20Panel,
    "RohdeSchwarzZNB40": RohdeSchwarzZNB40Panel,
    "RohdeSchwarzZNB": RohdeSchwarzZNB20Panel,
    "CopperMountainM5065": CopperMountainM5065Panel,
    "CopperMountainM5180": CopperMountainM5180Panel,
    "M5180": CopperMountainM5180Panel,
    "CopperMountainS5048": CopperMountainS5048Panel,
    "LakeShore336": LakeShore336Panel,
    "LakeshoreModel336": LakeShore336Panel,
    "LakeShore370": LakeShore370Panel,
    "LakeShore372": LakeShore372Panel,
    "LakeshoreModel372": LakeShore372Panel,
    "Model_372": LakeShore372Panel,
    # Not QCoDeS's OxfordTriton, which opens a socket of its own: in a dry run it gets a stand-in.
    "TritonFridge": OxfordTritonPanel,
    "YokogawaGS200": YokogawaGS200Panel,
    "GS200": YokogawaGS200Panel,
    "QDac2": QDac2Panel,
    "KeysightB29xx": KeysightB29xxPanel,
    "KeysightB2962A": KeysightB29xxPanel,
    "SIM928": SIM900Panel,
    "KeithleyDMM6500": KeithleyDMM6500Panel,
    "Keithley6500": KeithleyDMM6500Panel,
    "Keithley_6500": KeithleyDMM6500Panel,
    "BaselSP983a": BaselSP983aPanel,
    "SR570": SR570Panel,
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
