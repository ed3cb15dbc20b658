"""Stand-ins for instruments without a front panel: objects that fill the roles of a station directly."""

from collections.abc import Mapping

from sim_instruments.stand_ins.analyzers import NetworkAnalyzer, SpectrumAnalyzer
from sim_instruments.stand_ins.meters import LockIn, Meter, Reading, Thermometer
from sim_instruments.stand_ins.sources import BiasSource, Setpoint, Stage
from sim_instruments.stand_ins.stand_in import Errors, Place, SimulatedError, StandIn

__all__ = ["Errors", "Place", "SimulatedError", "stand_in"]

KINDS: Mapping[str, type[StandIn]] = {
    "bias": BiasSource,
    "ammeter": Meter,
    "voltmeter": Meter,
    "lockin": LockIn,
    "analyzer": SpectrumAnalyzer,
    "vna": NetworkAnalyzer,
    "thermometer": Thermometer,
    "setpoint": Setpoint,
    "stage": Stage,
    "reading": Reading,
}


def stand_in(place: Place) -> Mapping[str, StandIn]:
    """Stand-ins of the instrument at `place`: role → object that fills it.

    Raises
    ------
    ValueError
        A role is of an unknown kind.

    """
    for role in place.instrument.roles:
        if role.kind not in KINDS:
            raise ValueError(f"the role {role.name} is of kind {role.kind!r}; the twin simulates {', '.join(KINDS)}")
    return {role.name: KINDS[role.kind](place, role) for role in place.instrument.roles}
