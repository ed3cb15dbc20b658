"""Ramps on the trigger model of a Keithley 2450: the source steps through a list of levels by itself.

The predefined sweeps (`:SOUR:SWE:...`) switch the output off at their end, at whatever level that is: they are of no
use here. Instead a trigger model steps through a list of levels, with the output left as it is::

    1  recall the first level
    2  wait for the interval
    3  recall the next level
    4  back to 2, a counted number of times

All of this comes from the reference manuals of the 2450 (2450-901-01 Rev. B) and of its sister 2461 (2461-901-01), and
**none of it has been seen on hardware**; labnis/station/bias/ramp_executor.py therefore reads the level back after
every ramp. What the manuals say, and what follows from it here:

- After the last level of a list comes the first again, which would be a jump. The target stands at the end of the list
  three times, and the counter aims at the second: neither one turn too many nor one too few leaves it.
- `:SOUR:LIST:VOLT` takes 100 values. A ramp is not longer than that, so nothing is appended, the list is read back
  whole, and a source whose client has died goes on for seconds at most.
- An entry of the list holds all settings of the source at the time it was made. The range must be fixed before, or it
  would switch over in mid-ramp.
- The state is refreshed every 100 ms only: it may be that of before for as long.
- `*OPC?` is not answered, and no setting taken, while a model runs.
- A model that is left loaded can be started with the front panel's TRIGGER key: it is cleared after every ramp.
"""

import math
import re
import time
from collections.abc import Sequence
from typing import ClassVar

import pyvisa

from drivers.errors import CommunicationError, SettingError
from drivers.scpi import CheckedInstrument

__all__ = ["TriggerModelRamp"]

LIST_NAME = "VoltCustomSweepList"  # what :SOUR:LIST:VOLT calls its list
REPEATED = 2
SHORTEST_DELAY = 1e-3
# Settings per range: what a range holds beyond its name, and its resolution.
HEADROOM, RESOLUTION = 1.05, 2.5e-5
MOVING, STOPPED = ("RUNNING", "WAITING"), ("IDLE", "EMPTY", "BUILDING", "FAILED", "ABORTED")
STATES = (*MOVING, *STOPPED, "ABORTING", "PAUSED")
# Until a model that was told to stop says so (s): many refreshments of its state.
PATIENCE = 2.0
MOST_LINES = 20

# The two blocks that decide over the rate, as the manual's example of :TRIG:BLOC:LIST? shows them.
DELAY = re.compile(r"2\)\s*DELAY_CONSTANT\s+DELAY:\s*([0-9.eE+-]+)")
COUNTER = re.compile(r"4\)\s*BRANCH_COUNTER\s+VALUE:\s*(\d+)\s+BRANCH_BLOCK:\s*2\b")


