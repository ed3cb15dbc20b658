"""Procedures that fail, or take any text, and a watchdog, for runs of the real command."""

import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from pymeasure.experiment.parameters import Parameter
from qcodes.instrument import VisaInstrument

from labnis.storage import _time_limit
from procedures import IVSweep, Measurement, SweepParameter


class PlainSweep(IVSweep):
    """The same sweep to which nothing is fitted."""

    ANALYSES = ()


class ForkingSweep(PlainSweep):
    """Starts a worker, as libraries do: a forked child that inherits all open files and lives as long as the run."""

    def startup(self) -> None:
        super().startup()
        run = os.getpid()
        if os.fork() == 0:
            while os.getppid() == run:
                time.sleep(0.05)
            os._exit(0)


class FailsAtRow(IVSweep):
    """Raises at its 30th point."""

    def conductance(self) -> dict[str, float]:
        self.done = getattr(self, "done", 0) + 1
        if self.done == 30:
            raise RuntimeError("the lock-in fell off the table")
        return super().conductance()


class LeavesAtRow(FailsAtRow):
    """Somebody wrote sys.exit() into a procedure; no `except Exception` sees it."""

    def conductance(self) -> dict[str, float]:
        try:
            return super().conductance()
        except RuntimeError:
            raise SystemExit(0) from None


class FailsBeforeTheFirstRow(IVSweep):
    """Raises when the output is on and the bias is somewhere."""

    def startup(self) -> None:
        super().startup()
        self.roles.bias.move_to(self.maximum_bias)
        raise RuntimeError("no sample in the fridge")


class WithSample(IVSweep):
    """A sweep that is told what it measures, in whatever words."""

    sample = Parameter("Sample", default="none")


class WaitsForFile(IVSweep):
    """A sweep that halts at its twentieth point until a file is there, however long that takes."""

    file = Parameter("File", default="")

    def conductance(self) -> dict[str, float]:
        self.done = getattr(self, "done", 0) + 1
        while self.done == 20 and not Path(self.file).exists():
            self.roles.clock.sleep(0.05)
        return super().conductance()


class ForksWorker(PlainSweep):
    """Starts a process that inherits everything which is open, and ends with the run."""

    def startup(self) -> None:
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,), daemon=True)
        worker.start()
        super().startup()


class StopsItsGuardian(PlainSweep):
    """Its last act at zero bias: the guardian does not see the end of the run."""

    def shutdown(self) -> None:
        super().shutdown()
        for child in psutil.Process().children():
            if "labnis.safety.guardian_process" in child.cmdline():
                child.suspend()


class BlocksDeclared(PlainSweep):
    """Calls a library that measures for a while, at its third point."""

    def conductance(self) -> dict[str, float]:
        self.done = getattr(self, "done", 0) + 1
        if self.done == 3:
            with self.roles.blocking(6.0):
                time.sleep(6.0)
        return super().conductance()


class BlocksUndeclared(BlocksDeclared):
    """The same, of which the run says nothing."""

    def conductance(self) -> dict[str, float]:
        self.done = getattr(self, "done", 0) + 1
        if self.done == 3:
            time.sleep(6.0)
        return IVSweep.conductance(self)


class Relay(VisaInstrument):
    """A relay in the bias line that opens when it is no longer fed (`drivers.protection.Watchdog`)."""

    default_terminator = "\n"
    default_timeout = 1.0

    def arm(self, timeout: float) -> None:
        """Begin."""
        self._do(f"ARM {timeout}")

    def feed(self) -> None:
        """Begin anew."""
        self._do("FEED")

    def disarm(self) -> None:
        """End."""
        self._do("DISARM")

    def _do(self, command: str) -> None:
        if (answer := self.ask(command)) != "OK":
            raise RuntimeError(f"the relay answered {answer!r} to {command}")


class CatchesEverything(PlainSweep):
    """Goes on whatever happens at a point, as code of a lab does."""

    def execute(self) -> None:
        for point in range(20_000):
            try:
                self.roles.bias.move_to(self.maximum_bias * (0.5 + 0.5 * (point % 2)))
                self.roles.clock.sleep(0.05)
                self.roles.bias.read()
            except self.caught:
                time.sleep(0.02)

    caught: type[BaseException] = Exception


class CatchesEvenStopping(CatchesEverything):
    """The same with a bare `except`; it never ends."""

    caught = BaseException


class ForkComesBack(PlainSweep):
    """Forks a process that runs into an error and comes back as if it were the run."""

    def conductance(self) -> dict[str, float]:
        self.done = getattr(self, "done", 0) + 1
        if self.done == 10 and os.fork() == 0:
            raise RuntimeError("no such program")
        return super().conductance()


class LeavesThread(PlainSweep):
    """Starts a thread that never ends."""

    def startup(self) -> None:
        threading.Thread(target=time.sleep, args=(600,), name="forgotten").start()
        super().startup()


class DiskHangs(PlainSweep):
    """Its disk no longer answers after ten points; a second is long for it."""

    def conductance(self) -> dict[str, float]:
        self.done = getattr(self, "done", 0) + 1
        if self.done == 10:
            _time_limit.ANSWERS_WITHIN = 1.0
            sync = os.fdatasync

            def hangs(descriptor: Any) -> None:
                if "labnis-rescue" not in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
                    time.sleep(600)
                sync(descriptor)

            os.fdatasync = hangs  # type: ignore[assignment]  # called by position
        return super().conductance()


class WarmStage(Measurement):
    """Heats the stage and records, with the bias on."""

    REQUIRES = ("bias", "stage", "fridge")
    SETPOINTS = ("Stage (K)",)
    DATA_COLUMNS = ("Current (A)",)
    temperatures = SweepParameter("Stage", units="K", default=",".join(["0.2"] * 2000))

    def execute(self) -> None:
        self.roles.bias.prepare(maximum_bias=1e-3, maximum_current=1e-6, integration_time=0.02)
        for (temperature,) in self.sweep():
            self.roles.stage.move_to(temperature)
            self.roles.bias.move_to(1e-3)
            self.roles.clock.sleep(0.02)
            self.record(self.roles.bias.read().current)
