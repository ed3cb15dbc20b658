from .bias.checked_reading import BiasMismatchError
from .bias.ramped_bias import BiasUnknownError, RampedBias
from .checking import check_station
from .clock import SystemClock
from .config import StationConfig, load_station
from .connecting import VisaListener, instrument_class
from .discovering import FoundInstrument, discovered
from .document import read_document
from .opening import OpenStation, open_station
from .packages import import_named_in_file, import_object
from .proposing import station_lines
from .role_readings import RoleReading, read_roles
from .role_spec import RoleSpec, SetpointSpec
from .sections import Device, Interlock, Island, Limits
from .uncertainty import stated_sources
from .uncertainty_section import Uncertainty

__all__ = [
    "BiasMismatchError",
    "BiasUnknownError",
    "Device",
    "FoundInstrument",
    "Interlock",
    "Island",
    "Limits",
    "OpenStation",
    "RampedBias",
    "RoleReading",
    "RoleSpec",
    "SetpointSpec",
    "StationConfig",
    "SystemClock",
    "Uncertainty",
    "VisaListener",
    "check_station",
    "discovered",
    "import_named_in_file",
    "import_object",
    "instrument_class",
    "load_station",
    "open_station",
    "read_document",
    "read_roles",
    "stated_sources",
    "station_lines",
]
