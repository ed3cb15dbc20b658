r"""SCPI front panels: headers in long and short form, `;` chains, error queue, IEEE 488.2 common commands.

A panel declares its commands in SCPI notation, capitals being the short form, brackets optional nodes and `<n>` a
numeric suffix::

    class Thermometer(ScpiPanel):
        identification = "Maker,Model,Serial,1.0"
        settings = (
            Setting("[:SENSe]:NPLCycles", "nplc", Number(1.0, 0.01, 10)),   # answers NPLC? too
        )

        @command("[:SENSe<n>]:DATA?")
        def data(self, call: Call) -> str:
            if call.suffixes[0] > 4:
                raise ScpiError(-114)
            return self.show_number(self.world.temperature("still"))

A ScpiError that a handler raises goes into the error queue.
"""

import re
from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, NamedTuple

from sim_instruments.panels.front_panel import FrontPanel, Handler, command, split_outside
from sim_instruments.panels.scpi_values import Call, Kind, ScpiError, short_form

__all__ = ["ScpiPanel", "Setting", "compile_header"]

NODE = re.compile(r"(\[)?:?([A-Za-z_][A-Za-z_0-9]*)(<\w+>)?(\])?")
UNIT = re.compile(r"\s*(:?\*?[A-Za-z]\w*(?::[A-Za-z]\w*)*\??)(?:(?<=\?)|\s|$)\s*(.*?)\s*", re.ASCII | re.DOTALL)
QUEUE_LENGTH = 30


class Setting(NamedTuple):
    """A value that can be set and queried: header in SCPI notation, name in the panel's `state`, kind of value."""

    header: str
    name: str
    kind: Kind


@cache
def compile_header(header: str) -> re.Pattern[str]:
    """Return the pattern of the upper-case headers that `header` in SCPI notation allows, with leading colon."""
    body = header.rstrip("?")
    query = r"\?" if header.endswith("?") else ""
    if body.startswith("*"):
        return re.compile(re.escape(body.upper()) + query)
    expression = ""
    for opening, mnemonic, suffix, _closing in NODE.findall(body):
        node = f":(?:{short_form(mnemonic)}|{mnemonic.upper()})" + (r"(\d{0,4})" if suffix else "")
        expression += f"(?:{node})?" if opening else node
    return re.compile(expression + query)


def _setting_commands(setting: Setting) -> Iterator[tuple[str, Handler]]:
    """The command and the query of `setting`."""
    header, name, kind = setting

    def check_suffixes(call: Call) -> None:
        if any(suffix != 1 for suffix in call.suffixes):
            raise ScpiError(-114)

    def change(panel: "ScpiPanel", call: Call) -> None:
        check_suffixes(call)
        call.expect(1)
        value = call.parse(0, kind)
        panel.check_setting(name, value)
        panel.state[name] = value
        panel.setting_changed(name)

    def show(panel: "ScpiPanel", call: Call) -> str:
        check_suffixes(call)
        call.expect(0, 1)
        value = call.parse(0, kind) if call.arguments else panel.state[name]
        return kind.show(value, panel.number_format)

    yield header, change
    yield header + "?", show


