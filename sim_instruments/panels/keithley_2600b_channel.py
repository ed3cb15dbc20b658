"""One source-measure unit of a Keithley 2600B, `smua` or `smub`: settings, source and readings.

Facts of the reference manual 2600BS-901-01, Rev. B to F: names, defaults, limits, ranges, which source up to 101 % of
their names and read to 102 %, and are switched at 100 %; a measurement of what is sourced uses the source range; a
level beyond a fixed range is an error only while the output is on; a limit of 0 is "Parameter too small"; an over-range
reading is 9.91e37; the limit bits of the status are those of the last measurement. Steps of the source: SPEC-2602B.

Unknown, and assumed: settings read back as they were written; which error a level beyond the range gives (5005 here);
that autozero takes no time; steps of the source and digits of the readings of the other models; the limits that give
5007; the default of `offlimiti`; the numbers behind OUTPUT_ZERO, OUTPUT_HIGH_Z and the types of filters. Not simulated:
the delays and the analog filter (stored, without effect), contact check, calibration. Sweeps of the trigger model are
in `keithley_2600b_trigger`.

A source of current drives the device up to its limit of the voltage; sweeps of currents are not simulated.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from sim_instruments.panels.keithley_2600b_trigger import SourceSweep
from sim_instruments.panels.tsp_parts import Attribute, Part, ReadingBuffer, rejection
from sim_instruments.panels.tsp_values import Steps, Value, instant
from sim_instruments.world.fridge import SourceState, World
from sim_instruments.world.wires import Wires

__all__ = ["Model", "Smu"]

HEADROOM, READABLE, OVERRANGE = 1.01, 1.02, 9.91e37
# Digits of a reading as parts of the range, and of a source level: of the 6 V range as of the 1 V range (SPEC-2602B).
READING_STEP, SOURCE_STEP = 1e-6, {6.0: 50e-6}
VOLTAGE_LIMIT, CURRENT_LIMIT, OVERFLOW, BUFFER = 1, 2, 128, 256
# Part of the limit at which a source of current counts as limited.
AT_LIMIT = 0.999
DC_CURRENT, DC_VOLTAGE, HIGH_Z = 0.0, 1.0, 2.0
REPEATING = 1.0
SWITCH, THREE = (0.0, 1.0), (0.0, 1.0, 2.0)
CONSTANTS = {
    "OUTPUT_DCAMPS": 0.0, "OUTPUT_DCVOLTS": 1.0, "OUTPUT_OFF": 0.0, "OUTPUT_ON": 1.0, "OUTPUT_NORMAL": 0.0,
    "OUTPUT_ZERO": 1.0, "OUTPUT_HIGH_Z": 2.0, "SENSE_LOCAL": 0.0, "SENSE_REMOTE": 1.0, "SENSE_CALA": 3.0,
    "AUTORANGE_OFF": 0.0, "AUTORANGE_ON": 1.0, "AUTORANGE_FOLLOW_LIMIT": 2.0, "FILTER_OFF": 0.0, "FILTER_ON": 1.0,
    "FILTER_MOVING_AVG": 0.0, "FILTER_REPEAT_AVG": 1.0, "FILTER_MEDIAN": 2.0, "REL_OFF": 0.0, "REL_ON": 1.0,
    "AUTOZERO_OFF": 0.0, "AUTOZERO_ONCE": 1.0, "AUTOZERO_AUTO": 2.0, "DELAY_OFF": 0.0, "DELAY_AUTO": -1.0,
    "ENABLE": 1.0, "DISABLE": 0.0, "SETTLE_SMOOTH": 0.0, "SOURCE_IDLE": 0.0, "SOURCE_HOLD": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """What differs between the models.

    Attributes
    ----------
    name
        As `localnode.model`.
    voltages, currents
        Ranges (V, A).
    lowest_measured
        Lowest range of current that is measured (A); the source has those of `currents`.
    limits
        Smallest and largest limit of voltage (V), and of current (A).
    defaults
        Limits after a reset (V, A).
    area
        Largest voltage (V) at any current, and largest current (A) beyond it.

    """

    name: str
    voltages: tuple[float, ...]
    currents: tuple[float, ...]
    lowest_measured: float
    limits: tuple[float, float, float, float]
    defaults: tuple[float, float]
    area: tuple[float, float]
    delay: float = 0.0

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its channels."""
        return ("smua",) if self.name[3] in "15" else ("smua", "smub")


