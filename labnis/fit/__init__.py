"""Estimators: data in, value ± σ out."""

import lazy_loader

# The names are in the stub beside this file. Each is imported on first use: most of them need large libraries.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
