"""`labnis check --open` at every instrument that has a panel: what it sends besides queries is what the docs list."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from labnis.experiment.twin import setup_of
from labnis.station import load_station
from sim_instruments.server.command_log import read_log
from sim_instruments.server.shared_twin import SharedTwin
from sim_instruments.server.sockets import TwinServer
from sim_instruments.world import load_truth
from tests.run.bench import ROOT, Commands, write_station
from tests.run.test_every_instrument import COMBINATIONS, at_addresses

#: Of TSP, a Triton, a Basel amplifier and a fridge's HTTP server, whose queries have no question mark.
QUERY = re.compile(r"[^;]*\?[^;]*(;[^;]*\?[^;]*)*|print\(.*\)|READ:.*|GET \w|/.*")
PORT = re.compile(r"(?<=^FLSH )\d|(?<=^SNDT )\d")
#: Instruments that answer nothing, to which nothing is sent.
SILENT = {"SR570"}


def listed() -> dict[str, set[str]]:
    """Class → what it sends when it is opened, in docs/instruments.md, with n for a port."""
    section = (ROOT / "docs" / "instruments.md").read_text(encoding="utf-8").split("## Opening", 1)[1].split("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    return {
        kind: set(re.findall(r"`([^`]+)`", messages))
        for kinds, messages in rows
        for kind in re.findall(r"`(\w+)`", kinds)
    }


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_check_sends_only_queries_and_what_the_documentation_lists(
    combination: str, labnis: Commands, tmp_path: Path
) -> None:
    text = COMBINATIONS[combination].read_text(encoding="utf-8")
    file = write_station(tmp_path / combination, text)
    log = tmp_path / "commands.jsonl"
    twin = SharedTwin(load_truth(file.with_name("truth.yaml")), seed=1, log=log, setup=setup_of(load_station(file)))
    server = TwinServer(twin)
    with server.running():
        with file.open("w", encoding="utf-8") as opened:
            YAML(typ="safe").dump(at_addresses(text, server.addresses()), opened)
        answer = labnis(f"check --open --json --station '{file}'")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["simulated"] is True
    allowed = listed()
    kinds = {name: entry["type"].split(".")[-1] for name, entry in load_station(file).instruments.items()}
    received = [entry for entry in read_log(log) if entry.direction == "in"]
    assert {entry.instrument for entry in received} == {name for name, kind in kinds.items() if kind not in SILENT}
    for name, kind in kinds.items():
        sent = {entry.text for entry in received if entry.instrument == name and not QUERY.fullmatch(entry.text)}
        assert {PORT.sub("n", message) for message in sent} == allowed.get(kind, set()), name
