"""Power of a chain in one band against the bias: the data, and those that cannot be fitted."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from labnis.fit.arrays import Bool, Real, check_numbers, real_array, real_columns
from labnis.fit.resonator._biases import AtBiases, check_hertz, gigahertz
from labnis.fit.resonator._emission_data import EmissionData, refuse_impossible_conditions
from labnis.fit.result import FitError, FitResult

__all__ = ["BandPowerData", "refuse_clipped", "refuse_impossible_band"]

_FEWEST = 4
# So many readings at the largest one mean clipping, where this part of the rise should be between them.
_CLIPPED, _RISE = 3, 0.2


@dataclass(frozen=True)
class BandPowerData(AtBiases):
    """Power in one band at n biases, in the order in which they were measured.

    Attributes
    ----------
    device_voltage
        Voltage across the device (V), shape (n,), in any order.
    band_power
        Power at the meter (W), shape (n,), with the noise of the chain in it. A common factor, such as mW for W or the
        response of a diode, is indistinguishable from gain.
    center, bandwidth
        Middle and noise bandwidth (Hz) of the band, which is taken for flat, with nothing beyond it.
    fridge_temperature
        Temperature of the stage (K) that sets the photon number of the line and the excess bath.
    time
        When each was measured (s), shape (n,); by default they are evenly spaced.
    junctions
        Those of the device: 1, 2 (a pair in series) or (series, parallel) of an array.

    Raises
    ------
    FitError
        For shapes that do not agree, complex or negative values, or a band that is none.

    """

    band_power: Real
    center: float
    bandwidth: float
    fridge_temperature: float

    def __post_init__(self) -> None:
        columns = real_columns(device_voltage=self.device_voltage, band_power=self.band_power)
        for name, values in zip(("device_voltage", "band_power"), columns, strict=True):
            object.__setattr__(self, name, values)
        for name in ("center", "bandwidth", "fridge_temperature"):
            object.__setattr__(self, name, float(getattr(self, name)))
        self._check_time()
        if (self.band_power < 0).any():
            raise FitError(
                f"band_power contains {np.nanmin(self.band_power):.4g} and no power is negative: it is needed in W, "
                "with the noise of the chain in it. From p in dBm it is 1e-3·10^(p/10); a meter that reads below 0 "
                "has a wrong zero."
            )
        check_numbers(center=self.center, bandwidth=self.bandwidth, fridge_temperature=self.fridge_temperature)
        if not 0 < self.bandwidth < 2 * self.center:
            raise FitError(
                f"bandwidth is {self.bandwidth:.6g} Hz around a center of {self.center:.6g} Hz; the band must have a "
                "width, and begin above 0"
            )
        check_hertz(self.edges)

    @property
    def edges(self) -> Real:
        """Where the band begins and ends (Hz), shape (2,)."""
        return np.asarray(self.center + self.bandwidth / 2 * real_array("edges", [-1.0, 1.0]))

    @property
    def usable(self) -> Bool:
        """Biases at which everything is finite, and the power not 0, shape (n,)."""
        return np.isfinite(self.device_voltage + self.band_power + self.course) & (self.band_power > 0)

    def finite(self) -> Self:
        """Return the data at the usable biases."""
        usable = self.usable
        time = None if self.time is None else self.time[usable]
        columns = {"device_voltage": self.device_voltage[usable], "band_power": self.band_power[usable]}
        return replace(self, time=time, **columns)  # type: ignore[arg-type]  # a dictionary of columns

    @cached_property
    def ends(self) -> EmissionData:
        """The ends of the band at these biases, as frequencies of spectra without values."""
        nothing = np.zeros((self.device_voltage.size, 2))
        return EmissionData(self.device_voltage, self.edges, nothing, self.fridge_temperature, junctions=self.junctions)


def refuse_impossible_band(data: BandPowerData, known: FitResult) -> None:
    """Raise FitError for `data` that are too few, do not belong to the `known` device, or are in wrong units."""
    every, usable = data.device_voltage.size, data.finite()
    if usable.device_voltage.size < _FEWEST:
        lost = every - usable.device_voltage.size
        rest = f"; {lost} of {every} have a power of 0, or a value that is not finite" if lost else ""
        raise FitError(
            f"{usable.device_voltage.size} usable powers are too few; at least {_FEWEST} biases are needed{rest}"
        )
    low, high = data.edges.tolist()
    resonance = known["ohmic_frequency"].value
    if not low < resonance < high:
        raise FitError(
            f"the band from {gigahertz(low)} to {gigahertz(high)} does not contain the resonance at "
            f"{gigahertz(resonance)}: is this its center, and is the bandwidth in Hz?"
        )
    refuse_impossible_conditions(usable.ends, known["gap"].value)


def refuse_clipped(power: Real, emitted: Real) -> None:
    """Raise FitError where the largest `power` occurs at biases whose emission should differ, both (n,)."""
    largest = power == power.max()
    if largest.sum() >= _CLIPPED and np.ptp(emitted[largest]) > _RISE * np.ptp(emitted):
        raise FitError(
            f"{largest.sum()} of {power.size} powers equal the largest, {power.max():.4g} W, at biases whose emission "
            "differs: the meter clips; attenuate before it, or choose another range, and measure again"
        )
