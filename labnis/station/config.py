"""What station.yaml may say: QCoDeS's `instruments:` and, beside it, `labnis:`.

Everything is checked before any instrument is touched: an unknown key, a wrong type or an impossible limit is a
ConfigurationError that names file, line, key, what was found and what is allowed.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from drivers.wiring import Wiring
from labnis.errors import ConfigurationError
from labnis.station.document import Document, Location, read_document
from labnis.station.instruments import check_instruments, refuse_initial_values

__all__ = ["Interlock", "Limits", "RoleNames", "StationConfig", "load_station"]

Positive = Annotated[float, Field(gt=0)]
AtLeastOne = Annotated[float, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class RoleNames(_Section):
    """Which instrument of `instruments:` plays which role; `bias` is required."""

    bias: Name
    lockin: Name | None = None
    analyzer: Name | None = None
    vna: Name | None = None
    fridge: Name | None = None

    def filled(self) -> dict[str, str]:
        """Role → instrument name, of the roles this station fills."""
        return {role: name for role, name in self if name is not None}


class WiringSection(_Section):
    """The fields of `drivers.wiring.Wiring`, each with its own allowed range."""

    divider: AtLeastOne = 1.0
    series_resistance: NonNegative = 0.0
    current_amplifier_gain: Positive = 1e7
    excitation_divider: AtLeastOne = 1e4
    current_reading: Literal["source", "amplifier"] = "source"
    probe_attenuation: float = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self.checked()
        return self

    def checked(self) -> Wiring:
        """The wiring as drivers and procedures use it."""
        return Wiring(**self.model_dump())


class Limits(_Section):
    """What protects the device and the fridge. Biases are those behind the divider.

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
        Temperatures (K) above which a run waits at zero bias, and above which it ends.
    fridge_stale
        Time (s) after which a thermometer whose reading has not changed in its last digit counts as dead.
    resume_after_pause
        Whether a run that waits goes on by itself when its interlocks are satisfied again; otherwise it ends.
    on_compliance
        What happens when the source hits its current limit: "stop" ends the run, "continue" marks the row.

    """

    maximum_bias: Positive
    maximum_step: Positive
    ramp_rate: Positive
    compliance: Positive
    fridge_pause: Positive | None = None
    fridge_abort: Positive | None = None
    fridge_stale: Positive = 60.0
    resume_after_pause: bool = False
    on_compliance: Literal["stop", "continue"] = "stop"

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


class Interlock(_Section):
    """A condition that a run needs: `watch` must stay below `above` or above `below`.

    Attributes
    ----------
    watch
        What is read: role and quantity.
    above, below
        The interlock trips above, or below, this value (SI); exactly one of the two is given.
    action
        "pause" waits at zero bias, "abort" ends the run.

    """

    watch: Literal["fridge.temperature", "bias.current", "bias.device_voltage", "lockin.magnitude"]
    above: float | None = None
    below: float | None = None
    action: Literal["pause", "abort"] = "abort"

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("exactly one of above and below is needed")
        return self

    def trips(self, value: float) -> bool:
        """Whether `value` (SI) violates the condition; NaN always does."""
        if self.above is not None:
            return not value <= self.above
        return not (self.below is not None and value >= self.below)

    def __str__(self) -> str:
        side = f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"
        return f"{self.watch} {side}"


class Island(_Section):
    """The device's normal-metal island, as far as it is known: from it the summary before a run foretells T_e.

    Attributes
    ----------
    volume
        In m³.
    electron_phonon
        Coupling Σ of electrons and phonons (W m⁻³ K⁻⁵): 2e9 for copper.
    kapitza
        Coupling of the island's phonons to the bath (W/K⁴); by default they are at its temperature.

    """

    volume: Positive
    electron_phonon: Positive
    kapitza: Positive | None = None


class Twin(_Section):
    """The simulated fridge of a dry run."""

    file: Name


class _LabnisSection(_Section):
    """The `labnis:` part of the file, as written."""

    roles: RoleNames
    wiring: WiringSection
    limits: Limits
    interlocks: Annotated[tuple[Interlock, ...], Field(strict=False)] = ()
    island: Island | None = None
    data: Name = "data"
    ledger: Annotated[SecretStr, Field(min_length=1)] | None = None
    visalib: Name | None = None
    twin: Twin | None = None


class StationConfig(_Section):
    """A checked station file. Folders and files in it are resolved relative to the station file.

    Attributes
    ----------
    path
        The station file.
    instruments
        QCoDeS's section: instrument name → type, address, init, parameters, …
    island
        What is known of the device's island; None if nothing is.
    data
        Folder that runs are written to.
    ledger
        SQLAlchemy URL of the ledger (it may hold a password: `get_secret_value()` to use it, never to show it).
    visalib
        PyVISA library for real runs; None is PyVISA's own choice.
    twin
        Truth file of the twin; None if this station has none.

    """

    path: Path
    instruments: dict[str, dict[str, Any]]
    roles: RoleNames
    wiring: Wiring
    limits: Limits
    interlocks: tuple[Interlock, ...]
    island: Island | None
    data: Path
    ledger: SecretStr
    visalib: str | None
    twin: Path | None
    _document: Document = PrivateAttr()

    def address(self, role: str) -> str | None:
        """VISA address of the instrument that plays `role`, as the file has it."""
        address: str | None = self.instruments[self.roles.filled()[role]].get("address")
        return address

    @property
    def public_text(self) -> str:
        """The station file as it was read, without the ledger's URL: that may hold a password."""
        return self._document.text_without(("labnis", "ledger"))

    def error(self, location: Location, problem: str) -> ConfigurationError:
        """Build the error for a `problem` with what the file says at `location`."""
        return self._document.error(location, problem)


