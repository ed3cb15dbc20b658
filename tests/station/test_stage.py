"""The role `stage`: limits, the window of the thermometer, and a heater that is off afterwards."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import labnis
from drivers.errors import CommunicationError
from drivers.lakeshore_372 import LakeShore372
from drivers.oxford_triton import TritonFridge
from labnis.errors import ConfigurationError, InterlockError, RequestError
from labnis.experiment.session import Session
from labnis.station import load_station
from labnis.station.connecting import address_locks, serial_locks
from procedures import Measurement, SweepParameter

STATION = Path(__file__).resolve().parents[2] / "station.yaml"
SHIPPED = """\
    type: drivers.lakeshore_372.LakeShore372
    address: TCPIP0::192.168.10.24::7777::SOCKET
    init:
      channel: 1 """
TRITON = """\
    type: drivers.oxford_triton.TritonFridge
    address: TCPIP0::192.168.10.24::33576::SOCKET
    init:
      channel: MC """
BLUEFORS = "type: drivers.bluefors_controller.BlueforsController"
#: Each heater in the station file, and what another program may send to it.
HEATERS = {"LakeShore372": (SHIPPED, "SETP 0,0.4;*OPC?"), "TritonFridge": (TRITON, "SET:DEV:T8:TEMP:LOOP:TSET:0.4")}


class Warm(Measurement):
    """Heat the stage, and stay there for a while."""

    REQUIRES = ("bias", "stage")
    SETPOINTS = ("Stage (K)",)
    DATA_COLUMNS = ("Fridge (K)",)
    temperatures = SweepParameter("Stage", units="K", default="0.2")
    between: Any = staticmethod(lambda: None)

    def execute(self) -> None:
        for (temperature,) in self.sweep():
            self.roles.stage.move_to(temperature)
            self.roles.clock.sleep(1500.0)
            self.between()
            self.roles.clock.sleep(10.0)
            self.record(self.roles.fridge.temperature())


@pytest.fixture(params=HEATERS)
def session(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Session]:
    text = STATION.read_text(encoding="utf-8").replace("# fridge_pause", "fridge_pause")
    assert SHIPPED in text
    text = text.replace(SHIPPED, HEATERS[request.param][0])
    text = text.replace("sim_instruments/", f"{STATION.parent}/sim_instruments/")
    (tmp_path / "station.yaml").write_text(text, encoding="utf-8")
    with labnis.open_session(tmp_path / "station.yaml", dry_run=True, data=tmp_path) as opened:
        yield opened


def heater(session: Session) -> Any:
    found = session.station._instruments["lakeshore"]
    assert isinstance(found, LakeShore372 | TritonFridge)
    return found


def test_the_stage_is_heated_beyond_the_pause_of_the_fridge_and_off_afterwards(session: Session) -> None:
    assert session.station.config.limits.fridge_pause == 0.150
    run = session.run(Warm(temperatures="0.2,0.25"))
    assert run.data["fridge"].values == pytest.approx([0.2, 0.25], rel=0.03)
    assert not heater(session).output_enabled()


@pytest.mark.parametrize("failure", [ZeroDivisionError, KeyboardInterrupt, CommunicationError("x", "y")])
def test_the_heater_is_off_after_a_failure(session: Session, failure: Any) -> None:
    def fail() -> None:
        assert heater(session).output_enabled()
        raise failure

    procedure = Warm()
    procedure.between = fail
    with pytest.raises((ZeroDivisionError, KeyboardInterrupt, CommunicationError)):
        session.run(procedure)
    assert not heater(session).output_enabled()


def test_a_stage_that_leaves_its_window_ends_the_run(session: Session) -> None:
    def someone_else() -> None:
        heater(session).ask(HEATERS[type(heater(session)).__name__][1])

    procedure = Warm()
    procedure.between = lambda: (someone_else(), procedure.roles.clock.sleep(1000.0))
    with pytest.raises(InterlockError, match=r"fridge.temperature above 0.25 K"):
        session.run(procedure)
    assert not heater(session).output_enabled()


def test_the_heater_goes_off_although_the_setpoint_cannot_be_read(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(self: Any) -> float:
        raise CommunicationError("lakeshore", "no answer.")

    procedure = Warm()
    procedure.between = lambda: monkeypatch.setattr(type(heater(session)), "level", silent)
    session.run(procedure)
    assert not heater(session).output_enabled()


def test_a_controller_that_many_may_read_is_locked_by_the_station_that_heats_with_it(tmp_path: Path) -> None:
    text = STATION.read_text(encoding="utf-8").replace("type: drivers.lakeshore_372.LakeShore372", BLUEFORS)
    (tmp_path / "heats.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "reads.yaml").write_text(re.sub(r"\n +stage: .*\n.*", "", text), encoding="utf-8")
    heats, reads = (load_station(tmp_path / name) for name in ("heats.yaml", "reads.yaml"))
    address = {"lakeshore": "http://10.0.0.3:5001"}
    assert address_locks(reads, address) == serial_locks(reads, "lakeshore", "B1") == set()
    assert address_locks(heats, address)
    assert serial_locks(heats, "lakeshore", "B1") == {"B1"}


def test_a_temperature_beyond_the_limit_is_refused_before_anything_is_opened(session: Session) -> None:
    with pytest.raises(RequestError, match=r"would move stage from 0\.2 to 0\.5 K; .* allows 0 to 0\.4 K"):
        session.run(Warm(temperatures="0.2,0.5"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fridge: lakeshore\n", "\n", "roles.stage: needs the thermometer of the stage"),
        (" maximum_power: 10.0e-3,", "", "maximum_power"),
        (" window: 0.05,", " at_end: stay,", "at_end"),
        (" maximum: 0.4,", " maximum: 0.4, minimum: 0.1,", "minimum"),
    ],
)
def test_a_stage_without_its_protection_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = STATION.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "station.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        load_station(tmp_path / "station.yaml")
