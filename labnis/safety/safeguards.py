"""Safeguards between a procedure and the instruments during a run.

The procedure gets its roles wrapped: invalid readings become NaN and are flagged (`labnis.safety.invalid_readings`),
and its waiting and its ramps end when the run is asked to stop. Whenever it waits, ramps, or asks whether to stop, the
interlocks are checked; one that trips takes the bias to zero and either waits there or ends the run.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeVar, cast

from drivers.roles import Acquisition, BiasReading, Clock, Roles
from labnis.errors import InstrumentFault, InterlockError
from labnis.printable import sentence
from labnis.safety.interlocks import INTERVAL, Interlocks, InterlockViolation
from labnis.safety.invalid_readings import Quality, ValidatedRole
from labnis.safety.stop_requests import StopRequest
from labnis.station import OpenStation
from labnis.station.role_spec import STANDARD_KINDS
from labnis.station.setpoint import RampedSetpoint
from labnis.station.stage import HeatedStage

__all__ = ["Safeguards", "Stopped"]

SLICE = 0.2
"""Longest time (s) between two checks of a waiting procedure for a stop request."""


Data_co = TypeVar("Data_co", covariant=True)


class Stopped(BaseException):  # not an error: it ends a procedure, also one that catches every Exception
    """Raised inside a procedure that waits or moves something when the run must stop."""


class _Moved(Exception):  # noqa: N818  # not an error: it ends an acquisition that must be repeated
    """The bias went to zero and back during an acquisition."""


class _GuardedClock:
    """The experiment's clock: while it sleeps, interlocks and stop requests are checked.

    Parameters
    ----------
    clock
        Time of the experiment.
    watch
        Called at least every `SLICE`: "stop" ends the sleep, "moved" means that the bias went to zero and back.
    """

    def __init__(self, clock: Clock, watch: Callable[[], Literal["fine", "moved", "stop"]]) -> None:
        self._clock = clock
        self._watch = watch
        self.acquiring = False  # whether an acquisition is in progress: it must be repeated if the bias moved

    def time(self) -> float:
        """Time of the experiment (s)."""
        return self._clock.time()

    def sleep(self, seconds: float) -> None:
        """Wait; raises Stopped if the run must end."""
        end = self._clock.time() + seconds
        while (left := end - self._clock.time()) > 0:
            self._clock.sleep(min(left, SLICE))
            found = self._watch()
            if found == "stop":
                raise Stopped
            if found == "moved" and self.acquiring:
                raise _Moved
            if found == "moved":  # the settling time starts again
                end = self._clock.time() + seconds


class _GuardedSetpoint(ValidatedRole):
    """A set-point whose ramps, which may take hours, end if the run must stop.

    Parameters
    ----------
    player
        The set-point.
    quality
        Quality of the row, which gets the flags.
    name
        Role and instrument, for messages.
    clock
        Clock of the run.
    go_on
        Called before a move; raises Stopped if the run must end.
    """

    def __init__(
        self, player: RampedSetpoint, quality: Quality, name: str, clock: _GuardedClock, go_on: Callable[[], None]
    ) -> None:
        super().__init__(player, "setpoint", quality, name)
        self._move, self._clock, self._go_on = player.move_to, clock, go_on

    def move_to(self, value: float) -> None:
        """Ramp to `value`; raises Stopped if the run must end."""
        self._go_on()
        self._move(value, clock=self._clock)


class _GuardedBias(ValidatedRole):
    """The bias; once the run must stop, its ramps end, and it is neither moved nor switched on again.

    Parameters
    ----------
    player
        The bias.
    quality
        Quality of the row, which gets the flags.
    name
        Role and instrument, for messages.
    before
        Called before each reading.
    go_on
        Called before a move and between two steps of a ramp; raises Stopped if the run must end.
    """

    def __init__(
        self, player: Any, quality: Quality, name: str, before: Callable[[], None], go_on: Callable[[], None]
    ) -> None:
        super().__init__(player, "bias", quality, name, before)
        self._bias, self._go_on = player, go_on

    def read_along(self, biases: Sequence[float], settling_time: float) -> list[BiasReading]:
        """As `RampedBias.read_along`; raises Stopped if the run must end."""
        self._go_on()
        self._before()
        readings: list[BiasReading] = self._bias.read_along(biases, settling_time)
        return readings

    def prepare(self, maximum_bias: float, maximum_current: float, integration_time: float) -> None:
        """As `RampedBias.prepare`; raises Stopped if the run must end."""
        self._go_on()
        self._bias.prepare(maximum_bias, maximum_current, integration_time)

    def move_to(self, bias: float) -> None:
        """Ramp to `bias` (V); raises Stopped if the run must end."""
        self._go_on()
        self._bias.move_to(bias, between=self._go_on)


class _GuardedRoles(Roles):
    """Roles of a run: an acquisition during which the bias moved is repeated, one that fails may be skipped.

    Parameters
    ----------
    station
        Declares to the guardian how long calls take.
    **parts
        As for `Roles`.
    """

    def __init__(self, station: OpenStation, **parts: Any) -> None:
        super().__init__(**parts)
        self._station = station

    @contextmanager
    def blocking(self, seconds: float) -> Iterator[None]:
        """Declare that the calls in the context take up to `seconds`."""
        with self._station.blocking(seconds):
            yield

    def _expect(self, seconds: float) -> None:
        self._station.alive(seconds)

    def acquire(self, instrument: Acquisition[Data_co]) -> Data_co:
        """Start an acquisition, wait for it, and return its data; raises Stopped if the run must end."""
        clock = cast(_GuardedClock, self.clock)
        clock.acquiring = True
        try:
            while True:
                try:
                    return super().acquire(instrument)
                except _Moved:
                    continue
        except Stopped:
            raise
        except Exception as error:
            if not isinstance(instrument, ValidatedRole):
                raise
            instrument.skip(error)
            return cast(Data_co, instrument.invalid_acquisition())
        finally:
            clock.acquiring = False


class Safeguards:
    """The safeguards of one run.

    Parameters
    ----------
    station
        Open.
    stop
        Stop requests of the run.
    report
        Called with (kind, message) for every event of the run.
    on_error
        "stop" ends the run where a reading fails; "skip" flags the row.

    Attributes
    ----------
    roles
        Wrapped roles for the procedure.
    quality
        Flags of the row that is being measured.
    """

    def __init__(
        self,
        station: OpenStation,
        stop: StopRequest,
        report: Callable[[str, str], None],
        *,
        on_error: Literal["stop", "skip"] = "stop",
    ) -> None:
        limits = station.config.limits
        self._station = station
        self._stop = stop
        self._report = report
        self._limits = limits
        self._resumptions = 0
        self._interlocks = Interlocks(
            station.config.interlocks,
            station.roles,
            station.clock,
            stale_after=limits.fridge_stale,
            stages=[one for one in station.setpoints.values() if isinstance(one, HeatedStage)],
            replaced=limits.fridge_interlocks(),
        )
        self.quality = Quality(limits.on_compliance, lambda text: report("quality", text), on_error)
        self.roles = self._wrapped(station.roles)
        station.watch_connections(lambda said: report("connection", said))

    def _wrapped(self, roles: Roles) -> Roles:
        specs = self._station.config.roles
        kinds = {role: specs[role].kind if role in specs else STANDARD_KINDS[role] for role in roles}
        clock = _GuardedClock(roles.clock, self._watch)

        def wrapped(role: str, player: Any) -> ValidatedRole:
            instrument = specs[role if role in specs else "bias"].instrument  # the source may read the current
            name = f"{role}, {self._station.described(instrument)}"
            if isinstance(player, RampedSetpoint):
                return _GuardedSetpoint(player, self.quality, name, clock, self._go_on)
            before = partial(self._station.alive, 0.0)
            if role == "bias":
                return _GuardedBias(player, self.quality, name, before, self._go_on)
            return ValidatedRole(player, kinds[role], self.quality, name, before)

        players = {role: wrapped(role, player) for role, player in roles.players.items()}
        return _GuardedRoles(self._station, clock=clock, wiring=roles.wiring, **players)

    def check_before_start(self) -> None:
        """Refuse a run whose interlocks are not satisfied, before the output goes on.

        Raises
        ------
        InterlockError
            The message names the interlock and its reading, or the lock that was lost.
        """
        self._check_locks()
        violation = self._interlocks.check(bias_is_on=False)
        if violation is not None:
            self._report("interlock", violation.reason)
            raise InterlockError(
                f"not started: {sentence(violation.reason)} The output was not switched on; "
                "if an earlier run left it on, it is ramped to zero and switched off."
            )

    def should_stop(self) -> bool:
        """Whether the procedure must stop; called between two points."""
        return self._watch() == "stop"

    def _check_locks(self) -> None:
        """Ask the run to stop if another program could control its instruments."""
        if not self._stop and (problem := self._station.lost_lock()):
            self._report("lock", problem)
            self._stop.ask(
                InterlockError(
                    f"{problem}: another program could control the same instruments, so the run ended. Remove no lock "
                    "file while a run is going."
                )
            )

    def _check_watchdog(self) -> None:
        """Ask the run to stop if the watchdog is no longer fed: it will switch the output off at any level."""
        if not self._stop and (problem := self._station.watchdog_problem()):
            self._report("watchdog", problem)
            self._stop.ask(InterlockError(f"{problem}: the run ended before"))

    def _go_on(self) -> None:
        """Before a move and between its steps: interlocks may take the bias to zero, and back to the same step."""
        if self._watch() == "stop":
            raise Stopped

    def _watch(self) -> Literal["fine", "moved", "stop"]:
        self._station.permit()
        self._check_locks()
        self._check_watchdog()
        violation = None if self._stop else self._interlocks.due(bias_is_on=self._station.bias.in_use)
        if violation is not None:
            self._hold(violation)
        if self._stop:
            self._leave()
            return "stop"
        return "fine" if violation is None else "moved"

    def _leave(self) -> None:
        """Take the bias to zero and switch its output off now: the procedure may go on for as long as it likes."""
        if self._station.bias.in_use:
            self._station.bias.shutdown()

    def _hold(self, violation: InterlockViolation) -> None:
        """Ramp the bias to zero; then wait until the interlocks are satisfied and ramp back, or end the run."""
        self._report("interlock", violation.reason)
        bias = self._station.bias
        before = bias.present() if bias.in_use else 0.0
        if bias.in_use:
            bias.to_zero()
        hint = "" if violation.abort else self._no_waiting(violation, before)
        if violation.abort or hint:
            self._stop.ask(InterlockError(f"{sentence(violation.reason)} The bias is at zero{hint and f': {hint}'}"))
            return
        self._report("paused", "the bias is at zero until the interlocks are satisfied")
        self._wait()
        if self._stop:
            return
        self._resumptions += 1
        number = f"resumption {self._resumptions} of at most {self._limits.maximum_resumptions}"
        self._report("resumed", f"the interlocks are satisfied again; the bias ramps back to {before:.6g} V ({number})")
        if bias.in_use:
            self._back_to(before)

    def _no_waiting(self, violation: InterlockViolation, before: float) -> str:
        """Why the run ends although the interlock's action is pause, after a bias of `before` (V); empty if it waits.

        An interlock that depends on the bias is satisfied at zero, whatever the device does at the level that violated
        it: going back there would violate it again.
        """
        limits, watch = self._limits, violation.interlock.watch
        if violation.interlock.depends_on_bias:
            return f"{watch} depends on the bias, so the run does not go back to {before:.6g} V"
        if not limits.resume_after_pause:
            return "labnis.limits.resume_after_pause is false, so the run does not wait"
        if self._resumptions >= limits.maximum_resumptions:
            return f"the run has resumed {self._resumptions} times (labnis.limits.maximum_resumptions), so it ends"
        if violation.at_once and before != 0 and self._interlocks.check(bias_is_on=False) is None:
            return f"{watch} is inside its limit without a bias, so the run does not go back to {before:.6g} V"
        return ""

    def _wait(self) -> None:
        """Wait until the interlocks are satisfied, or the run is asked to stop."""
        while not self._stop and (left := self._interlocks.check(bias_is_on=False)) is not None:
            if left.abort:
                self._stop.ask(InterlockError(f"{sentence(left.reason)} The bias is at zero."))
            self._station.clock.sleep(INTERVAL)
            self._check_locks()
            self._check_watchdog()

    def _back_to(self, level: float) -> None:
        try:
            self._station.bias.move_to(level, between=self._go_on)
        except Stopped:
            return  # the request says why
        except Exception as error:  # an acquisition during which this happens must not be skipped for it
            raise InstrumentFault(f"the bias does not ramp back to {level:.6g} V after the pause: {error}") from error
