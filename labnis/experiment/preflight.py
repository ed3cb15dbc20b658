"""What a command is going to do: checked, and said, before it does anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymeasure.experiment import Procedure

from labnis.errors import RequestError
from labnis.experiment.goals import is_informed
from labnis.experiment.recorder import declared_columns
from labnis.physics import NISJunction, NoOperatingPointError, SINISCooler
from labnis.station import Island, StationConfig
from labnis.station.connecting import instrument_class
from labnis.storage import check_free_space, estimate_bytes

__all__ = ["Expectation", "PlannedRun", "check_request", "check_room", "needed_roles", "planned_runs"]


@dataclass(frozen=True)
class Expectation:
    """What earlier calibrations let one expect of the device at a bias; NaN where there are none.

    Attributes
    ----------
    dissipated_power
        Electrical power in the device (W) at the largest bias.
    cooling_power
        Largest power (W) that both junctions together can take out of the island at its last measured temperature.
    electron_temperature
        Of the island at the largest bias (K), where tunnelling and phonons balance; infinite where kT would exceed Δ.
    """

    dissipated_power: float
    cooling_power: float
    electron_temperature: float


@dataclass(frozen=True)
class PlannedRun:
    """One procedure as it will be run.

    Attributes
    ----------
    points
        Bias points; None if the procedure does not say.
    largest_bias, largest_step
        Largest |bias| and largest way from one point to the next (V), which is ramped within the limits like the ways
        from zero to the first point and back.
    duration
        Measuring time (s); NaN if the procedure does not say.
    room
        Room on the disk (bytes) that the run takes while it goes on, at most; NaN if the procedure does not say.
    """

    name: str
    points: int | None
    largest_bias: float
    largest_step: float
    duration: float
    room: float
    expectation: Expectation


def check_request(procedure: Procedure, config: StationConfig) -> None:
    """Refuse a measurement that cannot be recorded or that the station's limits forbid, before anything is opened.

    Raises
    ------
    RequestError
        Naming the value, and the limit or what the instrument has instead.

    """
    name = type(procedure).__name__
    if not procedure.DATA_COLUMNS:
        raise RequestError(f"{name} declares no DATA_COLUMNS, so there is nothing it could record")
    if refusal := getattr(procedure, "refusal", str)():
        raise RequestError(f"{name}: {refusal}. No instrument was touched.")
    _check_settings(procedure, config)
    planned = getattr(procedure, "biases", None)
    if planned is None:
        return
    largest = float(np.max(np.abs(planned())))
    limit = config.limits.maximum_bias
    if not 0 < largest <= limit:
        raise RequestError(
            f"{name} would go to a bias of {largest!r} V; it has to be more than 0, and "
            f"labnis.limits.maximum_bias in {config.path} allows {limit!r} V. No instrument was touched."
        )
    current, compliance = getattr(procedure, "maximum_current", 0.0), config.limits.compliance
    if config.wiring.current_reading == "source" and not current <= compliance:
        raise RequestError(
            f"{name} expects a current of {current!r} A; labnis.limits.compliance in "
            f"{config.path} allows {compliance!r} A. No instrument was touched."
        )


def _check_settings(procedure: Procedure, config: StationConfig) -> None:
    """Ask the instruments' classes whether they have what the procedure will set, where they can tell."""
    roles = config.roles.filled()
    for role, settings in getattr(procedure, "instrument_settings", dict)().items():
        if role not in roles:
            continue  # optional, or missed when the station is opened
        check = getattr(instrument_class(config, roles[role]), "check_settings", None)
        if check is None:
            continue
        try:
            check(**settings)
        except ValueError as error:
            raise RequestError(
                f"{type(procedure).__name__} cannot be run with {roles[role]}, the {role}: {error}. "
                "No instrument was touched."
            ) from error


