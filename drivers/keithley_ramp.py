"""Ramps on the trigger model of a Keithley 2450: the source steps through a list of levels by itself.

The predefined sweeps (`:SOUR:SWE:...`) switch the output off at their end, at any level: they are not usable here.
Instead a trigger model steps through a list of levels and does not switch the output::

    1  recall the first level
    2  wait for the interval
    3  recall the next level
    4  back to 2, a counted number of times

A sweep that measures has a block more, behind the wait: one reading into the instrument's own buffer.

All of this is taken from the reference manuals of the 2450 (2450-901-01 Rev. B) and of the 2461 (2461-901-01), and
**nothing was tested on hardware**; labnis/station/bias/ramp_executor.py therefore reads the level back after
every ramp. Statements of the manuals, and their consequences:

- After the last level of a list comes the first again, which would be a jump. The target is at the end of the list
  three times, and the counter ends at the second: one turn more or less still ends at the target.
- `:SOUR:LIST:VOLT` takes 100 values. A ramp is not longer than that, so nothing is appended, the list is read back
  whole, and a source whose client died continues for seconds at most.
- An entry of the list holds all settings of the source at the time it was made. The range must be fixed before, or it
  would switch during the ramp.
- The state is refreshed every 100 ms only and may be old.
- While a model runs, `*OPC?` is not answered and no setting is accepted.
- A loaded model can be started with the front panel's TRIGGER key: it is cleared after every ramp.
"""

import math
import re
import time
from collections.abc import Sequence
from typing import ClassVar

from drivers.answers import number
from drivers.errors import CommunicationError, SettingError
from drivers.scpi import CheckedInstrument

__all__ = ["TriggerModelRamp"]

LIST_NAME = "VoltCustomSweepList"  # name of the list of :SOUR:LIST:VOLT
BUFFER = "defbuffer1"
REPEATED = 2
SHORTEST_DELAY = 1e-3
RANGES = (0.01, 210.0)  # V, around the smallest and the largest
# Per range: the part beyond its nominal value, and its resolution.
HEADROOM, RESOLUTION = 1.05, 2.5e-5
MOVING, STOPPED = ("RUNNING", "WAITING"), ("IDLE", "EMPTY", "BUILDING", "FAILED", "ABORTED")
STATES = (*MOVING, *STOPPED, "ABORTING", "PAUSED")
# Time for a model to stop (s): many refreshes of its state.
PATIENCE = 2.0
MOST_LINES = 20

# The two blocks that set the rate, in the format of the manual's example of :TRIG:BLOC:LIST?.
DELAY = re.compile(r"2\)\s*DELAY_CONSTANT\s+DELAY:\s*([0-9.eE+-]+)", re.ASCII)
COUNTER = re.compile(r"[45]\)\s*BRANCH_COUNTER\s+VALUE:\s*(\d+)\s+BRANCH_BLOCK:\s*2\b", re.ASCII)


