"""Basel SP983a, the remote control of a current amplifier SP983c: the gain and the overload that it reports, checked.

From QCoDeS's driver alone, as no manual is at hand; **never tried on hardware**:

- It has no identity: the gain is read when it is opened.
- Each answer has the name of what was asked (`Gain: 1E7`), by which a late one is told; only that of the overload
  (`GET O`) is not known. Usual words for yes and no are understood, any other is an error that quotes it.
- The sign of the gain and the offset of the input voltage cannot be read.
"""

import re
from contextlib import suppress
from typing import Any

import pyvisa
from qcodes.instrument_drivers.basel import BaselSP983a as QcodesBaselSP983a

from drivers.errors import CommunicationError, SettingError

__all__ = ["BaselSP983a"]

ATTEMPTS = 3
GAIN = re.compile(r"(?:Gain:\s*)(1(?:\.0*)?E\+?0?[5-9])", re.ASCII | re.IGNORECASE)
OVERLOAD = re.compile(r"(?:Overload(?: Status)?\s*:\s*)?([\w ]{1,40})", re.ASCII | re.IGNORECASE)
OVERLOADED = {"1": True, "YES": True, "ON": True, "TRUE": True, "OVERLOAD": True}
OVERLOADED |= {"0": False, "NO": False, "OFF": False, "FALSE": False, "NONE": False, "NO OVERLOAD": False}


class BaselSP983a(QcodesBaselSP983a):
    """An SP983a as the instrument of an amplifier: `drivers.capabilities.GainReporting`.

    Parameters
    ----------
    name, address
        Of the instrument.
    reads_overload
        Whether the overload is read; False where its answer is one that is not understood.

    """

    def __init__(self, name: str, address: str, *, reads_overload: bool = True, **kwargs: Any) -> None:
        self._reads_overload, self._at = reads_overload, address
        super().__init__(name, address, **kwargs)

    @property
    def described(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self._at})"

    def connect_message(self, idn_param: str = "IDN", begin_time: float | None = None) -> None:
        """Read the gain in place of an identity.

        Raises
        ------
        CommunicationError
            If there is no usable answer.

        """
        self.reported_gain()

    def reported_gain(self) -> float:
        """Gain that is set at the amplifier (V/A).

        Raises
        ------
        CommunicationError
            If there is no usable answer.

        """
        return float(self._asked("GET G", GAIN, "Gain: 1E5 to 1E9"))

    def overloaded(self) -> bool:
        """Whether the amplifier reports an overload.

        Raises
        ------
        CommunicationError
            If there is no answer.
        SettingError
            If the answer is not understood.

        """
        if not self._reads_overload:
            return False
        answer = self._asked("GET O", OVERLOAD, "a word for yes or no").strip()
        found = OVERLOADED.get(answer.upper())
        if found is None:
            raise SettingError(
                self.described,
                f"answered {answer!r} to 'GET O', which is not known as an overload or none.",
                "Write reads_overload: false under init of the instrument, and report this answer.",
            )
        return found

    def _asked(self, query: str, pattern: re.Pattern[str], expected: str) -> str:
        """The part of the answer that `pattern` holds; a query changes nothing and is repeated."""
        problem = ""
        for _ in range(ATTEMPTS):
            try:
                answer = self.ask_raw(query).strip()
            except (pyvisa.Error, UnicodeDecodeError, OSError) as error:
                problem = f"no usable answer to {query!r}: {type(error).__name__}: {error}".rstrip(". ")
            else:
                if found := pattern.fullmatch(answer):
                    return found[1]
                problem = f"answered {answer[:80]!r} to {query!r}; {expected} expected"
            with suppress(pyvisa.Error, OSError):
                self.device_clear()
        raise CommunicationError(
            self.described, f"{problem}.", "Check that it is switched on and connected, and its address."
        )
