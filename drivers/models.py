"""Which class drives an instrument, by its answer to `*IDN?`."""

import re
from collections.abc import Mapping

__all__ = ["MODELS", "type_of"]

#: Manufacturer and model in an identity, as a pattern of the whole "manufacturer,model" → type in a station file.
MODELS: Mapping[str, str] = {
    r"CMT,M5065": "drivers.copper_mountain_m5065.CopperMountainM5065",
    r"CMT,M5180": "drivers.copper_mountain_m5180.CopperMountainM5180",
    r"CMT,S5048": "drivers.copper_mountain_s5048.CopperMountainS5048",
    r"KEITHLEY INSTRUMENTS,MODEL 2450": "drivers.keithley_2450.Keithley2450",
    r"KEITHLEY INSTRUMENTS( INC\.)?,MODEL 26\d\d[AB]": "drivers.keithley_2600b.Keithley2600B",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,344(60|61)A": "drivers.keysight_34461a.Keysight34461A",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,344(65|70)A": "drivers.keysight_34465a.Keysight34465A",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,B29[01][12][ABC]?[LC]?": "drivers.keysight_b29xx.KeysightB29xx",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,E5080B": "drivers.keysight_e5080b.KeysightE5080B",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,N5222B": "drivers.keysight_n5222b.KeysightN5222B",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,N5230C": "drivers.keysight_n5230c.KeysightN5230C",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,N5245A": "drivers.keysight_n5245a.KeysightN5245A",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,N9020B": "drivers.keysight_n9020b.KeysightN9020B",
    r"(KEYSIGHT|AGILENT) TECHNOLOGIES,N9030B": "drivers.keysight_n9030b.KeysightN9030B",
    r"LSCI,MODEL336": "drivers.lakeshore_336.LakeShore336",
    r"LSCI,MODEL370": "drivers.lakeshore_370.LakeShore370",
    r"LSCI,MODEL372": "drivers.lakeshore_372.LakeShore372",
    r"(IDN:)?OXFORD INSTRUMENTS:TRITON.*": "drivers.oxford_triton.TritonFridge",
    r"QDEVIL,QDAC-II": "drivers.qdac2.QDac2",
    r"ROHDE[&-]SCHWARZ,FSV.*": "drivers.rohde_schwarz_fsv.RohdeSchwarzFSV",
    r"ROHDE[&-]SCHWARZ,FSW.*": "drivers.rohde_schwarz_fsw.RohdeSchwarzFSW",
    r"ROHDE[&-]SCHWARZ,ZNB.*": "drivers.rohde_schwarz_znb.RohdeSchwarzZNB",
    r"STANFORD_RESEARCH_SYSTEMS,SIM900": "drivers.sim928.SIM928",
    r"STANFORD_RESEARCH_SYSTEMS,SR830": "drivers.sr830.SR830",
    r"STANFORD_RESEARCH_SYSTEMS,SR860": "drivers.sr860.SR860",
    r"STANFORD_RESEARCH_SYSTEMS,SR865": "drivers.sr865.SR865",
    r"STANFORD_RESEARCH_SYSTEMS,SR865A": "drivers.sr865a.SR865A",
    r"YOKOGAWA,GS2(00|10|11)": "drivers.yokogawa_gs200.YokogawaGS200",
}


def type_of(identity: str) -> str | None:
    """Type of the instrument that answers `*IDN?` with `identity`; None if no driver of labnis is for it."""
    name = ",".join(part.strip() for part in identity.upper().split(",")[:2])
    return next((kind for pattern, kind in MODELS.items() if re.fullmatch(pattern, name)), None)
