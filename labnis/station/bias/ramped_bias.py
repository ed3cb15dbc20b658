"""The bias of the device: moved only by ramps, within the limits, from its read-back level.

All values here are biases behind the divider (V) unless their name says `source`. Writes to the source are never
repeated: after a failed one the level is unknown until the source has been read again.
"""

import logging
import math
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import cast

from drivers.capabilities import SelfRamping
from drivers.errors import InstrumentError, ReadingError, SettingError
from drivers.roles import BiasReading, BiasSource, Clock
from drivers.wiring import Wiring
from labnis.errors import RequestError, TakenOverError
from labnis.station.bias.buffered_sweep import BufferedSweeps
from labnis.station.bias.checked_reading import CheckedReading, device_reading, require_below_compliance
from labnis.station.bias.current_source import end_current_source
from labnis.station.bias.level import Level
from labnis.station.bias.ramp import RateLimiter, allowed_step
from labnis.station.bias.ramp_executor import RampExecutor
from labnis.station.bias.source_levels import level_step, require_bias_within
from labnis.station.oversight import NoOversight, Oversight
from labnis.station.players import DeviceMeter
from labnis.station.role_check import missing_members
from labnis.station.sections import Limits
from labnis.station.watchdog import StationWatchdog

__all__ = ["BiasUnknownError", "RampedBias"]

logger = logging.getLogger(__name__)

RELATIVE_TOLERANCE = 2.5e-4
"""Tolerance of a level read back, per largest bias: one resolution step of a source-meter whose range (in decades,
resolution 2.5e-5 of the range) is up to ten times that voltage."""

FINEST_STEP = 0.5e-6
"""Finest resolution (V at the source) of the level of any source-meter here: a Keithley 2450 on its 20 mV range."""


class BiasUnknownError(InstrumentError):
    """Ramping to zero failed: the bias is not known to be zero. The message has the last known bias."""


