"""`python -m sim_instruments.server '{"truth": "nis_device.yaml", …}'`, as `control.launched` starts it.

It ends when its standard input is closed, so that no server outlives the tests that started it.
"""

import json
import os
import signal
import sys
import threading

from sim_instruments.server.sockets import serve


def main(text: str) -> None:
    """Serve with the options in the JSON object `text`: the parameters of `serve`."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    serve(**json.loads(text))


def _end_with_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
