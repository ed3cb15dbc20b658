"""One instrument of the station: import its class, open it, close it.

QCoDeS instruments are opened through a QCoDeS station; pymeasure instruments and a lab's own classes directly.
"""

import contextlib
import functools
import inspect
import io
import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol, cast

import pyvisa
from pymeasure.instruments import Instrument as PymeasureInstrument
from pyvisa.highlevel import VisaLibraryBase, get_wrapper_class, open_visa_library
from qcodes.instrument import Instrument, InstrumentBase, IPInstrument, VisaInstrument
from qcodes.station import Station

from drivers import roles
from drivers.errors import CommunicationError, InstrumentError
from labnis.errors import ConfigurationError
from labnis.station.config import GUARDIAN_ACTS_WITHIN, StationConfig
from labnis.station.instruments import (
    LONGEST_TIMEOUT,
    TIMEOUTS_ALLOWED,
    allowed,
    is_allowed_type,
    is_of_packages,
)
from labnis.station.lock_names import lock_names_of_address
from labnis.station.packages import import_object
from labnis.station.role_spec import SetpointSpec

__all__ = [
    "TWIN_SERIAL",
    "Library",
    "VisaListener",
    "address_locks",
    "close",
    "confirmed_identity",
    "connect",
    "identity_of",
    "instrument_class",
    "is_simulated",
    "longest_answer",
    "open_library",
    "require_bounded",
    "require_one_entry",
    "require_patient",
    "serial_locks",
    "serves_many",
]

logger = logging.getLogger(__name__)

Identity = dict[str, str | None]

TWIN_SERIAL = "TWIN"
"""Beginning of the serial number of every simulated instrument. No manufacturer uses it."""


class VisaListener(Protocol):
    """Records all messages of the instruments, and the readings of the experiment's clock."""

    def listen(self, library: VisaLibraryBase, instrument: str, address: str | None) -> None:
        """Record every call of `library`; calls to `address` are those of `instrument`."""

    def watched(self, clock: roles.Clock) -> roles.Clock:
        """`clock`, with its readings recorded."""


OPENING = threading.Lock()
"""Held while an instrument is opened: what a failed opening leaves behind is then that of no other thread."""

OPEN_TIMEOUT = 2000
"""Time (ms) that an instrument has to accept a connection."""


@dataclass(frozen=True)
class Library:
    """A PyVISA library in use: its specification, and the manager that keeps it alive.

    PyVISA holds libraries only by weak references; a twin loses its state with its manager.
    """

    specification: str
    manager: pyvisa.ResourceManager
    simulated: bool


def open_library(
    config: StationConfig,
    name: str,
    override: str | None,
    address: str | None = None,
    record: VisaListener | None = None,
) -> Library:
    """Open the PyVISA library for instrument `name`: `override`, or the file's own choice.

    With a `record`, all its calls are recorded from now on; calls to `address` under that name.

    Raises
    ------
    ConfigurationError
        PyVISA cannot load it.

    """
    own = (config.instruments[name].get("init") or {}).get("visalib")
    specification = override or own or config.visalib or os.environ.get("PYVISA_LIBRARY", "")
    try:
        specification = specification or _default_library()
        library = Library(specification, pyvisa.ResourceManager(specification), simulated=override is not None)
    except Exception as error:
        # Third-party libraries are loaded here, and the twin reads its truth file.
        if override is not None:
            raise ConfigurationError(f"{specification!r} cannot be opened as the twin: {error}") from error
        raise ConfigurationError(
            f"PyVISA library {specification!r} cannot be used for {name}: {error}; install a VISA library, or give "
            f"another one as labnis.visalib in {config.path} ('@py' needs no installation)"
        ) from error
    if record is not None:
        record.listen(library.manager.visalib, name, address)
    return library


@functools.cache
def _default_library() -> str:
    """The library that PyVISA takes where none is named.

    PyVISA runs ldconfig, ldd and a compiler to look for one, again for each instrument that is opened: too much for
    a guardian on a computer in trouble.
    """
    library = open_visa_library()
    return f"{library.library_path}@{'py' if isinstance(library, get_wrapper_class('py')) else 'ivi'}"


def connect(
    config: StationConfig, station: Station, name: str, address: str | None, library: Library
) -> tuple[Any, Identity]:
    """Open instrument `name`, and return it with its identity; a failure leaves nothing open and its name free.

    Raises
    ------
    ConfigurationError
        The message has file, line, instrument, address, reason and what to do.

    """
    kind = instrument_class(config, name)
    with OPENING:
        if Instrument.exist(name):
            raise config.error(
                ("instruments", name),
                f"an instrument {name} is already open in this process, perhaps by another session; close it first",
            )
        before = library.manager.list_opened_resources()
        try:
            return _answering(config, station, name, kind, address, library)
        except ConfigurationError:
            raise
        except Exception as error:
            if Instrument.exist(name):
                close(Instrument.find_instrument(name))
            _close_all_but(before, library)
            raise _not_opened(config, name, kind, address, error) from error


