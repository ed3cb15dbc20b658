"""A bias source made of the parameters of an instrument without the methods of the role."""

import math
from numbers import Real
from typing import Any

from drivers.errors import ComplianceError, ReadingError, SettingError
from drivers.roles import SourceReading
from labnis.station.parameters import Parameter
from labnis.station.role_spec import ALWAYS_ON, BiasSpec

__all__ = ["ParameterSource"]

LARGEST_LEVEL = 3.3e3
"""A voltage (V) beyond every source-meter's."""

AT_LIMIT = 0.99
"""A current of this share of the compliance is limited: the source's own reading of it is not more accurate."""

READABLE = 1.2
"""A reading beyond this many times the range or the compliance is none."""

ON = {"on": True, "off": False, "1": True, "0": False, "true": True, "false": False}


class ParameterSource:
    """Fills `drivers.roles.BiasSource`.

    Parameters
    ----------
    instrument
        The instrument, or the channel of it that is the source.
    spec
        Names of its parameters.
    described
        Name and address, for messages.

    Raises
    ------
    LookupError
        A parameter does not exist.

    """

    def __init__(self, instrument: Any, spec: BiasSpec, described: str) -> None:
        def named(name: str | None, largest: float = math.inf) -> Parameter | None:
            return None if name is None else Parameter(instrument, name, described, possible=(-largest, largest))

        self._described = described
        self._level = Parameter(instrument, str(spec.level), described)
        self.has_switch = spec.output != ALWAYS_ON
        self._output = (
            Switch(instrument, str(spec.output), described, spec.switch) if self.has_switch else NoSwitch(self._level)
        )
        self._range, self._compliance = named(spec.range, LARGEST_LEVEL), named(spec.compliance)
        self._integration_time, self._current = named(spec.integration_time), named(spec.current)
        self._range_in_use, self._limit = math.nan, math.nan

    @property
    def target(self) -> int | tuple[int, str]:
        """Identity of the parameter of the level; see `Parameter.target`."""
        return self._level.target

    def require_settable(self, low: float, high: float) -> None:
        """Check that levels from `low` to `high` (V) can be written; see `Parameter.require_settable`."""
        self._level.require_settable(low, high)

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        """Choose the range and set compliance and integration time where named; level and output do not change.

        Raises
        ------
        SettingError
            A setting reads back differently.

        """
        if self._range is not None:
            self._range_in_use = self._range.set_at_least(max(abs(maximum_voltage), abs(self.level())))
        if self._compliance is not None:
            self._compliance.set_checked(compliance, tolerance=1e-3 * compliance)
            self._limit = compliance
        if self._integration_time is not None:
            self._integration_time.set_checked(integration_time, tolerance=1e-3 * integration_time)

    def output_on(self) -> None:
        """Connect the output."""
        self._output.turn(on=True)

    def output_off(self) -> None:
        """Disconnect the output."""
        self._output.turn(on=False)

    def output_enabled(self) -> bool:
        """Whether the output is on, as the instrument answers."""
        return self._output.is_on()

    def set_level(self, value: float) -> None:
        """Write one level (V)."""
        if not math.isfinite(value):
            raise SettingError(self._described, f"a level of {value} V was requested; nothing was sent.")
        self._level.set_level(value)

    def level(self) -> float:
        """The level (V) as read back.

        Raises
        ------
        ReadingError
            No source has this level.

        """
        found = self._level.read()
        if abs(found) > LARGEST_LEVEL:
            raise ReadingError(self._described, f"reads its level back as {found:g} V, which is not possible.")
        return found

    def read(self) -> SourceReading:
        """The level, and the current (A) where the instrument measures it.

        Raises
        ------
        ComplianceError
            The source is at its current limit.
        ReadingError
            One of them is beyond the range or the compliance that were set.

        """
        current = math.nan if self._current is None else self._current.read()
        reading = SourceReading(self.level(), current, self._range_in_use)
        if abs(reading.voltage) > READABLE * self._range_in_use:
            beyond = f"range of {self._range_in_use:g} V"
        elif abs(current) > READABLE * self._limit:
            beyond = f"compliance of {self._limit:g} A"
        elif abs(current) >= AT_LIMIT * self._limit:
            raise ComplianceError(
                self._described,
                f"is at its current limit of {self._limit:g} A ({current:g} A at {reading.voltage:g} V).",
                "The voltage at the device is not the one that was set: lower the bias or raise the compliance.",
            )
        else:
            return reading
        raise ReadingError(
            self._described,
            f"reads {reading.voltage:g} V and {current:g} A, which is beyond its {beyond}.",
            "The setting was changed, or an answer was late or garbled: check range and compliance at the front panel.",
        )


class NoSwitch:
    """The output of a source without a switch. It counts as off while it has the level at which `turn` left it.

    Before the first `turn` it counts as on, so that its level is ramped to zero.
    """

    def __init__(self, level: Parameter) -> None:
        self._level = level
        self._left_at: float | None = None

    def is_on(self) -> bool:
        """Whether its level may have to be ramped."""
        return self._left_at is None or self._level.read() != self._left_at

    def turn(self, *, on: bool) -> None:
        """Note that it is in use, or its final level."""
        self._left_at = None if on else self._level.read()


class Switch:
    """An output that is on or off, for any names of these states in the driver.

    Parameters
    ----------
    instrument
        The instrument, or the part of it that has the output.
    name
        Parameter or property of the state.
    described
        Name and address of the instrument, for messages.
    methods
        Methods that switch on and off, where the parameter cannot be set.

    """

    def __init__(self, instrument: Any, name: str, described: str, methods: tuple[str, str] | None = None) -> None:
        self._parameter = Parameter(instrument, name, described)
        self._methods = [Parameter(instrument, method, described) for method in methods or ()]
        self._name = name
        self._described = described

    def is_on(self) -> bool:
        """Whether it is on.

        Raises
        ------
        SettingError
            The answer is not a known state.

        """
        found = self._parameter.raw()
        state = found if isinstance(found, bool) else ON.get(str(found).strip().lower())
        if state is None and isinstance(found, Real) and found in (0, 1):
            state = bool(found)
        if state is None:
            raise SettingError(self._described, f"{self._name} reads {found!r}; on or off expected.")
        return state

    def turn(self, *, on: bool) -> None:
        """Switch it, and read it back. Drivers with words for the states get the words.

        Raises
        ------
        SettingError
            It reads another state afterwards.

        """
        if self._methods:
            self._methods[0 if on else 1].raw()
        else:
            states: tuple[Any, Any] = ("off", "on") if isinstance(self._parameter.raw(), str) else (False, True)
            self._parameter.set_level(states[on])
        if self.is_on() is not on:
            raise SettingError(self._described, f"{self._name} does not go {'on' if on else 'off'}.")
