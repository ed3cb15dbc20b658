"""PyVISA's view of the twin: a VISA library whose instruments are at one simulated device."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, SupportsInt

from pyvisa import constants, rname
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError
from pyvisa.typing import VISARMSession, VISASession
from pyvisa.util import LibraryPath
from pyvisa_sim.devices import Devices
from pyvisa_sim.highlevel import SimVisaLibrary

from labnis.accuracy import Source
from sim_instruments.instruments import PLAIN, SHIPPED_TRUTH, SimulatedInstrument
from sim_instruments.panels import ADDRESSES, front_panels
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.visa.sessions import PanelSession, open_session
from sim_instruments.world.clock import RealClock, SimulatedClock
from sim_instruments.world.fridge import Clock, World
from sim_instruments.world.truth import load_truth

__all__ = ["LabnisVisaLibrary"]

FIRST_HANDLE = 10_000_000
"""pyvisa-sim numbers the sessions of resource managers below this."""


class LabnisVisaLibrary(SimVisaLibrary):  # type: ignore[misc]  # pyvisa-sim publishes no types
    """The VISA library behind `truth.yaml@labnis`.

    PyVISA keeps one library per path for as long as there is a reference to it or to a resource manager made from it:
    all clients of the same path share one World. Without a reference the World's state is lost.

    Attributes
    ----------
    truth
        The truth file's content.
    world
        The physics that all panels share.
    panels
        The front panel of each instrument, by name.

    Raises
    ------
    TruthError
        On opening, if the truth file is wrong.

    """

    @staticmethod
    def get_library_paths() -> tuple[LibraryPath, ...]:
        """Return the shipped truth file, which plain `@labnis` uses."""
        return (LibraryPath(str(SHIPPED_TRUTH)),)

    @staticmethod
    def get_debug_info() -> dict[str, str]:
        """Name the shipped truth file for `pyvisa-info`."""
        return {"Truth file": str(SHIPPED_TRUTH), "Instruments": ", ".join(ADDRESSES.values())}

    def _init(self) -> None:
        # Clients may live in several threads; the World and its clock are one.
        self._turn = RLock()
        self.load()
        self.connect({}, PLAIN)
        self.sessions: dict[int, PanelSession] = {}
        self._handles = itertools.count(FIRST_HANDLE)
        self._locks: dict[FrontPanel, VISASession] = {}

    def load(self) -> None:
        """Make a new World of the truth file, which may be another one since PyVISA made this library."""
        with self._turn:
            self.truth = load_truth(Path(self.library_path))
            self.world = World(self.truth, self._new_clock())

    def connect(
        self,
        wiring: Mapping[str, Any],
        instruments: Mapping[str, SimulatedInstrument],
        stated: Sequence[Source] = (),
    ) -> None:
        """Connect `instruments` to the device, with the wiring of a station (keys of `LineWiring`).

        `stated` are the errors that instruments and wiring may have from the next reset on.
        """
        with self._turn:
            self.world.stated = stated
            self.world.wiring = self.truth.true_wiring(wiring)
            self.panels = front_panels(self.world, instruments)
            self.devices = Devices()
            for panel in self.panels.values():
                self.devices.add_device(panel.address, panel)

    def _new_clock(self) -> Clock:
        return SimulatedClock() if self.truth.time == "simulated" else RealClock()

    @property
    def clock(self) -> Clock:
        """The twin's time."""
        return self.world.clock

    def reset(self, seed: int | None = None) -> None:
        """Switch the whole twin off and on: time zero, fresh panels, noise from `seed` (the truth file's if None)."""
        with self._turn:
            self.world.clock = self._new_clock()
            self.world.reset(self.truth.noise.seed if seed is None else seed)
            for panel in self.panels.values():
                panel.switch_on()

    # --- the VISA functions -----------------------------------------------------------------------------

    def open(
        self,
        session: VISARMSession,
        resource_name: str,
        access_mode: constants.AccessModes = constants.AccessModes.no_lock,
        open_timeout: SupportsInt = constants.VI_TMO_IMMEDIATE,
    ) -> tuple[VISASession, StatusCode]:
        """Open a session (viOpen)."""
        try:
            resource = rname.parse_resource_name(resource_name)
        except rname.InvalidResourceName:
            return VISASession(0), self.handle_return_value(session, StatusCode.error_invalid_resource_name)
        if str(resource) not in self.devices.list_resources():
            return VISASession(0), self.handle_return_value(session, StatusCode.error_resource_not_found)
        opened = open_session(session, resource, self.devices[str(resource)])
        handle = VISASession(next(self._handles))
        self.sessions[handle] = opened
        if access_mode == constants.AccessModes.exclusive_lock:
            self.lock(handle, constants.Lock.exclusive, int(open_timeout))
        return handle, StatusCode.success

    def close(self, session: int) -> StatusCode:
        """Close a session (viClose) and release its lock."""
        with self._turn:
            self._locks = {panel: owner for panel, owner in self._locks.items() if owner != session}
            status: StatusCode = super().close(session)
            return status

    def write(self, session: VISASession, data: bytes) -> tuple[int, StatusCode]:
        """Send a message (viWrite)."""
        with self._turn:
            return self._session(session).write(data)

    def read(self, session: VISASession, count: int) -> tuple[bytes, StatusCode]:
        """Read an answer (viRead). Raises VisaIOError on a timeout."""
        with self._turn:
            data, status = self._session(session).read(count)
        if status < 0:
            self.handle_return_value(session, status)
        return data, status

    def read_stb(self, session: VISASession) -> tuple[int, StatusCode]:
        """Read the status byte without a message (viReadSTB)."""
        with self._turn:
            panel = self._session(session).device
            self.world.clock.sleep(panel.bus_latency)
            return panel.status_byte(), StatusCode.success

    def clear(self, session: VISASession) -> StatusCode:
        """Empty the instrument's buffers (viClear)."""
        with self._turn:
            self._session(session).device.device_clear()
            return StatusCode.success

    def flush(self, session: VISASession, mask: constants.BufferOperation) -> StatusCode:
        """Do nothing: sessions have no buffers (viFlush)."""
        self._session(session)
        return StatusCode.success

    def assert_trigger(self, session: VISASession, protocol: constants.TriggerProtocol) -> StatusCode:
        """Trigger (viAssertTrigger), as the message `*TRG` does."""
        self.write(session, b"*TRG")
        return StatusCode.success

    def lock(
        self, session: VISASession, lock_type: constants.Lock, timeout: int, requested_key: str | None = None
    ) -> tuple[str, StatusCode]:
        """Lock an instrument for one session (viLock). Only exclusive locks; a held one is refused at once."""
        if lock_type != constants.Lock.exclusive:
            self.handle_return_value(session, StatusCode.error_nonsupported_operation)
        with self._turn:
            self._locks[self._session(session).device] = session
        return "", StatusCode.success

    def unlock(self, session: VISASession) -> StatusCode:
        """Release a lock (viUnlock)."""
        with self._turn:
            panel = self._session(session).device
            if self._locks.pop(panel, None) is None:
                self.handle_return_value(session, StatusCode.error_session_not_locked)
        return StatusCode.success

    def _session(self, handle: int) -> PanelSession:
        """The session of `handle`. Raises VisaIOError if it is closed or another session holds the instrument."""
        session = self.sessions.get(handle)
        if not isinstance(session, PanelSession):
            raise VisaIOError(StatusCode.error_invalid_object)
        if self._locks and self._locks.get(session.device, handle) != handle:
            raise VisaIOError(StatusCode.error_resource_locked)
        return session