def load_station(path: Path) -> StationConfig:
    """Read and check the station file at `path`; no instrument is touched and nothing it names is imported.

    Raises
    ------
    ConfigurationError
        Naming file, line, key, what was found and what is allowed.

    """
    document = read_document(path)
    _check_top(document)
    check_instruments(document)
    try:
        section = _LabnisSection.model_validate(document.data["labnis"])
    except ValidationError as error:
        raise _explain(document, error) from error
    _check_roles(document, section)
    _check_ledger(document, section)
    folder = path.resolve().parent
    data = folder / section.data
    ledger = section.ledger or SecretStr(f"sqlite:///{(data / 'ledger.sqlite').as_posix()}")
    config = StationConfig(
        path=path,
        instruments=document.data["instruments"],
        roles=section.roles,
        wiring=section.wiring.checked(),
        limits=section.limits,
        interlocks=(*_fridge_interlocks(section.limits), *section.interlocks),
        island=section.island,
        data=data,
        ledger=ledger,
        visalib=section.visalib,
        twin=folder / section.twin.file if section.twin else None,
    )
    config._document = document
    return config


def _fridge_interlocks(limits: Limits) -> list[Interlock]:
    """The two fridge temperatures among the limits, as interlocks."""
    named: list[tuple[float | None, Literal["pause", "abort"]]] = [
        (limits.fridge_abort, "abort"),
        (limits.fridge_pause, "pause"),
    ]
    return [
        Interlock(watch="fridge.temperature", above=above, action=action)
        for above, action in named
        if above is not None
    ]


def _check_top(document: Document) -> None:
    allowed = ("instruments", "labnis")
    for key in document.data:
        if key not in allowed:
            raise document.error((key,), f"unknown key; allowed are {', '.join(allowed)}")
    for key in allowed:
        found = document.data.get(key)
        if key not in document.data:
            raise document.error((key,), f"missing; a station file has the keys {', '.join(allowed)}")
        if not isinstance(found, dict) or not found:
            raise document.error((key,), f"found {found!r}; a mapping with at least one key is needed")


def _check_roles(document: Document, section: _LabnisSection) -> None:
    defined = document.data["instruments"]
    roles = section.roles.filled()
    for role, name in roles.items():
        if name not in defined:
            raise document.error(("labnis", "roles", role), f"no instrument {name!r}; defined are {', '.join(defined)}")
    if section.wiring.current_reading == "amplifier" and "lockin" not in roles:
        raise document.error(
            ("labnis", "wiring", "current_reading"),
            "found 'amplifier', which is read through the lock-in, but labnis.roles has no lockin; "
            "name one or use 'source'",
        )
    for key in ("fridge_pause", "fridge_abort"):
        if getattr(section.limits, key) is not None and "fridge" not in roles:
            raise document.error(
                ("labnis", "limits", key), "needs a thermometer, but labnis.roles has no fridge; name one"
            )
    for number, interlock in enumerate(section.interlocks):
        role = interlock.watch.partition(".")[0]
        if role not in roles:
            raise document.error(
                ("labnis", "interlocks", number, "watch"), f"needs the role {role}, but labnis.roles has none; name one"
            )
    refuse_initial_values(document, section.roles.bias)


def _check_ledger(document: Document, section: _LabnisSection) -> None:
    if section.ledger is not None and "://" not in section.ledger.get_secret_value():
        raise document.error(
            ("labnis", "ledger"),
            "not a database URL; allowed are SQLAlchemy URLs such as sqlite:////data/ledger.sqlite",
        )


def _explain(document: Document, error: ValidationError) -> ConfigurationError:
    """Say of the first problem where it is, what was found and what is allowed."""
    problems = error.errors(include_input=False, include_url=False)
    # A misspelt key is both unknown and missing; the first says more.
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    location: Location = ("labnis", *first["loc"])
    found: Any = document.data
    for key in location:
        found = _inside(found, key)
    fields = ", ".join(_fields_at(first["loc"][:-1]))
    match first["type"]:
        case "extra_forbidden":
            problem = f"unknown key; allowed are {fields}"
        case "missing":
            problem = f"missing; the keys here are {fields}"
        case "value_error":
            problem = str(first["ctx"]["error"])
        case _ if location[-1] == "ledger":
            problem = "found something else than text; a SQLAlchemy URL is needed"
        case _:
            message = first["msg"].replace("Input should", "it should")
            problem = f"found {found!r}; {message}"
    return document.error(location, problem)


def _inside(node: Any, key: int | str) -> Any:
    """What `node` holds at `key`; None where it holds nothing."""
    if isinstance(node, dict):
        return node.get(key)
    return node[key] if isinstance(node, list) and isinstance(key, int) and key < len(node) else None


def _fields_at(location: Location) -> tuple[str, ...]:
    section: Any = _LabnisSection
    wrapped = {"twin": Twin, "interlocks": Interlock, "island": Island}
    for key in location:
        if isinstance(key, str):  # a number is a place in a list, whose entries have the list's keys
            section = wrapped.get(key) or section.model_fields[key].annotation
    return tuple(section.model_fields)
