"""Keysight (Agilent) N5230C (PNA-L) as a vector network analyzer of one complex parameter."""

from qcodes.instrument_drivers.Keysight import KeysightN5230C as QCoDeSKeysightN5230C

from drivers.keysight_pna import KeysightPNA

__all__ = ["KeysightN5230C"]


class KeysightN5230C(KeysightPNA, QCoDeSKeysightN5230C):
    """The QCoDeS driver, filling the role `VectorNetworkAnalyzer`; parameters as of `NetworkAnalyzer`.

    300 kHz to 13.5 GHz, two ports. Raises as `drivers.keysight_n5222b.KeysightN5222B`.
    """

    MODELS, PORTS = ("N5230",), 2
