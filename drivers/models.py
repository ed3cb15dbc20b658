"""Which class drives an instrument, by its answer to `*IDN?`."""

import re
from collections.abc import Mapping

__all__ = ["MODELS", "type_of"]

KEYSIGHT = r"(KEYSIGHT|AGILENT) TECHNOLOGIES"

#: Manufacturer and model in an identity, as a pattern of the whole "manufacturer,model" → type in a station file.
MODELS: Mapping[str, str] = {
    r"KEITHLEY INSTRUMENTS( INC\.)?,MODEL 24(0[01]|10|2[05]|40)(-?(LV|C))?": "drivers.keithley_2400.Keithley2400",
    r"KEITHLEY INSTRUMENTS,MODEL 2450": "drivers.keithley_2450.Keithley2450",
    r"KEITHLEY INSTRUMENTS( INC\.)?,MODEL 26\d\d[AB]": "drivers.keithley_2600b.Keithley2600B",
    r"KEITHLEY INSTRUMENTS( INC\.)?,MODEL 6430": "drivers.keithley_6430.Keithley6430",
    r"KEITHLEY INSTRUMENTS,MODEL DMM6500": "drivers.keithley_dmm6500.KeithleyDMM6500",
    rf"{KEYSIGHT},B29[01][12](A|BL?)": "drivers.keysight_b29xx.KeysightB29xx",
    r"QDEVIL,QDAC-II": "drivers.qdac2.QDac2",
    r"STANFORD_RESEARCH_SYSTEMS,SIM900": "drivers.sim928.SIM928",
    r"YOKOGAWA,GS2(00|10|11)": "drivers.yokogawa_gs200.YokogawaGS200",
    rf"{KEYSIGHT},3446[01]A": "drivers.keysight_34461a.Keysight34461A",
    rf"{KEYSIGHT},344(65|70)A": "drivers.keysight_34465a.Keysight34465A",
    r"STANFORD_RESEARCH_SYSTEMS,SR830": "drivers.sr830.SR830",
    r"STANFORD_RESEARCH_SYSTEMS,SR860": "drivers.sr860.SR860",
    r"STANFORD_RESEARCH_SYSTEMS,SR865": "drivers.sr865.SR865",
    r"STANFORD_RESEARCH_SYSTEMS,SR865A": "drivers.sr865a.SR865A",
    rf"{KEYSIGHT},N5222B": "drivers.keysight_n5222b.KeysightN5222B",
    rf"{KEYSIGHT},N5230C": "drivers.keysight_n5230c.KeysightN5230C",
    rf"{KEYSIGHT},N5245[AB]": "drivers.keysight_n5245a.KeysightN5245A",
    rf"{KEYSIGHT},E5080B": "drivers.keysight_e5080b.KeysightE5080B",
    r"ROHDE[-&]SCHWARZ,ZNB(4|8|20|40)(-\w+)?": "drivers.rohde_schwarz_znb.RohdeSchwarzZNB",
    r"CMT,M5065": "drivers.copper_mountain_m5065.CopperMountainM5065",
    r"CMT,M5180": "drivers.copper_mountain_m5180.CopperMountainM5180",
    r"CMT,S5048": "drivers.copper_mountain_s5048.CopperMountainS5048",
    rf"{KEYSIGHT},N9020[AB]": "drivers.keysight_n9020b.KeysightN9020B",
    rf"{KEYSIGHT},N9030[AB]": "drivers.keysight_n9030b.KeysightN9030B",
    r"ROHDE&SCHWARZ,FSV[AR]?-?\d+": "drivers.rohde_schwarz_fsv.RohdeSchwarzFSV",
    r"ROHDE&SCHWARZ,FSW-?\d+": "drivers.rohde_schwarz_fsw.RohdeSchwarzFSW",
    r"LSCI,MODEL336": "drivers.lakeshore_336.LakeShore336",
    r"LSCI,MODEL370": "drivers.lakeshore_370.LakeShore370",
    r"LSCI,MODEL372": "drivers.lakeshore_372.LakeShore372",
    r"OXFORD INSTRUMENTS,TRITON.*": "drivers.oxford_triton.TritonFridge",
}


def type_of(identity: str) -> str | None:
    """Type of the instrument that answers `*IDN?` with `identity`; None if no driver of labnis is for it.

    Oxford Instruments separates the parts by colons, after `IDN:`.
    """
    upper = identity.upper()
    parts = upper.removeprefix("IDN:").split(":") if upper.startswith("IDN:") else upper.split(",")
    name = ",".join(part.strip() for part in parts[:2])
    return next((kind for pattern, kind in MODELS.items() if re.fullmatch(pattern, name)), None)
