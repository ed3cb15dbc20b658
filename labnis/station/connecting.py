"""One instrument of the station: opened through QCoDeS, checked against its role, closed without a trace."""

import contextlib
import importlib
import inspect
import io
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import pyvisa
from pyvisa.highlevel import VisaLibraryBase
from qcodes.instrument import Instrument, VisaInstrument
from qcodes.station import Station

from drivers import roles
from labnis.errors import ConfigurationError
from labnis.station.config import StationConfig
from labnis.station.instruments import ALLOWED_PACKAGES, is_allowed_type
from labnis.station.role_check import missing_members

__all__ = [
    "PROTOCOLS",
    "Library",
    "TrafficListener",
    "check_role",
    "close",
    "connect",
    "instrument_class",
    "open_library",
]

logger = logging.getLogger(__name__)

PROTOCOLS: dict[str, type] = {
    "bias": roles.BiasSource,
    "lockin": roles.LockIn,
    "analyzer": roles.SpectrumAnalyzer,
    "vna": roles.VectorNetworkAnalyzer,
    "fridge": roles.Thermometer,
}
"""Role → what an instrument must be able to do to play it."""


class TrafficListener(Protocol):
    """Records what goes to and comes from instruments, and what the experiment's clock is asked."""

    def listen(self, library: VisaLibraryBase, instrument: str, address: str | None) -> None:
        """Record everything that goes through `library`; what goes to `address` belongs to `instrument`."""

    def watched(self, clock: roles.Clock) -> roles.Clock:
        """`clock`, with everything that it is asked in the record."""


OPEN_TIMEOUT = 2000
"""Time (ms) that an instrument has to accept a connection."""


@dataclass(frozen=True)
class Library:
    """A PyVISA library in use: its specification, and the manager that keeps it alive.

    PyVISA keeps libraries only by weak reference; a twin whose manager is gone has forgotten its state.
    """

    specification: str
    manager: pyvisa.ResourceManager
    simulated: bool


def open_library(
    config: StationConfig,
    name: str,
    override: str | None,
    address: str | None = None,
    record: TrafficListener | None = None,
) -> Library:
    """Open the PyVISA library for instrument `name`: `override`, or the file's own choice.

    With a `record`, everything that goes through it is recorded from now on; what goes to `address` under that name.

    Raises
    ------
    ConfigurationError
        Where PyVISA cannot load it.

    """
    own = (config.instruments[name].get("init") or {}).get("visalib")
    specification = override or own or config.visalib or ""
    try:
        library = Library(specification, pyvisa.ResourceManager(specification), simulated=override is not None)
    except Exception as error:
        # Other people's libraries are loaded here, and the twin reads its truth file.
        if override is not None:
            raise ConfigurationError(f"{specification!r} cannot be opened as the twin: {error}") from error
        raise ConfigurationError(
            f"PyVISA library {specification!r} cannot be used for {name}: {error}; install a VISA library, or give "
            f"another one as labnis.visalib in {config.path} ('@py' needs no installation)"
        ) from error
    if record is not None:
        record.listen(library.manager.visalib, name, address)
    return library