def _answering(
    config: StationConfig, station: Station, name: str, kind: type, address: str | None, library: Library
) -> tuple[Any, Identity]:
    """The instrument `name`, open and answering, and its identity; empty if it has none."""
    if issubclass(kind, VisaInstrument | PymeasureInstrument) and address is not None:
        # The default timeout of the library is often 10 s.
        library.manager.open_resource(address, open_timeout=OPEN_TIMEOUT).close()
    with contextlib.redirect_stdout(io.StringIO()):  # QCoDeS prints; standard output is for the command's results
        instrument = _opened(config, station, name, kind, address, library)
    identity = identity_of(instrument) or {}
    _require_answer(identity, name)
    logger.info("opened %s at %s: %s", name, address, " ".join(filter(None, identity.values())) or "no identity")
    return instrument, identity


def _not_opened(
    config: StationConfig, name: str, kind: type, address: str | None, error: Exception
) -> ConfigurationError:
    """Error for an instrument that does not answer, or whose class fails for another reason."""
    # An InstrumentError names the instrument and gives advice itself.
    reason = error.problem if isinstance(error, InstrumentError) else f"{type(error).__name__}: {error}"
    reason = reason.rstrip(".")
    if address is None or not isinstance(error, OSError | pyvisa.Error | CommunicationError):
        # Our classes refuse their arguments by a ValueError; those of others may fail so at an answer, too.
        late = "; if it has worked before, an answer was late or wrong: switch the instrument off and on, and try again"
        late = "" if isinstance(error, ValueError) and kind.__module__.startswith("drivers.") else late
        return config.error(
            ("instruments", name, "type"),
            f"{kind.__module__}.{kind.__name__} cannot be opened as {name}"
            f"{f' at {address}' if address else ''}: {reason}. Correct type, init or parameters, or the class{late}.",
        )
    # The address of a VISA instrument was opened before.
    opened = issubclass(kind, VisaInstrument | PymeasureInstrument) and isinstance(error, CommunicationError)
    silent = f"does not answer as a {kind.__name__}" if opened else "unreachable"
    return config.error(
        ("instruments", name, "address"),
        f"{silent}: {name} at {address}: {reason}. Check that it is switched on and connected, "
        "that no other program uses it, and that type, address and init are correct.",
    )


def _opened(
    config: StationConfig, station: Station, name: str, kind: type, address: str | None, library: Library
) -> Any:
    # Of __init__, because the class itself hides its arguments behind QCoDeS's metaclass.
    takes = inspect.signature(kind.__init__).parameters  # type: ignore[misc]  # only read, never called
    speaks_visa = issubclass(kind, VisaInstrument | PymeasureInstrument) or "visalib" in takes
    if library.simulated and not speaks_visa:
        raise config.error(("instruments", name, "type"), "does not use PyVISA, so it has no simulated panel")
    init = dict(config.instruments[name].get("init") or {})
    if issubclass(kind, PymeasureInstrument):
        init["visa_library"] = library.specification
        return kind(address, **{key: value for key, value in init.items() if key != "visalib"})
    arguments: dict[str, Any] = {} if address is None else {"address": address}
    if speaks_visa:
        arguments["visalib"] = library.specification
    if issubclass(kind, InstrumentBase):
        return station.load_instrument(name, update_snapshot=False, **arguments)
    return cast(Callable[..., Any], kind)(name, **(init | arguments))


def close(instrument: Any) -> None:
    """Close `instrument` and free its name in QCoDeS's registry, even if closing fails."""
    try:
        if isinstance(instrument, PymeasureInstrument):
            instrument.adapter.close()  # not `shutdown`, which would switch outputs off at any level
        elif hasattr(instrument, "close"):
            instrument.close()
    except Exception:
        # Its connection is closed already. The others must still be closed, so this is only logged.
        logger.exception("closing %r failed", instrument)
    finally:
        if isinstance(instrument, Instrument):
            Instrument.remove_instance(instrument)


def is_simulated(identity: Mapping[str, str | None]) -> bool:
    """Whether `identity`, as QCoDeS's `get_idn()` returns it, is that of a simulated instrument."""
    return (identity.get("serial") or "").removeprefix("s/n").startswith(TWIN_SERIAL)


def identity_of(instrument: Any) -> Identity | None:
    """Vendor, model, serial number and firmware, as the instrument answers now; None if it has no identity."""
    if isinstance(instrument, Instrument):
        return dict(instrument.get_idn())
    if isinstance(instrument, PymeasureInstrument):
        parts = str(instrument.id).strip().split(",")
        return dict(zip_longest(("vendor", "model", "serial", "firmware"), parts[:4]))
    return None


def confirmed_identity(instrument: Any, described: str, opened: Identity) -> Identity | None:
    """Identity of `instrument` as it answers now, which must be the one it was `opened` with; read twice at most.

    Raises
    ------
    CommunicationError
        It is another.

    """
    for _ in range(2):
        found = identity_of(instrument)
        if (found or {}) == opened:
            return found
    now, then = (", ".join(part or "" for part in (one or {}).values()) for one in (found, opened))
    raise CommunicationError(
        described,
        f"identifies itself as {now or 'nothing'} in answer to '*IDN?', and as {then or 'nothing'} when it was opened.",
        "Check that no other instrument has its address; an answer may have been late: repeat the run.",
    )


