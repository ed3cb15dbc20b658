"""Settings of the front panels of the Keithley 2400 series and the 6430 (user's manual 2400S-900-01, section 18)."""

import math
from collections.abc import Iterator
from typing import Any

from sim_instruments.panels.front_panel import Setting
from sim_instruments.panels.scpi import with_auto
from sim_instruments.panels.scpi_values import Choice, Integer, Number, Switch

__all__ = ["COMMON", "FUNCTIONS", "HEADROOM", "MOST_READINGS", "PROTECTIONS", "enclosing", "settings_of"]

HEADROOM = 1.05
# Limits of the voltage (V) that can be chosen; the last is none.
PROTECTIONS = (20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 160.0, 210.0)
FUNCTIONS = {"VOLTage[:DC]": "VOLT", "CURRent[:DC]": "CURR", "RESistance": "RES"}
ARM_SOURCES = ("IMMediate", "TLINk", "TIMer", "MANual", "BUS", "NSTest", "PSTest", "BSTest")
MOST_READINGS = 2500


class _Count(Integer):
    """A count that may be infinite."""

    def parse(self, text: str) -> Any:
        """Value for `text`."""
        return math.inf if text.upper() in ("INF", "INFINITE") else super().parse(text)

    def show(self, value: float, number_format: str) -> str:
        """Format `value`."""
        return f"{value:d}" if math.isfinite(value) else "+9.9E37"


def enclosing(ranges: tuple[float, ...], value: float) -> float:
    """The lowest of `ranges` that includes `value`, or the highest."""
    return next((one for one in ranges if abs(value) <= one * HEADROOM * (1 + 1e-9)), ranges[-1])


def settings_of(voltage: tuple[float, ...], current: tuple[float, ...], smallest: float) -> Iterator[Setting]:
    """Settings of a model with these ranges (V, A) and this `smallest` compliance (A)."""
    for header, short, ranges in (("VOLTage", "VOLT", voltage), ("CURRent", "CURR", current)):
        most = ranges[-1] * HEADROOM
        level = f":SOURce<n>:{header}[:LEVel]"
        yield Setting(f"{level}[:IMMediate][:AMPLitude]", f"{short} level", Number(0.0, -most, most))
        yield Setting(f"{level}:TRIGgered[:AMPLitude]", f"{short} triggered", Number(0.0, -most, most))
        yield Setting(f":SOURce<n>:{header}:MODE", f"{short} mode", Choice("FIXed", "SWEep", "LIST"))
        source_range = Number(ranges[0], -most, most)
        yield from with_auto(Setting(f":SOURce<n>:{header}:RANGe", f"{short} source range", source_range))
        yield Setting(f":SOURce<n>:{header}:STARt", f"{short} start", Number(0.0, -most, most))
        yield Setting(f":SOURce<n>:{header}:STOP", f"{short} stop", Number(0.0, -most, most))
        limit = Number(1.05e-4, smallest, most) if short == "CURR" else Number(21.0, 2e-4, most)
        yield Setting(f"[:SENSe<n>]:{header}[:DC]:PROTection[:LEVel]", f"{short} limit", limit)
        yield Setting(f"[:SENSe<n>]:{header}[:DC]:PROTection:RSYNchronize", f"{short} follows", Switch(False))
        sense = Number(enclosing(ranges, limit.default), -most, most)
        yield from with_auto(Setting(f"[:SENSe<n>]:{header}[:DC]:RANGe[:UPPer]", f"{short} range", sense))