class Quantity(NamedTuple):
    """A number within limits, one of some choices if there are any."""

    default: float
    low: float = 0.0
    high: float = math.inf
    choices: tuple[float, ...] = ()

    def checked(self, value: Value) -> float:
        """The value, if it is allowed. Raises ScpiError."""
        if isinstance(value, bool) or not isinstance(value, float) or math.isnan(value):
            raise rejection(-104)
        if self.choices and value not in self.choices:
            raise rejection(-224)
        if not self.choices and not self.low <= value <= self.high:
            raise rejection(1101 if value > self.high else 1102)
        return value


def quantities(model: Model) -> dict[str, Quantity]:
    """All settings of a channel by their names."""
    volts, amperes = model.voltages[-1] * HEADROOM, model.currents[-1] * HEADROOM
    low_volts, high_volts, low_amperes, high_amperes = model.limits
    found = {
        "sense": Quantity(0.0, choices=(0.0, 1.0, 3.0)),
        "source.func": Quantity(DC_VOLTAGE, choices=SWITCH),
        "source.output": Quantity(0.0, choices=THREE),
        "source.levelv": Quantity(0.0, -volts, volts),
        "source.leveli": Quantity(0.0, -amperes, amperes),
        "source.limitv": Quantity(model.defaults[0], low_volts, high_volts),
        "source.limiti": Quantity(model.defaults[1], low_amperes, high_amperes),
        "source.limitp": Quantity(0.0),
        "source.rangev": Quantity(model.voltages[0], -volts, volts),
        "source.rangei": Quantity(model.currents[0], -amperes, amperes),
        "source.lowrangev": Quantity(model.voltages[0], 0.0, volts),
        "source.lowrangei": Quantity(model.currents[0], 0.0, amperes),
        "source.offmode": Quantity(0.0, choices=THREE),
        "source.offfunc": Quantity(DC_VOLTAGE, choices=SWITCH),
        "source.offlimiti": Quantity(1e-3, low_amperes, high_amperes),
        "source.offlimitv": Quantity(model.voltages[-1], low_volts, high_volts),
        "source.delay": Quantity(0.0, -1.0),
        "source.highc": Quantity(0.0, choices=SWITCH),
        "source.settling": Quantity(0.0, choices=(0.0, 1.0, 2.0, 3.0, 128.0)),
        "measure.rangev": Quantity(model.voltages[0], -volts, volts),
        "measure.rangei": Quantity(model.lowest_measured, -amperes, amperes),
        "measure.lowrangev": Quantity(model.voltages[0], 0.0, volts),
        "measure.lowrangei": Quantity(model.lowest_measured, 0.0, amperes),
        "measure.nplc": Quantity(1.0, 0.001, 25.0),
        "measure.autozero": Quantity(2.0, choices=THREE),
        "measure.count": Quantity(1.0, 1.0, 1e5),
        "measure.interval": Quantity(0.0, 0.0, 1.0),
        "measure.delay": Quantity(model.delay, -1.0),
        "measure.delayfactor": Quantity(1.0),
        "measure.filter.enable": Quantity(0.0, choices=SWITCH),
        "measure.filter.count": Quantity(1.0, 1.0, 100.0),
        "measure.filter.type": Quantity(1.0, choices=THREE),
    }
    if model.currents[0] < 1e-8:
        found["measure.analogfilter"] = Quantity(1.0, choices=SWITCH)
    for what in "vi":
        found[f"source.autorange{what}"] = Quantity(1.0, choices=SWITCH)
        found[f"measure.autorange{what}"] = Quantity(1.0, choices=THREE)
        found[f"measure.rel.enable{what}"] = Quantity(0.0, choices=SWITCH)
        found[f"measure.rel.level{what}"] = Quantity(0.0, -math.inf)
    return found


