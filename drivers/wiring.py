"""Wiring between the instruments and the device: conversions between instrument and device units.

::

    source ──────1/divider──────┬── series_resistance ── device ── current amplifier (virtual ground)
    lock-in sine ──1/excitation_divider──┘                            │ gain (V/A)
                                                                      └── lock-in input (AC), voltmeter (DC)

The voltage behind the divider is the *bias*. Without current the device sees all of it; with current, `bias` less the
drop over `series_resistance`.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["LINE_FREQUENCIES", "Amplifier", "Section", "Wiring"]

AtLeastOne = Annotated[float, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]

LINE_FREQUENCIES = (50.0, 60.0)
"""Of the mains (Hz)."""


def _of_a_mains(hertz: float) -> float:
    if hertz not in LINE_FREQUENCIES:
        raise ValueError(f"found {hertz:g}; allowed are {' and '.join(f'{one:g}' for one in LINE_FREQUENCIES)} (Hz)")
    return hertz


def _not_zero(gain: float) -> float:
    if gain == 0:
        raise ValueError("found 0; a gain may be positive or negative")
    return gain


class Section(BaseModel):
    """A part of the station file: no unknown keys, no conversions between types, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class Amplifier(Section):
    """An amplifier between the device and an instrument.

    Attributes
    ----------
    gain
        V/A for a current amplifier, V/V for a voltage amplifier; negative if it inverts.
    instrument
        Name under `instruments:` of the amplifier's remote control, which reports its gain or sets it.
    largest_output
        Largest output (V) that follows the input; a reading beyond it is an overload.

    """

    gain: Annotated[float, AfterValidator(_not_zero)]
    instrument: Annotated[str, Field(min_length=1)] | None = None
    largest_output: Annotated[float, Field(gt=0)] = 10.0


class Wiring(Section):
    """Conversions between instrument and device units.

    Attributes
    ----------
    divider
        Source voltage per bias voltage, ≥ 1.
    series_resistance
        Resistance of the whole bias line in series with the device (ohm): filters, leads, amplifier input.
    excitation_divider
        Lock-in sine voltage per bias voltage, ≥ 1.
    probe_attenuation
        Attenuation from the network analyzer's output to the device (dB), for the probe power quoted in the record.
    line_frequency
        Frequency of the mains (Hz): readings are integrated over whole cycles of it.
    amplifiers
        Amplifiers by name.
    role_amplifiers
        Role → name of the amplifier that its instrument reads. Filled in from the roles of the station file.

    Raises
    ------
    pydantic.ValidationError
        A `ValueError`, where a value is out of range.

    """

    divider: AtLeastOne = 1.0
    series_resistance: NonNegative = 0.0
    excitation_divider: AtLeastOne = 1e4
    probe_attenuation: float = 0.0
    line_frequency: Annotated[float, AfterValidator(_of_a_mains)] = 50.0
    amplifiers: Mapping[str, Amplifier] = {}
    role_amplifiers: Mapping[str, str] = {}

    def source_voltage(self, bias: float) -> float:
        """Source voltage (V) that puts `bias` (V) on the bias line."""
        return bias * self.divider

    def bias(self, source_voltage: float) -> float:
        """Bias (V) that `source_voltage` (V) puts on the line."""
        return source_voltage / self.divider

    def device_voltage(self, bias: float, current: float) -> float:
        """Voltage across the device (V) at `bias` (V) while `current` (A) flows."""
        return bias - current * self.series_resistance

    def gain(self, role: str) -> float:
        """Gain (V/A or V/V) of the amplifier that the instrument in `role` reads: the named one, or the only one.

        Raises
        ------
        LookupError
            Where neither is there.

        """
        names = [self.role_amplifiers[role]] if role in self.role_amplifiers else list(self.amplifiers)
        if len(names) != 1:
            raise LookupError(
                f"the role {role} names no amplifier and the wiring has {', '.join(names) or 'none'}; write "
                f"{role}: {{instrument: …, amplifier: NAME}} and describe NAME under labnis.wiring.amplifiers"
            )
        return self.amplifiers[names[0]].gain

    def device_conductance(self, lockin_voltage: complex, excitation: float, role: str = "lockin") -> float:
        """Differential conductance of the device (S) from the lock-in reading.

        Parameters
        ----------
        lockin_voltage
            Reading X + iY at the current amplifier's output (V rms); the in-phase part counts.
        excitation
            Amplitude of the lock-in's sine output (V rms), positive.
        role
            Role of the lock-in.

        Notes
        -----
        Device and series resistance divide the excitation: with g = i/v of the whole line, G = g / (1 − g·R_s).

        """
        line = lockin_voltage.real / self.gain(role) / (excitation / self.excitation_divider)
        return line / (1 - line * self.series_resistance)
