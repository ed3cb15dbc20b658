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
from functools import cache
from typing import ClassVar

from sim_instruments.panels.front_panel import FrontPanel, Handler, Setting, command, split_arguments
from sim_instruments.panels.scpi_values import Call, ScpiError, Switch, short_form

__all__ = ["ScpiPanel", "with_auto"]

NODE = re.compile(r"(\[)?:?([A-Za-z_][A-Za-z_0-9]*)(<\w+>)?(\])?")
UNIT = re.compile(r"\s*(:?\*?[A-Za-z]\w*(?::[A-Za-z]\w*)*\??)(?:(?<=\?)|\s|$)\s*(.*?)\s*", re.ASCII | re.DOTALL)
QUEUE_LENGTH = 30


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


def with_auto(setting: Setting) -> tuple[Setting, Setting]:
    """`setting`, and whether the instrument chooses its value; see `ScpiPanel.setting_changed`."""
    return setting, Setting(f"{setting.header}:AUTO", f"{setting.name} auto", Switch(True))


def _check_suffixes(call: Call) -> None:
    if any(suffix != 1 for suffix in call.suffixes):
        raise ScpiError(-114)


class ScpiPanel(FrontPanel):
    """A front panel with SCPI commands.

    Attributes
    ----------
    errors
        Error queue, oldest first.

    """

    handlers: ClassVar = {
        ":SYSTem:VERSion?": "1999.0",
        ":SYSTem:ERRor:COUNt?": lambda self, _: str(len(self.errors)),
        ":SYSTem:ERRor:ALL?": lambda self, _: ",".join([self.next_error() for _ in range(max(1, len(self.errors)))]),
        ":ABORt": lambda self, _: self.abort_operation(),
        ":STATus:PRESet": lambda self, call: call.expect(0),
        "*OPT?": lambda self, _: self.options,
    }
    options: ClassVar[str] = "0"
    number_format = "+.11E"
    ERROR_AVAILABLE: ClassVar[int] = 4

    def switch_on(self) -> None:
        """Start as after power-up."""
        self.errors: deque[ScpiError] = deque()
        super().switch_on()

    def reset(self) -> None:
        """Set every setting to its default and stop what is running; the error queue stays, as `*RST` leaves it."""
        self.abort_operation()
        self._announce_completion = False
        super().reset()

    def change_setting(self, setting: Setting, call: Call) -> None:
        """Execute the command of `setting`; there is only one of each."""
        _check_suffixes(call)
        super().change_setting(setting, call)

    def show_setting(self, setting: Setting, call: Call) -> str:
        """Answer the query of `setting`, or how it shows a parameter such as MAXimum."""
        _check_suffixes(call)
        if not call.arguments:
            return super().show_setting(setting, call)
        call.expect(1)
        return setting.kind.show(call.parse(0, setting.kind), self.number_format)

    def setting_changed(self, name: str) -> None:
        """Act on a setting that was just written: it replaces the automatic choice, if there is one."""
        if f"{name} auto" in self.state:
            self.state[f"{name} auto"] = False

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
        return handler(self, Call(suffixes, split_arguments(match[2])))

    def rejected(self, error: ScpiError) -> bool:
        """Put the error into the queue; after a command error the parser discards the rest of the message."""
        self.report(error)
        return -200 < error.code <= -100

    @classmethod
    @cache
    def _resolve(cls, header: str) -> tuple[Handler, tuple[int, ...]]:
        """The handler of an upper-case header with its numeric suffixes. Raises ScpiError -113."""
        for notation, handler in reversed(cls.commands().items()):  # a subclass's come first
            if (match := compile_header(notation).fullmatch(header)) is not None:
                return handler, tuple(int(group) if group else 1 for group in match.groups())
        raise ScpiError(-113)

    # --- errors and status ------------------------------------------------------------------------------

    def report(self, error: ScpiError) -> None:
        """Put an entry into the error queue and set its event status bit."""
        self.event_status |= error.event_bit
        if len(self.errors) < QUEUE_LENGTH:
            self.errors.append(error)
        else:
            self.errors[-1] = ScpiError(-350)

    def clear_status(self) -> None:
        """Clear the event registers and the error queue."""
        super().clear_status()
        self.errors.clear()

    def interrupted(self) -> None:
        """Discard the unread answer, as IEEE 488.2 asks."""
        self._output.clear()
        self.report(ScpiError(-410))

    def unterminated(self) -> None:
        """Note a read without a query."""
        self.report(ScpiError(-420))

    def summary_bits(self) -> int:
        """Error queue not empty."""
        return self.ERROR_AVAILABLE if self.errors else 0

    def format_error(self, error: ScpiError) -> str:
        """One entry as `SYSTem:ERRor?` answers it."""
        return f'{error.code:+d},"{error.text}"'

    def next_error(self) -> str:
        """Remove the oldest entry from the queue and format it."""
        return self.format_error(self.errors.popleft() if self.errors else ScpiError(0))

    @command(":SYSTem:ERRor[:NEXT]?")
    def _system_error(self, call: Call) -> str:
        call.expect(0)
        return self.next_error()
