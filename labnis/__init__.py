"""labnis: measure and calibrate normal-metal–insulator–superconductor devices in a dilution refrigerator."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("labnis")
