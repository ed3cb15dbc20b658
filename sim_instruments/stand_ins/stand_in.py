"""Base class of stand-ins: place at the simulated fridge, and time of each message."""

from collections.abc import Callable
from dataclasses import dataclass

from sim_instruments.world import Clock, Wires, World

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
    name
        Name of the instrument in the station file.
    world
        The simulated fridge.
    wires
        Connections of the instrument.
    errors
        Exceptions that it raises.

    """

    name: str
    world: World
    wires: Wires
    errors: Errors


class StandIn:
    """An instrument in one role.

    Parameters
    ----------
    place
        Its place at the simulated fridge.

    """

    def __init__(self, place: Place) -> None:
        self.name = place.name
        self._world = place.world
        self._wires = place.wires
        self._errors = place.errors

    @property
    def _clock(self) -> Clock:
        return self._world.clock

    def _exchange(self) -> None:
        """Wait for the time of one command or query."""
        self._clock.sleep(EXCHANGE)