def longest_answer(instrument: Any) -> float:
    """Time (s) after which a query of `instrument` fails without an answer; 0 where it does not use VISA."""
    connection = getattr(instrument, "visa_handle", None)
    if isinstance(instrument, PymeasureInstrument):
        connection = getattr(instrument.adapter, "connection", None)
    return float(getattr(connection, "timeout", 0.0)) / 1e3


def require_bounded(config: StationConfig, name: str, instrument: Any) -> None:
    """Refuse an instrument that may be silent for too long, however its class sets its timeout."""
    longest = longest_answer(instrument)
    if not longest <= LONGEST_TIMEOUT:
        raise config.error(("instruments", name, "type"), f"its VISA timeout is {longest:g} s; {TIMEOUTS_ALLOWED}")


def require_one_entry(config: StationConfig, serials: dict[str, str], name: str, serial: str | None) -> None:
    """Refuse the instrument `name` if another entry has its serial number by another address; note it in `serials`."""
    if serial is None:
        return
    other = serials.setdefault(serial, name)
    here, there = config.address(name), config.address(other)
    if here != there and not lock_names_of_address(here or "") & lock_names_of_address(there or ""):
        raise config.error(
            ("instruments", name, "address"),
            f"{name} ({here}) and {other} ({there}) are one instrument: both answer *IDN? with the same serial "
            "number. Give both the same address, or remove one of them.",
        )


def require_patient(config: StationConfig, timeout: float, instruments: Mapping[str, Any]) -> None:
    """Refuse a watchdog whose `timeout` (s) would pass while an answer of one of `instruments` is lost."""
    for name, instrument in instruments.items():
        shortest = longest_answer(instrument) + GUARDIAN_ACTS_WITHIN
        if timeout < shortest:
            raise config.error(
                ("labnis", "limits", "watchdog", "timeout"),
                f"found {timeout:g} s; allowed are {shortest:g} s and more, because the VISA timeout of {name} is "
                f"{longest_answer(instrument):g} s",
            )


def _close_all_but(keep: Collection[Any], library: Library) -> None:
    """Close connections that a failed constructor left open."""
    for resource in library.manager.list_opened_resources():
        if resource not in keep:
            resource.close()


def instrument_class(config: StationConfig, name: str) -> type:
    """Import the class of instrument `name`.

    Raises
    ------
    ConfigurationError
        It is not an instrument class of the allowed packages; for a lab's own file the message has the line in it.

    """
    dotted = config.instruments[name]["type"]
    where = ("instruments", name, "type")
    try:
        kind = import_object(dotted)
    except ConfigurationError as error:
        raise config.error(where, str(error)) from error
    # A module also contains its own imports; only classes of the allowed packages are instruments.
    if not isinstance(kind, type) or not is_allowed_type(f"{kind.__module__}.{kind.__name__}", config.packages):
        raise config.error(where, f"{dotted} is not an instrument class under {allowed(config.packages)}")
    known = is_of_packages(f"{kind.__module__}.", ("drivers", *config.packages))
    if not known and not issubclass(kind, VisaInstrument | IPInstrument | PymeasureInstrument):
        raise config.error(
            where,
            f"{dotted} uses neither VISA nor TCP: such a class may load a manufacturer's library. Allowed are QCoDeS's "
            "VisaInstrument and IPInstrument, pymeasure's Instrument, and any class in a package of the lab "
            "(labnis.packages), which may be derived from this one.",
        )
    return kind


def serves_many(config: StationConfig, name: str) -> bool:
    """Whether several stations may use the instrument `name` at once (`drivers.capabilities.ServesMany`).

    Not if this one moves a set-point of it, such as the temperature of the stage.
    """
    if any(isinstance(role, SetpointSpec) and role.instrument == name for role in config.roles.values()):
        return False
    with contextlib.suppress(ConfigurationError):  # opening it reports what is wrong with its class
        return getattr(instrument_class(config, name), "serves_many", False) is True
    return False


def address_locks(config: StationConfig, addresses: Mapping[str, str | None]) -> set[str]:
    """Names of the locks of instruments with these `addresses`, of all that one station uses alone."""
    alone = [address for name, address in addresses.items() if address and not serves_many(config, name)]
    return {lock for address in alone for lock in lock_names_of_address(address)}


def serial_locks(config: StationConfig, name: str, serial: str | None) -> set[str]:
    """Names of the locks of an instrument by its `serial` number, unless several stations may use it."""
    return set() if serial is None or serves_many(config, name) else {serial}


def _require_answer(identity: Identity, name: str) -> None:
    """QCoDeS only logs a missing answer to ``*IDN?``; opening a GPIB address succeeds with no instrument there."""
    silent = {"vendor": None, "model": name, "serial": None, "firmware": None}
    if identity == silent:
        raise TimeoutError("it does not answer *IDN?")
