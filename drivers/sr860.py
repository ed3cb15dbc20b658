"""SRS SR860 lock-in amplifier, up to 500 kHz; `drivers.sr86x` has its commands."""

from qcodes.instrument_drivers.stanford_research import SR860 as QcodesSR860  # noqa: N811  # name of the instrument

from drivers.sr86x import SR86x

__all__ = ["SR860"]


class SR860(SR86x, QcodesSR860):
    """An SR860 that fills the role of `drivers.roles.LockIn`: internal reference, first harmonic, voltage input.

    Parameters
    ----------
    name, address
        Of the instrument.
    differential
        Whether the signal is A − B; otherwise it is at input A.

    """

    highest_frequency = 500e3
