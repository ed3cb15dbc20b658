"""Base class of measurements: set-points, columns, and the points of the grid.

::

    class GateMap(Measurement):
        '''Current of the device against gate and bias.'''

        REQUIRES = ("bias", "current", "gate")
        SETPOINTS = ("Gate (V)", "Bias (V)")
        DATA_COLUMNS = ["Current (A)"]
        ANALYSES = ("ourlab.fits.Thresholds",)

        gates = SweepParameter("Gate", units="V", default="-1:1:41")
        biases = SweepParameter("Bias", units="V", default="-2e-4:2e-4:81")

        def execute(self):
            for gate, bias in self.sweep():
                self.roles.gate.move_to(gate)
                self.roles.bias.move_to(bias)
                self.record(self.roles.current.read())

Columns are named "Name (unit)". A set-point column has commanded values.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pymeasure.experiment import Parameter, Procedure

from drivers.roles import Roles
from procedures.parameter_values import ProcedureError, set_parameter
from procedures.sweep_parameter import SweepParameter

__all__ = ["Measurement"]

Real = NDArray[np.float64]


class Measurement(Procedure):  # type: ignore[misc]  # pymeasure has no type information
    """A measurement at the points of a grid of set-points, through roles.

    Attributes
    ----------
    REQUIRES, USES
        Roles that must, and that may, be filled by the station.
    SETPOINTS
        Swept columns, from the outermost to the innermost. Each belongs to the `SweepParameter` of the same name and
        unit, unless `setpoints` says otherwise. A set-point whose column is called like a role moves that role, so
        that its limits are checked before the run.
    DATA_COLUMNS
        Columns that `record` gets beside the set-points, which precede them.
    TRACES
        Trace column → (its axis, type of its values). `axis_lengths` must give the number of values of each axis, and
        `execute` emits the values themselves before the first row: ``self.emit("axis", {"Frequency (Hz)": values})``.
    ANALYSES
        Dotted paths of the classes that fit the data; the first one is the primary.
    SIGNAL
        Column that a plot shows first; the first of DATA_COLUMNS or TRACES that is not a set-point by default.
    roles
        The instruments.

    """

    REQUIRES: ClassVar[tuple[str, ...]] = ()
    USES: ClassVar[tuple[str, ...]] = ()
    SETPOINTS: ClassVar[tuple[str, ...]] = ()
    TRACES: ClassVar[dict[str, tuple[str, type]]] = {}
    ANALYSES: ClassVar[tuple[str, ...]] = ()
    SIGNAL: ClassVar[str] = ""

    roles: Roles
    choose: Callable[[int], float] | None = None
    """Function of the number of a point (from 0): the next set-point, in place of the grid's order."""
    filled: Collection[str] | None = None
    """Roles that the station fills, for estimates; None until the measurement is planned."""
    reading_time: Callable[[float], float] | None = None
    """Function of the integration time (s): how long a reading of the bias with its meters takes (s), for estimates."""
    first_point = 0
    """Number of the first point; more than 0 for a resumed run."""
    present: dict[str, float]
    """Set-points of the present point by column; empty before the first."""

    def __init__(self, **settings: Any) -> None:
        unknown = settings.keys() - type(self)._parameter_names()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {', '.join(sorted(unknown))}")
        super().__init__(**settings)
        self.present = {}
        for name, value in settings.items():  # pymeasure neither converts nor checks it
            set_parameter(self, name, value)

    @classmethod
    def _parameter_names(cls) -> set[str]:
        return {name for name in dir(cls) if isinstance(getattr(cls, name), Parameter)}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("REQUIRES", "USES", "SETPOINTS", "DATA_COLUMNS", "ANALYSES"):
            if isinstance(text := getattr(cls, name), str):
                raise ProcedureError(f"{cls.__name__}.{name} is the text {text!r}; write a tuple: {name} = ({text!r},)")
        parent: Any = super(cls, cls)
        columns = list(cls.DATA_COLUMNS)
        if columns[: len(parent.DATA_COLUMNS)] == list(parent.DATA_COLUMNS):  # inherited, and perhaps extended
            columns = columns[len(parent.SETPOINTS) :]
        cls.DATA_COLUMNS = [*cls.SETPOINTS, *(label for label in columns if label not in cls.SETPOINTS)]

    # --- known before the measurement --------------------------------------------------------------------------------

    def setpoints(self) -> dict[str, Real]:
        """Planned values of every set-point, from the outermost to the innermost, by column.

        Raises
        ------
        ProcedureError
            No `SweepParameter` belongs to a column of `SETPOINTS`.

        """
        parameters = {
            f"{parameter.name} ({parameter.units})" if parameter.units else parameter.name: name
            for name, parameter in self.parameter_objects().items()
            if isinstance(parameter, SweepParameter)
        }
        for label in self.SETPOINTS:
            if label not in parameters:
                raise ProcedureError(
                    f"{type(self).__name__}: the set-point {label!r} has no SweepParameter of that name and unit; "
                    f"there are {', '.join(parameters) or 'none'}. Declare one, or override setpoints()."
                )
        return {label: np.array(getattr(self, parameters[label]), dtype=np.float64) for label in self.SETPOINTS}

    def order_of_points(self) -> NDArray[np.int64]:
        """Positions in the grid, counted in C order, in the order in which they are measured."""
        return np.arange(int(np.prod([values.size for values in self.setpoints().values()], dtype=np.int64)))

    def axis_lengths(self) -> dict[str, int]:
        """Number of values of every axis of `TRACES`, by its name in the file, such as "frequency"."""
        return {}

    def instrument_settings(self) -> dict[str, dict[str, Any]]:
        """Settings of instruments: role → arguments of its `prepare`, known before anything is sent."""
        return {}

    def capabilities(self) -> dict[str, tuple[type, str]]:
        """What the parameters need beyond a role: role → protocol of `drivers.capabilities`, and the parameter."""
        return {}

    def plan_notes(self) -> list[str]:
        """What the plan before a run says of the parameters, in sentences without a full stop."""
        return []

    def refusal(self) -> str:
        """Why the parameters, each allowed by itself, exclude each other; empty if they do not."""
        return ""

    def refusal_with(self, roles: Collection[str]) -> str:
        """Why the parameters exclude each other on a station that fills these `roles`; empty if they do not."""
        return ""

    def point_duration(self) -> float:
        """Time (s) at one point, as far as it is known beforehand."""
        raise NotImplementedError

    def get_estimates(self) -> float:
        """Duration (s) of the whole measurement."""
        return float(self.order_of_points().size * self.point_duration())

    # --- while measuring --------------------------------------------------------------------------------------------

    def sweep(self, measured: Sized = ()) -> Iterator[tuple[float, ...]]:
        """Iterate over the remaining points: the set-points of each, the outermost first.

        Ends early if the run must stop, but not as long as there are points that are `measured` and not recorded yet.
        """
        grid = self.setpoints()
        order, shape = self.order_of_points(), tuple(values.size for values in grid.values())
        for number in range(self.first_point, order.size):
            if self.should_stop() and not measured:  # it also says that the run is alive
                return
            position = int(order[number])
            if self.choose is not None:
                values = [self.choose(number)]
                position = number
            else:
                index = np.unravel_index(position, shape)
                values = [float(column[i]) for column, i in zip(grid.values(), index, strict=True)]
            self.present = dict(zip(grid, values, strict=True))
            self.emit("point", position)
            yield tuple(values)
            self.emit("progress", 100 * (number + 1) / order.size)

    def record(self, *readings: Any) -> None:
        """Record the row of the present point.

        A point may be recorded again: all its rows are stored, and on the grid the last one counts.

        Parameters
        ----------
        *readings
            Values of the columns in the order in which they are declared (DATA_COLUMNS without the set-points, then
            TRACES), or one mapping label → value.

        Raises
        ------
        ValueError
            The number of readings is not that of the columns.
        ProcedureError
            There are set-points, and no `sweep` has begun.

        """
        if self.SETPOINTS and not self.present:
            raise ProcedureError(
                f"{type(self).__name__} records outside of a point: call record() in a loop over self.sweep()"
            )
        if len(readings) == 1 and isinstance(readings[0], Mapping):
            row = dict(readings[0])
        else:
            labels = [label for label in self.DATA_COLUMNS if label not in self.SETPOINTS] + list(self.TRACES)
            if len(labels) != len(readings):
                raise ValueError(
                    f"{type(self).__name__} records {len(readings)} values where its columns are {', '.join(labels)}"
                )
            row = dict(zip(labels, readings, strict=True))
        traces = {label: row.pop(label) for label in self.TRACES if label in row}
        if traces:
            self.emit("trace", traces)
        idle = {label: float("nan") for label in self.SETPOINTS}  # set-points that are not swept
        self.emit("results", idle | self.present | row)
