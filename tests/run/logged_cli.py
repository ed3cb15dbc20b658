"""labnis in a process of its own whose twin writes every state of the bias to a file: level, output, monotonic time.

Usage: python -m tests.run.logged_cli LOG ARGUMENTS...
"""

import sys
import time
from pathlib import Path
from typing import Any

from labnis import cli
from sim_instruments.world import World


def log_bias(file: Path) -> None:
    original = World.set_source

    def logged(world: World, **state: Any) -> None:
        with file.open("a", encoding="utf-8") as log:
            log.write(f"{state['level']!r} {int(state['output'])} {time.monotonic()!r}\n")
        original(world, **state)

    World.set_source = logged  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    log_bias(Path(sys.argv.pop(1)))
    cli.main()
