"""VISA sessions to front panels: whole slices of the answer at once, status byte, device clear, exclusive lock.

They are made by the library itself and not registered with pyvisa-sim, whose own `@sim` is not changed.
"""

from pyvisa import constants, rname
from pyvisa.constants import ResourceAttribute, StatusCode
from pyvisa_sim.sessions.session import MessageBasedSession, Session

from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.world.clock import SimulatedClock

__all__ = ["PanelSession", "open_session"]

LINE_FEED = 10


class PanelSession(MessageBasedSession):  # type: ignore[misc]  # pyvisa-sim publishes no types
    """A session to one front panel, which all sessions of a library share."""

    device: FrontPanel

    def after_parsing(self) -> None:
        """Fill the interface's attributes; the termination character is a line feed until it is set."""
        super().after_parsing()
        self.attrs[ResourceAttribute.termchar] = LINE_FEED

    def write(self, data: bytes) -> tuple[int, StatusCode]:
        """Send one whole message."""
        self.device.receive(bytes(data))
        return len(data), StatusCode.success

    def read(self, count: int) -> tuple[bytes, StatusCode]:
        """Return up to `count` bytes of the answer.

        Nearly all work is done when the message arrives. An empty buffer fills only if the instrument says so
        (`await_answer`): the timeout passes on the twin's clock only if that is simulated. An answer that took longer
        than the timeout is late, not lost: this read times out and a later one gets it, as on a real bus.
        """
        panel = self.device
        timeout = self.timeout()
        if panel.answer_delay > timeout:
            panel.answer_delay -= timeout
            return b"", StatusCode.error_timeout
        panel.answer_delay = 0.0
        stop = None
        if self.attrs.get(ResourceAttribute.termchar_enabled):
            stop = bytes([self.attrs[ResourceAttribute.termchar]])
        simulated = isinstance(panel.world.clock, SimulatedClock) and timeout < float("inf")
        data, end = panel.take(count, stop)
        if not data and simulated:
            timeout -= panel.await_answer(timeout)
            data, end = panel.take(count, stop)
        if not data:
            panel.unterminated()
            if simulated:
                panel.world.clock.sleep(max(timeout, 0.0))
            return b"", StatusCode.error_timeout
        if end:
            return data, StatusCode.success
        if stop is not None and data.endswith(stop):
            return data, StatusCode.success_termination_character_read
        return data, StatusCode.success_max_count_read

    def timeout(self) -> float:
        """The session's timeout (s)."""
        milliseconds = self.attrs.get(ResourceAttribute.timeout_value, 2000)
        return float("inf") if milliseconds == constants.VI_TMO_INFINITE else milliseconds / 1000


def open_session(resource_manager: int, resource: rname.ResourceName, panel: FrontPanel) -> PanelSession:
    """Open a session with the attributes that pyvisa-sim gives to a `resource` of this kind."""
    stock = Session.get_session_class(resource.interface_type_const, resource.resource_class)
    kind = type(f"Panel{stock.__name__}", (PanelSession, stock), {})
    session: PanelSession = kind(resource_manager, str(resource), resource)
    session.device = panel
    return session
