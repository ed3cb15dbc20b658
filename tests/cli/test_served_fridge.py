"""The computers of a Bluefors fridge in `labnis twin serve`, with the temperatures of the twin's fridge."""

import json
import socket as bare_socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.bluefors_control import BlueforsControl
from drivers.bluefors_controller import BlueforsController
from labnis.experiment.twin import setup_of
from labnis.station import load_station
from sim_instruments.server.command_log import read_log
from sim_instruments.server.shared_twin import SharedTwin
from sim_instruments.server.sockets import ServerError, TwinServer
from sim_instruments.world import load_truth
from tests.run.bench import Commands, write_station

STATION = """\
instruments:
  fridge_pc: {type: drivers.bluefors_control.BlueforsControl, address: "https://10.0.0.5:49098"}
  keithley: {type: drivers.keithley_2450.Keithley2450, address: "GPIB0::1::INSTR"}
  controller: {type: drivers.bluefors_controller.BlueforsController, address: "http://10.0.0.5:5001"}
  logs: {type: drivers.bluefors_log.BlueforsLog, address: /mnt/logs}
  dmm: {type: drivers.keysight_34461a.Keysight34461A, address: "GPIB0::3::INSTR"}
labnis:
  roles: {bias: keithley, fridge: fridge_pc}
  wiring: {series_resistance: 2000.0}
  limits: {maximum_bias: 6.0e-3, maximum_step: 1.0e-3, ramp_rate: 0.02, compliance: 5.0e-6}
  twin: {file: truth.yaml}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TwinServer]:
    file = write_station(tmp_path, STATION)
    setup = setup_of(load_station(file), without_role=True)
    twin = SharedTwin(load_truth(tmp_path / "truth.yaml"), seed=1, log=tmp_path / "log.jsonl", setup=setup)
    for web in twin.web_servers.values():
        vars(web)["scanner"].dwell = 1e-3
    served = TwinServer(twin)
    with served.running():
        yield served


def test_the_temperatures_are_those_of_the_fridge(server: TwinServer, tmp_path: Path) -> None:
    where = server.addresses()
    assert list(where) == ["keithley", "dmm", "fridge_pc", "controller"]
    web, socket = (BlueforsControl(name, where["fridge_pc"].replace("http", name)) for name in ("http", "ws"))
    controller = BlueforsController("controller", where["controller"], channel=6)
    for base in (0.010, 0.3):
        server.twin.schedule_temperatures([(0.0, base)])
        for reader in (web, socket, controller):
            assert reader.temperature() == pytest.approx(base, rel=0.05)
    assert web.channel_temperature("tstill") == pytest.approx(0.85, rel=0.05)
    asked = {entry.instrument for entry in read_log(tmp_path / "log.jsonl") if entry.direction == "in"}
    assert asked == {"fridge_pc", "controller"}
    for reader in (web, socket, controller):
        reader.close()


def test_the_heater_of_the_controller_warms_the_stage(server: TwinServer) -> None:
    controller = BlueforsController("controller", server.addresses()["controller"])
    controller.prepare(maximum_power=10e-3, heater_resistance=100.0)
    before = server.twin.world.bath_temperature()
    controller.output_on()
    controller.set_level(0.2)
    time.sleep(0.2)
    assert before < server.twin.world.bath_temperature() < 0.2
    controller.output_off()
    assert not controller.output_enabled()
    controller.close()


def test_its_ports_follow_those_of_the_other_instruments(server: TwinServer) -> None:
    port = server.port + 40
    with (
        bare_socket.create_server(("127.0.0.1", port + 7)),
        pytest.raises(ServerError, match="cannot be used for controller: "),
        TwinServer(server.twin, port).running(),
    ):
        pass
    with (
        TwinServer(server.twin, port).running(),
        urllib.request.urlopen(f"http://127.0.0.1:{port + 6}/system") as answer,
    ):
        assert json.loads(answer.read())["data"]["system_name"].startswith("TWIN")


def test_what_is_not_served_is_told(tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    write_station(tmp_path, STATION)
    served: dict[str, Any] = {}
    monkeypatch.setattr("labnis.cli.twin.serve_twin", lambda truth, **options: served.update(options))
    answer = labnis(f"twin serve --station '{tmp_path / 'station.yaml'}'")
    assert answer.code == 0
    assert answer.err == "logs: there is no panel of BlueforsLog, so it is not served\n"
    assert set(served["setup"].instruments) == {"fridge_pc", "keithley", "controller", "logs", "dmm"}
