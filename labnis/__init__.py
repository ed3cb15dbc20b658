"""labnis measures and calibrates normal-metal–insulator–superconductor (NIS) devices in a dilution refrigerator.

::

    import labnis
    from procedures import IVSweep

    with labnis.open_session("station.yaml", dry_run=True) as session:
        run = session.run(IVSweep(points=101))
    run.data, run.fit, run.results
    labnis.refit(run.path, fixed={"dynes": 1e-4})
"""

from labnis.import_path import leave_working_folder

leave_working_folder()  # before any other import

from importlib import import_module  # noqa: E402
from importlib.metadata import version  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from labnis.exchange.importing import import_run
    from labnis.experiment.applying import Calibration
    from labnis.experiment.opening import open_session
    from labnis.experiment.refit import refit
    from labnis.experiment.run import stored_run as open_run

__all__ = ["Calibration", "__version__", "import_run", "open_run", "open_session", "refit"]

__version__ = version("labnis")

_PLACES = {
    "import_run": ("labnis.exchange.importing", "import_run"),
    "Calibration": ("labnis.experiment.applying", "Calibration"),
    "open_session": ("labnis.experiment.opening", "open_session"),
    "open_run": ("labnis.experiment.run", "stored_run"),
    "refit": ("labnis.experiment.refit", "refit"),
}
"""Name → module and name there: imported on first use, because they need most of the libraries."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'labnis' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
