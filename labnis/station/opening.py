"""From a checked station file to open instruments in their roles, and back to everything closed."""

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qcodes.instrument import Instrument
from qcodes.station import Station
from qcodes.utils import NumpyJSONEncoder

from drivers.identity import is_twin
from drivers.roles import BiasSource, Clock, Roles
from labnis.errors import ConfigurationError, RequestError
from labnis.station.bias.ramped_bias import RampedBias
from labnis.station.clock import SystemClock
from labnis.station.config import StationConfig
from labnis.station.connecting import PROTOCOLS, Library, TrafficListener, check_role, close, connect, open_library
from labnis.station.lock import hold, lock_name_of_address, lock_name_of_station

__all__ = ["OpenStation", "open_station"]

IN_PROCESS = "@labnis"
"""PyVISA backend whose instruments live in this very process: there is nobody to share them with, so no lock."""


class _CheckedStation(Station):
    """A QCoDeS station that holds exactly what was checked.

    QCoDeS reads the file again for every instrument, and warns about keys that are not its own. Here it gets the
    `instruments:` section as labnis checked it, whatever has happened to the file since.
    """

    def __init__(self, instruments: Mapping[str, Any]) -> None:
        self._checked = json.dumps({"instruments": instruments})
        super().__init__(default=False, use_monitor=False)

    def load_config_files(self, *filenames: str) -> None:
        """Load the checked section instead of `filenames`."""
        self.load_config(self._checked)


@dataclass(frozen=True)
class OpenStation:
    """Open instruments in their roles.

    Attributes
    ----------
    config
        The checked station file.
    roles
        What procedures get.
    bias
        The device's bias with what only the run may do: prepare, to_zero, shutdown. The same object as `roles.bias`.
    source
        The bias source itself, at its own terminals.
    clock
        The clock of the experiment: the machine's, or the twin's simulated one.
    record
        Where the VISA traffic is recorded, if it is.

    """

    config: StationConfig
    roles: Roles
    bias: RampedBias
    source: BiasSource
    clock: Clock
    _station: Station
    _libraries: tuple[Library, ...]
    record: TrafficListener | None = None

    @property
    def is_twin(self) -> bool:
        """Whether an instrument says of itself that it is simulated."""
        return any(is_twin(identity) for identity in self.identities().values())

    def identities(self) -> dict[str, dict[str, str | None]]:
        """Instrument name → vendor, model, serial, firmware, as each answers now."""
        instruments = self._station.components
        return {name: dict(one.get_idn()) for name, one in instruments.items() if isinstance(one, Instrument)}

    def snapshot(self) -> dict[str, Any]:
        """QCoDeS's snapshot of all open instruments, asked from them now, as plain JSON values.

        Numbers that JSON does not have become the text "NaN", "Infinity" or "-Infinity".
        """
        text = json.dumps(self._station.snapshot(update=True), cls=NumpyJSONEncoder)
        snapshot: dict[str, Any] = json.loads(text, parse_constant=str)
        return snapshot


@contextlib.contextmanager
def open_station(
    config: StationConfig,
    *,
    required_roles: Collection[str],
    visalib: str | None = None,
    addresses: Mapping[str, str] | None = None,
    record: TrafficListener | None = None,
) -> Iterator[OpenStation]:
    """Lock and open the instruments of `required_roles`; close them in reverse order on every way out.

    The bias source is always opened, and the lock-in where the wiring reads the current through it. If the bias was
    prepared and nobody shut it down, it is ramped to zero and switched off before anything is closed.

    Parameters
    ----------
    config
        From `load_station`.
    required_roles
        Of bias, lockin, analyzer, vna, fridge.
    visalib
        PyVISA library instead of the file's.
    addresses
        Role → VISA address instead of the file's. If given, it must name every role that is opened: a dry run never
        falls back to a real address.
    record
        Where to record everything that is sent and received, from the first byte on.

    Raises
    ------
    BusyError
        Another process holds the station or an address; nothing was sent.
    ConfigurationError
        A role is not filled, an instrument cannot be opened or cannot play its role.

    """
    needed = _needed_roles(config, required_roles)
    where = _addresses(config, needed, addresses)
    with contextlib.ExitStack() as stack:
        if not (visalib or "").endswith(IN_PROCESS):
            held = [lock_name_of_address(address) for address in where.values() if address is not None]
            stack.enter_context(hold([lock_name_of_station(config.path), *held]))
        station = _CheckedStation(config.instruments)
        libraries: list[Library] = []  # kept until everything is closed
        by_name: dict[str, Any] = {}
        for role in needed:
            name = config.roles.filled()[role]
            if name not in by_name:
                libraries.append(open_library(config, name, visalib, where[role], record))
                by_name[name] = connect(config, station, name, where[role], libraries[-1])
                stack.callback(close, by_name[name])
            check_role(config, role, by_name[name])
        players = {role: by_name[config.roles.filled()[role]] for role in needed}
        opened = _assemble(config, station, players, libraries, record)
        stack.callback(_leave_safe, opened.bias)
        yield opened


def _assemble(
    config: StationConfig,
    station: Station,
    players: Mapping[str, Any],
    libraries: Sequence[Library],
    record: TrafficListener | None,
) -> OpenStation:
    # Only the twin's library, and that of a replay, has a clock of its own.
    clocks = [getattr(library.manager.visalib, "clock", None) for library in libraries]
    clock: Clock = next((clock for clock in clocks if clock is not None), SystemClock())
    if record is not None:
        clock = record.watched(clock)
    source = players["bias"]
    name = config.roles.bias
    bias = RampedBias(
        source,
        config.wiring,
        config.limits,
        clock,
        name=f"{name} ({getattr(source, 'address', None) or config.address('bias')})",
        lockin=players.get("lockin"),
    )
    others = {role: player for role, player in players.items() if role != "bias"}
    return OpenStation(
        config=config,
        roles=Roles(clock=clock, bias=bias, wiring=config.wiring, **others),
        bias=bias,
        source=source,
        clock=clock,
        _station=station,
        _libraries=tuple(libraries),
        record=record,
    )


def _leave_safe(bias: RampedBias) -> None:
    """Last resort of a run that did not shut its bias down itself."""
    if bias.in_use:
        bias.shutdown()


def _needed_roles(config: StationConfig, required: Collection[str]) -> list[str]:
    for role in required:
        if role not in PROTOCOLS:
            raise RequestError(f"no role {role!r}; roles are {', '.join(PROTOCOLS)}")
        if role not in config.roles.filled():
            raise config.error(
                ("labnis", "roles", role),
                f"missing, but this procedure needs it; name one of {', '.join(config.instruments)}",
            )
    wanted = {"bias", *required}
    if config.wiring.current_reading == "amplifier":
        wanted.add("lockin")
    return [role for role in PROTOCOLS if role in wanted]


def _addresses(
    config: StationConfig, needed: Collection[str], addresses: Mapping[str, str] | None
) -> dict[str, str | None]:
    if addresses is None:
        return {role: config.address(role) for role in needed}
    missing = [role for role in needed if role not in addresses]
    if missing:
        raise ConfigurationError(
            f"no simulated address for role {', '.join(missing)}; the file's own address is not used in a dry run"
        )
    return {role: addresses[role] for role in needed}
