"""Stand-ins for instruments without a front panel: objects that fill the roles of a station directly."""

from sim_instruments.stand_ins.making import stand_in
from sim_instruments.stand_ins.stand_in import Errors, SimulatedError

__all__ = ["Errors", "SimulatedError", "stand_in"]
