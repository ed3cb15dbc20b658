"""The twin of a dry run: one simulated fridge for one run, and the results of a perfect measurement."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyvisa
from numpy.typing import NDArray

from labnis.accuracy import Source
from labnis.physics import NoOperatingPointError
from sim_instruments.instruments import PLAIN, SimulatedInstrument
from sim_instruments.stand_ins import Errors, Place, stand_in
from sim_instruments.visa.library import LabnisVisaLibrary
from sim_instruments.world import ExperimentClock, World
from sim_instruments.world.device import Device, DeviceState
from sim_instruments.world.truth import TruthError

__all__ = ["Twin", "open_twin"]

Real = NDArray[np.float64]

_IN_USE: set[str] = set()
"""PyVISA library strings of the twins that are switched on in this process."""

# Biases among which an extreme is searched, and how often, each time between the neighbours of the last.
_BIASES, _ROUNDS = 41, 4


@dataclass(frozen=True)
class Twin:
    """A simulated fridge that is switched on.

    Attributes
    ----------
    visalib
        PyVISA library string of its panels.
    addresses
        Instrument → VISA address of its panel, where there is one of its model.
    stand_ins
        Instrument without a panel → role → object that fills it.
    clock
        Clock of the twin.
    truth_text, seed
        Written to the file of a run.
    true_results
        Returns `truth` as of now.
    instrument_errors
        Source of uncertainty → its error, in the unit of the source; empty if the instruments do not err.
    drawn
        What tells its device and instruments from those of other simulations; empty if nothing of them is drawn.
    true_curves
        Function of voltages across the device (V), and of the temperature (K) that the thermometer of its stage reads
        (that of the fridge without a heater, if none is given), that returns electron_temperature (K), cooling_power
        (W) and gap (eV).

    """

    visalib: str
    addresses: Mapping[str, str]
    stand_ins: Mapping[str, Mapping[str, Any]]
    clock: ExperimentClock
    truth_text: str
    seed: int
    true_results: Callable[[], Mapping[str, float]]
    instrument_errors: Mapping[str, float] = field(default_factory=dict)
    true_curves: Callable[[Real, float | None], Mapping[str, Real]] = lambda _voltage, _read: {}
    drawn: str = ""

    @property
    def truth(self) -> Mapping[str, float]:
        """True value of every result, by name; cooling is that at the coldest bath at which there was a bias."""
        return self.true_results()


def _true_results(world: World) -> dict[str, float]:
    """Calibration results without noise, in the units in which they are reported.

    Gap and electron temperature are those at zero bias.
    """
    truth, device = world.truth, world.device
    device.bath_temperature = truth.fridge.mixing_chamber_temperature
    unbiased = device.state(0.0)
    return _cooling(world) | {
        "gap": float(unbiased.gap),
        "normal_resistance": truth.junction.resistance,
        "electron_temperature": float(unbiased.electron_temperature),
        "damping_line": truth.resonator.damping_line,
        "damping_excess": truth.resonator.damping_excess,
        "damping_junction": truth.resonator.damping_junction,
        "resonance_frequency": truth.resonator.frequency,
        "gain": truth.chain.gain_db,
        "noise_temperature": truth.chain.noise_temperature,
    }


def _true_curves(world: World, voltage: Real, read: float | None = None) -> dict[str, Real]:
    """Electron temperature (K), cooling power (W) and gap (eV) at voltages across the device (V)."""
    base = world.truth.fridge.mixing_chamber_temperature
    world.device.bath_temperature = base if read is None else read - world.errors.of("fridge.temperature")
    state = world.device.state(voltage)
    return {
        "electron_temperature": state.electron_temperature,
        "cooling_power": world.device.cooling_power(state),
        "gap": state.gap,
    }


def _cooling(world: World) -> dict[str, float]:
    """What tunnelling does to the electrons along the bias; empty for a device without steady state."""
    device = world.device
    try:
        return device.cooling(world.coldest_bath()) or {
            "lowest_electron_temperature": float(device.state(0.0).electron_temperature),
            "maximum_cooling_power": _highest(device, device.cooling_power),
        }
    except NoOperatingPointError:
        return {}


def _highest(device: Device, quantity: Callable[[DeviceState], Real]) -> float:
    """The largest value of a `quantity` of the device, up to a little beyond its gap."""
    low, high = 0.0, 1.2 * device.edge
    for _ in range(_ROUNDS):
        voltage = np.linspace(low, high, _BIASES)
        found = quantity(device.state(voltage))
        at = int(found.argmax())
        low, high = voltage[max(at - 1, 0)], voltage[min(at + 1, _BIASES - 1)]
    return float(found[at])


@contextmanager
def open_twin(
    path: Path,
    *,
    seed: int | None,
    wiring: Mapping[str, Any],
    instruments: Mapping[str, SimulatedInstrument] = PLAIN,
    errors: Errors = Errors(),  # noqa: B008  # frozen
    stated: Sequence[Source] = (),
) -> Iterator[Twin]:
    """Switch on the twin of the truth file at `path`; it exists until the context ends.

    Parameters
    ----------
    path
        Truth file.
    seed
        Seed of all its noise; the file's own if None.
    wiring
        The station's wiring: keys of `LineWiring`, others are ignored. The twin has this wiring, except for keys of
        the truth file's wiring, which allow to rehearse a wrong station file.
    instruments
        Instruments of the station, by name; by default those of plain `@labnis`.
    errors
        Exceptions of stand-ins.
    stated
        What the station states of the uncertainty of instruments and wiring. They err by amounts that are drawn from
        it, if the truth file wants that.

    Raises
    ------
    TruthError
        The truth file cannot be used, or another twin of it is in use in this process.
    ValueError
        A role is of an unknown kind.

    """
    visalib = f"{path}@labnis"
    if visalib in _IN_USE:  # PyVISA has one library for both: each would reset the other
        raise TruthError(
            f"{path}: a simulated fridge of this file is in use in this process, by another session; end that one first"
        )
    # PyVISA holds libraries by weak references: this reference holds the World during the context.
    manager = pyvisa.ResourceManager(visalib)
    library = cast(LabnisVisaLibrary, manager.visalib)
    _IN_USE.add(visalib)
    try:
        library.load()
        library.connect(wiring, instruments, stated)
        library.reset(seed)
        world = library.world
        where = {name: panel.address for name, panel in library.panels.items()}
        stand_ins = {
            name: stand_in(Place(one, world, instruments.values(), errors))
            for name, one in instruments.items()
            if name not in where
        }
        text = path.read_text(encoding="utf-8")
        results, curves = partial(_true_results, world), partial(_true_curves, world)
        known = text, world.seed, results, world.errors.by_uid, curves, world.drawn
        yield Twin(visalib, where, stand_ins, world.clock, *known)
    finally:
        _IN_USE.remove(visalib)
        library.connect({}, PLAIN)
        manager.close()
