"""The truth file: the true values of the simulated device, its wiring and its fridge.

Keys with a default below may be omitted. Unknown keys and wrong types are errors that name file, line and key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

__all__ = ["LineWiring", "Signal", "Truth", "TruthError", "load_truth"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Kelvin = Annotated[float, Field(gt=0, le=500, allow_inf_nan=False, strict=True)]
Decibel = Annotated[float, Field(ge=-300, le=300, allow_inf_nan=False, strict=True)]

_FANO_DRAW = 1
"""Part of the seed of the Fano factor's draw."""

LARGEST_FILE = 100_000
"""Bytes. A full truth file has 2 kB."""


def _not_zero(gain: float) -> float:
    if gain == 0:
        raise ValueError("a gain may be positive or negative, but not 0")
    return gain


Gain = Annotated[Finite, AfterValidator(_not_zero)]


def _of_a_superconductor(gap: float) -> float:
    if not 1e-5 <= gap <= 1e-2:
        raise ValueError("a gap is from 1e-5 to 1e-2 eV, such as 215e-6")
    return gap


class TruthError(Exception):
    """A truth file that cannot be used; the message has the file, the line, the key and what is allowed."""

    exit_code: ClassVar[int] = 2


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Junction(_Section):
    """One NIS junction of the device: gap (eV), normal-state resistance of one junction (ohm), Dynes parameter."""

    gap: Annotated[Finite, AfterValidator(_of_a_superconductor)]
    resistance: Positive
    dynes: NonNegative


class Andreev(_Section):
    """Phase-coherent Andreev current of each junction; the keys are those of `labnis.physics.AndreevChannel`."""

    diffusion_constant: Positive
    coherence_length: Positive
    resistance_per_length: NonNegative
    scale: NonNegative = 1.0
    superconductor_resistance_per_length: NonNegative = 0.0
    superconductor_diffusion_constant: Positive | None = None


class Superconductor(_Section):
    """Where the quasiparticles of one junction go; the keys are those of `labnis.physics.InjectedSuperconductor`."""

    density_of_states: Positive
    volume: Positive
    recombination: NonNegative
    outflow: NonNegative


class Island(_Section):
    """The normal-metal island: either its electron temperature (K), the same at every bias, or its heat balance.

    The balance is that of `labnis.physics.SINISCooler`: volume (m³), electron–phonon coupling (W m⁻³ K⁻⁵), Kapitza
    coupling of its phonons to the bath (W/K⁴; by default they have the bath's temperature), leakage resistance
    parallel to the device (ohm), Andreev current, and a superconductor whose gap the injected quasiparticles lower.
    The bath is the mixing chamber, or a substrate that is warmer by a constant heat: its temperature (K) is that at the
    mixing chamber's of the file, and that of the superconductors, too.
    """

    temperature: Kelvin | None = None
    volume: Positive | None = None
    electron_phonon: Positive | None = None
    kapitza: Positive | None = None
    substrate_temperature: Kelvin | None = None
    leakage_resistance: Positive | None = None
    andreev: Andreev | None = None
    superconductor: Superconductor | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        balance = [name for name, value in self if name != "temperature" and value is not None]
        if self.temperature is None and (self.volume is None or self.electron_phonon is None):
            raise ValueError("give temperature, or volume and electron_phonon for the heat balance")
        if self.temperature is not None and balance:
            raise ValueError(f"temperature excludes {', '.join(balance)}: remove either")
        return self


class Resonator(_Section):
    """The resonator: resonance frequency at zero bias (Hz), damping rates (1/s), complex Fano factor [re, im].

    `fano_real_sigma` is the standard deviation with which the real part is drawn, by the seed of the instruments.

    Off by default are `line_photons` in each mode of the line beyond those of the mixing chamber's temperature, excess
    losses at `excess_temperature` (K; that of the mixing chamber by default), and, which the fits do not model, the
    standard deviation of the frequency (Hz) from trace to trace and from point to point.
    """

    frequency: Positive
    damping_line: Positive
    damping_excess: NonNegative
    damping_junction: Positive
    fano: tuple[Finite, Finite]
    fano_real_sigma: NonNegative = 0.0
    line_photons: NonNegative = 0.0
    excess_temperature: Kelvin | None = None
    trace_jitter: NonNegative = 0.0
    point_jitter: NonNegative = 0.0


class Spur(_Section):
    """A narrow line in the spectra: frequency (Hz), level in its bin above the noise (dB), relative scatter."""

    frequency: Positive
    level_db: Decibel
    unsteady: NonNegative = 0.0


