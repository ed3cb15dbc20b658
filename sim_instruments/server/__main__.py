"""`python -m sim_instruments.server '{"truth": "nis_device.yaml", …}'`, as `control.launched` starts it.

It ends with its standard input, so that no server outlives the tests that started it.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from sim_instruments.server.faults import Fault
from sim_instruments.server.shared_twin import Preset
from sim_instruments.server.sockets import serve
from sim_instruments.world.truth import LineWiring


def main(text: str) -> None:
    """Serve with the options in the JSON object `text`; faults, preset and wiring are mappings."""
    options: dict[str, Any] = json.loads(text)
    options["faults"] = [Fault(**fault) for fault in options.get("faults", ())]
    options["preset"] = Preset(**options.get("preset", {}))
    if "wiring" in options:
        options["wiring"] = LineWiring(**options["wiring"])
    if options.get("log") is not None:
        options["log"] = Path(options["log"])
    threading.Thread(target=_end_with_input, daemon=True).start()
    serve(Path(options.pop("truth")), **options)


def _end_with_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
