"""Keysight N5245A (PNA-X), and N5245B, as a vector network analyzer of one complex parameter."""

from qcodes.instrument_drivers.Keysight import KeysightN5245A as QCoDeSKeysightN5245A

from drivers.keysight_pna import KeysightPNA

__all__ = ["KeysightN5245A"]


class KeysightN5245A(KeysightPNA, QCoDeSKeysightN5245A):
    """The QCoDeS driver, filling the role `VectorNetworkAnalyzer`; parameters as of `NetworkAnalyzer`.

    10 MHz to 50 GHz, four ports. Raises as `drivers.keysight_n5222b.KeysightN5222B`.
    """

    MODELS = ("N5245",)
