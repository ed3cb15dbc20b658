"""SRS SR865A lock-in amplifier, up to 4 MHz; `drivers.sr86x` has its commands."""

from qcodes.instrument_drivers.stanford_research import SR865A as QcodesSR865A  # noqa: N811  # name of the instrument

from drivers.sr86x import SR86x

__all__ = ["SR865A"]


class SR865A(SR86x, QcodesSR865A):
    """An SR865A that fills the role of `drivers.roles.LockIn`: internal reference, first harmonic, voltage input.

    Parameters
    ----------
    name, address
        Of the instrument.
    differential
        Whether the signal is A − B; otherwise it is at input A.

    """

    highest_frequency = 4e6
