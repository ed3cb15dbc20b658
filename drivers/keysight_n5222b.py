"""Keysight N5222B (PNA) network analyzer as a vector network analyzer of one complex parameter."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument_drivers.Keysight import KeysightN5222B as QCoDeSKeysightN5222B

from drivers.answers import possible_ratios
from drivers.keysight_wire import KeysightAnalyzer, check_count, check_range, limits_of

__all__ = ["KeysightN5222B"]

# Names and parameters of traces. The names are sent back: nothing in them may end a command.
CATALOG = re.compile(r'''"([^"';\x00-\x1f]*)"''')


class KeysightN5222B(KeysightAnalyzer, QCoDeSKeysightN5222B):
    """The QCoDeS driver, filling the role `VectorNetworkAnalyzer`.

    Parameters
    ----------
    name
        Name in the station.
    address
        VISA resource name.
    parameter
        S-parameter that is measured, such as S11 or S21.
    **options
        Passed to QCoDeS (`visalib`, `timeout`, …).

    Raises
    ------
    ValueError
        If `parameter` is not an S-parameter of four ports.
    CommunicationError
        If the instrument does not answer or the answer cannot be read; every method may raise it.

    """

    BEGIN, END = ":SENS:SWE:MODE GRO", ":ABOR;:SENS:SWE:MODE HOLD"

    def __init__(self, name: str, address: str, parameter: str = "S11", **options: Any) -> None:
        if not re.fullmatch("S[1-4][1-4]", parameter):
            raise ValueError(f"parameter is {parameter!r}; allowed are S11 to S44, two port numbers from 1 to 4")
        super().__init__(name, address, **options)
        self.parameter = parameter
        # QCoDeS calls the lowest frequency `start`; in the role it begins an acquisition.
        self.remove_parameter("start")
        self.start = self.begin  # type: ignore[assignment]

    def prepare(
        self, *, center: float, span: float, points: int, power: float, if_bandwidth: float, averages: int
    ) -> None:
        """Set up the sweep, read every setting back, and switch the source on after its power is verified.

        Parameters
        ----------
        center, span
            Band (Hz).
        points
            Points of the sweep, 2 to 100001.
        power
            Source power at the port (dBm).
        if_bandwidth
            IF bandwidth (Hz), one of the instrument's: 1, 1.5, 2, 3, 5, 7 × 10ⁿ up to 100 kHz.
        averages
            Sweeps averaged, 1 to 65536.

        Raises
        ------
        ValueError
            An argument is out of range; nothing is sent then.
        SettingError
            The instrument did not accept a setting.
        RejectedCommandError
            Its error queue has an entry.

        """
        check_range("span", span, 1.0, self.max_freq - self.min_freq, "Hz")
        check_range("center", center, self.min_freq + span / 2, self.max_freq - span / 2, "Hz")
        check_count("points", points, 2, 100_001)
        check_range("power", power, *limits_of(self.power), "dBm")
        check_range("if_bandwidth", if_bandwidth, 1.0, 15e6, "Hz")
        check_count("averages", averages, 1, 65_536)

        self.begin_preparation()
        self._select_parameter()
        self.choose(":SENS:SWE:MODE", "HOLD")
        self.choose(":TRIG:SOUR", "IMM")
        self.choose(":SENS:SWE:TYPE", "LIN")
        self.choose(":SENS:SWE:TIME:AUTO", "1")
        self.choose(":SENS:AVER:MODE", "SWE")
        self.choose(":SENS:AVER", "1")
        self.choose(":FORM:BORD", "NORM")
        self.apply(":SENS:FREQ:CENT", center, tolerance=1.0)
        self.apply(":SENS:FREQ:SPAN", span, tolerance=1.0)
        self.apply(":SENS:SWE:POIN", int(points))
        self.apply(f":SOUR:POW{self.parameter[2]}", power, tolerance=0.01)
        self.apply(":SENS:BAND", if_bandwidth, tolerance=1e-6 * if_bandwidth)
        self.apply(":SENS:AVER:COUN", int(averages))
        self.apply(":SENS:SWE:GRO:COUN", int(averages))
        self.choose(":OUTP", "1")
        # One sweep takes a reading of 1 / IF bandwidth per point, and the instrument's overhead.
        readings = points / if_bandwidth
        sweep_time = self.ask_within(":SENS:SWE:TIME?", 0.2 * readings, 10 * readings + 0.01 * points + 10.0)
        self._confirmed[":SENS:SWE:TIME?"] = sweep_time
        self.end_preparation(":SENS:", center=center, span=span, points=int(points), duration=sweep_time * averages)

    def _select_parameter(self) -> None:
        """Select the trace that measures `parameter`; define one if there is none."""
        traces = self.again(self._catalog)
        name = next((name for name, parameter in traces if parameter == self.parameter), "")
        if not name:
            name = f"labnis_{self.parameter}"
            self.write(f":CALC:PAR:DEF:EXT '{name}','{self.parameter}'")
        self.write(f":CALC:PAR:SEL '{name}'")
        self._confirmed[":CALC:PAR:SEL?"] = name

    def _catalog(self) -> list[tuple[str, str]]:
        """Name and parameter of each trace."""
        answer = self.ask(":CALC:PAR:CAT:EXT?")
        catalog = CATALOG.fullmatch(answer.strip())
        listed = catalog[1].split(",") if catalog else []
        if listed == ["NO CATALOG"]:
            return []
        if not listed or len(listed) % 2:
            raise self.unexpected(answer, ":CALC:PAR:CAT:EXT?", "a list of traces")
        return list(zip(listed[::2], listed[1::2], strict=True))

    def begin(self) -> None:
        """Begin the sweeps and return at once."""
        self.require_preparation()
        self.write(":SENS:AVER:CLE")
        # QCoDeS's own methods may have selected another trace.
        self.write(f":CALC:PAR:SEL '{self._confirmed[':CALC:PAR:SEL?']}'")
        super().begin()

    def fetch(self) -> NDArray[np.complex128]:
        """Return the averaged complex parameter.

        Returns
        -------
        Ratio of amplitudes without electrical delay, shape (points,); phases count as e^{+jωt}.

        Raises
        ------
        OverloadError
            If the receivers were overloaded or a value is an over-range marker.
        ReadingError
            If the block is incomplete, or has values that are not numbers or not possible.
        SettingError
            If a setting changed since `prepare`, from the front panel or by a reset.
        RejectedCommandError
            If the sweep left an entry in the error queue.

        """
        self.require_preparation()
        # QCoDeS's own methods read 32-bit numbers: their format is restored.
        query = ":CALC:DATA? SDATA"
        self.write(":FORM REAL,64")
        try:
            values = self.again(lambda: self.ask_block(query, 2 * len(self._axis), ">f8"))
        finally:
            self.write(":FORM REAL,32")
        self.check_errors()
        self.require_unchanged("after the measurement")
        ratios = values.view(np.complex128)
        power = float(self._confirmed[f":SOUR:POW{self.parameter[2]}?"])
        if not possible_ratios(ratios, reflection=self.parameter[1] == self.parameter[2], power=power):
            largest = np.max(np.abs(ratios))
            raise self.no_trace(
                query, f"has values of {self.parameter} up to {largest:.3g}, which is not possible at {power:g} dBm"
            )
        return ratios
