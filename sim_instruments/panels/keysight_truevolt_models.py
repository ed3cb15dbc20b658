"""Front panels of the Keysight Truevolt multimeters 34460A, 34461A, 34465A and 34470A: how the models differ."""

from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Setting
from sim_instruments.panels.keysight_344xx import (
    AMPERES,
    HEADERS,
    OHMS,
    VOLTS,
    Terminals,
    TruevoltPanel,
    settings_of,
)
from sim_instruments.panels.scpi_values import Choice, Integer, Number, Switch

__all__ = ["Keysight34460APanel", "Keysight34461APanel", "Keysight34465APanel", "Keysight34470APanel"]


def _measuring() -> dict[str, Any]:
    """CONFigure and MEASure? of each function."""
    found: dict[str, Any] = {}
    for function, header in HEADERS.items():
        found[f":CONFigure:{header}"] = lambda self, call, function=function: self.configure(function, call)
        found[f":MEASure:{header}?"] = lambda self, call, function=function: self.measure(function, call)
    return found


class Keysight34461APanel(TruevoltPanel):
    """A 34461A."""

    identification = "Keysight Technologies,34461A,TWIN0071,A.03.01-03.15-03.01-00.52-04-01"
    resource = "USB{}::0x2A8D::0x1301::MY57000001::0::INSTR"
    settings: ClassVar[tuple[Any, ...]] = (
        *settings_of(TruevoltPanel.ranges, TruevoltPanel.cycles, aperture=False),
        Setting("[:SENSe]:CURRent:DC:TERMinals", "terminals", Terminals(3, 3, 10)),
        Setting("[:SENSe]:CURRent:AC:TERMinals", "AC terminals", Terminals(3, 3, 10)),
    )
    handlers: ClassVar = _measuring()


class Keysight34460APanel(TruevoltPanel):
    """A 34460A, with one pair of current terminals."""

    identification = "Keysight Technologies,34460A,TWIN0072,A.03.01-03.15-03.01-00.52-04-01"
    resource = "USB{}::0x2A8D::0x1201::MY57000002::0::INSTR"
    resolutions = (3e-4, 1e-4, 3e-5, 1e-5, 3e-6)
    settings: ClassVar[tuple[Any, ...]] = tuple(settings_of(TruevoltPanel.ranges, TruevoltPanel.cycles, aperture=False))
    handlers: ClassVar = _measuring()


class Keysight34465APanel(TruevoltPanel):
    """A 34465A with a firmware that digitizes: it has short apertures, smoothing and a timer of samples."""

    identification = "Keysight Technologies,34465A,TWIN0073,A.03.01-03.15-03.01-00.52-04-02"
    resource = "USB{}::0x2A8D::0x0101::MY57000003::0::INSTR"
    cycles = (0.001, 0.002, 0.006, 0.02, 0.06, 0.2, 1.0, 10.0, 100.0)
    resolutions = (3e-5, 1.5e-5, 6e-6, 3e-6, 1.5e-6, 0.7e-6, 0.3e-6, 0.1e-6, 0.03e-6)
    ranges: ClassVar = {"VOLT": VOLTS, "CURR": (1e-6, 1e-5, *AMPERES), "RES": (*OHMS, 1e9)}
    options = "0,0,DIG,0,0"
    settings: ClassVar[tuple[Any, ...]] = (
        *settings_of(ranges, cycles, aperture=True),
        Setting("[:SENSe]:CURRent:DC:TERMinals", "terminals", Terminals(3, 3, 10)),
        Setting("[:SENSe]:CURRent:AC:TERMinals", "AC terminals", Terminals(3, 3, 10)),
        Setting(":CALCulate:SMOothing[:STATe]", "smoothing", Switch(False)),
        Setting(":CALCulate:SMOothing:RESPonse", "response", Choice("FAST", "MEDium", "SLOW")),
        Setting(":SAMPle:SOURce", "timing", Choice("IMMediate", "TIMer")),
        Setting(":SAMPle:COUNt:PRETrigger", "before trigger", Integer(0, 0, 49_999)),
        Setting(":TRIGger:LEVel", "trigger level", Number(0.0, -1000.0, 1000.0)),
    )
    handlers: ClassVar = _measuring()


class Keysight34470APanel(Keysight34465APanel):
    """A 34470A, with 7½ digits."""

    identification = "Keysight Technologies,34470A,TWIN0074,A.03.01-03.15-03.01-00.52-04-02"
    resource = "USB{}::0x2A8D::0x0201::MY57000004::0::INSTR"
    resolutions = (3e-5, 1e-5, 3e-6, 1e-6, 0.5e-6, 0.3e-6, 0.1e-6, 0.03e-6, 0.01e-6)
