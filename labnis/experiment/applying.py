"""A calibration applied to another run, or to data of another program: power and photons at the device, S11 of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from labnis.errors import RequestError
from labnis.experiment.run import Run, stored_run
from labnis.experiment.tables import given, traces_in
from labnis.experiment.units import Column
from labnis.fit import FitContext
from labnis.fit.resonator.calibrated import AtDevice, background, density_at_device, photons
from labnis.ledger import Calibration as Entry
from labnis.ledger import difference_of

__all__ = ["ANALYSES", "Calibration", "drift_rate"]

_TRACES = {"spectrum": "emitted_power", "s11": "reflection"}
"""Column with traces → analysis whose fit says what they are at the device."""
Real = NDArray[np.float64]
_POWERS = ("power", "power_statistical", "power_systematic")
# Standard uncertainties that a power may be below zero by chance.
_FAR_BELOW = 5.0
ANALYSES = tuple(_TRACES.values())
"""Analyses whose fits are applied to other data.

That of a power in a band is not among them: its gain has the power meter in it, which takes no spectra.
"""


@dataclass(frozen=True)
class Calibration:
    """The fits of one run, to be applied to other data.

    Attributes
    ----------
    run
        With a fit of emitted spectra, or of a reflection.
    drift
        Of the gain, as seen so far (dB²/s): what its variance grows with the time since the run.

    """

    run: Run
    drift: float = 0.0

    @classmethod
    def of(
        cls, path: Path | str, drift: float = 0.0, versions: Mapping[str, str] = MappingProxyType({})
    ) -> "Calibration":
        """That of the run at `path`; of analyses in `versions` by the fit of the name there, else by the newest.

        Raises
        ------
        RunFileError
            It cannot be read, or has no such version.
        RequestError
            It has no fit that says anything of other data.

        """
        run = stored_run(path, versions)
        if not set(run.fits) & set(ANALYSES):
            meter = "; the gain of a power in a band has the power meter in it" if "band_power" in run.fits else ""
            raise RequestError(
                f"{path} has no fit of emitted spectra or a reflection, and says nothing of other data{meter}"
            )
        return cls(run, drift)

    def apply(
        self,
        data: xarray.Dataset | Mapping[str, ArrayLike],
        *,
        columns: Mapping[str, str] | None = None,
        measured: datetime | None = None,
        wiring: Mapping[str, Any] | None = None,
        instruments: Mapping[str, Any] | None = None,
    ) -> xarray.Dataset:
        """What the traces of `data` are at the device, with both parts of σ by the calibration.

        Parameters
        ----------
        data
            A Dataset with `spectrum` (W/Hz) or `s11` along `frequency` (Hz); or columns, as a DataFrame or a mapping of
            arrays, with a row for each frequency, or each trace and frequency, in the units of their names.
        columns
            What is needed → its name in the columns, as in `labnis.import_run`: {"spectrum": "P (dBm)"}. A power that
            is not per hertz is divided by `noise_bandwidth`.
        measured
            When; None if that is not known.
        wiring, instruments
            Of the data, as the metadata of a run has them; None if they are not known. With the same instruments an
            error of the analyzer's amplitude cancels.

        Returns
        -------
        Dataset
            `density` (W/Hz, what comes from the device, without the noise of the chain), `photons` (1, per second and
            hertz) and `power` (W, over the band); or `reflection` (S11 without the background). Each has two others
            with the endings `_statistical` and `_systematic`. The attribute `notes` says what was not checked, and what
            σ contains.

        Raises
        ------
        RequestError
            The data have no such traces, or the calibration does not cover them: another frequency, wiring, instrument.

        """
        own = _said_of(data)
        measured = own.get("start") if measured is None else measured
        wiring, instruments = wiring or own.get("wiring"), instruments or own.get("instruments")
        data = _by_frequency(self._traces(data, columns or {}))
        found = [name for name in _TRACES if name in data and "frequency" in data.coords]
        known = [name for name in found if _TRACES[name] in self.run.fits]
        if not known:
            raise RequestError(
                f"{self.run.path} calibrates {' and '.join(n for n, a in _TRACES.items() if a in self.run.fits)} along "
                f"frequency, and the data have {', '.join(map(str, data.variables)) or 'nothing'}"
            )
        used = self.run.metadata["context"].get("instruments", self.run.metadata["instruments"])
        missing = sorted({*used} - (instruments or {}).keys())
        notes = [*self._covers(data, measured, wiring or None, instruments or None)]
        if instruments and missing:
            notes.append(f"not known of the data, and not checked: the instruments {', '.join(missing)}")
        if measured is not None and measured.tzinfo is None:
            raise RequestError(f"measured: {measured} has no time zone")
        drift = self._drift(measured)
        if "spectrum" in known:
            notes += _unit_notes(data)
            apart = timedelta(0) if measured is None else abs(measured - self.run.metadata["start"])
            if apart >= timedelta(days=1) and not drift:
                notes.append(f"no drift of the gain is known, and none in σ: the calibration is {apart.days} days away")
        if "spectrum" in known and drift:
            notes.append(f"σ of the gain contains a drift of {drift:.2g} dB, as seen in its cooldown")
        parts: dict[str, tuple[Any, ...]] = {}
        for name in known:
            parts |= (
                self._power(data, drift, same=bool(instruments) and not missing)
                if name == "spectrum"
                else self._reflection(data)
            )
        doubts = [text for name in known for text in self.run.fits[_TRACES[name]].warnings]
        if "power" in parts:
            doubts += _implausible(*(np.asarray(parts[name][1]) for name in _POWERS))
        warnings = dict.fromkeys(doubts)
        attributes = {"calibration": self.run.run_id, "notes": "; ".join(notes), "warnings": "; ".join(warnings)}
        return xarray.Dataset(parts, {name: data.coords[name] for name in data.coords}, attributes)

    def _traces(self, data: Any, columns: Mapping[str, str]) -> xarray.Dataset:
        """The data as a Dataset; columns are read as those of an import."""
        if isinstance(data, xarray.Dataset) and not columns:
            return data
        return self.traces_of(given(data), columns, "the columns")

    def traces_of(self, read: Mapping[str, Column], columns: Mapping[str, str], where: str) -> xarray.Dataset:
        """The traces that it calibrates of columns with units, such as those of a file.

        Raises
        ------
        RequestError
            A column is missing, its unit is not known or cannot be converted, or lengths do not fit.

        """
        known = [trace for trace, analysis in _TRACES.items() if analysis in self.run.fits]
        trace = next((one for one in known if one in {*read, *columns}), known[-1])
        return traces_in(read, columns, where, trace, self._context.resonator)

    @property
    def _context(self) -> FitContext:
        return FitContext.from_json(self.run.metadata["context"]["fit"])

    def _drift(self, measured: datetime | None) -> float:
        """Standard uncertainty of the gain (dB) by its drift until the data were measured."""
        if measured is None:
            return 0.0
        begun = self.run.metadata["start"]
        return float(np.sqrt(self.drift * abs((measured - begun).total_seconds())))

    def _covers(
        self,
        data: xarray.Dataset,
        measured: datetime | None,
        wiring: Mapping[str, Any] | None,
        instruments: Mapping[str, Any] | None,
    ) -> list[str]:
        """Notes on what cannot be checked; RequestError where the data are not covered."""
        known, own = self.run.metadata, self.run.data
        asked, band = data["frequency"].values, own["frequency"].values
        if not (band.min() <= asked.min() and asked.max() <= band.max()):
            low, high, first, last = (f"{1e-9 * f:.6g}" for f in (asked.min(), asked.max(), band.min(), band.max()))
            raise RequestError(
                f"the data are from {low} to {high} GHz, and {self.run.path} calibrates {first} to {last} GHz"
            )
        other = _different(known["wiring"], wiring) + _different(known["instruments"], instruments)
        if other:
            raise RequestError(f"{self.run.path} was measured otherwise than the data: {'; '.join(other)}")
        unknown = {"time": measured, "wiring": wiring, "instruments": instruments}
        missing = [name for name, value in unknown.items() if value is None]
        return [f"not known of the data, and not checked: {', '.join(missing)}"] if missing else []

    def _power(self, data: xarray.Dataset, drift: float, *, same: bool) -> dict[str, tuple[Any, ...]]:
        fit, spectrum = self.run.fits["emitted_power"], data["spectrum"].transpose(..., "frequency")
        frequency = data["frequency"].values
        density = density_at_device(fit, spectrum.values, drift, same_analyzer=same)
        found = _columns("density", spectrum.dims, density, "W/Hz")
        found |= _columns("photons", spectrum.dims, photons(density, frequency), "1")
        # The calibration errs alike in all bins.
        power = AtDevice(*(np.trapezoid(part, frequency, axis=-1) for part in density))
        return found | _columns("power", spectrum.dims[:-1], power, "W")

    def _reflection(self, data: xarray.Dataset) -> dict[str, tuple[Any, ...]]:
        frequency, *known = background(self.run.fits["reflection"], self.run.data, self._context.junctions)
        behind, *parts = (np.interp(data["frequency"], frequency, one) for one in known)
        s11 = data["s11"].transpose(..., "frequency")
        value = s11.values / behind
        sigmas = [np.asarray(np.abs(value) * part / np.abs(behind), dtype=np.float64) for part in parts]
        return _columns("reflection", s11.dims, AtDevice(value, *sigmas), "1")


def _said_of(data: Any) -> dict[str, Any]:
    """What the attributes of the data of a run say of them: start, wiring and instruments; empty of other data."""
    attributes = data.attrs if isinstance(data, xarray.Dataset) else {}
    if "run_id" not in attributes:
        return {}
    said = {name: attributes[name] for name in ("wiring", "instruments") if name in attributes}
    found: dict[str, Any] = {name: json.loads(one) if isinstance(one, str) else one for name, one in said.items()}
    start = attributes.get("start")
    return found | ({"start": datetime.fromisoformat(start)} if isinstance(start, str) else {})


def _implausible(power: Real, statistical: Real, systematic: Real) -> list[str]:
    """Doubts about powers at the device that are none, or far below zero, as of another chain than that calibrated."""
    told = []
    if none := int(np.isnan(power).sum()):
        told.append(f"{none} of {power.size} spectra have bins that are no numbers, and no power")
    below = -power / np.hypot(statistical, systematic)
    if np.nanmax(below, initial=0.0) > _FAR_BELOW:
        told.append(
            f"a power at the device is {np.nanmax(below):.0f} σ below zero, which cannot be: the chain was another one "
            "when the data were measured"
        )
    return told


def _by_frequency(data: xarray.Dataset) -> xarray.Dataset:
    """With rising frequencies; RequestError for a spectrum in another unit, or less than two frequencies."""
    if "frequency" not in data.coords:
        return data
    for name, wanted in (("frequency", "Hz"), ("spectrum", "W/Hz")):
        attributes = data[name].attrs if name in data.variables else {}
        unit = attributes.get("units", attributes.get("unit", wanted))
        if unit != wanted:
            raise RequestError(f"{name} is in {unit}; it has to be in {wanted}")
    if data.sizes["frequency"] < 2 or data["frequency"].to_index().has_duplicates:
        raise RequestError("at least two frequencies are needed, each once")
    return data.sortby("frequency")


def _unit_notes(data: xarray.Dataset) -> list[str]:
    """What is taken for granted of a spectrum; RequestError where it is no power."""
    spectrum = data["spectrum"]
    values = spectrum.values
    if np.iscomplexobj(values) or np.isinf(values).any() or (values < 0).any():
        raise RequestError("spectrum has values that are complex, infinite or negative; it has to be a power in W/Hz")
    return (
        []
        if {"unit", "units"} & spectrum.attrs.keys()
        else ["the unit of the spectrum is not stated, and was taken for W/Hz"]
    )


def _columns(name: str, dims: Sequence[Any], parts: AtDevice, unit: str) -> dict[str, tuple[Any, ...]]:
    names = (name, f"{name}_statistical", f"{name}_systematic")
    return {key: (dims, part, {"units": unit}) for key, part in zip(names, parts, strict=True)}


def _different(own: Mapping[str, Any], other: Mapping[str, Any] | None) -> list[str]:
    """What both have and is not the same, in words."""
    shared = [] if other is None else [key for key in own if key in other and own[key] != other[key]]
    return [f"{key} is {other[key]}, was {own[key]}" for key in shared if other is not None]


def drift_rate(entries: Sequence[Entry]) -> float:
    """By which the variance of a quantity has grown with time (its unit², per second), from successive calibrations.

    What the calibrations' own σ explain does not count; 0 for fewer than two.
    """
    ordered = sorted(entries, key=lambda entry: entry.measured)
    pairs = [(difference_of(*pair), pair[1].measured - pair[0].measured) for pair in pairwise(ordered)]
    excess = sum(apart[0] ** 2 - apart[1] ** 2 for apart, _ in pairs if apart is not None)
    seconds = sum(time.total_seconds() for apart, time in pairs if apart is not None)
    return max(excess, 0.0) / seconds if seconds else 0.0
