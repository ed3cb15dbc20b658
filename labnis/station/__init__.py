"""The station: station.yaml → checked configuration → open instruments in their roles, limits and lock.

::

    config = load_station(Path("station.yaml"))
    with open_station(config) as station:
        station.open(["vna"])
        station.bias.prepare(maximum_bias=1e-3, maximum_current=1e-6, integration_time=0.02)
        ...  # a procedure, with station.roles
        station.make_safe()
"""

from labnis.station.bias.ramped_bias import BiasMismatchError, BiasUnknownError, RampedBias
from labnis.station.checking import check_station
from labnis.station.config import StationConfig, load_station
from labnis.station.connecting import VisaListener, instrument_class
from labnis.station.document import read_document
from labnis.station.opening import OpenStation, SystemClock, open_station
from labnis.station.packages import import_named_in_file, import_object
from labnis.station.role_spec import RoleSpec, SetpointSpec
from labnis.station.sections import Device, Interlock, Island, Limits

__all__ = [
    "BiasMismatchError",
    "BiasUnknownError",
    "Device",
    "Interlock",
    "Island",
    "Limits",
    "OpenStation",
    "RampedBias",
    "RoleSpec",
    "SetpointSpec",
    "StationConfig",
    "SystemClock",
    "VisaListener",
    "check_station",
    "import_named_in_file",
    "import_object",
    "instrument_class",
    "load_station",
    "open_station",
    "read_document",
]
