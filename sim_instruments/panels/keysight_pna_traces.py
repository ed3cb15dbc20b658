"""Traces of Keysight's network analyzers: by their names, and as newer firmware has them, by their numbers."""

import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.keysight_panel import display
from sim_instruments.panels.keysight_pna_states import KeysightPNAStates
from sim_instruments.panels.scpi_values import Call, Choice, Number, ScpiError, Switch, Text

__all__ = ["KeysightPNATraces", "Measurement"]

PARAMETER = re.compile(r"S([1-4])([1-4])")
FORMAT = Choice("MLOGarithmic", "MLINear", "PHASe", "UPHase", "REAL", "IMAGinary", "POLar", "SMITh", "GDELay", "SWR")
DELAY = Number(0.0, -10.0, 10.0, "S")


@dataclass
class Measurement:
    """One trace: what it measures and how it is shown. `sweeps` were averaged into `data` since the last clear."""

    name: str
    parameter: str
    format: str = "MLOG"
    electrical_delay: float = 0.0
    data: NDArray[np.complex128] | None = None
    sweeps: int = 0


class KeysightPNATraces(KeysightPNAStates):
    """The traces of an analyzer with `ports` ports."""

    ports: ClassVar[int] = 4
    handlers: ClassVar = {
        ":CALCulate<ch>:PARameter:SELect?": lambda self, _: f'"{self._trace().name}"',
        ":CALCulate<ch>:PARameter:DELete:ALL": lambda self, _: self.traces.clear(),
        ":DISPlay[:WINDow<w>]:TRACe<n>:NEW": lambda self, _: self._add(
            f"CH1_S11_{max(self.traces, default=0) + 1}", "S11"
        ),
        ":CALCulate<ch>:FORMat?": lambda self, _: self._trace().format,
        ":CALCulate<ch>:CORRection:EDELay[:TIME]?": lambda self, _: self.show_number(self._trace().electrical_delay),
    }

    def reset(self) -> None:
        """Return to the factory defaults."""
        super().reset()
        self.traces: dict[int, Measurement] = {1: Measurement("CH1_S11_1", "S11")}
        self.selected = 1

    @abstractmethod
    def frequencies(self) -> NDArray[np.float64]:
        """Frequency of each point (Hz), shape (points,)."""

    @abstractmethod
    def _restart(self) -> None:
        """Delete what was measured with other settings."""

    @abstractmethod
    def _data(self, trace: Measurement) -> NDArray[np.complex128]:
        """Complex data of a trace."""

    def _trace(self) -> Measurement:
        if self.selected not in self.traces:
            raise ScpiError(-221, "Settings conflict;no measurement selected")
        return self.traces[self.selected]

    # --- traces --------------------------------------------------------------------------------------------------

    def _by_name(self, name: str) -> int:
        for number, trace in self.traces.items():
            if trace.name == name:
                return number
        raise ScpiError(-224, f"Illegal parameter value;no measurement {name}")

    def _add(self, name: str, parameter: str) -> None:
        if any(t.name == name for t in self.traces.values()):
            raise ScpiError(-224)
        self._check_parameter(parameter)
        number = next(n for n in range(1, len(self.traces) + 2) if n not in self.traces)
        self.traces[number] = Measurement(name, parameter.upper())

    @command(":CALCulate<ch>:PARameter:CATalog[:EXTended]?")
    def _list_traces(self, call: Call) -> str:
        listed = ",".join(f"{trace.name},{trace.parameter}" for trace in self.traces.values())
        return f'"{listed or "NO CATALOG"}"'

    @command(":CALCulate<ch>:PARameter:SELect")
    def _select_name(self, call: Call) -> None:
        self.selected = self._by_name(call.parse(0, Text()))

    @command(":CALCulate<ch>:PARameter:MNUMber[:SELect]")
    def _select_number(self, call: Call) -> None:
        number = int(call.number(0))
        if number not in self.traces:
            raise ScpiError(-224)
        self.selected = number

    @command(":CALCulate<ch>:PARameter:MNUMber[:SELect]?")
    def _show_selected_number(self, call: Call) -> str:
        self._trace()
        return str(self.selected)

    @command(":CALCulate<ch>:PARameter[:DEFine]:EXTended")
    def _define(self, call: Call) -> None:
        call.expect(2)
        self._add(call.parse(0, Text()), call.parse(1, Text()))

    @command(":CALCulate<ch>:PARameter:MODify:EXTended")
    def _modify(self, call: Call) -> None:
        self._modify_trace(self._trace(), call.parse(0, Text()))

    def _modify_trace(self, trace: Measurement, parameter: str) -> None:
        self._check_parameter(parameter)
        trace.parameter = parameter.upper()
        self._restart()

    def _check_parameter(self, parameter: str) -> None:
        found = PARAMETER.fullmatch(parameter.upper())
        if found is None or max(found.groups()) > str(self.ports):
            raise ScpiError(-224)

    @command(":CALCulate<ch>:PARameter:DELete[:NAME]")
    def _delete(self, call: Call) -> None:
        del self.traces[self._by_name(call.parse(0, Text()))]

    @command(":DISPlay[:WINDow<w>]:TRACe<n>[:STATe]")
    def _show_trace(self, call: Call) -> None:
        """Show a trace on the screen, without effect on its data."""
        if call.suffixes[1] not in self.traces:
            raise ScpiError(-114)
        call.parse(0, Switch(True))

    @command(":DISPlay[:WINDow<w>]:TRACe<n>:FEED")
    def _feed_trace(self, call: Call) -> None:
        """Show a trace on the screen, without effect on its data."""
        self._by_name(call.parse(0, Text()))

    # --- data ----------------------------------------------------------------------------------------------------

    @command(":CALCulate<ch>:FORMat")
    def _set_display_format(self, call: Call) -> None:
        self._trace().format = call.parse(0, FORMAT)

    @command(":CALCulate<ch>:CORRection:EDELay[:TIME]")
    def _set_delay(self, call: Call) -> None:
        self._trace().electrical_delay = call.parse(0, DELAY)

    def _sent(self, trace: Measurement, kind: str) -> bytes:
        data = self._data(trace)
        if kind == "SDATA":
            return self.encode(np.ascontiguousarray(data).view(np.float64))
        shown = display(data, self.frequencies(), trace.format, trace.electrical_delay)
        return self.encode(self.processed(shown))

    @command(":CALCulate<ch>:DATA?")
    def _send_data(self, call: Call) -> bytes:
        return self._sent(self._trace(), call.parse(0, Choice("FDATA", "SDATA")))

    @command(":CALCulate<ch>:X[:VALues]?", "[:SENSe<ch>]:X[:VALues]?", ":CALCulate<ch>:MEASure<n>:X[:VALues]?")
    def _send_axis(self, call: Call) -> bytes:
        if self.state["sweep_type"] == "CW":
            return self.encode(np.linspace(0, self.state["sweep_time"], self.state["points"]))
        return self.encode(self.frequencies())

    # --- by the number of a measurement, as newer firmware ---------------------------------------------------------

    def _numbered(self, call: Call) -> Measurement:
        channel, number = call.suffixes
        if channel != 1 or number not in self.traces:
            raise ScpiError(-114)
        return self.traces[number]

    @command(":CALCulate<ch>:MEASure<n>:DATA:SDATa?")
    def _send_complex(self, call: Call) -> bytes:
        return self._sent(self._numbered(call), "SDATA")

    @command(":CALCulate<ch>:MEASure<n>:DATA:FDATa?")
    def _send_formatted(self, call: Call) -> bytes:
        return self._sent(self._numbered(call), "FDATA")

    @command(":CALCulate<ch>:MEASure<n>:PARameter")
    def _modify_numbered(self, call: Call) -> None:
        text = call.arguments[0] if call.arguments else ""
        self._modify_trace(
            self._numbered(call), text.strip("'\"")
        )  # it takes a parameter without quotes, too (assumed)

    @command(":CALCulate<ch>:MEASure<n>:PARameter?")
    def _show_numbered(self, call: Call) -> str:
        return f'"{self._numbered(call).parameter}"'

    @command(":SYSTem:MEASure:CATalog?")
    def _list_numbers(self, call: Call) -> str:
        return '"' + ",".join(map(str, self.traces)) + '"'
