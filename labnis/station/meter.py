"""A meter that reads the device, directly or through an amplifier."""

import math

from drivers.roles import Voltmeter

__all__ = ["DeviceMeter"]


class DeviceMeter:
    """Fills `drivers.roles.Ammeter` or `drivers.roles.Voltmeter` for the device.

    Parameters
    ----------
    instrument
        Instrument that reads one number: A or V at its terminals.
    gain
        Gain of the amplifier in front of it (V/A or V/V); None where there is none.

    Attributes
    ----------
    amplifier_output
        Last output of the amplifier (V); NaN where there is none or nothing was read yet.

    """

    def __init__(self, instrument: Voltmeter, gain: float | None = None) -> None:
        self._instrument = instrument
        self._gain = gain
        self.amplifier_output = math.nan

    def read(self) -> float:
        """Current through the device (A), or voltage across it (V)."""
        self.amplifier_output = math.nan
        reading = float(self._instrument.read())
        if self._gain is None:
            return reading
        self.amplifier_output = reading
        return reading / self._gain
