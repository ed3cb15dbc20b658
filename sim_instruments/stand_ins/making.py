"""Create the stand-ins of an instrument of the station, one for each role."""

from collections.abc import Callable, Collection, Mapping

from sim_instruments.instruments import SimulatedInstrument, SimulatedRole, signal_of, stage_of, wires_of
from sim_instruments.stand_ins.analyzers import NetworkAnalyzer, SpectrumAnalyzer
from sim_instruments.stand_ins.meters import LockIn, Meter, Reading, Thermometer
from sim_instruments.stand_ins.sources import BiasSource, Setpoint
from sim_instruments.stand_ins.stand_in import Errors, Place, StandIn
from sim_instruments.world import World

__all__ = ["stand_in"]


def stand_in(
    instrument: SimulatedInstrument, world: World, all_instruments: Collection[SimulatedInstrument], errors: Errors
) -> Mapping[str, StandIn]:
    """Stand-ins of `instrument`, one of `all_instruments`: role → object that fills it.

    Raises
    ------
    ValueError
        A role is of an unknown kind.

    """
    wires = wires_of(instrument, world.wiring, all_instruments)
    place = Place(instrument.name, world, wires, errors)
    for role in instrument.roles:
        if role.kind not in _KINDS:
            raise ValueError(f"the role {role.name} is of kind {role.kind!r}; the twin knows {', '.join(_KINDS)}")
    return {role.name: _KINDS[role.kind](role, place, all_instruments) for role in instrument.roles}


def _source(role: SimulatedRole, place: Place, all_instruments: Collection[SimulatedInstrument]) -> StandIn:
    (own,) = (one for one in all_instruments if one.name == place.name)
    return BiasSource(place, role.options, is_ammeter=own.plays("ammeter"))


def _meter(role: SimulatedRole, place: Place, all_instruments: Collection[SimulatedInstrument]) -> StandIn:
    return Meter(place, signal_of(role, place.world.wiring, all_instruments), amplified=role.amplifier is not None)


def _reading(role: SimulatedRole, place: Place, _: Collection[SimulatedInstrument]) -> StandIn:
    value = place.world.truth.readings.get(role.name, 0.0)
    return Reading(place, value, str(role.options.get("unit") or ""))


_KINDS: Mapping[str, Callable[[SimulatedRole, Place, Collection[SimulatedInstrument]], StandIn]] = {
    "bias": _source,
    "ammeter": _meter,
    "voltmeter": _meter,
    "lockin": lambda _, place, __: LockIn(place),
    "analyzer": lambda _, place, __: SpectrumAnalyzer(place),
    "vna": lambda _, place, __: NetworkAnalyzer(place),
    "thermometer": lambda role, place, _: Thermometer(place, stage_of(role)),
    "setpoint": lambda role, place, _: Setpoint(place, role.options),
    "reading": _reading,
}
