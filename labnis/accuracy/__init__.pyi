from .budget import Budget
from .source import Source
from .stated import StatedUncertainty
from .table import AccuracyTable, AccuracyTableError, RangeAccuracy, load_table

__all__ = [
    "AccuracyTable",
    "AccuracyTableError",
    "Budget",
    "RangeAccuracy",
    "Source",
    "StatedUncertainty",
    "load_table",
]
