"""The twin as a separate process that several programs share, with faults on request and a log of all messages."""

from sim_instruments.server.command_log import LogEntry, SourcePoint, bias_trajectory, largest_rate, read_log
from sim_instruments.server.control import ControlError, ServerProcess, control, launched
from sim_instruments.server.faults import CONDITIONS, Fault, FaultScript, Kind, spoiled
from sim_instruments.server.fridge_web import web_server_of
from sim_instruments.server.sockets import addresses, serve

__all__ = [
    "CONDITIONS",
    "ControlError",
    "Fault",
    "FaultScript",
    "Kind",
    "LogEntry",
    "ServerProcess",
    "SourcePoint",
    "addresses",
    "bias_trajectory",
    "control",
    "largest_rate",
    "launched",
    "read_log",
    "serve",
    "spoiled",
    "web_server_of",
]