def connect(config: StationConfig, station: Station, name: str, address: str | None, library: Library) -> Any:
    """Open instrument `name`; whatever fails leaves nothing open and its name free.

    Raises
    ------
    ConfigurationError
        Naming file, line, instrument, address, reason and what to do.

    """
    if Instrument.exist(name):
        raise config.error(("instruments", name), "is already open in this process; close it first")
    kind = instrument_class(config, name)
    # Of __init__, for the class itself hides its arguments behind QCoDeS's metaclass.
    takes = inspect.signature(kind.__init__).parameters  # type: ignore[misc]  # only read, never called
    speaks_visa = issubclass(kind, VisaInstrument) or "visalib" in takes
    if library.simulated and not speaks_visa:
        raise config.error(("instruments", name, "type"), "does not speak through PyVISA, so it cannot be simulated")
    arguments: dict[str, Any] = {} if address is None else {"address": address}
    if speaks_visa and library.specification:
        arguments["visalib"] = library.specification
    before = library.manager.list_opened_resources()
    greeting = io.StringIO()
    try:
        if issubclass(kind, VisaInstrument) and address is not None:
            # QCoDeS itself would wait as long as the library likes, often 10 s.
            library.manager.open_resource(address, open_timeout=OPEN_TIMEOUT).close()
        with contextlib.redirect_stdout(greeting):  # QCoDeS prints; standard output belongs to the command
            instrument = station.load_instrument(name, update_snapshot=False, **arguments)
        _require_answer(instrument, name)
    except Exception as error:
        if Instrument.exist(name):
            close(Instrument.find_instrument(name))
        _close_all_but(before, library)
        reason = f"{type(error).__name__}: {error}"
        raise config.error(
            ("instruments", name, "address"),
            f"unreachable: {name} at {address or 'no address'}: {reason}. Check that it is switched on and connected, "
            "that nobody else uses it, and that type, address and init are right",
        ) from error
    logger.info("%s at %s: %s", name, address, greeting.getvalue().strip())
    return instrument


def check_role(config: StationConfig, role: str, instrument: Any) -> None:
    """Check that `instrument` can do what `role` asks for, or that its class can as far as that alone tells.

    Raises
    ------
    ConfigurationError
        Naming the methods it lacks.

    """
    missing = missing_members(instrument, PROTOCOLS[role])
    if missing:
        kind = instrument if isinstance(instrument, type) else type(instrument)
        raise config.error(
            ("labnis", "roles", role),
            f"{config.roles.filled()[role]} is a {kind.__name__}, which cannot play this role: it lacks "
            f"{', '.join(missing)}; see drivers/roles.py for what each does",
        )


def close(instrument: Any) -> None:
    """Close `instrument` and free its name in QCoDeS's registry even where closing fails."""
    try:
        instrument.close()
    except Exception:
        # Its connection is gone already. The others still have to be closed, so this goes to the log.
        logger.exception("closing %r failed", instrument)
    finally:
        if isinstance(instrument, Instrument):
            Instrument.remove_instance(instrument)


def _close_all_but(keep: Collection[Any], library: Library) -> None:
    """Close connections that a failed constructor has left open."""
    for resource in library.manager.list_opened_resources():
        if resource not in keep:
            resource.close()


def instrument_class(config: StationConfig, name: str) -> type:
    """Import the class of instrument `name`.

    Raises
    ------
    ConfigurationError
        Where it is none, or none of the allowed packages.

    """
    dotted = config.instruments[name]["type"]
    where = ("instruments", name, "type")
    if not is_allowed_type(dotted):
        raise config.error(where, f"found {dotted!r}; allowed are instrument classes under {_allowed()}")
    module, _, class_name = dotted.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), class_name)
    except ImportError as error:
        raise config.error(where, f"{module} cannot be imported: {error}; install it or correct the name") from error
    except AttributeError as error:
        raise config.error(where, f"module {module} has no class {class_name}") from error
    # A module also carries what it imported itself; only classes of the allowed packages are instruments.
    if not isinstance(kind, type) or not kind.__module__.startswith(ALLOWED_PACKAGES):
        raise config.error(where, f"{dotted} is not an instrument class under {_allowed()}")
    return kind


def _allowed() -> str:
    return ", ".join(package.rstrip(".") for package in ALLOWED_PACKAGES)


def _require_answer(instrument: Any, name: str) -> None:
    """QCoDeS only logs that nobody answers ``*IDN?``; opening a GPIB address succeeds with nobody there."""
    if not isinstance(instrument, Instrument):
        return
    silent = {"vendor": None, "model": name, "serial": None, "firmware": None}
    if instrument.get_idn() == silent:
        raise TimeoutError("it does not answer *IDN?")
