"""Keysight N5222B (PNA) network analyzer as a vector network analyzer of one complex parameter."""

from qcodes.instrument_drivers.Keysight import KeysightN5222B as QCoDeSKeysightN5222B

from drivers.keysight_pna import KeysightPNA

__all__ = ["KeysightN5222B"]


class KeysightN5222B(KeysightPNA, QCoDeSKeysightN5222B):
    """The QCoDeS driver, filling the role `VectorNetworkAnalyzer`; parameters as of `NetworkAnalyzer`.

    Raises
    ------
    ValueError
        If `parameter` is not an S-parameter of four ports.
    CommunicationError
        If the instrument does not answer or the answer cannot be read; every method may raise it.

    """

    MODELS = ("N5222",)
