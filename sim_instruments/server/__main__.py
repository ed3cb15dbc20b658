"""`python -m sim_instruments.server '{"truth": "nis_device.yaml", …}'`, as `control.launched` starts it.

It ends when its standard input is closed, so that no server outlives the tests that started it.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from sim_instruments.server.sockets import serve


def main(text: str) -> None:
    """Serve with the options in the JSON object `text`: the parameters of `serve`."""
    options: dict[str, Any] = json.loads(text)
    for name in {"truth", "log"} & options.keys():
        options[name] = Path(options[name])
    threading.Thread(target=_end_with_input, daemon=True).start()
    serve(**options)


def _end_with_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
