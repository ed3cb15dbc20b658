"""The wires between the instruments and the device: instrument units in, device units out, and back.

::

    source-meter ──1/divider──┬── series_resistance ── device ── current amplifier (virtual ground)
    lock-in sine ──1/excitation_divider──┘                            │ gain (V/A)
                                                                      └── lock-in input (AC) and auxiliary input 1 (DC)

The voltage behind the divider is the *bias*. Without current the device sees all of it; with current, `bias` less the
drop over `series_resistance`.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Wiring"]


@dataclass(frozen=True)
class Wiring:
    """Conversions between instrument and device units.

    Attributes
    ----------
    divider
        Source voltage per bias voltage, ≥ 1.
    series_resistance
        Resistance of the whole bias line in series with the device (ohm): filters, leads, amplifier input.
    current_amplifier_gain
        Transimpedance (V/A), positive.
    excitation_divider
        Lock-in sine voltage per bias voltage, ≥ 1.
    current_reading
        Who measures the direct current: the source-meter itself ("source") or the current amplifier through the
        lock-in's auxiliary input 1 ("amplifier"). Behind a divider the source-meter mostly sees the divider's own
        current, so `divider` > 1 needs "amplifier".
    probe_attenuation
        Attenuation from the network analyzer's output to the device (dB), for the probe power quoted in the record.

    Raises
    ------
    ValueError
        Where a value is out of range or the two current paths contradict each other.

    """

    divider: float = 1.0
    series_resistance: float = 0.0
    current_amplifier_gain: float = 1e7
    excitation_divider: float = 1e4
    current_reading: Literal["source", "amplifier"] = "source"
    probe_attenuation: float = 0.0

    def __post_init__(self) -> None:
        if not self.divider >= 1:
            raise ValueError(f"divider is {self.divider}; it must be 1 or more (source voltage per bias voltage)")
        if not self.excitation_divider >= 1:
            raise ValueError(f"excitation_divider is {self.excitation_divider}; it must be 1 or more")
        if not self.series_resistance >= 0:
            raise ValueError(f"series_resistance is {self.series_resistance} ohm; it must be 0 or more")
        if not self.current_amplifier_gain > 0:
            raise ValueError(f"current_amplifier_gain is {self.current_amplifier_gain} V/A; it must be positive")
        if self.divider > 1 and self.current_reading == "source":
            raise ValueError(
                f"divider is {self.divider} with current_reading 'source': the source-meter would measure the "
                "divider's own current; set current_reading to 'amplifier'"
            )

    def source_voltage(self, bias: float) -> float:
        """Source voltage (V) that puts `bias` (V) on the bias line."""
        return bias * self.divider

    def bias(self, source_voltage: float) -> float:
        """Bias (V) that `source_voltage` (V) puts on the line."""
        return source_voltage / self.divider

    def device_voltage(self, bias: float, current: float) -> float:
        """Voltage across the device (V) at `bias` (V) while `current` (A) flows."""
        return bias - current * self.series_resistance

    def amplifier_current(self, voltage: float) -> float:
        """Device current (A) for a current-amplifier output `voltage` (V)."""
        return voltage / self.current_amplifier_gain

    def device_conductance(self, lockin_voltage: complex, excitation: float) -> float:
        """Differential conductance of the device (S) from the lock-in reading.

        Parameters
        ----------
        lockin_voltage
            Reading X + iY at the current amplifier's output (V rms); the in-phase part counts.
        excitation
            Amplitude of the lock-in's sine output (V rms), positive.

        Notes
        -----
        Device and series resistance divide the excitation: with g = i/v of the whole line, G = g / (1 − g·R_s).

        """
        line = lockin_voltage.real / self.current_amplifier_gain / (excitation / self.excitation_divider)
        return line / (1 - line * self.series_resistance)
