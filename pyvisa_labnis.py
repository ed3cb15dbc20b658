"""PyVISA's hook: `pyvisa.ResourceManager("truth.yaml@labnis")` imports this module by its name."""

from pyvisa.highlevel import VisaLibraryBase
from pyvisa.util import LibraryPath

from sim_instruments.visa import SUFFIX, LabnisVisaLibrary, ReplayLibrary

__all__ = ["WRAPPER_CLASS"]


class LabnisLibrary(LabnisVisaLibrary):
    """The twin of a truth file, or the library that answers from a VISA record."""

    def __new__(cls, library_path: str | LibraryPath = "") -> VisaLibraryBase:  # type: ignore[misc]  # one or the other
        """Make the one that `library_path` is for."""
        kind = ReplayLibrary if str(library_path).endswith(SUFFIX) else LabnisVisaLibrary
        return kind(library_path)


WRAPPER_CLASS = LabnisLibrary
"""PyVISA's view of labnis: a VISA library whose instruments are simulated, or recorded."""
