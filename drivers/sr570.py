"""SRS SR570 current preamplifier, which listens only: its gain is written, and nothing of it can be read.

From its drivers in qcodes_contrib_drivers and pymeasure; **never tried on hardware**. What is *not* set, because it
could move the device or is a matter of taste, and can only be looked at on its front panel: bias voltage, input offset
current, inverted output, filters, gain mode, and the overload. A gain that is turned by hand after it was written is
not noticed.
"""

import math
from typing import Any

import pyvisa
from qcodes_contrib_drivers.drivers.StanfordResearchSystems.SR570 import (  # type: ignore[import-untyped, unused-ignore]
    SR570 as ContribSR570,  # noqa: N811
)

from drivers.errors import CommunicationError, SettingError

__all__ = ["SR570"]

# Sensitivities (A/V) in the order of their numbers.
SENSITIVITIES = tuple(float(f"{(1, 2, 5)[n % 3]}e{n // 3 - 12}") for n in range(28))


class SR570(ContribSR570):  # type: ignore[misc, unused-ignore]
    """An SR570 as the instrument of an amplifier: `drivers.capabilities.GainSetting`."""

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        self._at = address
        self._written: float | None = None
        super().__init__(name, address, **kwargs)

    @property
    def described(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self._at})"

    def connect_message(self, idn_param: str = "IDN", begin_time: float | None = None) -> None:
        """Nothing: it cannot answer."""

    def set_gain(self, gain: float) -> None:
        """Write the sensitivity, and calibrated mode, unless this gain was the last one written.

        Parameters
        ----------
        gain
            Positive (V/A): 1e3 to 1e12 in steps 1, 2, 5 of its inverse.

        Raises
        ------
        SettingError
            If it has no such gain.
        CommunicationError
            If the line fails.

        """
        if gain == self._written:
            return
        at = next((n for n, one in enumerate(SENSITIVITIES) if math.isclose(one * gain, 1.0, rel_tol=1e-6)), None)
        if at is None:
            raise SettingError(
                self.described,
                f"has no gain of {gain:g} V/A.",
                "Allowed are 1/sensitivity for 1 pA/V to 1 mA/V in steps of 1, 2 and 5: 1e3, 2e3, 5e3 to 1e12 V/A.",
            )
        self._written = None
        for command in (f"SENS {at}", "SUCM 0"):
            try:
                self.write_raw(command)
            except (pyvisa.Error, OSError) as error:
                problem = f"{type(error).__name__}: {error}".rstrip(". ")
                raise CommunicationError(
                    self.described,
                    f"the command {command!r} could not be sent: {problem}.",
                    "Check the line; its gain is not known: look at its front panel.",
                ) from error
        self._written = gain
        self.log.warning("%s cannot be read: its gain was set to %g V/A unseen", self.described, gain)
