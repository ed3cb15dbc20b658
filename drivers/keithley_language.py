"""Command languages of Keithley instruments that have several: their drivers need SCPI.

A base of driver modules; it has no instrument class of its own.
"""

from drivers.errors import InstrumentError, SettingError
from drivers.scpi import CheckedInstrument

__all__ = ["language_error"]


def language_error(instrument: CheckedInstrument, others: tuple[str, ...]) -> InstrumentError:
    """The error of an instrument that does not answer `*LANG?` with SCPI; `others` are its other languages.

    Raises
    ------
    CommunicationError
        If there is no answer.

    """
    answer = instrument.ask("*LANG?")
    if (language := answer.strip().upper()) not in others:
        return instrument.unexpected(answer, "*LANG?", "SCPI, as its only and whole answer,")
    return SettingError(
        instrument.described,
        f"has the command language {language} (*LANG?); its driver needs SCPI.",
        "Send *LANG SCPI, or choose SCPI at the front panel (Settings, Command Set), and switch it off and on.",
    )
