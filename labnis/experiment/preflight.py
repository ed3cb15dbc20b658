"""Checks and prediction of what a command will do, before it does anything."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymeasure.experiment import Procedure

from labnis.errors import RequestError
from labnis.experiment.goals import is_informed
from labnis.experiment.instrument_check import check_instruments
from labnis.experiment.measured_ahead import MeasuredAhead, measured_ahead
from labnis.experiment.reading_time import reading_time
from labnis.experiment.recorder import column_name, column_unit, declared_columns
from labnis.fit import JunctionArray
from labnis.physics import NISJunction, NoOperatingPointError, SINISCooler
from labnis.printable import sentence
from labnis.station import Island, StationConfig
from labnis.station.role_spec import StageSpec
from labnis.storage import check_free_space, estimate_bytes
from procedures.measurement import Measurement
from procedures.parameter_values import ProcedureError, check_parameters

__all__ = [
    "Expectation",
    "PlannedRun",
    "check_request",
    "check_room",
    "needed_roles",
    "planned_duration",
    "planned_run",
]

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Expectation:
    """Prediction for the device at a bias from earlier calibrations; NaN where there are none.

    Attributes
    ----------
    dissipated_power
        Electrical power in the device (W) at the largest bias.
    cooling_power
        Largest power (W) that the junctions can remove from the island at its last measured temperature.
    electron_temperature
        Of the island at the largest bias (K), where tunnelling and phonons balance; infinite where kT would exceed Δ.
    edge
        Voltage across the device (V) at which every junction reaches its gap.
    """

    dissipated_power: float
    cooling_power: float
    electron_temperature: float
    edge: float = float("nan")


@dataclass(frozen=True)
class PlannedRun:
    """One procedure as it will be run.

    Attributes
    ----------
    points
        Number of points; None if not known.
    largest_bias, largest_step
        Largest |bias| and largest change from one point to the next of a sweep (V), which is ramped within the limits;
        NaN if the bias is not swept.
    duration
        Measuring time (s); NaN if not known.
    room
        Upper limit of the disk space (bytes) that the run takes; NaN if not known.
    moves
        Other roles that are moved → smallest and largest value, and their unit.
    measured_ahead
        How the source measures points by itself; None where each is measured by its own messages.
    notes
        What else the procedure says, in sentences without a full stop.
    """

    name: str
    points: int | None
    largest_bias: float
    largest_step: float
    duration: float
    room: float
    expectation: Expectation
    moves: Mapping[str, tuple[float, float, str]]
    measured_ahead: MeasuredAhead | None = None
    notes: tuple[str, ...] = ()


LONGEST_RUN = 30 * 24 * 3600.0
"""Longest measuring time (s) of one run that is taken for meant."""


def _never(_roles: Collection[str]) -> str:
    """No refusal, of a procedure that declares none."""
    return ""


def check_request(procedure: Procedure, config: StationConfig) -> None:
    """Refuse a measurement that cannot be run or saved, or exceeds the station's limits, before anything is opened.

    The values of its parameters are converted to the parameters' types; those that follow the mains become those of
    the station.

    Raises
    ------
    RequestError
        The message names the value, and the limit or the instrument's own values.
    ConfigurationError
        The station lacks a role that it needs.

    """
    name = type(procedure).__name__
    if not procedure.DATA_COLUMNS:
        raise RequestError(f"{name} declares no DATA_COLUMNS, so it cannot record anything")
    try:
        check_parameters(procedure)
        getattr(procedure, "follow_mains", float)(config.wiring.line_frequency)
        if isinstance(procedure, Measurement):
            procedure.filled, procedure.reading_time = frozenset(config.roles), partial(reading_time, config)
        refusal = getattr(procedure, "refusal", str)()
        refusal = refusal or getattr(procedure, "refusal_with", _never)(config.roles)
        planned = _planned(procedure)
    except ProcedureError as error:
        raise RequestError(f"{sentence(error)} No instrument was touched.") from error
    if refusal := refusal or _fault(procedure, planned):
        raise RequestError(f"{name}: {sentence(refusal)} No instrument was touched.")
    for role in getattr(procedure, "REQUIRES", ()):
        if role not in config.roles:
            instruments = ", ".join(config.instruments)
            raise config.error(("labnis", "roles", role), f"missing, but {name} needs it; name one of {instruments}")
    check_instruments(procedure, config)
    for role, values in planned.items():
        if role == "bias":
            _check_bias(name, float(np.abs(values).max()), config)
        elif role in config.setpoints:
            _check_setpoint(name, role, values, config)
    current, compliance = getattr(procedure, "maximum_current", 0.0), config.limits.compliance
    if "current" not in config.roles and not current <= compliance:
        raise RequestError(
            f"{name} expects a current of {current!r} A; labnis.limits.compliance in "
            f"{config.path} allows {compliance!r} A. No instrument was touched."
        )
    # Last: a value beyond its limit takes long to ramp to, and is the cause to be told.
    if (duration := planned_duration(procedure, config)) > LONGEST_RUN:
        raise RequestError(
            f"{name} would take {duration / 86400:.4g} days; a run takes at most {LONGEST_RUN / 86400:g} days: reduce "
            "points, averages or times. No instrument was touched."
        )


def _fault(procedure: Procedure, planned: Mapping[str, Real]) -> str:
    """Why set-points and traces, as declared, cannot be measured; empty if they can."""
    columns = {column_name(label) for label in procedure.DATA_COLUMNS}
    for setpoint, values in planned.items():
        if setpoint not in columns:
            return f"setpoints() has {setpoint}, which is not in SETPOINTS"
        if not values.size:
            return f"the set-point {setpoint} has no points; at least one is needed"
    if is_informed(procedure) and list(planned) != ["bias"]:
        return f"order=information chooses the bias alone, but the set-points are {', '.join(planned)}; use order=sweep"
    lengths = procedure.axis_lengths() if hasattr(procedure, "axis_lengths") else None
    for trace, (axis, _) in getattr(procedure, "TRACES", {}).items():
        if lengths is not None and (wanted := column_name(axis)) not in lengths:
            return f"axis_lengths() must return the number of values of {wanted!r}, the axis of {trace!r} in TRACES"
    return ""


def _planned(procedure: Procedure) -> dict[str, Real]:
    """Values of every set-point, by the name of its column, which is that of the role it moves."""
    if not hasattr(procedure, "setpoints"):
        return {}
    return {column_name(label): np.asarray(values) for label, values in procedure.setpoints().items()}


def _check_bias(name: str, largest: float, config: StationConfig) -> None:
    limit = config.limits.maximum_bias
    if not largest <= limit:
        raise RequestError(
            f"{name} would go to a bias of {largest!r} V; labnis.limits.maximum_bias in {config.path} allows "
            f"{limit!r} V. No instrument was touched."
        )


def _check_setpoint(name: str, role: str, values: Real, config: StationConfig) -> None:
    low, high = config.setpoints[role].limits
    unit = f" {config.setpoints[role].unit}".rstrip()
    if not (low <= values.min() and values.max() <= high):
        raise RequestError(
            f"{name} would move {role} from {values.min():g} to {values.max():g}{unit}; labnis.roles.{role} in "
            f"{config.path} allows {low:g} to {high:g}{unit}. No instrument was touched."
        )


def needed_roles(procedures: Sequence[Procedure], config: StationConfig) -> list[str]:
    """Roles that the procedures require, optional ones that the station has, and those that the interlocks watch.

    A stage that may be heated is watched by the role fridge.
    """
    required = {role for p in procedures for role in getattr(p, "REQUIRES", ("bias",))}
    used = {role for p in procedures for role in getattr(p, "USES", ()) if role in config.roles}
    watched = {interlock.watch.partition(".")[0] for interlock in config.interlocks}
    heated = {role for role in required | used if isinstance(config.roles.get(role), StageSpec)}
    return sorted(required | used | watched | ({"fridge"} if heated else set()))


def check_room(procedures: Sequence[Procedure], data: Path) -> None:
    """Refuse measurements whose files do not fit on the disk, as far as their size is known.

    Raises
    ------
    DiskSpaceError
        The message names how much is missing.

    """
    rooms = [_room(procedure) for procedure in procedures]
    check_free_space(data, int(np.nansum(rooms)))


def _room(procedure: Procedure) -> float:
    if not hasattr(procedure, "axis_lengths"):
        return float("nan")
    points = int(procedure.order_of_points().size)
    return float(estimate_bytes(declared_columns(procedure), procedure.axis_lengths(), points))


def planned_run(
    procedure: Procedure, config: StationConfig, known: Mapping[str, float], bath_temperature: float
) -> PlannedRun:
    """What `procedure` will do.

    Parameters
    ----------
    procedure
        Configured, not yet run.
    config
        Configuration of the station, for its wiring and the device's island.
    known
        Latest calibrations of this cooldown: gap (eV), normal_resistance (ohm), electron_temperature (K).
    bath_temperature
        Of the fridge (K); NaN if it is not known.
    """
    name, nan = type(procedure).__name__, float("nan")
    points = int(procedure.order_of_points().size) if hasattr(procedure, "order_of_points") else None
    duration, room = planned_duration(procedure, config), _room(procedure)
    notes = tuple(getattr(procedure, "plan_notes", list)())
    planned = _planned(procedure)
    units = {column_name(label): column_unit(label) for label in getattr(procedure, "SETPOINTS", ())}
    moves = {
        role: (float(values.min()), float(values.max()), units.get(role, ""))
        for role, values in planned.items()
        if role != "bias" and role in config.roles
    }
    if "bias" not in planned:
        return PlannedRun(name, points, nan, nan, duration, room, Expectation(nan, nan, nan), moves, notes=notes)
    largest, step = float(np.abs(planned["bias"]).max()), _largest_step(procedure, planned)
    expectation = expected(largest, config, known, bath_temperature)
    ahead = measured_ahead(procedure, config)
    return PlannedRun(name, points, largest, step, duration, room, expectation, moves, ahead, notes)


def _largest_step(procedure: Procedure, planned: Mapping[str, Real]) -> float:
    """Largest change of the bias (V) from one point to the next of a sweep, in the order in which they are measured.

    The way back to the beginning, for the next pass or the next value of an outer set-point, does not count.
    """
    if is_informed(procedure):
        return float(np.ptp(planned["bias"]))
    shape = tuple(values.size for values in planned.values())
    index = np.array(np.unravel_index(procedure.order_of_points(), shape))
    bias = list(planned).index("bias")
    within = (np.diff(index[:bias]) == 0).all(axis=0)
    return float(np.abs(np.diff(planned["bias"][index[bias]]))[within].max(initial=0.0))


def expected(bias: float, config: StationConfig, known: Mapping[str, float], bath_temperature: float) -> Expectation:
    """Prediction at `bias` (V)."""
    gap, resistance = known.get("gap", float("nan")), known.get("normal_resistance", float("nan"))
    temperature = known.get("electron_temperature", float("nan"))
    array = JunctionArray.of(config.device.junctions)
    # Far above the gap the device is ohmic; below the gap the current is smaller, so this is an upper bound.
    normal = resistance * array.series / array.parallel
    device_voltage = bias * normal / (normal + config.wiring.series_resistance)
    dissipated = device_voltage**2 / normal
    if not np.isfinite([gap, resistance, temperature]).all():
        return Expectation(dissipated, float("nan"), float("nan"))
    junction = NISJunction(gap, resistance)
    power = 2 / array.islands * float(junction.maximum_cooling_power(temperature, temperature))
    return Expectation(
        dissipated,
        power,
        _electron_temperature(junction, config.device.island, array, device_voltage, bath_temperature),
        array.series * gap,
    )


def _electron_temperature(
    junction: NISJunction, island: Island | None, array: JunctionArray, device_voltage: float, bath_temperature: float
) -> float:
    """T_e (K) at `device_voltage`; NaN where island or bath are not known, infinite beyond the model's range."""
    if island is None or not bath_temperature > 0:
        return float("nan")
    kapitza = None if island.kapitza is None else island.kapitza * array.islands
    cooler = SINISCooler(junction, island.volume * array.islands, island.electron_phonon, kapitza)
    try:
        point = cooler.operating_point(device_voltage * array.voltage, bath_temperature)
        return float(point.electron_temperature)
    except NoOperatingPointError:
        return float("inf")


def planned_duration(procedure: Procedure, config: StationConfig) -> float:
    """Measuring time (s) with the ramps from point to point; NaN if not known."""
    try:
        ahead = measured_ahead(procedure, config)
        ramping = _ramping(procedure, config) - (0.0 if ahead is None else ahead.ramped)
        return float(procedure.get_estimates()) + ramping
    except (NotImplementedError, TypeError):  # a third-party procedure may have no estimate
        return float("nan")


def _ramping(procedure: Procedure, config: StationConfig) -> float:
    """Time (s) of the ramps of a sweep; the bias begins and ends at zero, of other set-points that is not known."""
    planned = _planned(procedure)
    if not planned or is_informed(procedure):
        return 0.0
    rates = {"bias": config.limits.ramp_rate} | {role: spec.rate for role, spec in config.setpoints.items()}
    index = np.unravel_index(procedure.order_of_points(), tuple(values.size for values in planned.values()))
    moved = {role: values[number] for (role, values), number in zip(planned.items(), index, strict=True)}
    ways = {role: np.pad(values, 1) if role == "bias" else values for role, values in moved.items() if role in rates}
    return float(sum(np.abs(np.diff(way)).sum() / rates[role] for role, way in ways.items()))
