"""Parts of the `labnis:` section of station.yaml: limits, interlocks, device, twin."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from drivers.wiring import Section, Wiring
from labnis.station.instruments import refused_visa_library
from labnis.station.role_spec import Name, Positive
from labnis.station.uncertainty_section import Uncertainty

__all__ = ["Device", "Interlock", "Island", "LabnisSection", "Limits", "TwinSection", "WatchdogSpec"]

OF_THE_BIAS = ("bias", "current", "voltage", "lockin")
"""Roles whose readings are valid only while the bias is on."""

FRIDGE_HYSTERESIS = 0.05
"""Hysteresis of limits.fridge_pause, as a fraction of it."""


def _path(text: str) -> str:
    """`text` with `~` expanded."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError(f"found {text!r}; a path has no control characters")
    try:
        return str(Path(text).expanduser())
    except RuntimeError as error:  # the user after ~ does not exist
        raise ValueError(f"found {text!r}: {error}") from error


PathText = Annotated[Name, AfterValidator(_path)]
"""A path in the file, relative to it or absolute."""


class WatchdogSpec(Section):
    """An instrument that switches the output off by itself when it is no longer fed (`drivers.protection.Watchdog`).

    Attributes
    ----------
    instrument
        Its name under instruments.
    timeout
        Time (s) without feeding after which it acts.

    """

    instrument: Name
    timeout: Annotated[float, Field(ge=5.0, le=3600.0)]


class Limits(Section):
    """Limits that protect the device and the fridge. Biases are those behind the divider.

    Attributes
    ----------
    maximum_bias
        Largest absolute bias (V).
    maximum_step
        Largest single step of the bias while ramping (V).
    ramp_rate
        Rate that no ramp exceeds over any 100 ms (V/s).
    compliance
        Current limit at the source (A).
    fridge_pause, fridge_abort
        Temperatures (K) above which a run waits at zero bias, and above which it ends. After a pause the fridge must
        be 5 % colder than fridge_pause before the run continues.
    fridge_stale
        Time (s) after which a thermometer whose reading has not changed in its last digit counts as stale.
    resume_after_pause
        Whether a paused run continues when its interlocks are satisfied again; otherwise it ends.
    maximum_resumptions
        Number of times that one run continues after a pause; the next violation ends it.
    on_compliance
        Action when the source hits its current limit: "stop" ends the run, "continue" flags the row.
    unresponsive
        Time (s) after which a run that does not respond loses its bias, beyond the time that it has declared for what
        it does.
    watchdog
        Acts where run and guardian are killed together, or the computer stops; None if there is none.

    """

    maximum_bias: Positive
    maximum_step: Positive
    ramp_rate: Positive
    compliance: Positive
    fridge_pause: Positive | None = None
    fridge_abort: Positive | None = None
    fridge_stale: Positive = 60.0
    resume_after_pause: bool = False
    maximum_resumptions: Annotated[int, Field(ge=1, le=1000)] = 3
    on_compliance: Literal["stop", "continue"] = "stop"
    unresponsive: Annotated[float, Field(ge=1.0, le=600.0)] = 5.0
    watchdog: WatchdogSpec | None = None

    @field_validator("maximum_step")
    @classmethod
    def _step_within_bias(cls, step: float, info: ValidationInfo) -> float:
        bias = info.data.get("maximum_bias")
        if bias is not None and step > bias:
            raise ValueError(f"found {step} V, more than maximum_bias ({bias} V); it must not exceed it")
        return step

    @field_validator("fridge_abort")
    @classmethod
    def _abort_above_pause(cls, abort: float | None, info: ValidationInfo) -> float | None:
        pause = info.data.get("fridge_pause")
        if pause is not None and abort is not None and abort <= pause:
            raise ValueError(f"found {abort} K, not above fridge_pause ({pause} K); it must be higher")
        return abort

    def fridge_interlocks(self) -> list["Interlock"]:
        """The two fridge temperatures, as interlocks."""
        watch = "fridge.temperature"
        found = []
        if self.fridge_abort is not None:
            found.append(Interlock(watch=watch, above=self.fridge_abort, action="abort"))
        if (pause := self.fridge_pause) is not None:
            found.append(Interlock(watch=watch, above=pause, action="pause", hysteresis=FRIDGE_HYSTERESIS * pause))
        return found


UNITS = {"temperature": "K", "current": "A", "bias": "V", "device_voltage": "V", "magnitude": "V"}
"""Quantity of a role that an interlock watches → its unit; the `value` of a role has that of the station file."""


