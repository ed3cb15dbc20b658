"""Keysight N9030B (PXA) signal analyzer as a spectrum analyzer that measures noise power density."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument_drivers.Keysight import KeysightN9030B as QCoDeSKeysightN9030B

from drivers.answers import possible_densities, register
from drivers.errors import OverloadError
from drivers.keysight_wire import KeysightAnalyzer, check_count, check_range, limits_of

__all__ = ["KeysightN9030B"]

# Bits of the questionable integrity register: input overload, over range.
OVERLOAD_BITS = 16 | 32


class KeysightN9030B(KeysightAnalyzer, QCoDeSKeysightN9030B):
    """The QCoDeS driver, filling the role `SpectrumAnalyzer`.

    The sweep is a swept one (not FFT) with average detector, power (RMS) averaging and the resolution filter given by
    its noise bandwidth, so that a trace in watts over that bandwidth is the power spectral density without correction.
    Attenuation and preamplifier are not changed.

    Parameters
    ----------
    name
        Name in the station.
    address
        VISA resource name.
    **options
        Passed to QCoDeS (`visalib`, `timeout`, …).

    Attributes
    ----------
    noise_bandwidth
        Noise bandwidth (Hz) of the filter that the instrument chose in `prepare`.

    Raises
    ------
    CommunicationError
        If the instrument does not answer or the answer cannot be read; every method may raise it.

    """

    BEGIN, END = ":INIT:SAN", ":ABOR"

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, address, **options)
        self.noise_bandwidth = float("nan")

    def prepare(
        self, *, center: float, span: float, points: int, resolution_bandwidth: float, sweep_time: float, averages: int
    ) -> None:
        """Set up the noise measurement and read every setting back.

        Parameters
        ----------
        center, span
            Band (Hz).
        points
            Points of the trace, 2 to 100001.
        resolution_bandwidth
            Noise bandwidth (Hz). The instrument has filters in steps of 10 % and takes the nearest one, see
            `noise_bandwidth`.
        sweep_time
            Time of one sweep (s), at least 1 ms.
        averages
            Sweeps averaged, 1 to 10000.

        Raises
        ------
        ValueError
            An argument is out of range; nothing is sent then.
        SettingError
            The instrument did not accept a setting.
        RejectedCommandError
            Its error queue has an entry.

        """
        low, high = limits_of(self.sa.start)[0], limits_of(self.sa.stop)[1]
        check_range("span", span, 10.0, high - low, "Hz")
        check_range("center", center, low + span / 2, high - span / 2, "Hz")
        check_count("points", points, 2, 100_001)
        check_range("resolution_bandwidth", resolution_bandwidth, 1.0, 8.4e6, "Hz")
        check_range("sweep_time", sweep_time, 1e-3, 4000.0, "s")
        check_count("averages", averages, 1, 10_000)

        self.begin_preparation()
        if self.ask(":CONF?").strip() != "SAN":
            self.write(":CONF:SAN:NDEF")  # NDEFault: without it the attenuation would be reset as well
        # One message per setting: a rejected one must not affect others.
        self.choose(":INIT:CONT", "0")
        self.choose(":FORM", "REAL,64")
        self.choose(":FORM:BORD", "SWAP")
        self.choose(":UNIT:POW", "W")
        self.choose(":DET:TRAC", "AVER")
        self.choose(":AVER:TYPE", "RMS")
        self.choose(":TRAC1:TYPE", "AVER")
        self.choose(":SWE:TYPE", "SWE")
        self.choose(":BAND:TYPE", "NOIS")
        self.apply(":FREQ:CENT", center, tolerance=1.0)
        self.apply(":FREQ:SPAN", span, tolerance=1.0)
        self.apply(":SWE:POIN", int(points))
        self.apply(":AVER:COUN", int(averages))
        self.noise_bandwidth = self.apply(":BAND:RES", resolution_bandwidth, tolerance=0.1 * resolution_bandwidth)
        duration = averages * self.apply(":SWE:TIME", sweep_time, tolerance=0.01 * sweep_time)
        self.ask_register(":STAT:QUES:INT?")  # clear overloads of earlier sweeps
        self.end_preparation(":", center=center, span=span, points=int(points), duration=duration)

    start = KeysightAnalyzer.begin

    def fetch(self) -> NDArray[np.float64]:
        """Return the mean of the sweeps.

        Returns
        -------
        W/Hz at the input connector, shape (points,).

        Raises
        ------
        OverloadError
            On an input overload or an over-range marker.
        ReadingError
            If the block is incomplete, has another axis than was set or values that are not possible.
        SettingError
            If a setting changed since `prepare`, from the front panel or by a reset.
        RejectedCommandError
            If the sweep left an entry in the error queue.

        """
        self.require_preparation()
        query = ":FETC:SAN1?"
        values = self.again(lambda: self.ask_block(query, 2 * len(self._axis), "<f8"))
        axis, power = values.reshape(-1, 2).T
        self._check_overload()
        self.check_errors()
        self.require_unchanged("after the measurement")
        if np.max(np.abs(axis - self._axis)) > 1.0:
            raise self.no_trace(
                query,
                f"has frequencies from {axis[0]:.9g} to {axis[-1]:.9g} Hz instead of "
                f"{self._axis[0]:.9g} to {self._axis[-1]:.9g} Hz",
            )
        densities = np.asarray(power / self.noise_bandwidth)
        if not possible_densities(densities, self.noise_bandwidth):
            raise self.no_trace(query, f"has powers from {power.min():.3g} to {power.max():.3g} W: not possible")
        return densities

    def _check_overload(self) -> None:
        """Raise OverloadError if the instrument reports an overload during the last trace."""
        queries = (":STAT:QUES:INT:COND?", ":STAT:QUES:INT?")
        for query, answer in zip(queries, self.ask_each(queries), strict=True):
            bits = register(answer)
            if bits is None:
                raise self.unexpected(answer, query, "a whole number from 0 to 65535")
            if bits & OVERLOAD_BITS:
                raise OverloadError(
                    self.described,
                    f"had an input overload during the sweep ({query} reads {answer}).",
                    "Increase the attenuation or switch the preamplifier off.",
                )
