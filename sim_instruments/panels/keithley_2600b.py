"""Front panels of the Keithley 2600B series (reference manual 2600BS-901-01), one class for each model.

The device is at the channel that the station file names for the role `bias` (`smua` if it names none); another channel
drives nothing. See `keithley_2600b_channel` for source and readings, `tsp_panel` for scripts and messages.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sim_instruments.panels.keithley_2600b_channel import Model, Smu
from sim_instruments.panels.tsp_panel import TspPanel
from sim_instruments.panels.tsp_parts import Attribute, Part
from sim_instruments.panels.tsp_values import Steps, Value

__all__ = ["KEITHLEY_2600B", "Keithley2600BPanel"]

DECADES = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
BITS = {
    "VLMT": 1.0, "VOLTAGE_LIMIT": 1.0, "ILMT": 2.0, "CURRENT_LIMIT": 2.0, "ROF": 128.0, "READING_OVERFLOW": 128.0,
    "BAV": 256.0, "BUFFER_AVAILABLE": 256.0,
}  # fmt: skip


def _model(name: str) -> Model:
    if name.startswith("260"):
        volts, highest, area = (0.1, 1.0, 6.0, 40.0), 3.0, (6.0, 1.0)
        limits, defaults = (10e-3, 40.0, 10e-9, 3.0), (40.0, 1.0)
    else:
        volts, highest, area = (0.2, 2.0, 20.0, 200.0), 1.5, (20.0, 0.1)
        limits, defaults = (20e-3, 200.0, 10e-9, 3.0), (20.0, 0.1)
    sensitive = name.startswith("263")
    if sensitive:
        limits = (20e-3, 200.0, 100e-12, 1.5)
    currents = (*(DECADES if sensitive else DECADES[2:]), highest)
    lowest = 1e-10 if name in ("2635B", "2636B") else currents[0]
    return Model(name, volts, currents, lowest, limits, defaults, area, delay=-1.0 if sensitive else 0.0)


class Keithley2600BPanel(TspPanel):
    """A 2602B: its channel of the role `bias` is across the bias line."""

    model = "2602B"
    identification = "Keithley Instruments Inc., Model 2602B, TWIN002602B, 3.3.5"
    resource = "USB{}::0x05E6::0x2602::04000013::0::INSTR"

    def switch_on(self) -> None:
        """Start as after power-up."""
        model = _model(self.model)
        # `smub`, or `ChB` of pymeasure.
        named = "smub" if str(self.wires.source_channel).lower().endswith("b") else "smua"
        idle = replace(self.wires, source=None)
        self.channels = {name: Smu(model, self.world, self.wires if name == named else idle) for name in model.channels}
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: 0 V, outputs off, autorange."""
        super().reset()
        for channel in self.channels.values():
            channel.reset()

    def instrument(self) -> dict[str, Value]:
        """All global variables after power-up."""
        conditions = {
            name: Part(condition=Attribute(partial(getattr, smu, "condition")), **BITS)
            for name, smu in self.channels.items()
        }
        status = Part(
            condition=Attribute(lambda: float(self.status_byte())),
            measurement=Part(instrument=Part(**conditions)),
            operation=Part(sweeping=Part(condition=Attribute(self._sweeping), SMUA=2.0, SMUB=4.0)),
        )
        whole = {"status": status, "waitcomplete": self._wait}
        return super().instrument() | whole | {name: smu.part() for name, smu in self.channels.items()}

    def _sweeping(self) -> float:
        """Bits of the channels whose trigger model runs."""
        return float(sum(bit for bit, smu in zip((2, 4), self.channels.values(), strict=False) if smu.sweep.running))

    def _wait(self, _arguments: Sequence[Value]) -> Steps:
        for smu in self.channels.values():
            yield from smu.sweep.wait()
        return ()


def _panel(model: str) -> type[Keithley2600BPanel]:
    """The panel of one of the other models."""
    members = {
        "model": model,
        "identification": Keithley2600BPanel.identification.replace("2602B", model),
        "resource": Keithley2600BPanel.resource.replace("0x2602", f"0x{model[:4]}"),
        "__doc__": f"A {model}.",
    }
    return type(f"Keithley{model}Panel", (Keithley2600BPanel,), members)


_OTHERS = ("2601B", "2602A", "2604B", "2611B", "2612B", "2614B", "2634B", "2635B", "2636B")
#: Class names of drivers and their panels: labnis's own, those of QCoDeS of each model, and that of pymeasure.
KEITHLEY_2600B: dict[str, type[Keithley2600BPanel]] = {
    **dict.fromkeys(("Keithley2600B", "Keithley2602B", "Keithley2600"), Keithley2600BPanel),
    **{f"Keithley{model}": _panel(model) for model in _OTHERS},
}
