"""The amplifier in front of a meter or a lock-in, as the station file states it, and as it reports its own state."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from drivers.capabilities import GainReporting, GainSetting
from drivers.errors import OverloadError, SettingError
from drivers.wiring import Wiring
from labnis.station.role_check import missing_members
from labnis.station.role_spec import RoleSpec

__all__ = ["StatedAmplifier", "amplifier_of", "instruments_of", "lacks_gain"]

TOLERANCE = 1e-3
"""Relative difference between a reported gain and the stated one that counts as none: gains are in decades."""


class StatedAmplifier:
    """An amplifier whose gain the station file states.

    Parameters
    ----------
    name
        Its name under `wiring.amplifiers`.
    gain
        Stated gain (V/A or V/V).
    largest_output
        Largest output (V) that it follows its input to.
    instrument
        The open instrument that reports its gain, or sets it; None if there is none, or a stand-in.
    described
        Name and address of the instrument, for messages.

    Raises
    ------
    SettingError
        The instrument neither reports a gain nor sets one.

    """

    def __init__(
        self, name: str, gain: float, largest_output: float = math.inf, instrument: Any = None, described: str = ""
    ) -> None:
        self.gain = gain
        self._largest_output = largest_output
        self._described = described or f"amplifier {name}"
        reports = instrument is not None and not missing_members(instrument, GainReporting)
        self._reporting = cast(GainReporting, instrument) if reports else None
        sets = not reports and instrument is not None and not missing_members(instrument, GainSetting)
        self._setting = cast(GainSetting, instrument) if sets else None
        self._name = name
        if instrument is not None and not (reports or sets):
            raise SettingError(
                self._described,
                f"neither reports a gain nor sets one, as the instrument of the amplifier {name} has to.",
                "Name another class (drivers/capabilities.py: GainReporting, GainSetting), or remove the key.",
            )

    def prepare(self) -> None:
        """Compare the gain with the stated one, or set it where the instrument cannot be read.

        Raises
        ------
        SettingError
            The gain is another.
        InstrumentError
            The instrument does not answer.

        """
        if self._setting is not None:
            self._setting.set_gain(abs(self.gain))
        self._require_gain()

    def check(self, output: float = 0.0) -> None:
        """Check, beside a reading, that the amplifier was not overloaded.

        Parameters
        ----------
        output
            Its output as it was read (V), where one number says it.

        Raises
        ------
        OverloadError
            The output is beyond `largest_output`, or the amplifier reports an overload.
        SettingError
            The gain is no longer the stated one.

        """
        if abs(output) > self._largest_output:
            raise OverloadError(
                self._described,
                f"the output of the amplifier {self._name} reads {output:g} V; it follows its input up to "
                f"{self._largest_output:g} V.",
                "Lower its gain, or the current; if its output goes further, write largest_output under "
                f"labnis.wiring.amplifiers.{self._name}.",
            )
        if self._reporting is None:
            return
        self._require_gain()
        if self._reporting.overloaded():
            raise OverloadError(
                self._described, f"the amplifier {self._name} reports an overload.", "Lower its gain, or the current."
            )

    def _require_gain(self) -> None:
        if self._reporting is None:
            return
        found = float(self._reporting.reported_gain())
        if not math.isclose(abs(found), abs(self.gain), rel_tol=TOLERANCE):
            raise SettingError(
                self._described,
                f"reports a gain of {found:g}; the station file states {self.gain:g} for the amplifier {self._name}.",
                f"Set the amplifier to {abs(self.gain):g}, or write its gain under "
                f"labnis.wiring.amplifiers.{self._name}.",
            )


def instruments_of(wiring: Wiring, specs: Collection[RoleSpec]) -> list[str]:
    """Names of the instruments of roles, and of the amplifiers that they read."""
    found, amplifiers = [spec.instrument for spec in specs], []
    for spec in specs:
        stated = wiring.amplifiers.get(getattr(spec, "amplifier", None) or "")
        if stated is not None and stated.instrument is not None:
            amplifiers.append(stated.instrument)
    return list(dict.fromkeys(found + amplifiers))


def amplifier_of(
    wiring: Wiring, spec: RoleSpec, instruments: Mapping[str, Any], described: Callable[[str], str]
) -> StatedAmplifier | None:
    """The amplifier of a role; None where it names none. See `labnis.station.players.at_device`."""
    name = getattr(spec, "amplifier", None)
    if name is None:
        return None
    stated = wiring.amplifiers[name]
    shown = "" if stated.instrument is None else described(stated.instrument)
    return StatedAmplifier(name, stated.gain, stated.largest_output, instruments.get(stated.instrument or ""), shown)


def lacks_gain(kind: type) -> str:
    """What the class of an amplifier's instrument lacks; empty if it reports its gain or sets it."""
    reporting, setting = missing_members(kind, GainReporting), missing_members(kind, GainSetting)
    return f"{', '.join(reporting)}, or {', '.join(setting)}" if reporting and setting else ""
