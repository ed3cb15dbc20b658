"""pymeasure's ManagedWindow, off-screen: one sweep of a session, then the end."""

import sys

from pymeasure.display.Qt import QtCore, QtWidgets
from pymeasure.display.windows import ManagedWindow
from pymeasure.experiment import Procedure, Results

import labnis
from procedures import IVSweep


def main() -> int:
    """Queue the sweep, wait until it has finished, close the window."""
    application = QtWidgets.QApplication(sys.argv)
    with labnis.open_session("station.yaml", dry_run=True) as session:
        kind = session.managed(IVSweep)
        window = ManagedWindow(kind, inputs=["points"], displays=["points"], x_axis="Bias (V)", y_axis="Current (A)")
        procedure = kind(points=11)
        experiment = window.new_experiment(Results(procedure, "window.csv"))
        window.manager.finished.connect(lambda _: application.quit())
        window.manager.failed.connect(lambda _: application.quit())
        QtCore.QTimer.singleShot(60_000, application.quit)
        window.manager.queue(experiment)
        application.exec()
        print(Procedure.STATUS_STRINGS[procedure.status])  # noqa: T201  # the test reads it
        window.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