COMMON: tuple[Setting, ...] = (
    Setting(":OUTPut<n>[:STATe]", "output", Switch(False)),
    Setting(":OUTPut<n>:SMODe", "off state", Choice("NORMal", "HIMPedance", "ZERO", "GUARd")),
    Setting(":SOURce<n>:FUNCtion[:MODE]", "function", Choice("VOLTage", "CURRent")),
    Setting(":SOURce<n>:VOLTage:PROTection[:LEVel]", "VOLT protection", Number(PROTECTIONS[-1], 0.0, 500.0)),
    Setting(":SOURce<n>:CLEar:AUTO", "clear auto", Switch(False)),
    *with_auto(Setting(":SOURce<n>:DELay", "delay", Number(0.0, 0.0, 9999.999))),
    Setting(":FORMat:BORDer", "byte order", Choice("NORMal", "SWAPped")),
    *with_auto(Setting(":SYSTem:LFRequency", "line frequency", Choice("50", "60"))),
    Setting(":SYSTem:TIME:RESet:AUTO", "time reset", Switch(False)),
    Setting(":SYSTem:BEEPer:STATe", "beeper", Switch(True)),
    Setting(":SYSTem:RSENse", "four-wire", Switch(False)),
    Setting(":SYSTem:GUARd", "guard", Choice("CABLe", "OHMS")),
    Setting("[:SENSe<n>]:FUNCtion:CONCurrent", "concurrent", Switch(True)),
    *(Setting(f"[:SENSe<n>]:{name}:NPLCycles", "nplc", Number(1.0, 0.01, 10.0)) for name in FUNCTIONS),
    Setting("[:SENSe<n>]:RESistance:MODE", "ohms", Choice("AUTO", "MANual")),
    Setting("[:SENSe<n>]:RESistance:OCOMpensated", "offset compensation", Switch(False)),
    *with_auto(Setting("[:SENSe<n>]:RESistance:RANGe[:UPPer]", "RES range", Number(2.1e5, 0.0, 2.1e13))),
    Setting("[:SENSe<n>]:AVERage[:STATe]", "filter", Switch(False)),
    Setting("[:SENSe<n>]:AVERage:COUNt", "filter count", Integer(10, 1, 100)),
    Setting(":ARM[:SEQuence<n>][:LAYer<n>]:COUNt", "arm count", _Count(1, 1, MOST_READINGS)),
    Setting(":ARM[:SEQuence<n>][:LAYer<n>]:SOURce", "arm source", Choice(*ARM_SOURCES)),
    Setting(":TRIGger[:SEQuence<n>]:COUNt", "trigger count", Integer(1, 1, MOST_READINGS)),
    Setting(":TRIGger[:SEQuence<n>]:SOURce", "trigger source", Choice("IMMediate", "TLINk")),
    Setting(":TRIGger[:SEQuence<n>]:DELay", "trigger delay", Number(0.0, 0.0, 999.9999)),
    Setting(":ARM[:SEQuence<n>][:LAYer<n>]:TIMer", "arm timer", Number(0.1, 1e-3, 99999.99)),
    Setting(":ARM[:SEQuence<n>][:LAYer<n>]:OUTPut", "arm output", Choice("NONE", "TENTer", "TEXit")),
    Setting(":ARM[:SEQuence<n>][:LAYer<n>]:ILINe", "arm input line", Integer(1, 1, 4)),
    Setting(":ARM[:SEQuence<n>][:LAYer<n>]:OLINe", "arm output line", Integer(2, 1, 4)),
    Setting(":TRIGger[:SEQuence<n>]:OUTPut", "trigger output", Choice("NONE", "SOURce", "DELay", "SENSe")),
    Setting(":TRIGger[:SEQuence<n>]:ILINe", "trigger input line", Integer(1, 1, 4)),
    Setting(":TRIGger[:SEQuence<n>]:OLINe", "trigger output line", Integer(2, 1, 4)),
    Setting(":CALCulate<n>:STATe", "math", Switch(False)),
    Setting(":CALCulate2:NULL:STATe", "null", Switch(False)),
    Setting(":CALCulate2:NULL:OFFSet", "null offset", Number(0.0)),
    Setting(":DISPlay:ENABle", "display", Switch(True)),
    Setting(":DISPlay:DIGits", "digits", Integer(6, 4, 7)),
)