class TriggerModelRamp(CheckedInstrument):
    """The part of a 2450's driver that fills the role of `drivers.capabilities.SelfRamping`.

    With a reading at each level: the part of `drivers.capabilities.BufferedSweep` that starts.
    """

    longest_ramp: ClassVar[int] = 100 - REPEATED
    longest_sweep: ClassVar[int] = longest_ramp

    def start_ramp(self, levels: Sequence[float], interval: float) -> None:
        """Load `levels` (V) and the blocks, read both back, and start.

        Parameters
        ----------
        levels
            From the first to the last; at most `longest_ramp`.
        interval
            Time from one level to the next (s), at least 1 ms; the instrument needs slightly more.

        Raises
        ------
        SettingError
            If the levels are too many, not finite or beyond a fixed range, or if the instrument holds others, or other
            blocks. Nothing has moved.
        RejectedCommandError
            If its error queue has an entry. Nothing has moved.
        CommunicationError
            If an answer is missing. Whether the ramp has started is known only from its state.

        """
        self._run(levels, interval)

    def start_sweep(self, levels: Sequence[float], settling: float) -> None:
        """As `start_ramp`; `settling` (s) after a level was set, one reading is taken into the emptied buffer."""
        self.write(f':TRAC:CLE "{BUFFER}"')
        self._run(levels, settling, f'MEAS 3,"{BUFFER}"')

    def _run(self, levels: Sequence[float], delay: float, *more: str) -> None:
        """Load `levels` (V) and the blocks, with `more` of them behind the `delay` (s); read both back, and start."""
        self.discard_errors()
        resolution = self._check_levels(levels)
        delay = max(delay, SHORTEST_DELAY)
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
        following = 3 + len(more)
        blocks = (
            f'CONF:REC 1,"{LIST_NAME}",1',
            f"DEL:CONS 2,{delay:.9f}",
            *more,
            f'CONF:NEXT {following},"{LIST_NAME}"',
            f"BRAN:COUN {following + 1},{len(levels)},2",
        )
        self.write(";".join([':TRIG:LOAD "Empty"', *[f":TRIG:BLOC:{block}" for block in blocks]]))
        self.check_errors()
        self._confirm_blocks(delay, len(levels))
        self.write(":INIT")

    def ramp_running(self) -> bool:
        """Whether the ramp is running. The state is valid from 0.1 s after the start.

        Raises
        ------
        SettingError
            If the model did not reach its end: not started, failed, or stopped from elsewhere.

        """
        state = self._trigger_state()
        if state in MOVING:
            return True
        if state == "IDLE":
            return False
        entries = "; ".join(self._drain()) or "no error"
        raise SettingError(
            self.described,
            f"trigger model is {state} where a ramp was started; the instrument reports {entries}.",
            "The ramp did not reach its end: read the level back.",
        )

    def halt_ramp(self) -> None:
        """Stop at the present level, and clear the ramp; without effect if none is running.

        Raises
        ------
        SettingError
            If the trigger model continues.

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

    sweep_running, halt_sweep = ramp_running, halt_ramp

    def _check_levels(self, levels: Sequence[float]) -> float:
        """Check number and range; returns the range's resolution (V)."""
        if not 1 <= len(levels) <= self.longest_ramp:
            raise SettingError(
                self.described, f"a ramp of {len(levels)} levels was requested; 1 to {self.longest_ramp} are possible."
            )
        if self.ask_flag(":SOUR:VOLT:RANG:AUTO?"):
            raise SettingError(
                self.described,
                "has automatic voltage ranging, which would switch the range during the ramp; nothing was started.",
                "A run fixes the range before it begins.",
            )
        largest = self.ask_within(":SOUR:VOLT:RANG?", *RANGES)
        # The opposite comparison would accept NaN.
        if not all(math.isfinite(level) and abs(level) <= HEADROOM * largest for level in levels):
            raise SettingError(
                self.described, f"a ramp beyond the range of {largest:g} V was requested; nothing was started."
            )
        return RESOLUTION * largest

    def _confirm_blocks(self, interval: float, count: int) -> None:
        """Verify the blocks of the delay and the counter: without one of them the ramp would be a jump."""
        shown = self._shown_blocks()
        delay, counter = DELAY.search(shown), COUNTER.search(shown)
        held = number(delay[1]) if delay else None
        waits = held is not None and abs(held - interval) <= 1e-3 * interval + 1e-9
        if waits and counter and number(counter[1]) == count:
            return
        raise SettingError(
            self.described,
            f"answers {shown[:200]!r} to ':TRIG:BLOC:LIST?'; a delay of {interval:.9f} s in block 2 and {count} turns "
            "counted in the last block expected.",
            "The ramp was not started.",
        )

    def _shown_blocks(self) -> str:
        """The list of blocks, one line each; the answer ends with that to `*OPC?`."""
        shown = self.ask(":TRIG:BLOC:LIST?;*OPC?")
        for _ in range(MOST_LINES):
            if shown.rstrip().endswith(";1"):
                return shown
            try:
                shown += "\n" + self.receive_line(":TRIG:BLOC:LIST?")
            except CommunicationError as error:
                raise self.unexpected(shown, ":TRIG:BLOC:LIST?", "more lines") from error
        raise self.unexpected(shown, ":TRIG:BLOC:LIST?", f"at most {MOST_LINES} lines")

    def _trigger_state(self) -> str:
        return self.again(self._asked_trigger_state)

    def _asked_trigger_state(self) -> str:
        answer = self.ask(":TRIG:STAT?").strip()
        state = answer.partition(";")[0].upper()
        if state not in STATES:
            raise self.unexpected(answer, ":TRIG:STAT?", f"one of {', '.join(STATES)}")
        return state
