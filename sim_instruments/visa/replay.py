"""A VISA library that answers from a VISA record: no instrument, no network, no waiting.

Each instrument has its own sequence of calls. A call that is not the next one of its instrument ends the replay, and
so does the end of an incomplete VISA record; then every further call is refused, including those that make outputs
safe. Time is the reading of the experiment's clock at this place of the VISA record.
"""

import itertools
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, SupportsInt, cast

import pyvisa
from pyvisa import constants, rname
from pyvisa.attributes import AttributesByID
from pyvisa.constants import ResourceAttribute, StatusCode
from pyvisa.errors import VisaIOError
from pyvisa.highlevel import VisaLibraryBase
from pyvisa.typing import VISARMSession, VISASession

from sim_instruments.visa.record import Entry, Record, described, read_record

__all__ = ["ReplayClock", "ReplayEndedError", "ReplayLibrary", "open_replay"]


class ReplayEndedError(Exception):
    """The replay cannot continue: something else was sent, or the VISA record has no further call."""


class ReplayClock:
    """Recorded time.

    Between two recorded calls the same readings come again in the same order. For a program that reads the clock more
    often than the recorded one, time advances only with its sleeps.
    """

    def __init__(self, record: Record) -> None:
        self._readings = [entry.clock for entry in record.entries] + [record.clock]
        self._now = 0.0
        self._place = 0
        self._pending = deque(self._readings[0])

    def time(self) -> float:
        """Recorded time (s)."""
        if self._pending:
            self._now = self._pending.popleft()
        return self._now

    def sleep(self, seconds: float) -> None:
        """Advance by `seconds` at once."""
        self._now += seconds

    def passed(self, index: int) -> None:
        """Note that the recorded call number `index`, from 0, was replayed."""
        if index >= self._place:
            self._place = index + 1
            self._pending = deque(self._readings[self._place])


