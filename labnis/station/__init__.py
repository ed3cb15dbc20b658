"""The station: station.yaml → checked configuration → open instruments in their roles, limits and lock.

::

    config = load_station(Path("station.yaml"))
    with open_station(config) as station:
        station.open(["vna"])
        station.bias.prepare(maximum_bias=1e-3, maximum_current=1e-6, integration_time=0.02)
        ...  # a procedure, with station.roles
        station.make_safe()
"""

import lazy_loader

# The names are in the stub beside this file. Each is imported on first use: most of them need large libraries.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