class Chain(_Section):
    """The amplifier chain: total gain (dB), noise temperature referred to the device (K), drift of the gain (dB/h).

    The fits do not model these, which are off by default: a ripple of the gain, peak to peak (dB) and its period (Hz),
    compression, by half where the device emits the saturation power (W), and spurs.
    """

    gain_db: Decibel
    noise_temperature: Positive
    gain_drift: Finite = 0.0
    gain_ripple_db: Annotated[Decibel, Field(ge=0)] = 0.0
    gain_ripple_period: Positive = 20e6
    saturation_power: Positive | None = None
    spurs: tuple[Spur, ...] = ()


class Cable(_Section):
    """The probe line from network analyzer to device and back: delay (s), loss of the line down (dB), ripple (dB)."""

    delay: NonNegative
    loss_db: Decibel
    ripple_db: Annotated[Decibel, Field(ge=0)]


class Fridge(_Section):
    """Stage temperatures (K). The mixing chamber also sets the photon numbers of the line and the excess bath.

    A heater of the device's stage, which is the mixing chamber, works against `stage_cooling` (W/K²), with the time
    constant `stage_time_constant` (s) of the square of the temperature.
    """

    mixing_chamber_temperature: Kelvin
    still_temperature: Kelvin = 0.85
    four_kelvin_temperature: Kelvin = 3.9
    fifty_kelvin_temperature: Kelvin = 46.0
    stage_cooling: Positive = 0.034
    stage_time_constant: Positive = 300.0


class Noise(_Section):
    """Noise and imperfections of the room-temperature side.

    `seed` starts every random number; `current_white` is the white noise of the current reading (A/√Hz),
    `voltage_white` that of a reading of the device voltage (V/√Hz); `voltage_offset` adds to the bias at the device
    (V); `current_offset` to every current reading (A); `temperature_relative` is the scatter of one thermometer
    reading.
    """

    seed: Annotated[int, Field(ge=0, strict=True)]
    current_white: NonNegative
    voltage_white: NonNegative = 5e-9
    voltage_offset: Finite = 0.0
    current_offset: Finite = 0.0
    temperature_relative: NonNegative = 0.002


@dataclass(frozen=True)
class Signal:
    """Signal at an instrument: `gain` times the current through, or the voltage across, the device.

    Attributes
    ----------
    of
        Current or voltage of the device.
    gain
        Gain of the amplifier (V/A or V/V), of either sign; 1 if the instrument is connected directly.

    """

    of: Literal["current", "voltage"] = "current"
    gain: float = 1.0


class Amplifier(_Section):
    """An amplifier between the device and an instrument: gain (V/A or V/V), of either sign.

    Its `instrument` is in the station file; its output is linear also beyond `largest_output` (V).
    """

    gain: Gain
    instrument: str | None = None
    largest_output: Positive = 10.0


class LineWiring(_Section):
    """The true wiring of the bias line; see `drivers.wiring`.

    `line_frequency` is that of the mains (Hz).
    `amplifiers` have names; `current_amplifier_gain` (V/A) is that of any current amplifier that is not among them.
    """

    divider: Annotated[float, Field(ge=1, allow_inf_nan=False, strict=True)] = 1.0
    series_resistance: NonNegative = 2000.0
    current_amplifier_gain: Gain = 1e7
    amplifiers: dict[str, Amplifier] = {}
    excitation_divider: Annotated[float, Field(ge=1, allow_inf_nan=False, strict=True)] = 1e4
    time_constant: NonNegative = 2e-3
    line_frequency: Positive = 50.0

    def gain(self, amplifier: str | None = None) -> float:
        """Gain of `amplifier`, or of the only one where it is None."""
        named = amplifier if amplifier is not None else next(iter(self.amplifiers), "")
        found = self.amplifiers.get(named) if amplifier is not None or len(self.amplifiers) == 1 else None
        return self.current_amplifier_gain if found is None else found.gain


