"""The station: station.yaml → checked configuration → open instruments in their roles, limits and lock.

::

    config = load_station(Path("station.yaml"))
    with open_station(config, required_roles=["bias", "vna"]) as station:
        station.bias.prepare(maximum_bias=1e-3, maximum_current=1e-6, integration_time=0.02)
        ...  # a procedure, with station.roles
        station.bias.shutdown()
"""

from labnis.station.bias import BiasMismatchError, BiasUnknownError, RampedBias
from labnis.station.clock import SystemClock
from labnis.station.config import Interlock, Island, Limits, RoleNames, StationConfig, load_station
from labnis.station.opening import OpenStation, open_station

__all__ = [
    "BiasMismatchError",
    "BiasUnknownError",
    "Interlock",
    "Island",
    "Limits",
    "OpenStation",
    "RampedBias",
    "RoleNames",
    "StationConfig",
    "SystemClock",
    "load_station",
    "open_station",
]
