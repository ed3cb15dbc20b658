"""Front panels of the simulated instruments: what a VISA session sees of them, in their own languages."""

from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.panels.keithley_2450 import Keithley2450Panel
from sim_instruments.panels.keysight_n5222b import KeysightN5222BPanel
from sim_instruments.panels.keysight_n9030b import KeysightN9030BPanel
from sim_instruments.panels.lakeshore_372 import LakeShore372Panel
from sim_instruments.panels.sr830 import SR830Panel
from sim_instruments.world.fridge import World

__all__ = [
    "PANELS",
    "FrontPanel",
    "Keithley2450Panel",
    "KeysightN5222BPanel",
    "KeysightN9030BPanel",
    "LakeShore372Panel",
    "SR830Panel",
    "front_panels",
]

PANELS: dict[str, type[FrontPanel]] = {
    "bias": Keithley2450Panel,
    "lockin": SR830Panel,
    "analyzer": KeysightN9030BPanel,
    "vna": KeysightN5222BPanel,
    "fridge": LakeShore372Panel,
}


def front_panels(world: World) -> dict[str, FrontPanel]:
    """The five front panels of `world`, just switched on, by role."""
    return {role: panel(world) for role, panel in PANELS.items()}
