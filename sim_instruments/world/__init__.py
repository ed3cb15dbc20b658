"""The physics of the simulated fridge: device, bias line, resonator, noise and time, without SCPI."""

from sim_instruments.world.clock import SharedClock, SimulatedClock
from sim_instruments.world.device import Device
from sim_instruments.world.disturbed import DisturbedWorld
from sim_instruments.world.fridge import Clock, ExperimentClock, SourceState, Stage, World
from sim_instruments.world.lockin_filter import AUXILIARY_BANDWIDTH, NOISE_BANDWIDTH, Demodulator, OutputFilter
from sim_instruments.world.truth import LineWiring, Signal, Truth, TruthError, load_truth
from sim_instruments.world.wires import Wires, voltage_sourcing

__all__ = [
    "AUXILIARY_BANDWIDTH",
    "NOISE_BANDWIDTH",
    "Clock",
    "Demodulator",
    "Device",
    "DisturbedWorld",
    "ExperimentClock",
    "LineWiring",
    "OutputFilter",
    "SharedClock",
    "Signal",
    "SimulatedClock",
    "SourceState",
    "Stage",
    "Truth",
    "TruthError",
    "Wires",
    "World",
    "load_truth",
    "voltage_sourcing",
]