class Interlock(Section):
    """A condition of a run: `watch` must stay below `above` or above `below`.

    Attributes
    ----------
    watch
        Reading, as `ROLE.QUANTITY`: `bias.current`, `bias.device_voltage`, `fridge.temperature`, `lockin.magnitude`,
        or `ROLE.value` of any role that reads one number.
    above, below
        The interlock is violated above, or below, this value (SI); exactly one of the two is given.
    action
        "pause" waits at zero bias, "abort" ends the run. One that depends on the bias (`depends_on_bias`) always ends
        the run: at zero bias its reading does not show whether the level that violated it is allowed again.
    hysteresis
        After a pause the reading must be inside the limit by at least this (SI) before the run continues.

    """

    watch: Annotated[str, Field(pattern=r"^\w+\.\w+$")]
    above: float | None = None
    below: float | None = None
    action: Literal["pause", "abort"] = "abort"
    hysteresis: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("exactly one of above and below is needed")
        return self

    @model_validator(mode="after")
    def _hysteresis_within_reach(self) -> Self:
        if self.hysteresis and self.action == "abort":
            raise ValueError("hysteresis is for action: pause; leave it out where the run ends")
        if self.quantity == "temperature" and self.above is not None and self.hysteresis >= self.above:
            raise ValueError(f"hysteresis {self.hysteresis:g} K: no temperature is that far below {self.above:g} K")
        return self

    @property
    def role(self) -> str:
        """The role."""
        return self.watch.partition(".")[0]

    @property
    def quantity(self) -> str:
        """The quantity of the role."""
        return self.watch.partition(".")[2]

    def shown(self, value: float | None) -> str:
        """`value` of the quantity, with its unit."""
        return f"{value:g} {UNITS.get(self.quantity, '')}".rstrip()

    @property
    def depends_on_bias(self) -> bool:
        """Whether it watches the device or its bias, so that its reading is valid only while the bias is on."""
        return self.role in OF_THE_BIAS

    def trips(self, value: float, margin: float = 0.0) -> bool:
        """Whether `value` (SI) violates the condition, or is inside by less than `margin`; NaN always does."""
        if self.above is not None:
            return not value <= self.above - margin
        return not (self.below is not None and value >= self.below + margin)

    def __str__(self) -> str:
        side, limit = ("below", self.below) if self.above is None else ("above", self.above)
        return f"{self.watch} {side} {self.shown(limit)}"


class Island(Section):
    """The device's normal-metal island, as far as it is known; used to predict T_e before a run.

    Attributes
    ----------
    volume
        Volume (m³).
    electron_phonon
        Coupling Σ of electrons and phonons (W m⁻³ K⁻⁵): 2e9 for copper.
    kapitza
        Coupling of the island's phonons to the bath (W/K⁴); by default the phonons are at the bath's temperature.

    """

    volume: Positive
    electron_phonon: Positive
    kapitza: Positive | None = None


class Device(Section):
    """The device that is measured.

    Attributes
    ----------
    name
        Its name; empty if the station file gives none.
    junctions
        1, 2 (a pair in series) or [series, parallel] for an array. The normal resistance is that of one junction.
    resonator
        How its resonator is connected: at the end of a line (reflection), beside it (hanger), within it (transmission).
    island
        Its normal-metal island, if known.

    """

    name: str = ""
    junctions: int | tuple[int, int] = 2
    resonator: Literal["reflection", "hanger", "transmission"] = "reflection"
    island: Island | None = None

    @field_validator("junctions", mode="plain")
    @classmethod
    def _counted(cls, junctions: Any) -> int | tuple[int, int]:
        match junctions:
            case bool():
                pass
            case 1 | 2:
                return int(junctions)
            case [int(series), int(parallel)] if min(series, parallel) >= 1:
                return series, parallel
        raise ValueError(f"found {junctions!r}; allowed are 1, 2, or [series, parallel] of an array, each 1 or more")

    @field_serializer("junctions")
    def _plain(self, junctions: int | tuple[int, int]) -> Any:
        return list(junctions) if isinstance(junctions, tuple) else junctions


class TwinSection(Section):
    """The simulated fridge of a dry run.

    Attributes
    ----------
    file
        Its truth file, relative to the station file.

    """

    file: PathText


class LabnisSection(Section):
    """The `labnis:` section of the file, as written; `roles` are checked one by one.

    Attributes
    ----------
    roles
        Role → name of its instrument, or a section with the keys of its kind.
    wiring
        Between the instruments and the device.
    limits
        Protect the device and the fridge.
    interlocks
        Conditions that end a run, or let it wait.
    device
        Its name, or a section.
    packages
        The lab's own packages beside the file, whose classes it and procedures may name.
    data
        Folder for runs, relative to the file.
    ledger
        SQLAlchemy URL of the ledger; by default it is ledger.sqlite in the data folder.
    valid_for
        Quantity → time (h) that a calibration of it is valid for; by default until the next one.
    visalib
        PyVISA library at the real fridge, "@py" or "@ivi"; by default PyVISA's own choice.
    twin
        The simulated fridge of a dry run, which is not possible without it.
    uncertainty
        What instruments and wiring may err by.

    """

    roles: dict[str, Any]
    wiring: Wiring
    limits: Limits
    interlocks: Annotated[tuple[Interlock, ...], Field(strict=False)] = ()
    device: Device = Device()
    packages: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    data: PathText = "data"
    ledger: Annotated[SecretStr, Field(min_length=1)] | None = None
    valid_for: dict[Name, Positive] = Field(default_factory=dict)
    visalib: Name | None = None
    twin: TwinSection | None = None
    uncertainty: Uncertainty | None = None

    @field_validator("visalib")
    @classmethod
    def _named_backend(cls, visalib: str | None) -> str | None:
        if visalib is not None and (refusal := refused_visa_library(visalib)):
            raise ValueError(refusal)
        return visalib

    @field_validator("device", mode="before")
    @classmethod
    def _named(cls, device: Any) -> Any:
        return {"name": device} if isinstance(device, str) else device
