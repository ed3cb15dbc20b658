"""Which front panel stands in which role around the simulated device, however clients reach it."""

from sim_instruments.front_panel import FrontPanel
from sim_instruments.keithley_2450 import Keithley2450Panel
from sim_instruments.keysight_n5222b import KeysightN5222BPanel
from sim_instruments.keysight_n9030b import KeysightN9030BPanel
from sim_instruments.lakeshore_372 import LakeShore372Panel
from sim_instruments.sr830 import SR830Panel
from sim_instruments.world import World

__all__ = ["PANELS", "front_panels"]

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
