"""Which class drives an instrument, by its answer to `*IDN?`."""

import re
from collections.abc import Mapping

__all__ = ["MODELS", "type_of"]

#: Manufacturer and model in an identity, as a pattern of the whole "manufacturer,model" → type in a station file.
MODELS: Mapping[str, str] = {
    r"KEITHLEY INSTRUMENTS( INC\.)?,MODEL 24(0[01]|10|2[05]|40)(-?(LV|C))?": "drivers.keithley_2400.Keithley2400",
    r"KEITHLEY INSTRUMENTS,MODEL 2450": "drivers.keithley_2450.Keithley2450",
    r"KEITHLEY INSTRUMENTS( INC\.)?,MODEL 26\d\d[AB]": "drivers.keithley_2600b.Keithley2600B",
    r"KEITHLEY INSTRUMENTS( INC\.)?,MODEL 6430": "drivers.keithley_6430.Keithley6430",
    r"KEITHLEY INSTRUMENTS,MODEL DMM6500": "drivers.keithley_dmm6500.KeithleyDMM6500",
    r"YOKOGAWA,GS2(00|10|11)": "drivers.yokogawa_gs200.YokogawaGS200",
    r"STANFORD_RESEARCH_SYSTEMS,SR830": "drivers.sr830.SR830",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,N5222B": "drivers.keysight_n5222b.KeysightN5222B",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,N9030B": "drivers.keysight_n9030b.KeysightN9030B",
    r"LSCI,MODEL372": "drivers.lakeshore_372.LakeShore372",
}


def type_of(identity: str) -> str | None:
    """Type of the instrument that answers `*IDN?` with `identity`; None if no driver of labnis is for it."""
    name = ",".join(part.strip() for part in identity.upper().split(",")[:2])
    return next((kind for pattern, kind in MODELS.items() if re.fullmatch(pattern, name)), None)
