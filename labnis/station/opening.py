"""Open the instruments of a checked station file in their roles, and close them."""

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from drivers.roles import BiasSource, Clock, Roles
from labnis.errors import ConfigurationError, RequestError
from labnis.station.amplifier import instruments_of
from labnis.station.attempting import attempt_all
from labnis.station.bias.ramped_bias import RampedBias
from labnis.station.bias.source_levels import require_levels
from labnis.station.checking import require_watchdog
from labnis.station.clock import SystemClock
from labnis.station.config import StationConfig
from labnis.station.connecting import (
    TWIN_SERIAL,
    Library,
    VisaListener,
    address_locks,
    close,
    confirmed_identity,
    connect,
    is_simulated,
    open_library,
    require_bounded,
    require_one_entry,
    require_patient,
    serial_locks,
)
from labnis.station.declaring import Declarations
from labnis.station.lock import HeldLock, hold
from labnis.station.lock_names import lock_name_of_serial, lock_name_of_station, lock_names_of_address
from labnis.station.oversight import NoOversight, Oversight
from labnis.station.parameter_source import ParameterSource
from labnis.station.parameters import Parameter
from labnis.station.players import FunctionMeter, at_device, output_of, player_of
from labnis.station.qcodes_station import CheckedStation
from labnis.station.role_spec import BiasSpec, RoleSpec, SetpointSpec, StageSpec
from labnis.station.setpoint import RampedSetpoint
from labnis.station.snapshot import station_snapshot
from labnis.station.stage import HeatedStage
from labnis.station.watchdog import StationWatchdog

if TYPE_CHECKING:  # a real run does not need the simulated fridge
    from sim_instruments import Twin

__all__ = ["OpenStation", "open_station"]

logger = logging.getLogger(__name__)

CONNECTING = 30.0
"""Longest time (s) that opening one instrument takes: its connection and its first answers."""


