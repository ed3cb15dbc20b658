"""Each driver beside the shipped station's on a twin of its own: how it is opened, prepared and used."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyvisa
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, open_twin
from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.visa import LabnisVisaLibrary
from tests.acquiring import acquired

__all__ = ["OTHERS", "POINTS", "Driver", "opened"]

LEVELS = {"maximum_voltage": 1e-3, "maximum_current": 1e-6, "compliance": 1e-6, "integration_time": 0.02}
LOCKIN = {"amplitude": 0.01, "frequency": 77.7, "time_constant": 0.03, "sensitivity": 0.1}
POINTS = 11
SWEEP = {"center": 4.67e9, "span": 1e8, "points": POINTS, "averages": 1}
SPECTRUM = SWEEP | {"points": 101, "resolution_bandwidth": 1e6, "sweep_time": 0.01}
TRACE = SWEEP | {"power": -30.0, "if_bandwidth": 1e4}

Use = Callable[[Any], Any]

SOURCE: tuple[Use, ...] = (
    lambda it: it.prepare(**LEVELS),
    lambda it: it.output_on(),
    lambda it: it.output_enabled(),
    lambda it: it.set_level(1e-3),
    lambda it: it.level(),
    lambda it: it.read(),
    lambda it: it.set_level(0.0),
    lambda it: it.output_off(),
)
METER: tuple[Use, ...] = (
    lambda it: it.prepare_reading(maximum=1.0, unit="V", integration_time=0.02),
    lambda it: it.read(),
)
LOCKIN_USES: tuple[Use, ...] = (
    lambda it: it.prepare(**LOCKIN),
    lambda it: it.read(),
    lambda it: it.settling_time(),
    lambda it: it.read_auxiliary(1),
    lambda it: it.quiet(),
    lambda it: it.check_errors(),
)
THERMOMETER: tuple[Use, ...] = (lambda it: it.temperature(),)
HEATER: tuple[Use, ...] = (
    lambda it: it.prepare(maximum_power=0.1, heater_resistance=100.0),
    *THERMOMETER,
    lambda it: it.output_on(),
    lambda it: it.output_enabled(),
    lambda it: it.set_level(0.1),
    lambda it: it.level(),
    lambda it: it.output_off(),
)


@dataclass(frozen=True)
class Driver:
    """A class by its type in a station file, the kind of its role, its uses (the first prepares it), and its part."""

    type: str
    kind: str
    uses: tuple[Use, ...]
    channel: str | None = None


def _sweeps(sweep: dict[str, Any]) -> tuple[Use, ...]:
    return (lambda it: it.prepare(**sweep), acquired)


OTHERS = {
    driver.type.rpartition(".")[2]: driver
    for driver in (
        Driver("yokogawa_gs200.YokogawaGS200", "bias", SOURCE),
        Driver("keithley_2600b.Keithley2600B", "bias", SOURCE, "smua"),
        Driver("qdac2.QDac2", "bias", SOURCE, "ch01"),
        Driver("sim928.SIM928", "bias", SOURCE, "port3"),
        Driver("keysight_b29xx.KeysightB29xx", "bias", SOURCE),
        Driver("keysight_34461a.Keysight34461A", "ammeter", METER),
        Driver("keysight_34465a.Keysight34465A", "ammeter", METER),
        Driver("sr860.SR860", "lockin", LOCKIN_USES),
        Driver("sr865.SR865", "lockin", LOCKIN_USES),
        Driver("sr865a.SR865A", "lockin", LOCKIN_USES),
        Driver("lakeshore_336.LakeShore336", "thermometer", THERMOMETER),
        Driver("lakeshore_370.LakeShore370", "thermometer", THERMOMETER),
        Driver("oxford_triton.TritonFridge", "thermometer", HEATER),
        Driver("keysight_n5245a.KeysightN5245A", "vna", _sweeps(TRACE)),
        Driver("keysight_n5230c.KeysightN5230C", "vna", _sweeps(TRACE)),
        Driver("keysight_e5080b.KeysightE5080B", "vna", _sweeps(TRACE)),
        Driver("rohde_schwarz_znb.RohdeSchwarzZNB", "vna", _sweeps(TRACE)),
        Driver("copper_mountain_m5065.CopperMountainM5065", "vna", _sweeps(TRACE)),
        Driver("copper_mountain_m5180.CopperMountainM5180", "vna", _sweeps(TRACE)),
        Driver("copper_mountain_s5048.CopperMountainS5048", "vna", _sweeps(TRACE)),
        Driver("keysight_n9020b.KeysightN9020B", "analyzer", _sweeps(SPECTRUM)),
        Driver("rohde_schwarz_fsv.RohdeSchwarzFSV", "analyzer", _sweeps(SPECTRUM)),
        Driver("rohde_schwarz_fsw.RohdeSchwarzFSW", "analyzer", _sweeps(SPECTRUM)),
    )
}


@contextmanager
def opened(driver: Driver, timeout: float = 0.2) -> Iterator[tuple[Any, Any, FrontPanel]]:
    """The instrument, the part of it that fills the role, and its panel."""
    module, _, name = driver.type.rpartition(".")
    role = SimulatedRole(driver.kind, driver.kind, channel=driver.channel)
    instruments = {"spoiled": SimulatedInstrument("spoiled", (name,), (role,))}
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={"time_constant": 0.0}, instruments=instruments) as twin:
        kind = getattr(importlib.import_module(f"drivers.{module}"), name)
        instrument = kind("spoiled", twin.addresses["spoiled"], visalib=twin.visalib, timeout=timeout)
        instrument.log.setLevel("ERROR")
        library = pyvisa.ResourceManager(twin.visalib).visalib
        assert isinstance(library, LabnisVisaLibrary)
        part = instrument.submodules[driver.channel] if driver.channel else instrument
        yield instrument, part, library.panels["spoiled"]
        Instrument.close_all()
