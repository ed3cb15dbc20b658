"""The micro-cooler and its probe of Rajauria et al. (arXiv:0810.3980, "R"), with the parameters that the paper prints.

Not printed are the Dynes parameter, the probe's copper wire (taken to be as thick and wide as the island) and the
density of states from which the wires' resistances follow.
"""

from labnis.physics import AndreevChannel, NISJunction, SINISCooler, wire_resistance_per_length

__all__ = [
    "BATHS",
    "DIFFUSION_CONSTANT",
    "DYNES",
    "GAP",
    "KAPITZA",
    "PAPER",
    "PROBE_GAP",
    "PROBE_RESISTANCE",
    "PROBE_TEMPERATURE",
    "RESISTANCE",
    "andreev_channel",
    "cooler",
    "probe_channel",
    "probe_junction",
]

PAPER = "Rajauria et al., arXiv:0810.3980"

GAP = 215e-6  # eV; 2Δ = 0.43 meV, figs. 1 and 2
RESISTANCE = 1900.0  # ohm, fig. 1; taken for that of one junction, see the alternative in `conductances`
DYNES = 1e-5  # not printed
VOLUME = 4e-6 * 0.3e-6 * 50e-9  # m³, sect. 2
ELECTRON_PHONON = 2e9  # W m⁻³ K⁻⁵, sect. 4
KAPITZA = 144e-12  # W/K⁴; printed as 144 W K⁻⁴, see the statement in `isotherms`

DIFFUSION_CONSTANT = 80e-4  # m²/s, sect. 3; for both metals
COHERENCE_LENGTH = 1.5e-6  # m, sect. 3
SCALE, PROBE_SCALE = 0.49, 1.37  # M, fig. 2
PROBE_GAP = 228e-6  # eV, sect. 3
PROBE_RESISTANCE = 2760.0  # ohm, fig. 1
PROBE_TEMPERATURE = 0.105  # K, sect. 2

BATHS = (0.09, 0.14, 0.23)  # K, fig. 6

# Density of states at the Fermi level, both spins (1/(J m³)), and cross-sections (m²).
_COPPER = wire_resistance_per_length(DIFFUSION_CONSTANT, 1.56e47, 0.3e-6 * 50e-9)
_ALUMINIUM = wire_resistance_per_length(DIFFUSION_CONSTANT, 2.15e47, 1.5e-6 * 40e-9)


def andreev_channel(scale: float = SCALE, *, clean_superconductor: bool = False) -> AndreevChannel:
    """Andreev current of one junction, with disorder in both metals or in the normal one only."""
    disorder = 0.0 if clean_superconductor else _ALUMINIUM
    return AndreevChannel(
        DIFFUSION_CONSTANT, COHERENCE_LENGTH, _COPPER, scale, superconductor_resistance_per_length=disorder
    )


def cooler(
    *,
    resistance: float = RESISTANCE,
    andreev: bool = True,
    kapitza: float | None = KAPITZA,
    dynes: float = DYNES,
    clean_superconductor: bool = False,
    leakage_resistance: float | None = None,
) -> SINISCooler:
    """The cooler with its full heat balance (R eqs. 3–6), or without some parts of it."""
    junction = NISJunction(GAP, resistance, dynes)
    channel = andreev_channel(clean_superconductor=clean_superconductor) if andreev else None
    return SINISCooler(junction, VOLUME, ELECTRON_PHONON, kapitza, channel, leakage_resistance)


def probe_junction() -> NISJunction:
    """The probe, whose electrons are at `PROBE_TEMPERATURE`."""
    return NISJunction(PROBE_GAP, PROBE_RESISTANCE, DYNES)


def probe_channel() -> AndreevChannel:
    """The probe's Andreev current."""
    return andreev_channel(PROBE_SCALE)
