"""What instruments and wiring may err by: named sources of systematic uncertainty, and tables of data sheets.

`Source` is one effect, known by its standard uncertainty and a name that lasts: two results share an error where they
share a source. `StatedUncertainty` is how a station file states one; `AccuracyTable` is the data sheet of a model of
instrument, whose figures become sources once range and serial number are known.
"""

from labnis.accuracy.source import Source, StatedUncertainty
from labnis.accuracy.table import AccuracyTable, AccuracyTableError, RangeAccuracy, load_table

__all__ = ["AccuracyTable", "AccuracyTableError", "RangeAccuracy", "Source", "StatedUncertainty", "load_table"]