class RampedBias:
    """Fills `drivers.roles.DeviceBias` from a bias source and, where there are any, separate meters.

    Parameters
    ----------
    source
        The bias source.
    wiring
        Converts between source and device.
    limits
        Limits of every move.
    clock
        Time of the ramps.
    name
        Name and address of the source, for messages.
    ammeter
        Reads the current of the device; None if the source itself reads it.
    voltmeter
        Reads the voltage of the device; None if it is calculated from bias, current and series resistance.
    oversight
        Is told when the bias is in use and when it is at zero, and asked before each write.
    watchdog
        Armed before the output goes on, disarmed after it went off; None if the station has none.

    Attributes
    ----------
    source
        The bias source.
    in_use
        Whether `prepare` has begun, or `claim` found the output on, and no `shutdown` since: the bias must still be
        ramped to zero.
    ended_current
        Current (A) of an earlier user's current source, which `to_zero` has ramped to zero; None if there was none.

    """

    def __init__(
        self,
        source: BiasSource,
        wiring: Wiring,
        limits: Limits,
        clock: Clock,
        *,
        name: str,
        ammeter: DeviceMeter | None = None,
        voltmeter: DeviceMeter | None = None,
        oversight: Oversight | None = None,
        watchdog: StationWatchdog | None = None,
    ) -> None:
        self._watchdog = watchdog
        self._in_use = False
        self.ended_current: float | None = None
        self._clock = clock
        self._sources_voltage = False  # confirmed by `prepare`
        self._oversight = oversight or NoOversight()
        self.source = source
        self._wiring = wiring
        self._limits = limits
        self._name = name
        self._ammeter = ammeter
        self._voltmeter = voltmeter
        self._prepared_for = self._integration_time = 0.0
        self._level = Level(source, name, scale=wiring.divider, tolerance=self._tolerance(limits.maximum_bias))
        self._level.permit = self._oversight.permit
        self._reading = CheckedReading(source, name, wiring, self._level)
        limiter = RateLimiter(allowed_step(limits), limits.ramp_rate, clock)
        ramping = None if missing_members(source, SelfRamping) else cast(SelfRamping, source)
        self._executor = RampExecutor(self._level, limiter, ramping)
        self._buffered = BufferedSweeps(source, self._level, limiter, limits, self._reading.agrees)

    @property
    def in_use(self) -> bool:
        """See the attributes of the class."""
        return self._in_use

    @in_use.setter
    def in_use(self, used: bool) -> None:
        if used and not self._in_use:
            self._oversight.note("bias", True)
        self._in_use = used

    def _tolerance(self, largest: float) -> float:
        """Tolerance (V) of a level read back, for biases up to `largest` (V)."""
        step = max(FINEST_STEP, 0.51 * level_step(self.source))  # rounded to the nearest step
        return max(RELATIVE_TOLERANCE * largest, self._wiring.bias(step))

    # --- before and after a run ----------------------------------------------------------------------------------

    def prepare(self, maximum_bias: float, maximum_current: float, integration_time: float) -> None:
        """Set the source up for biases up to ± `maximum_bias` and switch its output on without moving the bias.

        An output that is off goes on at 0. If it is on from an earlier run, the bias stays; if it is
        beyond `maximum_bias`, it is ramped to zero first, because a smaller range would make it jump.

        Parameters
        ----------
        maximum_bias
            Largest absolute bias of the run (V).
        maximum_current
            Largest device current expected (A).
        integration_time
            Of one current reading (s).

        Raises
        ------
        RequestError
            A value exceeds the station's limits; nothing was sent.
        InstrumentError
            The level cannot be read, or a setting was not accepted; the output was not switched on.

        """
        self._check_request(maximum_bias, maximum_current, integration_time)
        self._level.tolerance = self._tolerance(maximum_bias)
        self._prepared_for = self._reading.meter_offset = 0.0
        self._buffered.refused = False
        self.in_use = True  # from the first command on: the output may be on from an earlier run
        if self._watchdog is not None:
            self._watchdog.arm()
        self._executor.halt()
        enabled = self._output_is_on()
        before = self._level.read_back_twice()
        if before != 0 and not enabled:
            self._level.zero_disconnected()
            before = 0.0
        elif abs(before) > maximum_bias + self._level.tolerance:
            logger.warning("%s was left on at %g V: ramping it to 0 before the run", self._name, before)
            self.to_zero()
            before = 0.0
        self._oversight.permit()
        self.source.prepare(
            maximum_voltage=self._wiring.source_voltage(maximum_bias),
            maximum_current=maximum_current if self._ammeter is None else self._limits.compliance,
            compliance=self._limits.compliance,
            integration_time=integration_time,
        )
        self._sources_voltage = True
        self._compare_mains()
        for meter, largest in ((self._ammeter, maximum_current), (self._voltmeter, maximum_bias)):
            if isinstance(meter, DeviceMeter):
                meter.prepare(largest, integration_time)
        self._level.require(before, "while ranges and compliance were set")
        if not enabled:
            self._switch_on_at_zero()
        self._prepared_for, self._integration_time = maximum_bias, integration_time

    def _compare_mains(self) -> None:
        """Warn where the source found mains of another frequency than that of the station file."""
        stated, found = self._wiring.line_frequency, getattr(self.source, "mains_frequency", math.nan)
        if math.isfinite(found) and found != stated:
            logger.warning(
                "%s finds mains of %g Hz, and the station file states %g Hz: the hum is not averaged out; write "
                "line_frequency: %g under labnis.wiring", self._name, found, stated, found,
            )  # fmt: skip

    def claim(self) -> None:
        """Take charge of an output that is on from an earlier run, or does not say so: `shutdown` ramps it, too."""
        if not self.in_use:
            try:
                self.in_use = self._output_is_on()
            except Exception as error:  # noqa: BLE001  # a lab's driver may fail in any way
                logger.warning("%s does not say whether its output is on: %s", self._name, error)
                self.in_use = True

    def shutdown(self) -> str:
        """Ramp to zero, verify it by reading back, then switch the output off, up to three times; the end in words.

        Raises
        ------
        BiasUnknownError
            Zero is not verified; the output is not changed, because switching it off would be a jump.
        SettingError
            The bias is zero but the output did not go off.

        """
        self.in_use = False  # what fails now needs the guardian or a person, not a repetition
        try:
            for _ in range(3):
                problem = self._switched_off_at_zero()
                if not problem:
                    break
        except BaseException as error:
            self.in_use = not isinstance(error, Exception)  # interrupted, for example by Ctrl-C in a notebook
            raise
        if problem:
            raise SettingError(
                self._name, f"bias is 0 V as read back, but {problem}.", "Switch it off at the front panel."
            )
        if self._watchdog is not None:
            self._watchdog.disarm()
        self._oversight.note("bias", False)
        return "the bias is at 0 V"

    def _switched_off_at_zero(self) -> str:
        """Ramp to zero and switch the output off; what has kept it on, empty if it is off."""
        self.to_zero()
        self._oversight.permit()
        try:
            self.source.output_off()
            problem = "the output still reads as on" if self.source.output_enabled() else ""
        except Exception as error:  # noqa: BLE001  # a lab's driver may fail in any way
            problem = f"switching the output off failed ({error})"
        if problem:
            logger.warning("%s: %s", self._name, problem)
        return problem

    # --- moving --------------------------------------------------------------------------------------------------

    def move_to(self, bias: float, *, between: Callable[[], None] = lambda: None) -> None:
        """Ramp to `bias` (V) within the limits and verify it by reading back.

        Parameters
        ----------
        bias
            Target (V). A ramp to 0 is never interrupted.
        between
            Called between two steps of the ramp, at least twice a second: it ends the ramp there by raising.

        Raises
        ------
        RequestError
            `bias` is not finite or beyond the limit, or `prepare` was not called; nothing was sent.
        InstrumentError
            The source failed or does not hold the level.

        """
        if not abs(bias) <= self._limits.maximum_bias:
            raise RequestError(
                f"bias {bias!r} V is not allowed: limits.maximum_bias is ±{self._limits.maximum_bias!r} V; "
                "nothing was sent"
            )
        if not self.in_use:
            raise RequestError(f"bias {bias!r} V cannot be set: the source is not prepared; call prepare() first")
        # By rounding, the end of a sweep may be an ulp beyond the prepared range, which has headroom.
        if abs(bias) > self._prepared_for * (1 + 1e-9):
            raise RequestError(
                f"bias {bias!r} V is beyond ±{self._prepared_for!r} V, the prepared range of the source; "
                "nothing was sent"
            )
        if bias == 0:
            self.to_zero()
            return
        start = self._level.known()
        self._executor.move(start, bias, between)
        self._level.require(bias, "after a ramp")

    def present(self) -> float:
        """The bias (V), read back if it is not known.

        A source that is not in use here may still ramp by itself for a run that died: it is stopped first.
        """
        if not self.in_use:
            self._executor.halt()
        return self._level.known()

    def to_zero(self) -> None:
        """Stop a ramp of the source's own, ramp from the read-back level to exactly 0 and verify it by reading back.

        Raises
        ------
        BiasUnknownError
            A step failed; the message has the last known bias and what to do.

        """
        if self._watchdog is not None:
            self._watchdog.keep()
        try:
            if not self._sources_voltage:
                permit = self._oversight.permit
                self.ended_current = end_current_source(self.source, self._name, self._limits, self._clock, permit)
            start = self._executor.stop()
            if self._output_is_on():
                self._executor.to_zero(start)
                self._level.require(0.0, "after the ramp to zero")
            else:
                self._level.zero_disconnected()
        except TakenOverError:
            raise
        except Exception as error:
            self._level.value = None
            raise BiasUnknownError(
                self._name,
                f"bias UNKNOWN: {self._level.last_seen}. Ramping to zero failed: {error}",
                "The output may still be on. Reduce the level slowly to 0 at the front panel, then switch it off.",
            ) from error

    def read(self) -> BiasReading:
        """Measure the bias, the device current and the device voltage.

        Raises
        ------
        BiasMismatchError
            The source does not hold the level that was set.
        InstrumentError
            Overload, compliance, no answer.

        """
        reading = self._reading.of(self._level.known())
        current = reading.current if self._ammeter is None else self._ammeter.read()
        require_below_compliance(self.source, self._name, current, self._limits.compliance)
        return device_reading(self._wiring, reading, current=current, ammeter=self._ammeter, voltmeter=self._voltmeter)

    def read_along(self, biases: Sequence[float], settling_time: float) -> list[BiasReading]:
        """Readings at the first of the `biases` (V), which the source measures by itself; see `DeviceBias`."""
        if self._ammeter is not None or self._voltmeter is not None:
            return []
        allowed = list(takewhile(lambda bias: abs(bias) <= self._prepared_for, biases))
        readings = self._buffered.measure(allowed, settling_time, self._integration_time)
        return [device_reading(self._wiring, reading, measured=moment) for reading, moment in readings]

    def _output_is_on(self) -> bool:
        """Whether the output is on, as two answers in a row say: off, the level would be written without a ramp."""
        answers: list[bool | None] = []  # None for a failure, of which there may be one
        for _ in range(4):
            try:
                answers.append(self.source.output_enabled())
            except InstrumentError as error:
                if None in answers:
                    raise
                logger.warning("reading the output's state again: %s", error)
                answers.append(None)
            if len(answers) > 1 and (state := answers[-1]) is not None and state == answers[-2]:
                return state
        raise ReadingError(self._name, "says by turns that its output is on and off.", "Look at the front panel.")

    # --- inside --------------------------------------------------------------------------------------------------

    def _check_request(self, maximum_bias: float, maximum_current: float, integration_time: float) -> None:
        limits = self._limits
        if not 0 <= maximum_bias <= limits.maximum_bias:
            raise RequestError(
                f"maximum bias {maximum_bias!r} V is not allowed: it must not be negative, and at most "
                f"limits.maximum_bias ({limits.maximum_bias!r} V)"
            )
        require_bias_within(self.source, self._name, self._wiring, maximum_bias, limits.maximum_bias)
        largest = limits.compliance if self._ammeter is None else math.inf
        if not 0 < maximum_current <= largest or math.isinf(maximum_current):
            raise RequestError(
                f"maximum current {maximum_current!r} A is not allowed: it must be positive and at most "
                f"limits.compliance ({limits.compliance!r} A)"
            )
        if not 0 < integration_time < math.inf:
            raise RequestError(f"integration time {integration_time!r} s is not allowed: it must be positive")

    def _switch_on_at_zero(self) -> None:
        self._oversight.permit()
        self.source.output_on()
        if not self.source.output_enabled():
            raise SettingError(
                self._name,
                "the output reads as off after it was switched on.",
                "Look for an open interlock or a tripped protection at the front panel.",
            )
        self._level.require(0.0, "after the output went on")
