"""Accuracy tables: the data sheet of a model of instrument as a YAML file.

::

    schema: labnis.accuracy/1
    model: Keithley 2450
    source: SPEC-2450 Rev. A, July 2013, p. 2      # where the figures were read; mandatory
    distribution: rectangular                      # the sheet states no coverage; or {normal: 2} for k = 2
    temperature: {from: 18, to: 28, per_degree: 0.15}   # °C
    quantities:
      voltage_measure:
        unit: V
        ranges:
          20mV: {largest: 0.02, of_reading: 1.0e-3, offset: 150.0e-6}

The half-width at a reading x is of_reading·|x| + of_range·largest + offset, in the SI. The part of the reading and the
rest are two sources: the one scales all readings of a range, the other moves them.
"""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from labnis.accuracy.source import Distribution, Source

__all__ = ["AccuracyTable", "AccuracyTableError", "QuantityAccuracy", "RangeAccuracy", "Temperature", "load_table"]

# Beginning of the name of a quantity → its unit.
_UNITS = {"voltage": "V", "current": "A", "resistance": "ohm"}

Part = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]


class AccuracyTableError(Exception):
    """A table that cannot be used; the message has file and key."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class RangeAccuracy(_Section):
    """Half-width in one range: `largest` reading of the range, and the three parts."""

    largest: Annotated[float, Field(gt=0)]
    of_reading: Part = 0.0
    of_range: Part = 0.0
    offset: Part = 0.0

    @model_validator(mode="after")
    def _has_a_figure(self) -> Self:
        if not (self.of_reading or self.of_range or self.offset):
            raise ValueError("all figures are 0: give of_reading, of_range or offset")
        return self

    @property
    def constant(self) -> float:
        """The part that does not depend on the reading, in its unit."""
        return self.of_range * self.largest + self.offset

    def half_width(self, reading: float) -> float:
        """Half-width at a reading, in its unit."""
        return self.of_reading * abs(reading) + self.constant


class Temperature(_Section):
    """Temperatures (°C) between which the figures hold; outside they grow by a part of themselves per degree."""

    coldest: Annotated[float, Field(alias="from")]
    warmest: Annotated[float, Field(alias="to")]
    per_degree: Part

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if not self.coldest <= self.warmest:
            raise ValueError(f"found from {self.coldest:g} to {self.warmest:g}; give the lowest temperature first")
        return self

    def factor(self, coldest: float, warmest: float) -> float:
        """By which the figures grow for an instrument that is between two temperatures (°C)."""
        return 1 + self.per_degree * max(self.coldest - coldest, warmest - self.warmest, 0.0)


class QuantityAccuracy(_Section):
    """What the instrument measures or sources, by range."""

    unit: Text
    ranges: Annotated[dict[Text, RangeAccuracy], Field(min_length=1)]

    @field_validator("ranges")
    @classmethod
    def _differ(cls, given: dict[str, RangeAccuracy]) -> dict[str, RangeAccuracy]:
        names: dict[float, str] = {}
        for name, part in given.items():
            if (other := names.setdefault(part.largest, name)) != name:
                raise ValueError(f"{other} and {name} have the same largest reading, {part.largest:g}")
        return given


class AccuracyTable(_Section):
    """The data sheet of a model.

    Attributes
    ----------
    model, source
        Manufacturer's name of the model, and the document with its revision and page; one that begins with "unsourced"
        marks every figure in a budget.
    distribution
        "rectangular" where the document states no coverage, {"normal": k} where it does.
    temperature
        Temperatures for which the figures hold, and what is said of others.
    conditions
        Interval, integration time and others for which the figures hold; for people.
    quantities
        By name.

    """

    version: Annotated[Literal["labnis.accuracy/1"], Field(alias="schema")]
    model: Text
    source: Text
    distribution: Literal["rectangular"] | dict[Literal["normal"], Annotated[float, Field(ge=1)]]
    temperature: Temperature | None = None
    conditions: dict[Text, Any] = Field(default_factory=dict)
    quantities: Annotated[dict[Text, QuantityAccuracy], Field(min_length=1)]

    @field_validator("distribution")
    @classmethod
    def _with_its_k(cls, given: Any) -> Any:
        if given == {}:
            raise ValueError("found {}; give rectangular, or {normal: k}")
        return given

    @field_validator("quantities")
    @classmethod
    def _in_si(cls, given: dict[str, QuantityAccuracy]) -> dict[str, QuantityAccuracy]:
        for name, quantity in given.items():
            unit = next((unit for start, unit in _UNITS.items() if name.startswith(start)), quantity.unit)
            if quantity.unit != unit:
                raise ValueError(f"{name} has the unit {quantity.unit!r}; the figures are in {unit}: convert them")
        return given

    @property
    def divisor(self) -> float:
        """Half-width per standard uncertainty: √3, or k."""
        return math.sqrt(3) if self.distribution == "rectangular" else self.distribution["normal"]

    def sources(self, quantity: str, acts_on: str, instrument: str) -> tuple[Source, ...]:
        """Gain (relative) and offset of a quantity in each of its ranges.

        Parameters
        ----------
        quantity
            Name in the table.
        acts_on
            What the readings are of: "voltage" or "current".
        instrument
            Identity of one instrument since its last adjustment, as in `keithley_2450/4123456@2026-03-14`.

        Raises
        ------
        AccuracyTableError
            The table does not have the quantity.

        """
        if quantity not in self.quantities:
            known = ", ".join(self.quantities)
            raise AccuracyTableError(f"{self.model}: the table has no {quantity!r}; it has {known}")
        found = self.quantities[quantity]
        ranges = sorted(found.ranges.items(), key=lambda entry: entry[1].largest)
        lower = [0.0, *(part.largest for _, part in ranges)]
        marked = "(unsourced) " if self.source.startswith("unsourced") else ""
        kind: Distribution = "rectangular" if self.distribution == "rectangular" else "normal"
        identity, _, adjusted = instrument.partition("@")
        since = f"@{adjusted}" if adjusted else ""
        return tuple(
            Source(
                f"{identity}/{quantity}.{effect}[{name}]{since}",
                f"{self.model}, {marked}{effect} of {quantity} in the range {name}",
                unit, size / self.divisor, kind, self.source, f"{acts_on}.{effect}", above, part.largest,
            )
            for above, (name, part) in zip(lower, ranges, strict=False)
            for effect, unit, size in (("gain", "1", part.of_reading), ("offset", found.unit, part.constant))
            if size > 0
        )  # fmt: skip


def load_table(path: Path) -> AccuracyTable:
    """Read and check a table.

    Raises
    ------
    AccuracyTableError
        The file cannot be read, is no YAML, or a key is missing, unknown or impossible; the message names it.

    """
    try:
        document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise AccuracyTableError(f"{path}: cannot be read as an accuracy table: {error}") from error
    try:
        return AccuracyTable.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole file"
        raise AccuracyTableError(f"{path}: {key}: {first['msg']}") from error
