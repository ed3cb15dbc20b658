"""The twin of a dry run: one simulated fridge for one run, and the results of a perfect measurement."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import pyvisa

from labnis.accuracy import Source
from sim_instruments.instruments import PLAIN, SimulatedInstrument
from sim_instruments.stand_ins import Errors, Place, stand_in
from sim_instruments.visa.library import LabnisVisaLibrary
from sim_instruments.world import ExperimentClock, World
from sim_instruments.world.truth import TruthError

__all__ = ["Twin", "open_twin"]

_IN_USE: set[str] = set()
"""PyVISA library strings of the twins that are switched on in this process."""


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

    """

    visalib: str
    addresses: Mapping[str, str]
    stand_ins: Mapping[str, Mapping[str, Any]]
    clock: ExperimentClock
    truth_text: str
    seed: int
    true_results: Callable[[], Mapping[str, float]]
    instrument_errors: Mapping[str, float] = field(default_factory=dict)

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
    return device.cooling(world.coldest_bath()) | {
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
        drawn = world.errors.by_uid
        yield Twin(visalib, where, stand_ins, world.clock, text, world.seed, partial(_true_results, world), drawn)
    finally:
        _IN_USE.remove(visalib)
        library.connect({}, PLAIN)
        manager.close()
