"""What levels a bias source can have, and whether the limits of a station suit them."""

import math
from typing import TYPE_CHECKING, Any

from labnis.errors import RequestError
from labnis.station.bias.ramp import allowed_step

if TYPE_CHECKING:
    from drivers.wiring import Wiring
    from labnis.station.config import StationConfig

__all__ = ["level_step", "require_bias_within", "require_levels"]

_ROUNDING = 1 + 1e-9


def level_step(source: Any) -> float:
    """Step (V) of the levels of `source`, or of its class; 0 if it is fine (`drivers.capabilities.CoarselyStepped`)."""
    return float(getattr(source, "level_step", 0.0))


def require_bias_within(source: Any, name: str, wiring: "Wiring", bias: float, limit: float) -> None:
    """Refuse a largest `bias` (V) that the source's steps would round to one beyond its `limit` (V).

    Raises
    ------
    RequestError
        With the largest one that may be asked for; `name` is the source's.

    """
    step = wiring.bias(level_step(source))
    if not step or round(bias / step) * step <= limit * _ROUNDING:
        return
    raise RequestError(
        f"a bias of {bias:g} V is not allowed: levels of {name} have steps of {step:g} V behind the divider, so that "
        f"it would be {round(bias / step) * step:g} V, and limits.maximum_bias is {limit:g} V. Ask for "
        f"{math.floor(limit / step * _ROUNDING) * step:g} V at most, or use a larger divider."
    )


def require_levels(config: "StationConfig", source: Any) -> None:
    """Refuse limits that `source`, which fills the role `bias`, or its class, cannot hold.

    Raises
    ------
    ConfigurationError
        It cannot reach the largest bias (`drivers.capabilities.LimitedLevel`), or its smallest step is larger than one
        that the limits allow.

    """
    name, wiring, limits = config.bias.instrument, config.wiring, config.limits
    largest = getattr(source, "largest_voltage", math.inf)
    if isinstance(largest, property):  # it depends on the model
        largest = math.inf
    needed = wiring.source_voltage(limits.maximum_bias)
    if needed > largest * _ROUNDING:
        raise config.error(
            ("labnis", "limits", "maximum_bias"),
            f"{limits.maximum_bias:g} V at a divider of {wiring.divider:g} are {needed:g} V of {name}, which has "
            f"{largest:g} V at most; {wiring.bias(largest):g} V are possible",
        )
    step, allowed = wiring.bias(level_step(source)), allowed_step(limits)
    if step > allowed * _ROUNDING:
        key = "maximum_step" if allowed == limits.maximum_step else "ramp_rate"
        raise config.error(
            ("labnis", "limits", key),
            f"allows steps of {allowed:g} V, and levels of {name} have steps of {step:g} V behind the divider of "
            f"{wiring.divider:g}; one of {math.ceil(level_step(source) / allowed / _ROUNDING)} or more is needed",
        )
