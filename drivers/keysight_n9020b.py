"""Keysight N9020B (MXA) signal analyzer as a spectrum analyzer that measures noise power density."""

from drivers.keysight_n9030b import KeysightN9030B

__all__ = ["KeysightN9020B"]


class KeysightN9020B(KeysightN9030B):
    """The MXA, which has the commands of the PXA in its spectrum analyzer mode (N9060-90041 describes both).

    QCoDeS has no class of its own for it; its class for the N9030B has the frequency options of both. The older N9020A
    and N9030A have the same commands.
    """
