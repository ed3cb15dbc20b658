"""Front panel of the Keysight N9020B (MXA) signal analyzer, which has the commands of the N9030B.

Its noise floor extension is an option (NF2), which this one has; without it the command has no effect (N9060-90041,
p. 673).
"""

from sim_instruments.panels.keysight_n9030b import KeysightN9030BPanel

__all__ = ["KeysightN9020BPanel"]


class KeysightN9020BPanel(KeysightN9030BPanel):
    """The MXA as its VISA session sees it."""

    identification = "Keysight Technologies,N9020B,TWIN0083,A.33.03"
    resource = "TCPIP{}::n9020b.sim::inst0::INSTR"
    options = '"526,B25,EA3,NF2,P26"'