class Smu:
    """A source-measure unit.

    Parameters
    ----------
    model
        Of the instrument.
    world
        The simulated fridge.
    wires
        What it is connected to.

    Attributes
    ----------
    state
        Value of each setting by name, such as `source.levelv`.
    condition
        Bits of `status.measurement.instrument.smuX.condition`.

    """

    def __init__(self, model: Model, world: World, wires: Wires) -> None:
        self._model, self._world, self._wires = model, world, wires
        self._terminals = wires.terminals(world)
        self._quantities = quantities(model)
        self.buffers = (ReadingBuffer(), ReadingBuffer())
        self.sweep = SourceSweep(world.clock, self._pace, self._drive)
        self.reset()

    def reset(self) -> None:
        """Return to the defaults: 0 V, output off, autorange."""
        self.state = {name: quantity.default for name, quantity in self._quantities.items()}
        self._limited = self._overflowed = False
        self.sweep.reset()
        for buffer in self.buffers:
            buffer.readings.clear()
            buffer.append = 0.0
        self._drive()

    @property
    def condition(self) -> float:
        """The condition register; its limit bit is that of the last measurement."""
        stored = any(buffer.readings for buffer in self.buffers)
        limit = CURRENT_LIMIT if self._sourced == "v" else VOLTAGE_LIMIT
        return float(limit * self._limited + OVERFLOW * self._overflowed + BUFFER * stored)

    def part(self) -> Part:
        """It as scripts see it."""
        measure = Part(
            filter=self._settings("measure.filter"),
            rel=self._settings("measure.rel"),
            **{name: self._measuring(name) for name in ("v", "i", "iv", "r", "p")},
            **self._settings("measure").members,
        )
        source = Part(compliance=Attribute(self._compliance), **self._settings("source").members)
        return Part(
            source=source,
            measure=measure,
            sense=self._setting("sense"),
            nvbuffer1=self.buffers[0],
            nvbuffer2=self.buffers[1],
            makebuffer=instant(lambda size: ReadingBuffer()),
            reset=instant(self.reset),
            abort=instant(self.sweep.abort),
            trigger=self.sweep.part(),
            **CONSTANTS,
        )

    def _settings(self, under: str) -> Part:
        names = [name for name in self._quantities if name.rpartition(".")[0] == under]
        return Part(**{name.rpartition(".")[2]: self._setting(name) for name in names})

    def _setting(self, name: str) -> Attribute:
        read: Callable[[], Value] = partial(self._shown, name)
        return Attribute(read, partial(self._write, name))

    # --- settings ---------------------------------------------------------------------------------------------------

    @property
    def _sourced(self) -> str:
        return "v" if self.state["source.func"] == DC_VOLTAGE else "i"

    @property
    def _on(self) -> bool:
        return self.state["source.output"] == 1.0

    def _shown(self, name: str) -> float:
        """A setting as it is read: what is sourced is measured in the source range."""
        if name == f"measure.range{self._sourced}":
            name = f"source.range{self._sourced}"
        if name == "source.output":
            return float(self._on)
        return self.state[name]

    def _ranges(self, name: str) -> tuple[float, ...]:
        if name[-1] == "v":
            return self._model.voltages
        lowest = self._model.lowest_measured
        extra = (lowest,) if name.startswith("measure") and lowest < self._model.currents[0] else ()
        return extra + self._model.currents

    def _write(self, name: str, value: Value) -> None:
        new = self._quantities[name].checked(value)
        before = dict(self.state)
        path, _, last = name.rpartition(".")
        if last in ("rangev", "rangei"):
            new = _enclosing(self._ranges(name), new)
            self.state[f"{path}.autorange{last[-1]}"] = 0.0
        self.state[name] = new
        try:
            self._settle(name)
        except Exception:
            self.state = before
            raise
        if name in ("source.levelv", "source.output"):
            self.sweep.release()
        if name.startswith("source."):
            self._drive()

    def _settle(self, changed: str) -> None:
        """Autorange the source, and check the settings against each other. Raises ScpiError."""
        state = self.state
        for what, ranges in (("v", self._model.voltages), ("i", self._model.currents)):
            if state[f"source.autorange{what}"]:
                held = max(abs(state[f"source.level{what}"]), state[f"source.lowrange{what}"])
                state[f"source.range{what}"] = _enclosing(ranges, held)
        what = self._sourced
        if self._on and abs(state[f"source.level{what}"]) > HEADROOM * state[f"source.range{what}"]:
            raise rejection(5005)
        volts = max(abs(state["source.levelv"]), state["source.rangev"])
        high = what == "v" and volts > HEADROOM * self._model.area[0]
        if high and state["source.limiti"] > HEADROOM * self._model.area[1]:
            raise rejection(5007)
        several = min(state["measure.count"], state["measure.filter.count"]) > 1 and state["measure.filter.enable"]
        if several and changed in ("measure.filter.count", "measure.count", "measure.filter.enable"):
            raise rejection(5025)

    def _pace(self, measuring: bool) -> float:  # called by the sweep only
        """Time (s) of one step of a sweep."""
        integration = self.state["measure.nplc"] / self._world.wiring.line_frequency
        return max(self.state["source.delay"], 0.0) + (integration if measuring else 0.0)

    def _drive(self) -> None:
        level = self.state["source.levelv"] if self.sweep.level is None else self.sweep.level
        step = SOURCE_STEP.get(self.state["source.rangev"], 5e-5 * self.state["source.rangev"])
        level, limit = round(level / step) * step, self.state["source.limiti"]
        if self._on and self._sourced == "i":
            step = 5e-5 * self.state["source.rangei"]
            current = round(self.state["source.leveli"] / step) * step
            level, limit = self._wires.sourcing_current(self._world, current, self.state["source.limitv"])
        self._terminals.set_source(level=level, output=self._on, current_limit=limit)

    def _compliance(self) -> bool:
        self._state(1 / self._world.wiring.line_frequency)
        return self._limited

    # --- readings -----------------------------------------------------------------------------------------------------

    def _state(self, duration: float) -> SourceState:
        ranges = self._shown("measure.rangev"), self._shown("measure.rangei")
        found = self._terminals.source_state(duration, *ranges)
        limited = found.limited
        if self._sourced == "i":
            limited = abs(found.voltage) >= AT_LIMIT * self.state["source.limitv"]
        self._limited = self._on and limited
        return found

    def _measuring(self, function: str) -> Callable[[Sequence[Value]], Steps]:
        """The function `measure.i` and the like: one reading, or `count` of them into buffers."""

        def measure(arguments: Sequence[Value]) -> Steps:
            buffers = [buffer for buffer in arguments if isinstance(buffer, ReadingBuffer)]
            count = int(self.state["measure.count"]) if buffers else 1
            columns: list[Sequence[float]] = []
            for number in range(count):
                filtered = self.state["measure.filter.enable"] and self.state["measure.filter.type"] == REPEATING
                repeats = self.state["measure.filter.count"] if filtered else 1.0
                duration = repeats * self.state["measure.nplc"] / self._world.wiring.line_frequency
                wait = max(self.state["measure.interval"] - duration, 0.0) if number else 0.0
                yield duration + wait
                columns.append(self._reading(function, duration))
            for index, buffer in enumerate(buffers[: len(function)]):
                buffer.store([column[index] for column in columns])
            return tuple(columns[-1])

        return measure

    def _reading(self, function: str, duration: float) -> Sequence[float]:
        """Current and voltage for `iv`, otherwise the one value."""
        found = self._state(duration)
        measured = {"v": found.voltage, "i": found.current}
        values = {what: self._digitised(what, value) for what, value in measured.items()}
        self._overflowed = any(values[what] == OVERRANGE for what in function if what in values)
        volts, amperes = values["v"], values["i"]
        derived: Mapping[str, float] = {
            "r": volts / amperes if amperes else OVERRANGE,
            "p": volts * amperes,
        }
        return [derived[function]] if function in derived else [values[what] for what in function]

    def _digitised(self, what: str, value: float) -> float:
        """A value with the digits of its range, less the relative offset; over-range is its marker."""
        name = f"measure.range{what}"
        if self.state[f"measure.autorange{what}"] and what != self._sourced:
            held = max(abs(value), self.state[f"measure.lowrange{what}"])
            self.state[name] = _enclosing(self._ranges(name), held)
        full = self._shown(name)
        if abs(value) > READABLE * full:
            return OVERRANGE
        step = READING_STEP * full
        offset = self.state[f"measure.rel.level{what}"] if self.state[f"measure.rel.enable{what}"] else 0.0
        return round(value / step) * step - offset


def _enclosing(ranges: tuple[float, ...], value: float) -> float:
    """The lowest range that holds a value; the highest one if none does."""
    return next((one for one in ranges if abs(value) <= one * (1 + 1e-9)), ranges[-1])
