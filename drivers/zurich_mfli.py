"""Zurich Instruments MFLI through LabOne: the nodes of `zhinst.qcodes.MFLI`, with every setting read back.

`address` is the device (dev1234), and `init: {host: …}` the computer of its LabOne data server; the MFLI has one of its
own. It needs `pip install labnis[zurich]`. In a dry run a stand-in takes its place: the server cannot be simulated.

From the node documentation of LabOne and from zhinst-utils; **never tried on hardware**, and only against a model of
the node tree:

- Amplitudes of the output are peak values, those of demodulators are rms. `imp50` of an output doubles its voltage.
- `sigins/0/scaling` multiplies the numbers. Offset and `add` (auxiliary input 1) of the output drive the device: they
  are not changed here, since that would be a step of the bias, but refused.
- A demodulator that is off, or triggered, or behind a lost connection, gives its last sample again: a sample with the
  time of the one before is none.
- `sigins/0/max` and `min` are the extremes at the input in units of its range: at 1 it is clipped. The bits of
  `status/flags/binary` are not known here, and not read.
- A sample has the auxiliary inputs, too, in V; whether `auxins/0/averaging` acts on these is not known. It stays.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from qcodes.instrument import Instrument

from drivers.errors import CommunicationError, OverloadError, ReadingError, SettingError

__all__ = ["ZurichMFLI"]

ORDER, SETTLING = 4, 13.1
#: Largest input (V peak), of input and output.
LARGEST_INPUT, OUTPUT_RANGES = 3.0, (0.01, 0.1, 1.0, 10.0)
SMALLEST_SINE, HIGHEST_FREQUENCY, LOWEST_COUPLED = 1e-6, 5e6, 10.0
SHORTEST, LONGEST = 337e-9, 83.0
CLIPPED, AUXILIARY_LIMIT = 0.98, 10.0
#: Samples per second, and time (s) to wait for a new one.
RATE, NEW_WITHIN, POLL = 1e3, 0.5, 2e-3


class ZurichMFLI(Instrument):
    """An MFLI that fills the role of `drivers.roles.LockIn`: demodulator 1, oscillator 1, signal input and output 1.

    Parameters
    ----------
    name
        Of the instrument.
    address
        The device, e.g. dev1234.
    host, port
        Of its LabOne data server.
    differential
        Whether the signal is the difference of both inputs.
    interface
        1GbE, USB or PCIe; by default what the server finds.

    Raises
    ------
    CommunicationError
        If zhinst-qcodes is not installed, or the server or the device does not answer.

    """

    def __init__(
        self,
        name: str,
        address: str,
        host: str = "localhost",
        port: int = 8004,
        differential: bool = False,
        interface: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.described = f"{name} ({address})"
        self._differential = differential
        self._confirmed: dict[str, float] = {}
        self._last_time = -1.0
        try:
            from zhinst.qcodes import MFLI  # noqa: PLC0415  # an extra, which other stations do not need
        except ImportError as error:
            raise CommunicationError(
                self.described, f"zhinst-qcodes cannot be imported: {error}.", "Install it: pip install labnis[zurich]."
            ) from error
        try:
            self._device: Any = MFLI(address, host, port, interface=interface, name=f"{name}_labone")
        except Exception as error:
            raise self._lost(f"connecting to the data server {host}:{port}", error) from error

    def close(self) -> None:
        """Close the device in QCoDeS, too."""
        if "_device" in self.__dict__ and hasattr(self._device, "close"):
            self._device.close()
        super().close()

    def get_idn(self) -> dict[str, str | None]:
        """Vendor, model, serial number and firmware."""
        try:
            found = dict(self._device.get_idn())
        except Exception as error:
            raise self._lost("reading the identity", error) from error
        keys = ("vendor", "model", "serial", "firmware")
        return {key: None if found.get(key) is None else str(found[key]) for key in keys}

    def _lost(self, doing: str, error: Exception) -> CommunicationError:
        return CommunicationError(
            self.described,
            f"{doing} failed: {type(error).__name__}: {str(error).rstrip('.')}.",
            "Check that LabOne runs, that the device is on and connected, and that its options have this node.",
        )

    # --- nodes -------------------------------------------------------------------------------------------------------

    def _node(self, path: str) -> Any:
        node = self._device
        for part in path.split("/"):
            node = node[int(part)] if part.isdigit() else getattr(node, part)
        return node

    def _get(self, path: str) -> float:
        """The number at a node."""
        try:
            answer = self._node(path)(enum=False)
        except Exception as error:
            raise self._lost(f"reading the node {path}", error) from error
        found = _number(answer)
        if not math.isfinite(found):
            raise CommunicationError(
                self.described, f"the node {path} reads {str(answer)[:80]}; a finite number is needed."
            )
        return found

    def _apply(self, path: str, value: float, tolerance: float = 0.0) -> float:
        """Write a node once, wait for the device, and read it back."""
        try:
            self._node(path)(value, deep=True)
        except Exception as error:
            raise self._lost(f"writing {value:g} to the node {path}", error) from error
        found = self._get(path)
        if not abs(found - value) <= tolerance:
            raise SettingError(
                self.described,
                f"the node {path} reads {found:.10g} where {value:.10g} was requested.",
                "Check the value against the instrument's limits, and that no other client of LabOne changes it.",
            )
        self._confirmed[path] = found
        return found

    def _mixer(self) -> int:
        """Number of the output's amplitude that oscillator 1 drives: it differs with the option MF-MD."""
        try:
            options = self._device.device_options
            found = options() if callable(options) else options
        except Exception as error:
            raise self._lost("reading the options", error) from error
        if not isinstance(found, Sequence):
            raise CommunicationError(self.described, f"its options read {str(found)[:80]}; their names are needed.")
        return 0 if "MD" in str(found) else 1

    # --- the role ----------------------------------------------------------------------------------------------------

    def prepare(self, *, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Set sine output, input, filter (order 4) and input range; every node is read back.

        Parameters
        ----------
        amplitude
            Sine output (V rms) at an open load.
        frequency, time_constant
            In Hz and s; both are rounded by the instrument.
        sensitivity
            Full scale (V rms): the input range is the next that includes twice its peak.

        Raises
        ------
        SettingError
            If a value is not possible (nothing is sent then), reads back differently, or the output has an offset or a
            second signal.

        """
        try:
            self.check_settings(
                amplitude=amplitude, frequency=frequency, time_constant=time_constant, sensitivity=sensitivity
            )
        except ValueError as error:
            raise SettingError(self.described, f"{error}.") from error
        self._confirmed = {}
        mixer = self._mixer()
        self._require_plain_output(mixer)
        for path, value in (
            ("sigins/0/on", 1.0),
            ("sigins/0/autorange", 0.0),
            ("sigins/0/scaling", 1.0),
            ("sigins/0/ac", float(frequency >= LOWEST_COUPLED)),
            ("sigins/0/imp50", 0.0),
            ("sigins/0/diff", float(self._differential)),
            ("demods/0/adcselect", 0.0),
            ("demods/0/oscselect", 0.0),
            ("demods/0/harmonic", 1.0),
            ("demods/0/order", float(ORDER)),
            ("demods/0/sinc", 0.0),
            ("demods/0/trigger", 0.0),
            ("sigouts/0/imp50", 0.0),
            ("sigouts/0/diff", 0.0),
            ("sigouts/0/autorange", 0.0),
        ):
            self._apply(path, value)
        self._apply("demods/0/phaseshift", 0.0, 1e-3)
        self._apply("oscs/0/freq", frequency, 1e-5 * frequency)
        self._apply("demods/0/timeconstant", time_constant, 0.02 * time_constant)
        self._apply("demods/0/rate", RATE, RATE)
        self._apply("demods/0/enable", 1.0)
        self._input_range(sensitivity)
        peak = math.sqrt(2) * amplitude
        largest = next(one for one in OUTPUT_RANGES if peak <= one)
        self._apply("sigouts/0/range", largest, 0.01 * largest)
        self._apply(f"sigouts/0/amplitudes/{mixer}", peak, max(1e-4 * largest, 1e-3 * peak))
        self._apply(f"sigouts/0/enables/{mixer}", 1.0)
        self._apply("sigouts/0/on", 1.0)
        self._last_time = -1.0

    def _require_plain_output(self, mixer: int) -> None:
        """Refuse an output that carries more than the sine: nothing here may make it jump."""
        others = {f"sigouts/0/enables/{number}" for number in range(self._mixers()) if number != mixer}
        for path in ("sigouts/0/offset", "sigouts/0/add", *sorted(others)):
            found = self._get(path)
            if found:
                raise SettingError(
                    self.described,
                    f"its signal output has more than the sine: the node {path} reads {found:g}; it drives the device.",
                    "Bring it to 0 by hand: changing it at once would be a step of the bias.",
                )
            self._confirmed[path] = found

    def _mixers(self) -> int:
        try:
            return len(self._node("sigouts/0/enables"))
        except Exception as error:
            raise self._lost("reading the node sigouts/0/enables", error) from error

    def _input_range(self, sensitivity: float) -> None:
        """Write the range, which the instrument rounds up, and require that it includes the full scale."""
        needed = min(2 * math.sqrt(2) * sensitivity, LARGEST_INPUT)
        found = self._apply("sigins/0/range", needed, LARGEST_INPUT)
        if not found >= 0.99 * math.sqrt(2) * sensitivity:
            raise SettingError(
                self.described,
                f"the node sigins/0/range reads {found:g} V, which does not include {sensitivity:g} V rms.",
                "Choose a lower full scale.",
            )

    @staticmethod
    def check_settings(*, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Check arguments of `prepare` without an instrument.

        Raises
        ------
        ValueError
            If an MFLI does not have a value; the message has the allowed ones.

        """
        limits = (
            ("sine output", "V", amplitude, SMALLEST_SINE, OUTPUT_RANGES[-1] / math.sqrt(2)),
            ("frequency", "Hz", frequency, 1e-3, HIGHEST_FREQUENCY),
            ("time constant", "s", time_constant, SHORTEST, LONGEST),
            ("sensitivity", "V", sensitivity, 1e-9, LARGEST_INPUT / math.sqrt(2)),
        )
        for what, unit, value, low, high in limits:
            if not low <= value <= high:
                raise ValueError(f"a {what} of {value:g} {unit} is not possible; {low:g} to {high:g} {unit} are")

    def quiet(self) -> float:
        """Reduce the sine output to nothing and return what is read back (V rms)."""
        return self._apply(f"sigouts/0/amplitudes/{self._mixer()}", 0.0, SMALLEST_SINE) / math.sqrt(2)

    def settling_time(self) -> float:
        """Return the time (s) until the output is within 0.1 % of its final value, at order 4."""
        found = self._get("demods/0/timeconstant")
        if not 0.5 * SHORTEST <= found <= 2 * LONGEST:
            raise CommunicationError(self.described, f"the node demods/0/timeconstant reads {found:g} s.")
        return SETTLING * found

    def read(self) -> complex:
        """Return X + iY (V rms) of a sample that has come after this call.

        Raises
        ------
        OverloadError
            If the input is clipped.
        ReadingError
            If there is no new sample, or one that is not a measurement.
        SettingError
            If a node has another value than `prepare` has confirmed.

        """
        self._new_sample()
        sample = self._new_sample()
        x, y = (_value(sample, key) for key in ("x", "y"))
        for path in ("sigins/0/max", "sigins/0/min"):
            extreme = self._get(path)
            if abs(extreme) >= CLIPPED:
                raise OverloadError(
                    self.described,
                    f"its signal input is clipped ({path} reads {extreme:g} of the range) at X = {x:g} V, Y = {y:g} V.",
                    "Choose a higher full scale, or a smaller excitation.",
                )
        if not (math.isfinite(x) and math.isfinite(y) and math.hypot(x, y) <= LARGEST_INPUT):
            raise ReadingError(
                self.described, f"X reads {x:g} V and Y {y:g} V; at most {LARGEST_INPUT:g} V is possible."
            )
        self._require_unchanged()
        return complex(x, y)

    def _require_unchanged(self) -> None:
        """Compare the nodes with what `prepare` has confirmed: each client of LabOne can change them at any time."""
        for path, known in self._confirmed.items():
            found = self._get(path)
            if found != known:
                raise SettingError(
                    self.described,
                    f"the node {path} reads {found:.10g}; {known:.10g} was confirmed when it was prepared.",
                    "Another client of LabOne or a power cycle has changed it: prepare the measurement again.",
                )

    def _new_sample(self) -> Any:
        deadline = time.monotonic() + NEW_WITHIN
        while True:
            try:
                sample = self._node("demods/0/sample")()
            except Exception as error:
                raise self._lost("reading the node demods/0/sample", error) from error
            taken = _value(sample, "timestamp")
            if math.isfinite(taken) and taken != self._last_time:
                self._last_time = taken
                return sample
            if time.monotonic() > deadline:
                raise ReadingError(
                    self.described,
                    f"its demodulator has given no new sample within {NEW_WITHIN:g} s (timestamp {taken:.15g}).",
                    "Check that demodulator 1 is enabled and not triggered, and the connection of the data server.",
                )
            time.sleep(POLL)

    def read_auxiliary(self, channel: int) -> float:
        """Return the voltage (V) at auxiliary input `channel`, 1 or 2.

        Raises
        ------
        OverloadError
            At ±10 V, the range of the converter.

        """
        if channel not in (1, 2):
            raise SettingError(self.described, f"has no auxiliary input {channel}; it has 1 and 2.")
        voltage = _value(self._new_sample(), f"auxin{channel - 1}")
        if not math.isfinite(voltage):
            raise ReadingError(self.described, f"auxiliary input {channel} reads {voltage} V.")
        if abs(voltage) >= AUXILIARY_LIMIT:
            raise OverloadError(
                self.described,
                f"auxiliary input {channel} is at {voltage:g} V, the end of its range.",
                "Lower the gain of what feeds it.",
            )
        return voltage


def _value(sample: Any, key: str) -> float:
    """The number `key` of a sample, which has arrays of one element; NaN if there is none."""
    try:
        return _number(sample[key])
    except (KeyError, IndexError, TypeError, ValueError):
        return math.nan


def _number(answer: Any) -> float:
    """The number that `answer`, or its only element, is; NaN for texts, several numbers and anything else."""
    try:
        found = np.asarray(answer)
    except (ValueError, OverflowError):
        return math.nan
    return float(found.item()) if found.size == 1 and found.dtype.kind in "iuf" else math.nan
