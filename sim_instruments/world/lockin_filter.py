"""The signal path of a lock-in amplifier: equal RC stages in cascade, exact for a piecewise constant input."""

import math

from sim_instruments.world.fridge import World
from sim_instruments.world.wires import Wires

__all__ = ["AUXILIARY_BANDWIDTH", "NOISE_BANDWIDTH", "Demodulator", "OutputFilter"]

#: Equivalent noise bandwidth × time constant for 1 to 4 stages (SR830 manual, "Noise measurements").
NOISE_BANDWIDTH = {1: 1 / 4, 2: 1 / 8, 3: 3 / 32, 4: 5 / 64}
#: Bandwidth of the auxiliary inputs (Hz; SR830 specifications, "Aux. inputs").
AUXILIARY_BANDWIDTH = 3e3


class OutputFilter:
    """The state of a cascade of at most four RC stages.

    Parameters
    ----------
    time
        Present time (s).

    """

    STAGES = 4

    def __init__(self, time: float) -> None:
        self.time = time
        self.stages = [0j] * self.STAGES

    def advance(self, time: float, signal: complex, time_constant: float) -> None:
        """Apply `signal` at the input until `time` (s); all stages have the same `time_constant` (s).

        For constant input u each stage i ends at u + e^{−x} Σ_{j ≤ i} (y_j − u) x^{i−j}/(i−j)!, x = Δt/T.
        """
        x = max(0.0, time - self.time) / time_constant
        self.time = max(time, self.time)
        if x > 200:
            self.stages = [signal] * self.STAGES
            return
        weights = [math.exp(-x) * x**k / math.factorial(k) for k in range(self.STAGES)]
        distance = [stage - signal for stage in self.stages]
        self.stages = [signal + sum(weights[i - j] * distance[j] for j in range(i + 1)) for i in range(self.STAGES)]

    def output(self, stages: int) -> complex:
        """Output of the first `stages` stages."""
        return self.stages[stages - 1]


class Demodulator:
    """First harmonic at input A behind the output filter, with noise that is correlated by the filter.

    Parameters
    ----------
    world, wires
        The simulated fridge, and the lock-in's connections.

    Attributes
    ----------
    input
        Signal without noise, before the filter (V rms); 0 where it is not at the input.
    noise
        Last noise behind the filter (V rms).

    """

    def __init__(self, world: World, wires: Wires) -> None:
        self._world = world
        self._wires = wires
        self._filter = OutputFilter(world.clock.time())
        self._noise_time = world.clock.time()
        self._connected = True
        self.noise = 0j

    def input_changed(self, *, connected: bool) -> None:
        """Update the input; it is `connected` if input and reference select the first harmonic."""
        self._connected = connected
        self._harmonic = self._world.lockin_input(0.0, self._wires.signal)
        self.input = self._harmonic if connected else 0j
        self._since = self._world.clock.time()

    def settle_at_once(self) -> None:
        """Set the filter to its settled state."""
        self._filter.stages = [self.input] * OutputFilter.STAGES

    def settle(self, time: float, time_constant: float) -> None:
        """Advance the filter to `time` (s), with the input from before the last change of the bias."""
        changed = self._world.bias_changed_at
        if not self._wires.excites:
            changed = max(changed, self._world.excitation_changed_at)
        if changed > self._since:
            self._filter.advance(min(changed, time), self.input, time_constant)
        # The bias line's own filter makes the input drift until it has settled.
        if self._since <= changed + 30 * self._world.wiring.time_constant:
            self.input_changed(connected=self._connected)
        self._filter.advance(time, self.input, time_constant)

    def output(self, stages: int) -> complex:
        """Behind `stages` stages, without noise (V rms)."""
        return self._filter.output(stages)

    def draw_noise(self, time: float, time_constant: float, stages: int) -> complex:
        """Noise behind `stages` stages (V rms) at `time` (s); its correlation decays with the time constant."""
        bandwidth = NOISE_BANDWIDTH[stages] / time_constant
        memory = math.exp(-max(0.0, time - self._noise_time) / time_constant)
        fresh = self._world.lockin_input(bandwidth, self._wires.signal) - self._harmonic
        self.noise = memory * self.noise + math.sqrt(1 - memory**2) * fresh
        self._noise_time = time
        return self.noise

    def auxiliary(self, channel: int) -> float:
        """DC voltage (V) at auxiliary input `channel`, 1 to 4; 0 where nothing is connected."""
        if channel not in self._wires.auxiliary:
            return 0.0
        return self._world.metered(AUXILIARY_BANDWIDTH, self._wires.auxiliary[channel])
