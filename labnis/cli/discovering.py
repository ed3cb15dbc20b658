"""Finding instruments: `discover`."""

import sys
from typing import Annotated

import typer
from rich.table import Table

from labnis.cli.options import JsonOption
from labnis.station import discovered, station_lines
from labnis.ui.output import cells, print_table, say, say_json

__all__ = ["discover"]

QUESTION = "address of the fridge's control software, or Enter"


def discover(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ADDRESS]...",
            help="Further addresses to ask, such as TCPIP0::10.0.0.5::5025::SOCKET, because no library finds raw "
            "sockets, or http://10.0.0.5:49099 (https, ws, wss) of a fridge's software.",
        ),
    ] = None,
    visalib: Annotated[str, typer.Option("--visalib", help="PyVISA library, such as @py or @ivi.")] = "",
    serial_ports: Annotated[bool, typer.Option("--serial", help="Also ask what is connected to serial ports.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the instruments that VISA finds, and the lines of a station file for them; only *IDN? is sent.

    On a terminal, without an address, it asks for that of the fridge's control software.
    """
    if not addresses and not as_json and sys.stdin.isatty():
        addresses = typer.prompt(QUESTION, default="", show_default=False, err=True).split()
    found = list(discovered(visalib, addresses or (), serial_ports=serial_ports))
    lines = station_lines(found, visalib)
    if as_json:
        say_json({"instruments": found, "lines": lines})
        return
    table = Table("address", "identity", "type")
    for one in found:
        table.add_row(*cells([one.address, one.identity or one.problem, one.type or ""]))
    if found:
        print_table(table)
    else:
        say("no instrument found; give the addresses of those behind raw sockets")
    for line in ["", *lines] if lines else []:
        say(line)