class ReplayLibrary(VisaLibraryBase):
    """The VISA library behind `record.visa.jsonl@labnis`.

    Attributes
    ----------
    record
        The VISA record.
    clock
        Clock with the recorded time.
    difference
        First difference from the VISA record; empty if there is none.
    ran_out
        Whether a call is beyond the end of an incomplete VISA record.
    repeated
        Number of replayed calls.
    """

    def _init(self) -> None:
        self.record = read_record(Path(self.library_path))
        self._turn = threading.RLock()
        self.rewind()

    def rewind(self) -> None:
        """Restart from the beginning."""
        self.clock = ReplayClock(self.record)
        self.difference = ""
        self.ran_out = False
        self.repeated = 0
        self._handles = itertools.count(1)
        self._addresses: dict[int, str] = {}
        self._attributes: dict[int, dict[int, Any]] = {}
        self._waiting: dict[str, deque[tuple[int, Entry]]] = {address: deque() for address in self.record.addresses}
        for index, entry in enumerate(self.record.entries):
            self._waiting[entry.address].append((index, entry))

    def left_over(self) -> str:
        """The first recorded call that was not replayed, in words; empty if there is none."""
        left = [waiting[0][1] for waiting in self._waiting.values() if waiting]
        if not left:
            return ""
        entry = min(left, key=lambda one: one.line)
        return f"{entry.instrument} ({entry.address}): {entry.described} (line {entry.line})"

    # --- the VISA functions ------------------------------------------------------------------------------------------

    def open_default_resource_manager(self) -> tuple[VISARMSession, StatusCode]:
        """Open the manager's session (viOpenDefaultRM)."""
        return VISARMSession(next(self._handles)), StatusCode.success

    def list_resources(self, session: VISARMSession, query: str = "?*::INSTR") -> tuple[str, ...]:
        """Addresses in the VISA record (viFindRsrc)."""
        return rname.filter(sorted(self._waiting), query)

    def open(
        self,
        session: VISARMSession,
        resource_name: str,
        access_mode: constants.AccessModes = constants.AccessModes.no_lock,
        open_timeout: SupportsInt = constants.VI_TMO_IMMEDIATE,
    ) -> tuple[VISASession, StatusCode]:
        """Open a session (viOpen): to any address of the VISA record, unless it failed there."""
        if resource_name not in self._waiting:
            raise VisaIOError(StatusCode.error_resource_not_found)
        waiting = self._waiting[resource_name]
        if waiting and waiting[0][1].do == "open":
            self._repeat(resource_name, "open")
        handle = VISASession(next(self._handles))
        parsed = rname.parse_resource_name(resource_name)
        self._addresses[handle] = resource_name
        self._attributes[handle] = {
            ResourceAttribute.resource_manager_session: session,
            ResourceAttribute.resource_name: resource_name,
            ResourceAttribute.resource_class: parsed.resource_class,
            ResourceAttribute.interface_type: parsed.interface_type_const,
            ResourceAttribute.termchar: ord("\n"),
        }
        return handle, StatusCode.success

    def close(self, session: int) -> StatusCode:
        """Close a session (viClose)."""
        self._addresses.pop(session, None)
        self._attributes.pop(session, None)
        return StatusCode.success

    def write(self, session: VISASession, data: bytes) -> tuple[int, StatusCode]:
        """Send the next message of the VISA record (viWrite)."""
        entry = self._repeat(self._address(session), "out", bytes(data))
        return len(data), cast(StatusCode, entry.status)

    def read(self, session: VISASession, count: int) -> tuple[bytes, StatusCode]:
        """Receive the recorded answer (viRead). Raises the recorded exception."""
        with self._turn:
            address = self._address(session)
            entry = self._repeat(address, "in")
            if len(entry.data) > count:  # read in smaller pieces than recorded
                self._waiting[address].appendleft((-1, replace(entry, data=entry.data[count:])))
                return entry.data[:count], StatusCode.success_max_count_read
            return entry.data, cast(StatusCode, entry.status)

    def read_stb(self, session: VISASession) -> tuple[int, StatusCode]:
        """Read the recorded status byte (viReadSTB)."""
        entry = self._repeat(self._address(session), "status byte")
        return entry.value, cast(StatusCode, entry.status)

    def clear(self, session: VISASession) -> StatusCode:
        """Empty the instrument's buffers, if recorded (viClear)."""
        return cast(StatusCode, self._repeat(self._address(session), "clear").status)

    def assert_trigger(self, session: VISASession, protocol: constants.TriggerProtocol) -> StatusCode:
        """Trigger, if recorded (viAssertTrigger)."""
        return cast(StatusCode, self._repeat(self._address(session), "trigger").status)

    def flush(self, session: VISASession, mask: constants.BufferOperation) -> StatusCode:
        """Do nothing: there are no buffers (viFlush)."""
        return StatusCode.success

    def disable_event(self, session: VISASession, event_type: Any, mechanism: Any) -> StatusCode:
        """Do nothing: there are no events (viDisableEvent)."""
        return StatusCode.success

    def discard_events(self, session: VISASession, event_type: Any, mechanism: Any) -> StatusCode:
        """Do nothing: there are no events (viDiscardEvents)."""
        return StatusCode.success

    def get_attribute(self, session: int, attribute: Any) -> tuple[Any, StatusCode]:
        """Value of an attribute (viGetAttribute): as it was set, or VISA's default."""
        known = self._attributes.get(session, {})
        if attribute not in known and attribute not in AttributesByID:
            raise VisaIOError(StatusCode.error_nonsupported_attribute)
        return known.get(attribute, AttributesByID[attribute].default), StatusCode.success

    def set_attribute(self, session: int, attribute: Any, attribute_state: Any) -> StatusCode:
        """Set an attribute (viSetAttribute): any."""
        self._attributes[session][attribute] = attribute_state
        return StatusCode.success

    # --- inside ------------------------------------------------------------------------------------------------------

    def _address(self, session: int) -> str:
        if session not in self._addresses:
            raise VisaIOError(StatusCode.error_invalid_object)
        return self._addresses[session]

    def _repeat(self, address: str, do: str, data: bytes = b"") -> Entry:
        """The next call of the VISA record, which must be this one; its exception is raised again."""
        with self._turn:
            if self.difference or self.ran_out:
                raise ReplayEndedError(self.difference or "the record ends here")
            waiting = self._waiting[address]
            if not waiting and self.record.ended is None:
                self.ran_out = True
                raise ReplayEndedError("the record ends here")
            entry = waiting[0][1] if waiting else None
            if entry is None or entry.do != do or (do == "out" and entry.data != data):
                self.difference = self._explained(address, entry, described(do, data))
                raise ReplayEndedError(self.difference)
            index, _ = waiting.popleft()
            self.clock.passed(index)
            self.repeated += 1
            if entry.failure is not None:
                raise entry.failure
            return entry

    def _explained(self, address: str, entry: Entry | None, done: str) -> str:
        names = (one.instrument for one in self.record.entries if one.address == address)
        place = f"{next(names, address)} ({address})"
        if entry is None:
            return f"{place}: {done}, where the VISA record has no further call"
        return f"{place}: the VISA record has {entry.described} (line {entry.line}); now it was {done}"


@contextmanager
def open_replay(path: Path) -> Iterator[ReplayLibrary]:
    """The library that answers from the VISA record at `path`, from its beginning, during the context.

    Raises
    ------
    RecordError
        The VISA record cannot be read.
    """
    manager = pyvisa.ResourceManager(f"{path}@labnis")
    library = cast(ReplayLibrary, manager.visalib)  # the same object for all sessions of this path
    library.rewind()
    try:
        yield library
    finally:
        manager.close()
