"""Keysight E5080B (ENA) as a vector network analyzer of one complex parameter.

QCoDeS's class of the PNA family is its base, not that of qcodes_contrib_drivers, whose import takes 5 s. Limits are
those of the latter; narrower ones of an instrument's options are told by the instrument.
"""

from typing import Any

from qcodes.instrument_drivers.Keysight import KeysightPNABase

from drivers.keysight_pna import KeysightPNA

__all__ = ["KeysightE5080B"]


class KeysightE5080B(KeysightPNA, KeysightPNABase):
    """QCoDeS's driver of the PNA family, filling the role `VectorNetworkAnalyzer`; parameters as of `NetworkAnalyzer`.

    100 kHz to 53 GHz, −100 to 20 dBm, up to four ports. Raises as `drivers.keysight_n5222b.KeysightN5222B`.
    """

    MODELS, BY_NUMBER = ("E5080",), True

    def __init__(self, name: str, address: str, parameter: str = "S11", **options: Any) -> None:
        limits: dict[str, Any] = {
            "min_freq": 100e3,
            "max_freq": 53e9,
            "min_power": -100,
            "max_power": 20,
            "nports": self.PORTS,
        }
        super().__init__(name, address, parameter, **limits, **options)
