"""Base class of stand-ins: place at the simulated fridge, and time of each message."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from sim_instruments.instruments import SimulatedInstrument, SimulatedRole, wires_of
from sim_instruments.world import Clock, World

__all__ = ["Errors", "Place", "SimulatedError", "StandIn"]

EXCHANGE = 1e-3
"""Time (s) of one command or query, as on the bus of a front panel."""


class SimulatedError(Exception):
    """A stand-in has no valid reading: instrument, problem."""


@dataclass(frozen=True)
class Errors:
    """Exceptions of stand-ins in place of a driver's: classes that take the instrument's name and the problem.

    Attributes
    ----------
    overload
        The input is overloaded.
    compliance
        The source's current limit acts.

    """

    overload: Callable[[str, str], Exception] = SimulatedError
    compliance: Callable[[str, str], Exception] = SimulatedError


@dataclass(frozen=True)
class Place:
    """Place of a stand-in at the simulated fridge.

    Attributes
    ----------
    instrument
        The instrument of the station that is stood in for.
    world
        The simulated fridge.
    all_instruments
        Instruments of the station.
    errors
        Exceptions that the stand-ins raise.

    """

    instrument: SimulatedInstrument
    world: World
    all_instruments: Collection[SimulatedInstrument]
    errors: Errors


class StandIn:
    """An instrument in one role.

    Parameters
    ----------
    place
        Its place at the simulated fridge.
    role
        Its role in the station file.

    """

    def __init__(self, place: Place, role: SimulatedRole) -> None:
        self.name = place.instrument.name
        self._world = place.world
        self._wires = wires_of(place.instrument, place.world.wiring, place.all_instruments)
        self._errors = place.errors

    @property
    def _clock(self) -> Clock:
        return self._world.clock

    def _exchange(self) -> None:
        """Wait for the time of one command or query."""
        self._clock.sleep(EXCHANGE)
