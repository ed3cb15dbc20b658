"""What SCPI sources have in common: the output, switched and verified, and what is sourced."""

from drivers.answers import is_choice, register
from drivers.errors import SettingError
from drivers.scpi import CheckedInstrument

__all__ = ["ScpiSource"]


class ScpiSource(CheckedInstrument):
    """A source of voltage or current with `:OUTP` and `:SOUR:FUNC`; a mix-in, as `CheckedInstrument`."""

    def output_on(self) -> None:
        """Connect the output at its present level; verified."""
        self.apply(":OUTP", True)

    def output_off(self) -> None:
        """Disconnect the output; verified."""
        self.apply(":OUTP", False)

    def _output_state(self) -> bool:
        return self.again(self._asked_output_state)

    def _asked_output_state(self) -> bool:
        self.distinguish(lambda answer: register(answer) in (0, 1))
        return self.ask_flag(":OUTP?")

    def sources_current(self) -> bool:
        """Query whether it sources current."""
        return self.again(self._asked_function) == "CURR"

    def _asked_function(self) -> str:
        answer = self.ask(":SOUR:FUNC?")
        function = next((one for one in ("VOLT", "CURR") if is_choice(answer, one)), "")
        if not function:
            raise self.unexpected(answer, ":SOUR:FUNC?", "VOLT or CURR")
        return function

    def _source_voltage(self) -> None:
        """Select voltage sourcing, which switches a current source's output off: refused while that is on."""
        if self.sources_current():
            if self._output_state():
                raise SettingError(
                    self.described,
                    "sources current with its output on; a voltage source is needed.",
                    "Bring the current to zero and switch the output off by hand.",
                )
            self.write(":SOUR:FUNC VOLT")
        self._confirmed[":SOUR:FUNC?"] = "VOLT"