class ScpiPanel(FrontPanel):
    """A front panel with SCPI commands.

    Attributes
    ----------
    state
        Value of each setting by name.
    errors
        Error queue: numbers and texts, oldest first.

    """

    handlers: ClassVar = {
        ":SYSTem:VERSion?": "1999.0",
        ":SYSTem:ERRor:COUNt?": lambda self, _: str(len(self.errors)),
        ":SYSTem:ERRor:ALL?": lambda self, _: ",".join([self.next_error() for _ in range(max(1, len(self.errors)))]),
        ":STATus:PRESet": lambda self, call: call.expect(0),
        "*OPT?": lambda self, _: self.options,
    }
    settings: ClassVar[tuple[Setting, ...]] = ()
    options: ClassVar[str] = "0"
    number_format: ClassVar[str] = "+.11E"
    ERROR_AVAILABLE: ClassVar[int] = 4

    _resolved: ClassVar[dict[str, tuple[Handler, tuple[int, ...]]]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls._resolved = {}

    @classmethod
    def own_commands(cls) -> Iterator[tuple[str, Handler]]:
        """Headers and handlers of this class, including its settings."""
        yield from super().own_commands()
        for setting in vars(cls).get("settings", ()):
            yield from _setting_commands(setting)

    def switch_on(self) -> None:
        """Start as after power-up."""
        self.errors: deque[tuple[int, str]] = deque()
        super().switch_on()

    def reset(self) -> None:
        """Set every setting to its default and stop what is running; the error queue stays, as `*RST` leaves it."""
        self.abort_operation()
        self._announce_completion = False
        self.state: dict[str, Any] = {
            setting.name: setting.kind.default
            for parent in reversed(type(self).__mro__)
            for setting in vars(parent).get("settings", ())
        }

    def check_setting(self, name: str, value: Any) -> None:
        """Raise ScpiError if `value` contradicts the other settings; called before the setting changes."""

    def setting_changed(self, name: str) -> None:
        """Act on a setting that was just written (even with the same value)."""

    def show_number(self, value: float) -> str:
        """Format a number as this instrument does."""
        return format(value, self.number_format)

    # --- messages ---------------------------------------------------------------------------------------

    def execute(self, message: str) -> list[bytes]:
        """Execute the units of one program message; answers are joined by `;`."""
        self._path = ""
        answers = super().execute(message)
        return [b";".join(answers)] if answers else []

    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one unit below the header path of the previous unit."""
        match = UNIT.fullmatch(unit)
        if match is None:
            raise ScpiError(-102 if unit.isascii() and unit.isprintable() else -101)
        header = match[1].upper()
        if "*" in header:
            header = header.lstrip(":")  # `:*CLS`, which pymeasure sends, is accepted by real instruments
        elif not header.startswith(":"):
            header = f"{self._path}:{header}"
        handler, suffixes = self._resolve(header)
        if "*" not in header:
            self._path = header.rpartition(":")[0]
        arguments = tuple([part.strip() for part in split_outside(match[2], ",")]) if match[2] else ()
        return handler(self, Call(suffixes, arguments))

    def rejected(self, error: ScpiError) -> bool:
        """Put the error into the queue; after a command error the parser discards the rest of the message."""
        self.report(error.code, error.text)
        return -200 < error.code <= -100

    def _resolve(self, header: str) -> tuple[Handler, tuple[int, ...]]:
        """The handler of an upper-case header with its numeric suffixes. Raises ScpiError -113."""
        if (known := self._resolved.get(header)) is not None:
            return known
        for notation, handler in reversed(self.commands.items()):  # a subclass's come first
            if (match := compile_header(notation).fullmatch(header)) is not None:
                found = handler, tuple(int(group) if group else 1 for group in match.groups())
                self._resolved[header] = found
                return found
        raise ScpiError(-113)

    # --- errors and status ------------------------------------------------------------------------------

    def report(self, code: int, text: str) -> None:
        """Put an entry into the error queue and set its event status bit."""
        bits = {1: self.COMMAND_ERROR, 2: self.EXECUTION_ERROR, 4: self.QUERY_ERROR}
        self.event_status |= bits.get(-code // 100, self.DEVICE_ERROR)
        if len(self.errors) < QUEUE_LENGTH:
            self.errors.append((code, text))
        else:
            self.errors[-1] = (-350, "Queue overflow")

    def clear_status(self) -> None:
        """Clear the event registers and the error queue."""
        super().clear_status()
        self.errors.clear()

    def interrupted(self) -> None:
        """Discard the unread answer, as IEEE 488.2 asks."""
        self._output.clear()
        self.report(-410, "Query INTERRUPTED")

    def unterminated(self) -> None:
        """Note a read without a query."""
        self.report(-420, "Query UNTERMINATED")

    def summary_bits(self) -> int:
        """Error queue not empty."""
        return self.ERROR_AVAILABLE if self.errors else 0

    def format_error(self, code: int, text: str) -> str:
        """One entry as `SYSTem:ERRor?` answers it."""
        return f'{code:+d},"{text}"'

    def next_error(self) -> str:
        """Remove the oldest entry from the queue and format it."""
        return self.format_error(*(self.errors.popleft() if self.errors else (0, "No error")))

    @command(":SYSTem:ERRor[:NEXT]?")
    def _system_error(self, call: Call) -> str:
        call.expect(0)
        return self.next_error()
