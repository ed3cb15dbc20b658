"""Microwave power that the biased junctions emit, as the amplifier chain delivers it."""

from typing import Any, ClassVar

import numpy as np
from pymeasure.experiment import FloatParameter, IntegerParameter

from procedures.band_sweep import BandSweep

__all__ = ["EmittedPowerVsBias"]


LONGEST_SPECTRUM = 3600.0
"""Longest time (s) of all sweeps of one spectrum."""


class EmittedPowerVsBias(BandSweep):
    """Step the bias from zero to many gaps and take one noise spectrum around the resonance at each point."""

    ANALYZER: ClassVar[str] = "analyzer"
    REQUIRES: ClassVar[tuple[str, ...]] = ("bias", "analyzer")
    DATA_COLUMNS: ClassVar[list[str]] = [*BandSweep.DATA_COLUMNS, "Noise bandwidth (Hz)", "Band power (W)"]
    TRACES: ClassVar[dict[str, tuple[str, type]]] = {"Spectrum (W/Hz)": ("Frequency (Hz)", float)}
    SIGNAL: ClassVar[str] = "Band power (W)"
    ANALYSES: ClassVar[tuple[str, ...]] = ("labnis.fit.analyses.EmittedPower",)

    maximum_bias = FloatParameter("Largest bias", units="V", default=5e-3, minimum=0.0, maximum=1e3)
    center = FloatParameter("Centre frequency", units="Hz", default=4.67e9, minimum=1e3, maximum=44e9)
    span = FloatParameter("Frequency span", units="Hz", default=140e6, minimum=1e3)
    frequencies = IntegerParameter("Frequency points", default=176, minimum=11, maximum=20001)
    resolution_bandwidth = FloatParameter("Noise bandwidth", units="Hz", default=800e3, minimum=1.0, maximum=8e6)
    sweep_time = FloatParameter("Time of one sweep", units="s", default=1.0, minimum=1e-3, maximum=4000.0)
    averages = IntegerParameter("Averaged sweeps", default=2, minimum=1, maximum=10000)

    def instrument_settings(self) -> dict[str, dict[str, Any]]:
        """Settings of the spectrum analyzer: band, filter and averaging."""
        sweep = {
            "resolution_bandwidth": self.resolution_bandwidth,
            "sweep_time": self.sweep_time,
            "averages": self.averages,
        }
        return {"analyzer": self.band() | sweep}

    def refusal(self) -> str:
        """The sweeps of one spectrum take an hour at most."""
        lasts = self.sweep_time * self.averages
        return super().refusal() or (
            f"sweep_time × averages is {lasts:g} s for one spectrum; at most {LONGEST_SPECTRUM:g} s are allowed"
            if lasts > LONGEST_SPECTRUM
            else ""
        )

    def point_duration(self) -> float:
        """Time (s) at one point, mostly the analyzer's sweeps."""
        return super().point_duration() + float(self.sweep_time * self.averages)

    def execute(self) -> None:
        """For each bias: set, wait, read the current, take a spectrum and integrate it over the band."""
        frequencies = self.analyzer.frequencies()
        self.emit("axis", {"Frequency (Hz)": frequencies})
        # That of the filter which the instrument chose, where it says so.
        bandwidth = {"Noise bandwidth (Hz)": getattr(self.analyzer, "noise_bandwidth", self.resolution_bandwidth)}
        for *_, bias in self.sweep():
            self.settle_at(bias)
            row = self.bias_row(self.roles.bias.read())
            spectrum = self.roles.acquire(self.analyzer)
            power = float(np.trapezoid(spectrum, frequencies))
            self.record(row | bandwidth | {"Spectrum (W/Hz)": spectrum, "Band power (W)": power})