class TriggerModelRamp(CheckedInstrument):
    """The part of a 2450's driver that fills the role of `drivers.roles.SelfRamping`."""

    longest_ramp: ClassVar[int] = 100 - REPEATED

    def start_ramp(self, levels: Sequence[float], interval: float) -> None:
        """Load `levels` (V) and the blocks, read both back, and start.

        Parameters
        ----------
        levels
            From the first to the last; at most `longest_ramp`.
        interval
            Time from one level to the next (s), at least 1 ms; the instrument takes a little longer.

        Raises
        ------
        SettingError
            If the levels are too many, not finite or beyond a fixed range, or if the instrument holds others, or other
            blocks. Nothing has moved.
        RejectedCommandError
            If it puts an entry into its error queue. Nothing has moved.
        CommunicationError
            If an answer is missing. Whether it has started is known only from its state.

        """
        self.discard_errors()
        resolution = self._check_levels(levels)
        interval = max(interval, SHORTEST_DELAY)
        loaded = [*levels, *[levels[-1]] * REPEATED]
        self.write(":SOUR:LIST:VOLT " + ",".join([f"{level:.10g}" for level in loaded]))
        self.check_errors()
        held = self.ask_numbers(":SOUR:LIST:VOLT?", len(loaded))
        if not all(abs(found - level) <= resolution for found, level in zip(held, loaded, strict=True)):
            raise SettingError(
                self.described,
                f"holds other levels than the {len(loaded)} of the ramp that were loaded "
                f"({held[0]:g} to {held[-1]:g} V instead of {loaded[0]:g} to {loaded[-1]:g} V).",
                "The ramp was not started.",
            )
        self.write(
            ':TRIG:LOAD "Empty"'
            f';:TRIG:BLOC:CONF:REC 1,"{LIST_NAME}",1'
            f";:TRIG:BLOC:DEL:CONS 2,{interval:.9f}"
            f';:TRIG:BLOC:CONF:NEXT 3,"{LIST_NAME}"'
            f";:TRIG:BLOC:BRAN:COUN 4,{len(levels)},2"
        )
        self.check_errors()
        self._confirm_blocks(interval, len(levels))
        self.write(":INIT")

    def ramp_running(self) -> bool:
        """Whether the ramp is running. Its state is known 0.1 s after the start, not before.

        Raises
        ------
        SettingError
            If the model did not come to its end: never started, failed, or stopped from elsewhere.

        """
        state = self._trigger_state()
        if state in MOVING:
            return True
        if state == "IDLE":
            return False
        entries = "; ".join(self._drain())
        raise SettingError(
            self.described,
            f"trigger model is {state} where a ramp was started"
            + (f"; the instrument reports {entries}." if entries else "."),
            "The ramp did not come to its end: read the level back.",
        )

    def halt_ramp(self) -> None:
        """Stop where it is, and clear the ramp; harmless where none is running.

        Raises
        ------
        SettingError
            If the trigger model goes on.

        """
        self.write(":ABOR")
        deadline = time.monotonic() + PATIENCE
        while (state := self._trigger_state()) not in STOPPED:
            if time.monotonic() > deadline:
                raise SettingError(
                    self.described,
                    f"trigger model is still {state} {PATIENCE:g} s after ':ABOR'.",
                    "The source may still be ramping: look at the front panel.",
                )
        self.write(':TRIG:LOAD "Empty"')

    def _check_levels(self, levels: Sequence[float]) -> float:
        """Check number and range; returns the range's resolution (V)."""
        if not 1 <= len(levels) <= self.longest_ramp:
            raise SettingError(
                self.described, f"a ramp of {len(levels)} levels was asked for; 1 to {self.longest_ramp} are possible."
            )
        if self.ask_number(":SOUR:VOLT:RANG:AUTO?") != 0:
            raise SettingError(
                self.described,
                "chooses its voltage range by itself, and would switch it over in mid-ramp; nothing was started.",
                "A run fixes the range before it begins.",
            )
        largest = self.ask_number(":SOUR:VOLT:RANG?")
        # Written the other way round, NaN would pass.
        if not all(math.isfinite(level) and abs(level) <= HEADROOM * largest for level in levels):
            raise SettingError(
                self.described, f"a ramp beyond the range of {largest:g} V was asked for; nothing was started."
            )
        return RESOLUTION * largest

    def _confirm_blocks(self, interval: float, count: int) -> None:
        """Make sure that the ramp waits between its levels and ends: a lost block would make it a jump."""
        shown = self._shown_blocks()
        delay, counter = DELAY.search(shown), COUNTER.search(shown)
        if delay and counter and abs(float(delay[1]) - interval) <= 1e-3 * interval + 1e-9 and int(counter[1]) == count:
            return
        raise SettingError(
            self.described,
            f"answers {shown[:200]!r} to ':TRIG:BLOC:LIST?'; a delay of {interval:.9f} s in block 2 and {count} turns "
            "counted in block 4 expected.",
            "The ramp was not started.",
        )

    def _shown_blocks(self) -> str:
        """The list of blocks, which has one line for each: the answer ends with that to `*OPC?`."""
        shown = self.ask(":TRIG:BLOC:LIST?;*OPC?")
        for _ in range(MOST_LINES):
            if shown.rstrip().endswith(";1"):
                return shown
            try:
                shown += "\n" + self.visa_handle.read()
            except (pyvisa.Error, OSError, UnicodeDecodeError) as error:
                self.lost_step()
                raise CommunicationError(
                    self.described, f"the answer to ':TRIG:BLOC:LIST?' broke off: {error}."
                ) from error
        self.lost_step()
        raise CommunicationError(self.described, f"the answer to ':TRIG:BLOC:LIST?' does not end: {shown[:200]!r}.")

    def _trigger_state(self) -> str:
        return self.again(self._asked_trigger_state)

    def _asked_trigger_state(self) -> str:
        answer = self.ask(":TRIG:STAT?").strip()
        state = answer.partition(";")[0].upper()
        if state not in STATES:
            self.lost_step()
            raise CommunicationError(
                self.described, f"answered {answer[:80]!r} to ':TRIG:STAT?'; one of {', '.join(STATES)} expected."
            )
        return state
