"""What instruments and wiring may err by: named sources of systematic uncertainty, tables of data sheets, budgets.

`Source` is one effect, known by its standard uncertainty and a name that lasts: two results share an error where they
share a source. `StatedUncertainty` is how a station file states one; `AccuracyTable` is the data sheet of a model of
instrument, whose figures become sources once the serial number is known. A `Budget` belongs to a fit.
"""

import lazy_loader

# The names are in the stub beside this file. Each is imported on first use: a fit needs no YAML.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