class Truth(_Section):
    """The whole truth file.

    Of `wiring`, the keys that are given replace those of the station, which allows to rehearse a wrong station file.
    `junctions` are those of the device: 1, 2 (a pair in series), or [series, parallel] of an array of identical ones;
    with one, the island has one side. `asymmetry` is (R₁ − R₂)/(R₁ + R₂) of a pair whose electrons have one
    temperature: it acts on current and conductance, not on the resonator.
    `instrument_errors` says whether instruments and wiring err: "none", or by amounts that are drawn by seed from what
    the station states: "stated", with the distribution of each source, or "normal", with a normal one of the same
    standard uncertainty, so that 68 % of them are within it. With `instrument_seed` they do not depend on the seed of a
    simulation: its noise changes, its instruments do not.
    `readings` are the values of roles that are not simulated, such as a pressure.
    """

    junction: Junction
    asymmetry: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, strict=True)] = 0.0
    junctions: Annotated[Literal[1, 2] | tuple[Count, Count], Field(union_mode="left_to_right")] = 2
    island: Island
    resonator: Resonator
    chain: Chain
    cable: Cable
    fridge: Fridge
    noise: Noise
    wiring: LineWiring | None = None
    readings: dict[str, Finite] = {}
    time: Literal["simulated", "real"] = "simulated"
    instrument_errors: Literal["none", "stated", "normal"] = "none"
    instrument_seed: Annotated[int, Field(ge=0, strict=True)] | None = None

    @model_validator(mode="after")
    def _of_a_pair(self) -> Self:
        if self.asymmetry and (self.junctions != 2 or self.island.temperature is None):
            raise ValueError("asymmetry is that of a pair (junctions: 2) with a constant temperature of the island")
        return self

    @property
    def series(self) -> int:
        """Number of junctions in series."""
        return self.junctions if isinstance(self.junctions, int) else self.junctions[0]

    @property
    def parallel(self) -> int:
        """Number of branches."""
        return 1 if isinstance(self.junctions, int) else self.junctions[1]

    def device_seed(self, seed: int) -> int:
        """Seed by which device and instruments are drawn in a simulation of this `seed`."""
        return seed if self.instrument_seed is None else self.instrument_seed

    def drawn(self, seed: int) -> Self:
        """Return the truth of one simulation, with what is drawn for it."""
        sigma = self.resonator.fano_real_sigma
        if sigma == 0:
            return self
        real, imaginary = self.resonator.fano
        drawn = real + sigma * float(np.random.default_rng([seed, _FANO_DRAW]).standard_normal())
        return self.model_copy(update={"resonator": self.resonator.model_copy(update={"fano": (drawn, imaginary)})})

    def true_wiring(self, station: Mapping[str, Any] | None = None) -> LineWiring:
        """The wiring of `station` (keys of `LineWiring`; others are ignored), with the keys of the truth file."""
        known = {key: value for key, value in (station or {}).items() if key in LineWiring.model_fields}
        return LineWiring.model_validate(known | (self.wiring.model_dump(exclude_unset=True) if self.wiring else {}))


def _line_of(document: Any, path: tuple[int | str, ...]) -> int:
    """Line (from 1) of the deepest part of `path` that exists in the round-trip document."""
    line = 1
    node = document
    for key in path:
        if not hasattr(node, "lc"):
            break
        try:
            line = (node.lc.key(key) if isinstance(key, str) else node.lc.item(key))[0] + 1
            node = node[key]
        except (KeyError, IndexError, TypeError):
            break
    return line


def load_truth(path: Path) -> Truth:
    """Read and check the truth file at `path`.

    Raises
    ------
    TruthError
        The message has file, line and key.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TruthError(f"{path}: cannot be read as a twin file: {error}") from error
    if len(text) > LARGEST_FILE:
        raise TruthError(f"{path}: larger than {LARGEST_FILE // 1000} kB, the largest size allowed")
    try:
        document = YAML(typ="rt", pure=True).load(text)
    except (YAMLError, RecursionError) as error:
        raise TruthError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise TruthError(f"{path}, line 1: a twin file is a mapping with the keys {', '.join(Truth.model_fields)}")
    try:
        return Truth.model_validate(document)
    except ValidationError as error:
        # A misspelt key is both unknown and missing; "unknown" is more helpful.
        first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        where = first["loc"]
        raise TruthError(
            f"{path}, line {_line_of(document, where)}: {'.'.join(map(str, where))}: {_explain(first)}"
        ) from error


def _explain(error: Any) -> str:
    """Add what is allowed if pydantic does not say so."""
    if error["type"] == "missing":
        return "missing; it is needed"
    if error["type"] != "extra_forbidden":
        return f"{error['msg']} (found {error['input']!r})"
    section: Any = Truth
    for key in error["loc"][:-1]:
        annotation = section.model_fields[key].annotation
        section = next((kind for kind in get_args(annotation) if kind is not NoneType), annotation)
    return f"unknown key; allowed are {', '.join(getattr(section, 'model_fields', {}))}"
