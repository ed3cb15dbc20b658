"""The output filter of a lock-in amplifier: equal RC stages in cascade, exact for an input constant in pieces."""

import math

__all__ = ["NOISE_BANDWIDTH", "OutputFilter"]

#: Equivalent noise bandwidth × time constant for 1 to 4 stages (SR830 manual, "Noise measurements").
NOISE_BANDWIDTH = {1: 1 / 4, 2: 1 / 8, 3: 3 / 32, 4: 5 / 64}


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
        """Let `signal` act at the input until `time` (s); all stages have the same `time_constant` (s).

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
