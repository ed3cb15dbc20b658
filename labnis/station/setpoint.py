"""A set-point of the station: a gate, a field, a stage temperature; moved by ramps within its limits."""

import logging
import math
from collections.abc import Callable

from drivers.errors import InstrumentError, SettingError
from drivers.roles import Adjustable, Clock
from labnis.errors import RequestError
from labnis.station.bias.level import Level
from labnis.station.bias.ramp import RateLimiter, largest_step
from labnis.station.bias.ramp_executor import RampExecutor
from labnis.station.parameter_source import Switch
from labnis.station.role_spec import SetpointSpec

__all__ = ["RampedSetpoint"]

logger = logging.getLogger(__name__)

WINDOW = 1.0
"""Time (s) over which the mean rate of a set-point does not exceed its limit, by default."""

PATIENCE, POLL = 10.0, 0.2
"""Time (s) beyond that of its ramp that an instrument may need to arrive, and the time between two queries."""


class RampedSetpoint:
    """Fills `drivers.roles.Setpoint`.

    Parameters
    ----------
    target
        Parameter that is written and read back.
    spec
        Limits, rate and end, from the station file.
    clock
        The experiment's clock.
    name
        Role, and name and address of its instrument, for messages.
    unit
        Unit of the value.
    output
        Switches the output; None where there is none.
    on_use
        Called with True before its first move, and with False when it is at its end.
    permit
        Called before each write; raises where nothing may be written any more.

    Attributes
    ----------
    in_use
        Whether it was moved since the last `finish`.
    minimum, maximum, unit
        As in the station file.
    longest_ramp
        Time (s) that ramping to zero takes at most.

    """

    def __init__(
        self,
        target: Adjustable,
        spec: SetpointSpec,
        clock: Clock,
        *,
        name: str,
        unit: str,
        output: Switch | None = None,
        on_use: Callable[[bool], None] = lambda moves: None,
        permit: Callable[[], None] = lambda: None,
    ) -> None:
        self.in_use = False
        self.unit = unit
        self.longest_ramp = spec.longest_ramp
        self.minimum, self.maximum = spec.limits
        largest = max(abs(self.minimum), abs(self.maximum))
        self._spec = spec
        self._name = name
        self._clock = clock
        self._output = output
        self._on_use = on_use
        self._level = Level(target, name, unit=unit, tolerance=spec.tolerance or 1e-3 * largest, permit=permit)
        self._limiter = RateLimiter(spec.step or largest_step(spec.rate, WINDOW), spec.rate, clock)
        self._executor = RampExecutor(self._level, self._limiter)

    def read(self) -> float:
        """The value as the instrument reads it back."""
        return self._level.read_back()

    def output_is_on(self) -> bool | None:
        """Whether its output is on, as the instrument answers; None where the station file names none."""
        return None if self._output is None else self._output.is_on()

    def move_to(self, value: float, *, clock: Clock | None = None) -> None:
        """Ramp to `value` and verify it by reading back; an output that is off is switched on at 0 first.

        Parameters
        ----------
        value
            Within the limits.
        clock
            What to wait by: a clock whose `sleep` raises ends the ramp where it is. The experiment's by default.

        Raises
        ------
        RequestError
            `value` is beyond the limits; nothing was sent.
        InstrumentError
            The instrument failed or does not hold the value.

        """
        if math.isnan(value):
            raise RequestError(f"{self._name}: the requested value is not a number (NaN). Nothing was sent.")
        if not self.minimum <= value <= self.maximum:
            raise RequestError(
                f"{self._name}: {value!r}{f' {self.unit}' if self.unit else ''} is not allowed; {self.minimum:g} to "
                f"{self._level.shown(self.maximum)} are. Nothing was sent."
            )
        if not self.in_use:
            self._on_use(True)
            self.in_use = True
        if self._output is not None and not self._output.is_on():
            self._zero_before_use()
            self._level.permit()
            self._output.turn(on=True)
        self._ramp(self._level.read_back_twice(), value, clock or self._clock)

    def _zero_before_use(self) -> None:
        """Write 0 while the output is still off, if that is allowed."""
        if self.minimum <= 0 <= self.maximum:
            self._level.zero_disconnected()

    def finish(self) -> str:
        """Bring it to its end (`at_end`), from the read-back value.

        Returns
        -------
        str
            Level found and action, in one sentence.

        Raises
        ------
        InstrumentError
            The end was not reached.

        """
        self.in_use = False  # one attempt: what fails now needs a person, not a repetition
        try:
            said = self._brought_to_end()
        except BaseException as error:
            self.in_use = not isinstance(error, Exception)  # interrupted, for example by Ctrl-C in a notebook
            raise
        self._on_use(False)
        return said

    def _brought_to_end(self) -> str:
        if self._spec.at_end == "stay":
            return f"{self._name} stays at {self._stays_at()}"
        before = self._level.read_back_twice()
        if self.minimum <= 0 <= self.maximum:
            self._ramp(before, 0.0, self._clock)
        if self._spec.at_end == "off" and self._output is not None:
            self._level.permit()
            self._output.turn(on=False)
            return f"{self._name} was {self._level.shown(before)}; its output is off now"
        return f"{self._name} was {self._level.shown(before)}; it is 0 now, read back"

    def _stays_at(self) -> str:
        """Where it is; what stays is at its end also where it does not say so."""
        try:
            return self._level.shown(self._level.read_back_twice())
        except InstrumentError as error:
            logger.warning("%s", error)
            return "what cannot be read"

    def _ramp(self, start: float, value: float, clock: Clock) -> None:
        """Ramp, and wait until the value arrives: a magnet follows its set-point with a delay."""
        self._limiter.clock = clock
        if start != value:
            self._executor.move(start, value)
        latest = clock.time() + self._limiter.time_of(value - start) + PATIENCE
        while True:
            try:
                self._level.require(value, "after a ramp")
            except SettingError:
                if clock.time() > latest:
                    raise
                clock.sleep(POLL)
            else:
                return
