"""How long a reading of the bias takes, as the classes of the instruments say: known before any of them is opened."""

from labnis.station import StationConfig
from labnis.station.connecting import instrument_class
from labnis.station.role_check import source_class

__all__ = ["reading_time"]


def reading_time(config: StationConfig, integration_time: float) -> float:
    """Time (s) of one reading of the bias with its meters and the fridge, each after the other; without messages.

    Parameters
    ----------
    config
        Of the station.
    integration_time
        Of the current (s). A class that does not say how long it takes (`drivers.capabilities.TimedReading`) counts as
        one that integrates for just that; a source that does not read the current, and a thermometer, take no time.

    """
    own = integration_time if config.source_reads_current else 0.0
    known = {"bias": own, "current": integration_time, "voltage": integration_time, "fridge": 0.0}
    if config.source_reads_current:
        known.pop("current")
    return sum(_of_role(config, role, integration_time, otherwise) for role, otherwise in known.items())


def _of_role(config: StationConfig, role: str, integration_time: float, otherwise: float) -> float:
    spec = config.roles.get(role)
    if spec is None:
        return 0.0
    kind = source_class(instrument_class(config, spec.instrument), spec.channel)
    timed = getattr(kind, "reading_time", None)
    return otherwise if timed is None else float(timed(integration_time, config.wiring.line_frequency))
