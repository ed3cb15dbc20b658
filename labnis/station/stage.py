"""The temperature of the device's stage: a set-point whose heater goes off at the end, whatever else fails."""

from functools import partial
from typing import Any

from drivers.roles import Clock
from drivers.stage_heater import StageHeater
from labnis.station.role_spec import StageSpec
from labnis.station.sections import Interlock
from labnis.station.setpoint import RampedSetpoint

__all__ = ["HeatedStage"]


class HeatedStage(RampedSetpoint):
    """Fills `drivers.roles.Setpoint` for the stage; 0 K is the heater switched off.

    Parameters
    ----------
    heater
        Control loop of the stage.
    spec
        Limits, rate, power and window, from the station file.
    clock, **options
        As for `RampedSetpoint`.

    """

    def __init__(self, heater: StageHeater, spec: StageSpec, clock: Clock, **options: Any) -> None:
        super().__init__(heater, spec, clock, **options)
        self._prepare = partial(
            heater.prepare, maximum_power=spec.maximum_power, heater_resistance=spec.heater_resistance
        )
        self._window = spec.window
        self._highest = 0.0

    def interlock(self) -> Interlock | None:
        """What the thermometer of the stage may read once it was heated; None before."""
        if not self._highest:
            return None
        return Interlock(watch="fridge.temperature", above=self._highest + self._window)

    def move_to(self, value: float, *, clock: Clock | None = None) -> None:
        """As `RampedSetpoint.move_to`; the ramp begins at the temperature of the stage. 0 switches the heater off."""
        if value == 0:
            self._cool()
            return
        if self.minimum < value <= self.maximum:
            if not self._highest:
                self._level.permit()
                self._prepare()
            self._highest = max(self._highest, value)
        super().move_to(value, clock=clock)

    def _cool(self) -> None:
        """Switch the heater off; the window stays that of the highest set-point, for the stage cools slowly."""
        if not self.in_use:
            self._on_use(True)
            self.in_use = True
        self._switch_off()

    def _switch_off(self) -> None:
        assert self._output is not None  # noqa: S101  # for mypy: `StageSpec` names it
        self._level.permit()
        self._output.turn(on=False)

    def _zero_before_use(self) -> None:
        """Nothing: the heater goes on at the present temperature of the stage."""

    def _brought_to_end(self) -> str:
        """Switch the heater off first: that depends on no other answer."""
        self._switch_off()
        self._highest = 0.0
        return f"{self._name}: its heater is off now, read back"
