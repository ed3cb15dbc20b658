"""What limits the current through the device, in words."""

import math

from labnis.fit import number_text
from labnis.station import StationConfig, instrument_class
from labnis.station.role_check import source_class

__all__ = ["compliance_text"]


def compliance_text(config: StationConfig) -> str:
    """What limits the current: the compliance, at the source or on the current that is read, or nothing."""
    source, limit = config.bias.instrument, config.limits.compliance
    if not config.source_limits_current:
        return f"nothing limits the current at {source}: its role names no compliance"
    kind = source_class(instrument_class(config, source), config.bias.channel)
    own = float(getattr(kind, "smallest_compliance", 0.0))
    text = f"compliance {number_text(limit, 'A')}"
    if own <= limit:
        return text
    limits = "has none" if math.isinf(own) else f"has {number_text(own, 'A')} or more"
    return f"{text}, a limit on the current that is read: {source} itself {limits}"
