"""The parameters that reflection and emitted power share, and the resonator they describe."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labnis.fit._least_squares import Parameter
from labnis.fit.result import FitResult
from labnis.physics import NISJunction, Resonator

__all__ = ["JUNCTION_NAMES", "RATE_NAMES", "DeviceModel", "junction_parameters"]

Real = NDArray[np.float64]

JUNCTION_NAMES = ("gap", "electron_temperature", "dynes", "voltage_offset")
RATE_NAMES = ("damping_line", "damping_excess", "damping_junction", "ohmic_frequency")

# The shape of γ_T(V) does not contain the tunnelling resistance (it is absorbed in γ̄_T), so any value serves.
_ANY_RESISTANCE = 1.0


@dataclass(frozen=True)
class DeviceModel:
    """Junction and resonator for one parameter set, evaluated at the measured biases.

    Attributes
    ----------
    values
        Parameter name → value.
    device_voltage
        Measured voltages across the SINIS pair (V), shape (n,).

    """

    values: Mapping[str, float]
    device_voltage: Real

    @property
    def junction(self) -> NISJunction:
        """One junction of the pair."""
        return NISJunction(self.values["gap"], _ANY_RESISTANCE, self.values["dynes"])

    @property
    def resonator(self) -> Resonator:
        """The resonator; without a fitted Fano factor it has none."""
        fano = complex(self.values.get("fano_real", 1.0), self.values.get("fano_imag", 0.0))
        v = self.values
        return Resonator(v["ohmic_frequency"], v["damping_line"], v["damping_excess"], v["damping_junction"], fano)

    @property
    def junction_voltage(self) -> Real:
        """Voltage across one junction (V), offset included."""
        return np.asarray((self.device_voltage + self.values["voltage_offset"]) / 2)

    @property
    def temperature(self) -> float:
        """Electron temperature (K)."""
        return self.values["electron_temperature"]


def junction_parameters(prior: FitResult | None, device_voltage: Real) -> list[Parameter]:
    """Gap, temperature, Dynes parameter and offset: started at the prior, or where most aluminium devices are."""
    start = {"gap": 205e-6, "electron_temperature": 0.12, "dynes": 1e-3, "voltage_offset": 0.0}
    if prior is not None:
        start |= {name: prior[name].value for name in JUNCTION_NAMES if name in prior.names}
    extent = float(np.ptp(device_voltage)) or 1.0
    return [
        Parameter("gap", "eV", start["gap"], start["gap"], 0.3 * start["gap"], 3 * start["gap"]),
        Parameter("electron_temperature", "K", start["electron_temperature"], 0.1, 1e-3, 5.0),
        Parameter("dynes", "1", start["dynes"], 1e-3, 0.0, 0.3),
        Parameter("voltage_offset", "V", start["voltage_offset"], 1e-2 * extent),
    ]
