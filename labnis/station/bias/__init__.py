"""The bias of the device: its level, its ramps, and the way to zero."""

from labnis.station.bias.ramped_bias import BiasMismatchError, BiasUnknownError, RampedBias

__all__ = ["BiasMismatchError", "BiasUnknownError", "RampedBias"]
