"""Procedures of a session in pymeasure's own windows.

::

    with labnis.open_session("station.yaml") as session:
        window = ManagedWindow(procedure_class=session.managed(IVSweep), inputs=["points"], x_axis="Bias (V)", ...)

The window's Worker sees an ordinary procedure with the same parameters and columns; it runs the real one in the
session, which writes the file, fits, and makes the outputs safe as for any other run.
"""

from typing import Any

from pymeasure.experiment import Procedure

__all__ = ["managed"]


def managed(kind: type[Procedure], session: Any) -> type[Procedure]:
    """A subclass of `kind` that pymeasure's Worker can run, whose runs are those of `session`."""

    class Managed(kind):  # type: ignore[misc]  # a subclass of the given class
        def startup(self) -> None:
            """Do nothing: the session starts the procedure."""

        def execute(self) -> None:
            """Run the procedure in the session; its records also go to the window."""
            inner = kind()
            inner.set_parameters(self.parameter_values())
            session.run(inner, window=self)

        def shutdown(self) -> None:
            """Do nothing: the session ends the procedure."""

    Managed.__name__, Managed.__qualname__, Managed.__doc__ = kind.__name__, kind.__qualname__, kind.__doc__
    return Managed
