"""SRS SR865 lock-in amplifier, up to 2 MHz; `drivers.sr86x` has its commands."""

from qcodes.instrument_drivers.stanford_research import SR865 as QcodesSR865  # noqa: N811  # name of the instrument

from drivers.sr86x import SR86x

__all__ = ["SR865"]


class SR865(SR86x, QcodesSR865):
    """An SR865 that fills the role of `drivers.roles.LockIn`: internal reference, first harmonic, voltage input.

    Parameters
    ----------
    name, address
        Of the instrument.
    differential
        Whether the signal is A − B; otherwise it is at input A.

    """

    highest_frequency = 2e6
