"""What the classes of a station's instruments say of a measurement, before any of them is opened."""

from pymeasure.experiment import Procedure

from labnis.errors import RequestError
from labnis.printable import sentence
from labnis.station import StationConfig
from labnis.station.connecting import instrument_class
from labnis.station.role_check import missing_members

__all__ = ["check_instruments"]


def check_instruments(procedure: Procedure, config: StationConfig) -> None:
    """Check capabilities and settings that a `procedure` needs with the classes of the instruments.

    Raises
    ------
    RequestError
        An instrument lacks what a parameter needs, or its class refuses a setting.

    """
    _check_capabilities(procedure, config)
    _check_settings(procedure, config)


def _check_capabilities(procedure: Procedure, config: StationConfig) -> None:
    """Refuse a parameter that needs more than the class of an instrument can, as far as its class tells."""
    for role, (protocol, parameter) in getattr(procedure, "capabilities", dict)().items():
        spec = config.roles.get(role)
        if spec is None or getattr(spec, "channel", None) is not None:
            continue  # missing, which is reported; or a part of an instrument, which has its class when it is open
        kind = instrument_class(config, spec.instrument)
        if missing := missing_members(kind, protocol):
            name = type(procedure).__name__
            raise RequestError(
                f"{name}: {parameter} cannot be used with {spec.instrument}, the {role}: its class "
                f"{kind.__module__}.{kind.__name__} lacks {', '.join(missing)} (drivers.capabilities."
                f"{protocol.__name__}). Leave {parameter} out. No instrument was touched."
            )


def _check_settings(procedure: Procedure, config: StationConfig) -> None:
    """Check the procedure's settings with the instruments' classes, where those support it."""
    for role, settings in getattr(procedure, "instrument_settings", dict)().items():
        if role not in config.roles:
            continue  # optional, or reported as missing when the station is opened
        instrument = config.roles[role].instrument
        check = getattr(instrument_class(config, instrument), "check_settings", None)
        if check is None:
            continue
        try:
            check(**settings)
        except ValueError as error:
            raise RequestError(
                f"{type(procedure).__name__} cannot be run with {instrument}, the {role}: {sentence(error)} "
                "No instrument was touched."
            ) from error
