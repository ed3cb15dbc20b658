"""The measurement itself: a procedure's startup, execute and shutdown, with all outputs made safe at the end."""

import logging
import os
from contextlib import suppress
from typing import Any

import xarray
from pymeasure.experiment import Procedure

from labnis.errors import TakenOverError
from labnis.experiment.analysis import known_to
from labnis.experiment.failures import collecting
from labnis.experiment.goals import is_informed
from labnis.experiment.information_order import InformedOrder
from labnis.experiment.live_fit import LiveFit
from labnis.experiment.recorder import Recorder
from labnis.experiment.run_plan import RunPlan
from labnis.fit import FitResult, Sensitivity
from labnis.safety.safeguards import Safeguards, Stopped
from labnis.safety.stop_requests import StopRequest
from labnis.station import OpenStation

__all__ = ["measure"]

logger = logging.getLogger(__name__)


def measure(
    procedure: Procedure,
    plan: RunPlan,
    station: OpenStation,
    *,
    recorder: Recorder,
    safeguards: Safeguards,
    stop: StopRequest,
    live: LiveFit | None,
    window: Procedure | None,
) -> tuple[list[BaseException], list[BaseException]]:
    """Run `procedure`; however it ends, everything that moves goes to its end before the procedure's own shutdown.

    If the guardian has taken over, this process sends nothing more: there is no shutdown either.

    Parameters
    ----------
    procedure
        Configured.
    plan, station, recorder, safeguards, stop
        Of the run.
    live
        Ends the run when its goals are reached, and gives the newest fit to order=information; None without analyses.
    window
        Procedure of a pymeasure Worker that gets every record, too, and may ask the run to stop.

    Returns
    -------
    tuple
        Exceptions on the way to zero and the other ends, which are the more severe; those of the procedure.

    """
    measuring: list[BaseException] = []
    leaving: list[BaseException] = []

    def emit(topic: str, record: Any) -> None:
        recorder.emit(topic, record)
        if window is not None and topic in ("results", "batch results", "progress"):
            window.emit(topic, record)

    def should_stop() -> bool:
        satisfied = live is not None and bool(live.reached)
        return safeguards.should_stop() or satisfied or (window is not None and bool(window.should_stop()))

    procedure.roles = safeguards.roles
    procedure.emit, procedure.should_stop, procedure.is_last = emit, should_stop, lambda: True
    if live is not None and is_informed(procedure):
        procedure.choose = _informed_order(procedure, plan, recorder, live)
    procedure.status = Procedure.RUNNING
    process = os.getpid()
    with collecting(measuring), suppress(Stopped):
        safeguards.check_before_start()
        if not stop:  # it may have been asked for while instruments were opened
            procedure.startup()
        if not stop:
            procedure.evaluate_metadata()
            logger.info("the instruments are prepared; measuring")
            procedure.execute()
    if os.getpid() != process:
        # A child that the procedure has forked, and that came back: run, file and instruments are not its own.
        os._exit(1)
    with collecting(leaving):
        if measuring or stop:  # perhaps before the procedure prepared a source that an earlier run left on
            station.bias.claim()
        logger.info("measured; everything that was moved goes to its end")
        station.make_safe()
    if not any(isinstance(error, TakenOverError) for error in leaving):  # the instruments are the guardian's now
        with collecting(measuring), suppress(Stopped):
            station.permit()  # the guardian has taken over where something could not be brought to its end
            procedure.shutdown()
    return leaving, measuring


def _informed_order(procedure: Procedure, plan: RunPlan, recorder: Recorder, live: LiveFit) -> InformedOrder:
    def sensitivity(data: xarray.Dataset, fit: FitResult, biases: Any) -> Sensitivity:
        analysis: Any = plan.analyses[0]
        context = known_to(analysis, plan.context)
        found: Sensitivity = analysis.sensitivity(fit, data, biases, context, plan.known_with(data))
        return found

    (biases,) = procedure.setpoints().values()
    return InformedOrder(biases, plan.goals, sensitivity=sensitivity, data=recorder.data, latest=lambda: live.latest)
