"""Procedures that fail, or take any text, for runs of the real command."""

import os
import time

from pymeasure.experiment.parameters import Parameter

from procedures import IVSweep


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
