r"""Front panel of an SRS SR570 current preamplifier, which listens to its serial line and answers nothing.

Commands are those of its drivers in qcodes_contrib_drivers and pymeasure; what they set has no effect on the signal.
Whether the real one takes several commands in one line is not known.
"""

from typing import Any, ClassVar

from sim_instruments.panels.scpi_values import Integer
from sim_instruments.panels.word_panel import WordPanel, word_settings

__all__ = ["SR570Panel"]


def _up_to(largest: int, default: int = 0) -> Integer:
    return Integer(default, 0, largest)


class SR570Panel(WordPanel):
    """An SR570."""

    identification = ""
    resource = "ASRL1{}::INSTR"
    settings: ClassVar[tuple[Any, ...]] = word_settings(
        SENS=_up_to(27, 18), SUCM=_up_to(1), SUCV=_up_to(100), IOON=_up_to(1), IOLV=_up_to(29), IOSN=_up_to(1, 1),
        IOUC=_up_to(1), IOUV=Integer(0, -1000, 1000), BSON=_up_to(1), BSLV=Integer(0, -5000, 5000), FLTT=_up_to(5, 5),
        LFRQ=_up_to(15, 15), HFRQ=_up_to(11), GNMD=_up_to(2), INVT=_up_to(1), BLNK=_up_to(1),
    )  # fmt: skip
    handlers: ClassVar = {"ROLD": lambda self, _: None}

    def execute(self, message: str) -> list[bytes]:
        """Execute the commands of one line; there are no answers."""
        super().execute(message)
        return []
