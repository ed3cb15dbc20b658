"""PyVISA's hook for the twin: `pyvisa.ResourceManager("truth.yaml@labnis")` imports this module by its name."""

from sim_instruments.visa_library import LabnisVisaLibrary

__all__ = ["WRAPPER_CLASS"]

WRAPPER_CLASS = LabnisVisaLibrary
