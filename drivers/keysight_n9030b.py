"""Keysight N9030B (PXA) signal analyzer as a spectrum analyzer that measures noise power density.

From the user's and programmer's reference N9060-90041; **never tried on hardware**. What changes a number and survives
a preset, or is on after power-up:

- The noise floor extension subtracts the analyzer's own noise from the trace, and is on (adaptive) after power-up.
- The external gain and amplitude corrections survive a preset.
- A trace in View keeps its old data however many sweeps are made; with trigger or gate on EXT none begins.
- Each alignment interrupts the sweeps; `interrupted` tells it, and the acquisition is awaited longer.

The headers of external gain, normalization, calibrator and gate were not read in that reference; a model that has no
such header counts as one without the feature. Complex corrections (.s2p files) are not switched off.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument_drivers.Keysight import KeysightN9030B as QCoDeSKeysightN9030B

from drivers.answers import is_choice
from drivers.errors import OverloadError
from drivers.noise_analyzer import Condition, NoiseAnalyzer
from drivers.trace_analyzer import check_count, check_range, limits_of

__all__ = ["KeysightN9030B"]

INTEGRITY, LATCHED = ":STAT:QUES:INT:COND?", ":STAT:QUES:INT?"
# Bits of the questionable integrity register: input overload, over range; measurement uncalibrated; no result.
OVERLOAD_BITS, UNCALIBRATED, NO_RESULT = 16 | 32, 8, 2
LOWER_OVERLOAD = "Increase the attenuation or switch the preamplifier off."
# Options for the highest frequency that QCoDeS knows; others, and the next lower one of these.
KNOWN_OPTIONS = {"503", "508", "513", "526", "544"}
OTHER_OPTIONS = {"532": "526", "550": "544"}
# The mode of another application takes up to this time (s) to start.
MODE_CHANGE = 60.0
# Below this frequency (Hz) the AC coupling of the input attenuates.
AC_COUPLED = 10e6


class KeysightN9030B(NoiseAnalyzer, QCoDeSKeysightN9030B):
    """The QCoDeS driver, filling the role `SpectrumAnalyzer`.

    The sweep is a swept one (not FFT) with average detector, power (RMS) averaging and the resolution filter given by
    its noise bandwidth, so that a trace in watts over that bandwidth is the power spectral density without correction.
    Attenuation and preamplifier are not changed, but must not change between `prepare` and `fetch`.

    Parameters
    ----------
    name
        Name in the station.
    address
        VISA resource name.
    **options
        Passed to QCoDeS (`visalib`, `timeout`, …).

    Raises
    ------
    CommunicationError
        If the instrument does not answer or the answer cannot be read; every method may raise it.

    """

    BEGIN, END = ":INIT:SAN", ":ABOR"
    CONDITIONS: ClassVar = (
        Condition(INTEGRITY, OVERLOAD_BITS, "an input overload", LOWER_OVERLOAD, OverloadError),
        Condition(LATCHED, OVERLOAD_BITS, "an input overload", LOWER_OVERLOAD, OverloadError),
        Condition(
            INTEGRITY,
            UNCALIBRATED,
            "a sweep too fast for its filter (Meas Uncal)",
            "The density of a smooth spectrum is right, but a line is too low, broad and displaced: sweep more slowly.",
            None,
        ),
        Condition(INTEGRITY, NO_RESULT, "no result for its settings", "Look at the message on its screen."),
        Condition(
            ":STAT:QUES:FREQ:COND?",
            0x7FFF,
            "no valid frequency reference",
            "Connect the external reference, or select the internal one.",
        ),
    )

    def options(self) -> tuple[str, ...]:
        """Installed options, with the next lower frequency option that QCoDeS knows where it does not know this one.

        Raises
        ------
        CommunicationError
            If there is no frequency option.

        """
        found = tuple(option.strip() for option in super().options())
        lower = tuple(OTHER_OPTIONS[option] for option in found if option in OTHER_OPTIONS)
        if not KNOWN_OPTIONS.intersection(found + lower):
            known = ", ".join(sorted(KNOWN_OPTIONS.union(OTHER_OPTIONS)))
            raise self.unexpected(",".join(found), "*OPT?", f"one of the frequency options {known}")
        return found if KNOWN_OPTIONS.intersection(found) else found + lower

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
        self._select_swept_measurement()
        # One message per setting: a rejected one must not affect others.
        self.choose(":INIT:CONT", "0")
        self.choose(":TRIG:SOUR", "IMM")
        self.switch_off(":SWE:EGAT")
        self.choose(":FEED", "RF")
        self.switch_off(":FEED:AREF", "OFF")
        self.require_direct_coupling(center - span / 2, AC_COUPLED)
        self.choose(":FORM", "REAL,64")
        self.choose(":FORM:BORD", "SWAP")
        self._show_power_at_the_input()
        self._average_power()
        self.apply(":FREQ:CENT", center, tolerance=1.0)
        self.apply(":FREQ:SPAN", span, tolerance=1.0)
        self.apply(":SWE:POIN", int(points))
        self.apply(":AVER:COUN", int(averages))
        self.noise_bandwidth = self.apply(":BAND:RES", resolution_bandwidth, tolerance=0.1 * resolution_bandwidth)
        duration = averages * self.apply(":SWE:TIME", sweep_time, tolerance=0.01 * sweep_time)
        for query in (":POW:ATT?", ":POW:GAIN?", ":POW:GAIN:BAND?"):
            self.record(query)
        self.ask_register(LATCHED)  # clear overloads of earlier sweeps
        self.end_preparation(":", center=center, span=span, points=int(points), duration=duration)

    def _select_swept_measurement(self) -> None:
        """Spectrum analyzer mode, swept measurement; either may change what a command means."""
        if not is_choice(self.ask(":INST:SEL?"), "SA"):
            with self.waiting(MODE_CHANGE):
                self.choose(":INST:SEL", "SA")
        if self.ask(":CONF?").strip() != "SAN":
            self.write(":CONF:SAN:NDEF")  # NDEFault: without it the attenuation would be reset as well
        self.require_choice(":INST:SEL?", "SA")
        self.require_choice(":CONF?", "SAN")

    def _show_power_at_the_input(self) -> None:
        """The trace in watts at the input connector, at its true frequencies: no offsets, corrections or math."""
        self.choose(":DISP:WIND:TRAC:Y:SPAC", "LOG")  # first: each scale has its own unit
        self.choose(":UNIT:POW", "W")
        self.apply(":DISP:WIND:TRAC:Y:RLEV:OFFS", 0.0)
        self.switch_off(":CORR:SA:GAIN")
        self.switch_off(":CORR:CSET:ALL")
        self.switch_off(":CORR:NOIS:FLO")
        self.switch_off(":FREQ:OFFS")
        self.switch_off(":CALC:NTD")
        self.write(":CALC:MATH TRACE1,OFF")
        query = ":CALC:MATH? TRACE1"
        answer = self.ask(query).strip()
        if not is_choice(answer.partition(",")[0], "OFF"):  # the operands follow
            raise self.refused(query, answer[:80], "OFF")
        self._confirmed[query] = answer

    def _average_power(self) -> None:
        """Power averaging in every stage, and a swept Gaussian filter that is given by its noise bandwidth."""
        self.choose(":DET:TRAC", "AVER")
        self.choose(":AVER:TYPE", "RMS")
        self.choose(":TRAC1:TYPE", "AVER")
        self.choose(":TRAC1:UPD", "1")
        self.choose(":SWE:TYPE", "SWE")
        self.choose(":BAND:SHAP", "GAUS")
        self.choose(":BAND:TYPE", "NOIS")

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
            If the block is incomplete, has another axis than was set or values that are not possible, or the sweep had
            no valid frequency reference. A sweep too fast for its filter is a warning in the log.
        SettingError
            If a setting changed since `prepare`, from the front panel or by a reset.
        RejectedCommandError
            If the sweep left an entry in the error queue.

        """
        self.require_preparation()
        query = ":FETC:SAN1?"
        values = self.again(lambda: self.ask_block(query, 2 * len(self._axis), "<f8"))
        axis, power = values.reshape(-1, 2).T
        self.require_trace()
        if np.max(np.abs(axis - self._axis)) > 1.0:
            raise self.no_trace(
                query,
                f"has frequencies from {axis[0]:.9g} to {axis[-1]:.9g} Hz instead of "
                f"{self._axis[0]:.9g} to {self._axis[-1]:.9g} Hz",
            )
        return self.densities(power, query)