class OpenStation:
    """Open instruments in their roles; made by `open_station`.

    Attributes
    ----------
    config
        The checked station file.
    clock
        The clock of the experiment: the machine's, or the twin's simulated one.
    record
        The VISA record, if there is one.
    roles
        Roles for procedures: those opened so far.
    setpoints
        Role → set-point, for the open ones.
    stand_ins
        Instrument → role → stand-in that fills it, because the twin has no panel of its model.
    alive, blocking, permit, watchdog_problem, watch_connections
        See `labnis.station.declaring`.

    """

    def __init__(
        self,
        config: StationConfig,
        stack: contextlib.ExitStack,
        twin: "Twin | None",
        record: VisaListener | None,
        oversight: Oversight,
        of_run: int | None,
    ) -> None:
        self.config = config
        self.record = record
        self._declarations = declarations = Declarations(oversight)
        self.alive, self.blocking, self.permit = declarations.alive, declarations.blocking, declarations.permit
        self.watchdog_problem, self.watch_connections = declarations.watchdog_problem, declarations.watch_connections
        clock: Clock = SystemClock(declarations.sleeps) if twin is None else twin.clock
        self.clock = clock if record is None else record.watched(clock)
        self.stand_ins: dict[str, Mapping[str, Any]] = {}
        self.setpoints: dict[str, RampedSetpoint] = {}
        self.roles = Roles(clock=self.clock, wiring=config.wiring)
        self._stack = stack
        self._twin = twin
        self._of_run = of_run
        self._locks: dict[str, HeldLock] = {}
        self._station = CheckedStation(config.instruments)
        self._serials: dict[str, str] = {}  # lock name of the serial number → entry
        self._libraries: list[Library] = []  # closed last
        self._instruments: dict[str, Any] = {}
        self._identities: dict[str, dict[str, str | None]] = {}
        self._moving: dict[object, str] = {}
        self._bias: RampedBias | None = None
        self._failures: dict[str, Exception] = {}  # role → what kept it from its end

    @property
    def bias(self) -> RampedBias:
        """The device's bias, including the methods for the run: prepare, to_zero, shutdown."""
        if self._bias is None:
            raise RequestError("no instrument is open yet; open the roles first")
        return self._bias

    @property
    def source(self) -> BiasSource:
        """The source of the bias."""
        return self.bias.source

    def open(self, roles: Iterable[str], *, alone: bool = False) -> None:
        """Open the instruments of `roles` that are not open yet; unless `alone`, also the bias and its meters.

        Raises
        ------
        BusyError
            Another process holds an address; nothing was sent to it.
        ConfigurationError
            A role is not filled, an instrument cannot be opened or cannot play its role.

        """
        always = set() if alone else {"bias", "current", "voltage"} & self.config.roles.keys()
        wanted = {*roles} | always
        for role in wanted:
            if role not in self.config.roles:
                raise self.config.error(
                    ("labnis", "roles", role),
                    f"missing, but it is required; name one of {', '.join(self.config.instruments)}",
                )
        new = [role for role in self.config.roles if role in wanted and role not in self.roles]
        new.sort(key=lambda role: role != "bias")  # opened first, closed last
        names = instruments_of(self.config.wiring, [self.config.roles[role] for role in new])
        addresses = {name: self._address(name) for name in names}
        if self._twin is None:
            self.lock(address_locks(self.config, addresses))
        for name in names:
            self._connect(name)
        own = {"current"} if self.config.source_reads_current else set()
        players = {role: self._player(role) for role in new if role not in own}
        if "bias" in players:
            self._declarations.watchdog = self._open_watchdog(needed=not alone)
            players = self._bias_roles(players)
        self.roles = Roles(clock=self.clock, wiring=self.config.wiring, **(dict(self.roles.players) | players))

    def _open_watchdog(self, *, needed: bool) -> StationWatchdog | None:
        """Open the watchdog of the station, if it has one; a ramp to zero does not depend on it (not `needed`)."""
        spec = self.config.limits.watchdog
        if spec is None or self._twin is not None:  # the outputs of a twin end with this process
            return None
        name = spec.instrument
        try:
            self.lock(lock_names_of_address(self._address(name) or name))
            self._connect(name)
            require_watchdog(self.config, name, self._instruments[name])
            require_patient(self.config, spec.timeout, self._instruments)
            return StationWatchdog(self._instruments[name], spec.timeout, self.described(name))
        except Exception as error:
            if needed:
                raise
            logger.warning("the watchdog is not fed: %s", error)
            return None

    def _connect(self, name: str) -> None:
        """Open the instrument `name`, or take its stand-in."""
        if name in self._instruments or name in self.stand_ins:
            return
        twin, address = self._twin, self._address(name)
        if twin is not None and name in twin.stand_ins:
            self.stand_ins[name] = twin.stand_ins[name]
            return
        library = open_library(self.config, name, twin.visalib if twin else None, address, self.record)
        self._libraries.append(library)
        self.alive(CONNECTING)
        instrument, identity = connect(self.config, self._station, name, address, library)
        try:
            require_bounded(self.config, name, instrument)
            if twin is None and not is_simulated(identity):
                serial = lock_name_of_serial(identity)
                require_one_entry(self.config, self._serials, name, serial)
                self.lock(serial_locks(self.config, name, serial))  # it may be open elsewhere by another address
        except BaseException:
            close(instrument)
            raise
        self._instruments[name], self._identities[name] = instrument, identity
        self._stack.callback(close, instrument)
        self._declarations.count(instrument)
        self.alive(0.0)

    def lock(self, names: Collection[str]) -> None:
        """Hold the locks called `names`, too, until the station is closed; BusyError if another process holds one."""
        found = hold({*names} - self._locks.keys(), of_run=self._of_run)
        self._locks |= self._stack.enter_context(found)

    def lost_lock(self) -> str:
        """What happened to a lock that no longer keeps others away; empty if all do."""
        return next((problem for lock in self._locks.values() if (problem := lock.problem())), "")

    def _address(self, name: str) -> str | None:
        """VISA address of the instrument `name`; that of its panel in a dry run."""
        if self._twin is None:
            return self.config.address(name)
        if name in self._twin.stand_ins:
            return None
        if name not in self._twin.addresses:
            raise ConfigurationError(
                f"no simulated address for {name}; the file's own address is not used in a dry run"
            )
        return self._twin.addresses[name]

    def _player(self, role: str) -> Any:
        spec = self.config.roles[role]
        try:
            player = self._terminal(role, spec)
            if isinstance(player, Parameter | ParameterSource):
                self._require_movable(role, spec, player)
        except LookupError as error:
            raise self.config.error(("labnis", "roles", role), str(error)) from error
        if isinstance(spec, SetpointSpec):
            stands_in = spec.instrument in self.stand_ins
            part = player if stands_in else self._instruments[spec.instrument]
            described = self.described(spec.instrument)
            output = output_of(spec, part, described, stands_in=stands_in)
            name = f"{role}, {described}"
            unit = spec.unit or getattr(player, "unit", "")
            options: dict[str, Any] = {
                "name": name, "unit": unit, "output": output,
                "on_use": partial(self._declarations.note, role), "permit": self.permit,
            }  # fmt: skip
            if isinstance(spec, StageSpec):
                player = HeatedStage(player, spec, self.clock, **options)
            else:
                player = RampedSetpoint(player, spec, self.clock, **options)
            self.setpoints[role] = player
        return at_device(spec, player, self._instruments, self.config.wiring, self.clock, self.described)

    def _require_movable(self, role: str, spec: RoleSpec, player: Parameter | ParameterSource) -> None:
        """Check what a role that moves writes: within all of its limits, and not what another role moves."""
        if isinstance(spec, BiasSpec):
            largest = self.config.wiring.source_voltage(self.config.limits.maximum_bias)
            player.require_settable(-largest, largest)
        elif isinstance(spec, SetpointSpec):
            player.require_settable(*spec.limits)
        else:
            return
        other = self._moving.setdefault(player.target, role)
        if other != role:
            raise LookupError(
                f"moves, by another name, the parameter that the role {other} moves; name a different one"
            )

    def _terminal(self, role: str, spec: RoleSpec) -> Any:
        """What fills the role at its instrument's terminals, or the twin's stand-in."""
        stand_in = self.stand_ins.get(spec.instrument)
        if stand_in is None:
            return player_of(spec, self._instruments[spec.instrument], f"{role}, {self.described(spec.instrument)}")
        return stand_in[role]

    def described(self, name: str) -> str:
        """Name and address of the instrument `name`, for messages."""
        address = getattr(self._instruments.get(name), "address", None) or self._address(name)
        return f"{name} ({address or 'no address'})"

    def _bias_roles(self, players: dict[str, Any]) -> dict[str, Any]:
        """The bias with its meters, and the role current if the source fills it."""
        require_levels(self.config, players["bias"])
        self._bias = bias = RampedBias(
            players["bias"],
            self.config.wiring,
            self.config.limits,
            self.clock,
            name=self.described(self.config.bias.instrument),
            ammeter=players.get("current"),
            voltmeter=players.get("voltage"),
            oversight=self._declarations,
            watchdog=self._declarations.watchdog,
        )
        source_current = FunctionMeter(lambda: bias.read().current)
        return {"current": source_current, **players, "bias": bias}

    def make_safe(self) -> None:
        """Move everything that was moved to its end: the bias first, then set-points, the slowest last.

        Each is attempted even if others fail, unless the guardian of this run does that from then on. Outputs that were
        not used since the last call are not touched.

        Raises
        ------
        BiasUnknownError, InstrumentError
            The most severe of what failed, with the others as notes. It is raised again the next time, unless the role
            was brought to its end since.
        TakenOverError
            The guardian of this run has taken over; nothing was sent.

        """
        in_use: dict[str, Callable[[], str]] = {}
        if self._bias is not None and self._bias.in_use:
            in_use["bias"] = self._bias.shutdown
        for role, one in sorted(self.setpoints.items(), key=lambda each: each[1].longest_ramp):
            if one.in_use:
                in_use[role] = one.finish
        if in_use:
            self.permit()
        attempt_all(partial(self._brought_to_end, role, step) for role, step in in_use.items())
        for failure in self._failures.values():
            raise failure

    def _brought_to_end(self, role: str, finish: Callable[[], str]) -> str:
        try:
            said = finish()
        except Exception as error:
            self._failures[role] = error
            self._declarations.failed(error)
            raise
        self._failures.pop(role, None)
        return said

    @property
    def is_twin(self) -> bool:
        """Whether this is a dry run, or the identity of an instrument is that of a simulated one."""
        return any(is_simulated(identity) for identity in self.identities().values())

    @property
    def serials(self) -> dict[str, str]:
        """Instrument name → serial number as read when it was opened, where it has one."""
        found = {name: identity.get("serial") for name, identity in self._identities.items()}
        return {name: serial for name, serial in found.items() if serial}

    def identities(self) -> dict[str, dict[str, str | None]]:
        """Instrument name → vendor, model, serial, firmware, as read now; CommunicationError if not as when opened."""
        found = {
            name: confirmed_identity(instrument, self.described(name), self._identities[name])
            for name, instrument in self._instruments.items()
        }
        stood_in = {
            name: {"vendor": "labnis", "model": self.config.instruments[name]["type"], "serial": TWIN_SERIAL}
            for name in self.stand_ins
        }
        return {name: identity for name, identity in (found | stood_in).items() if identity is not None}

    def snapshot(self) -> dict[str, Any]:
        """Settings of all open instruments, read now: see `labnis.station.snapshot`. Others have an identity only."""
        return station_snapshot(self._station, self._instruments, self._identities)


@contextlib.contextmanager
def open_station(
    config: StationConfig,
    *,
    twin: "Twin | None" = None,
    record: VisaListener | None = None,
    oversight: Oversight | None = None,
    of_run: int | None = None,
) -> Iterator[OpenStation]:
    """Lock the station; instruments are opened by `OpenStation.open`, and always closed in reverse order.

    What was moved and not made safe is made safe before anything is closed. What failed on the way to its end is raised
    here, too, so that a caller who went on after the run's own error is told again.

    Parameters
    ----------
    config
        From `load_station`.
    twin
        Replaces the fridge in a dry run. It must have every instrument that is opened: a dry run never uses a real
        address.
    record
        VISA record for everything that is sent and received, from the first byte on.
    oversight
        Is told what moves and how long the process may be silent.
    of_run
        Process whose locks do not count: a guardian acts while its own run holds them.

    Raises
    ------
    BusyError
        Another process holds the station; nothing was sent.

    """
    with contextlib.ExitStack() as stack:
        station = OpenStation(config, stack, twin, record, oversight or NoOversight(), of_run)
        if twin is None:  # the instruments of a twin are in this process, so they are not shared
            station.lock([lock_name_of_station(config.path)])
        try:
            yield station
        finally:
            station.make_safe()