def needed_roles(procedures: Sequence[Procedure], config: StationConfig) -> list[str]:
    """Roles that the procedures require, those they would use and the station has, and those the interlocks watch."""
    available = config.roles.filled()
    required = {role for p in procedures for role in getattr(p, "REQUIRES", ("bias",))}
    used = {role for p in procedures for role in getattr(p, "USES", ()) if role in available}
    watched = {interlock.watch.partition(".")[0] for interlock in config.interlocks}
    return sorted(required | used | watched)


def check_room(procedures: Sequence[Procedure], data: Path) -> None:
    """Refuse measurements for whose files the disk has no room, as far as their size is known beforehand.

    Raises
    ------
    DiskSpaceError
        Names how much is missing.

    """
    rooms = [_room(procedure) for procedure in procedures]
    check_free_space(data, int(np.nansum(rooms)))


def _room(procedure: Procedure) -> float:
    if not hasattr(procedure, "axis_lengths"):
        return float("nan")
    return float(estimate_bytes(declared_columns(procedure), procedure.axis_lengths(), len(procedure.biases())))


def planned_runs(
    procedures: Sequence[Procedure], config: StationConfig, known: Mapping[str, float], bath_temperature: float
) -> list[PlannedRun]:
    """What each of `procedures` will do.

    Parameters
    ----------
    procedures
        Configured, not yet run.
    config
        Of the station, for its wiring and the device's island.
    known
        Latest calibrations of this cooldown: gap (eV), normal_resistance (ohm), electron_temperature (K), where known.
    bath_temperature
        Of the fridge (K); NaN if it is not known.
    """
    return [_planned(procedure, config, known, bath_temperature) for procedure in procedures]


def _planned(
    procedure: Procedure, config: StationConfig, known: Mapping[str, float], bath_temperature: float
) -> PlannedRun:
    name = type(procedure).__name__
    duration = _duration(procedure)
    if not hasattr(procedure, "biases"):
        nothing = Expectation(float("nan"), float("nan"), float("nan"))
        return PlannedRun(name, None, float("nan"), float("nan"), duration, _room(procedure), nothing)
    biases = np.asarray(procedure.biases())
    largest = float(np.abs(biases).max())
    expectation = expected(largest, config, known, bath_temperature)
    step = float(np.ptp(biases) if is_informed(procedure) else np.abs(np.diff(biases)).max(initial=0.0))
    return PlannedRun(name, biases.size, largest, step, duration, _room(procedure), expectation)


def expected(bias: float, config: StationConfig, known: Mapping[str, float], bath_temperature: float) -> Expectation:
    """Expectation at `bias` (V), from what is known of the device and of the fridge."""
    gap, resistance = known.get("gap", float("nan")), known.get("normal_resistance", float("nan"))
    temperature = known.get("electron_temperature", float("nan"))
    # Far above the gap the pair is ohmic; below it carries less, so this is an upper bound.
    device_voltage = bias * 2 * resistance / (2 * resistance + config.wiring.series_resistance)
    dissipated = device_voltage**2 / (2 * resistance)
    if not np.isfinite([gap, resistance, temperature]).all():
        return Expectation(dissipated, float("nan"), float("nan"))
    junction = NISJunction(gap, resistance)
    power = 2 * float(junction.maximum_cooling_power(temperature, temperature))
    return Expectation(
        dissipated, power, _electron_temperature(junction, config.island, device_voltage, bath_temperature)
    )


def _electron_temperature(
    junction: NISJunction, island: Island | None, device_voltage: float, bath_temperature: float
) -> float:
    """T_e (K) at `device_voltage`; NaN where island or bath are not known, infinite beyond the model's range."""
    if island is None or not bath_temperature > 0:
        return float("nan")
    cooler = SINISCooler(junction, island.volume, island.electron_phonon, island.kapitza)
    try:
        return float(cooler.operating_point(device_voltage, bath_temperature).electron_temperature)
    except NoOperatingPointError:
        return float("inf")


def _duration(procedure: Procedure) -> float:
    try:
        return float(procedure.get_estimates())
    except (NotImplementedError, TypeError):  # a third-party procedure need not know
        return float("nan")
