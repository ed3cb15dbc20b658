"""Procedures of other people, as labnis meets them by dotted path."""

import shutil
import signal
from typing import Any, ClassVar

from pymeasure.experiment import BooleanParameter, FloatParameter, IntegerParameter, ListParameter, Procedure
from pymeasure.units import ureg

from procedures import IVSweep


class CosineScan(Procedure):  # type: ignore[misc]  # pymeasure has no type information
    """As in pymeasure's own tutorial: no roles, plain columns, one record per row."""

    points = IntegerParameter("Points", default=5, minimum=1)
    step = FloatParameter("Step", units="V", default=0.5)
    mode = ListParameter("Mode", choices=["up", "down"], default="up")
    slow = BooleanParameter("Slow", default=False)

    DATA_COLUMNS: ClassVar[list[str]] = ["Voltage (V)", "Sense current (nA)", "Count"]

    def execute(self) -> None:
        for index in range(self.points):
            self.emit("results", {"Voltage (V)": index * self.step, "Sense current (nA)": -2.0 * index, "Count": index})
            self.emit("progress", 100 * (index + 1) / self.points)
            if self.should_stop():
                return


class BatchScan(CosineScan):
    """The same rows at once."""

    def execute(self) -> None:
        indices = list(range(self.points))
        voltages = [index * self.step for index in indices]
        currents = [-2.0 * index for index in indices]
        self.emit("batch results", {"Voltage (V)": voltages, "Sense current (nA)": currents, "Count": indices})


class LooseScan(CosineScan):
    """Records as pymeasure accepts them: quantities with units, columns omitted, undeclared columns."""

    def execute(self) -> None:
        self.emit("results", {"Voltage (V)": ureg.Quantity(250, "mV"), "Comment": 3})
        self.emit("results", {"Voltage (V)": 1, "Sense current (nA)": ureg.Quantity(1, "uA"), "Count": 2})


class NeedsGain(CosineScan):
    """Has a parameter without a default."""

    gain = FloatParameter("Gain")


class FailsInTheMiddle(IVSweep):
    """An I–V sweep whose lock-in reading breaks at the sixth point."""

    def conductance(self) -> dict[str, float]:
        self.done = getattr(self, "done", 0) + 1
        if self.done == 6:
            raise RuntimeError("the lock-in fell off the table")
        return super().conductance()


class Unspeakable(Exception):  # noqa: N818  # what it is called does not matter
    """An exception whose text cannot be read."""

    def __str__(self) -> str:
        raise ValueError("no text")


class FailsWithoutWords(IVSweep):
    """Raises what cannot be told."""

    def conductance(self) -> dict[str, float]:
        raise Unspeakable


class FailsWithManyWords(IVSweep):
    """Raises more than anybody reads."""

    def conductance(self) -> dict[str, float]:
        raise RuntimeError("x" * 30_000_000)


class FailsTwice(FailsInTheMiddle):
    """It also fails when it should clean up."""

    def shutdown(self) -> None:
        raise LookupError("nothing to clean up")


class FailsWhenStopped(IVSweep):
    """An instrument fails while the user asks the run to stop."""

    def conductance(self) -> dict[str, float]:
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("the lock-in fell off the table")


class LosesItsFolder(IVSweep):
    """Somebody removes the data folder in mid-run."""

    def conductance(self) -> dict[str, float]:
        shutil.rmtree("data/dry-run", ignore_errors=True)
        return super().conductance()


class MeanCurrent:
    """The smallest analysis there can be: a name, a result, a fit."""

    name = "mean_current"
    results: ClassVar[dict[str, str]] = {"mean_current": "A"}

    def fit(self, data: Any, _context: Any, _priors: Any, _start: Any) -> dict[str, tuple[float, float]]:
        """Mean and scatter of the current."""
        return {"mean_current": (float(data["current"].mean()), float(data["current"].std()))}


class LargestCurrent:
    """Needs the mean of the same run."""

    name = "largest_current"
    results: ClassVar[dict[str, str]] = {"ratio": ""}
    needs = ("mean_current",)

    def fit(self, data: Any, _context: Any, priors: Any, _start: Any) -> dict[str, tuple[float, float]]:
        """Largest current, in units of the mean that is passed on."""
        return {"ratio": (float(data["current"].max()) / priors["mean_current"]["mean_current"].value, 0.1)}


class Compared(CosineScan):
    """Its primary analysis needs the other one."""

    DATA_COLUMNS: ClassVar[list[str]] = ["Current (A)"]
    SIGNAL = "Current (A)"
    ANALYSES = (LargestCurrent, MeanCurrent)

    def execute(self) -> None:
        for index in range(self.points):
            self.emit("results", {"Current (A)": index * self.step})


class Broken(MeanCurrent):
    """An analysis with a mistake."""

    name = "broken"

    def fit(self, data: Any, _context: Any, _priors: Any, _start: Any) -> dict[str, tuple[float, float]]:
        """Ask for a column that there is not."""
        return {"mean_current": data["curent"]}


class FitsBadly(CosineScan):
    """Its analysis fails."""

    ANALYSES = (Broken,)


class Averaged(IVSweep):
    """A sweep with an analysis of its own in place of the shipped ones."""

    ANALYSES = (MeanCurrent,)
