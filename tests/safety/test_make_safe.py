"""Zero for everything that moves: the bias first, each output even if others fail, over separate connections."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from qcodes.instrument import Instrument

from drivers.errors import CommunicationError, InstrumentError
from labnis.errors import TakenOverError
from labnis.safety.make_safe import make_safe
from labnis.station import BiasUnknownError, load_station, open_station
from labnis.station.oversight import NoOversight
from tests.station.fakes import FakeSource

HERE = "drivers.fakes_for_tests"
STATION = f"""\
instruments:
  source: {{type: {HERE}.Source, address: FAKE0::1}}
  magnet: {{type: {HERE}.Level, address: FAKE0::2}}
  gate: {{type: {HERE}.Level, address: FAKE0::3}}
  heater: {{type: {HERE}.Level, address: FAKE0::4}}
labnis:
  roles:
    bias: source
    field: {{instrument: magnet, kind: setpoint, parameter: value, maximum: 1.0, rate: 25.0}}
    gate: {{instrument: gate, kind: setpoint, parameter: value, maximum: 2.0, rate: 100.0}}
    heat: {{instrument: heater, kind: setpoint, parameter: value, minimum: 0.0, maximum: 1.0, rate: 90.0, at_end: stay}}
  wiring: {{}}
  limits: {{maximum_bias: 6.0e-3, maximum_step: 1.0e-3, ramp_rate: 0.5, compliance: 5.0e-6}}
"""


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Instruments whose state outlives each connection, and in `log` what was written, in order."""
    state: dict[str, Any] = {"source": 2e-3, "output": True, "magnet": 0.5, "gate": 1.0, "heater": 0.7}
    state |= {"log": [], "broken": set()}

    def write(name: str, value: float) -> None:
        if name in state["broken"]:
            raise CommunicationError(name, "no answer.")
        state["log"].append(name)
        state[name] = value

    def read(name: str) -> float:
        if f"read {name}" in state["broken"]:
            raise CommunicationError(name, "no answer.")
        return float(state[name])

    class Fake(Instrument):
        def __init__(self, name: str, address: str) -> None:
            if f"open {name}" in state["broken"]:
                raise CommunicationError(name, "no answer.")
            super().__init__(name)

        def get_idn(self) -> dict[str, str | None]:
            return {"vendor": "labnis", "model": "fake", "serial": f"1 {self.name}", "firmware": "1"}

    class Level(Fake):
        def __init__(self, name: str, address: str) -> None:
            super().__init__(name, address)
            self.add_parameter("value", get_cmd=lambda: read(name), set_cmd=lambda value: write(name, value))

    class Source(Fake):
        prepare, output_on, read = FakeSource.prepare, FakeSource.output_on, FakeSource.read

        def set_level(self, voltage: float) -> None:
            write("source", voltage)

        def level(self) -> float:
            return float(state["source"])

        def output_enabled(self) -> bool:
            return bool(state["output"])

        def output_off(self) -> None:
            state["output"] = False

    module = ModuleType(HERE)
    for kind in (Source, Level):
        kind.__module__ = HERE
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, HERE, module)
    monkeypatch.setattr("labnis.station.lock.shared_folder", lambda: tmp_path)
    monkeypatch.setattr("labnis.station.setpoint.PATIENCE", 0.1)
    yield state


@pytest.fixture
def station(tmp_path: Path) -> Path:
    path = tmp_path / "station.yaml"
    path.write_text(STATION, encoding="utf-8")
    return path


class Told(NoOversight):
    """Notes in `told` what it is told of what moves, and in `failures` what failed."""

    def __init__(self, told: list[tuple[str, bool]]) -> None:
        self.told = told
        self.failures: list[Exception] = []

    def failed(self, error: Exception) -> None:
        self.failures.append(error)

    def note(self, role: str, moves: bool) -> None:
        self.told.append((role, moves))


def ends(state: dict[str, Any]) -> dict[str, Any]:
    return {name: state[name] for name in ("source", "output", "magnet", "gate", "heater")}


SAFE = {"source": 0.0, "output": False, "magnet": 0.0, "gate": 0.0, "heater": 0.7}


def test_everything_ends_as_the_station_file_says_the_bias_first_and_the_slow_last(
    lab: dict[str, Any], station: Path
) -> None:
    said = make_safe(load_station(station))
    assert ends(lab) == SAFE
    assert list(dict.fromkeys(lab["log"])) == ["source", "gate", "magnet"]
    assert "the bias was 0.002 V with the output on" in said
    assert "field, magnet (FAKE0::2) was 0.5" in said


def test_only_the_named_setpoints_are_moved(lab: dict[str, Any], station: Path) -> None:
    make_safe(load_station(station), {"gate"})
    assert ends(lab) == SAFE | {"magnet": 0.5}


@pytest.mark.parametrize("fault", ["source", "gate", "open gate", "magnet", "open magnet"])
def test_each_is_attempted_whatever_the_others_did(lab: dict[str, Any], station: Path, fault: str) -> None:
    lab["broken"].add(fault)
    left = ends(lab)
    with pytest.raises(Exception) as caught:  # which one is said below
        make_safe(load_station(station))
    failed = fault.removeprefix("open ")
    kept = {failed} | ({"output"} if failed == "source" else set())
    assert ends(lab) == SAFE | {name: left[name] for name in kept}
    assert failed in str(caught.value)
    assert isinstance(caught.value, BiasUnknownError) == (failed == "source")


def test_a_bias_that_is_unknown_is_the_most_severe(lab: dict[str, Any], station: Path) -> None:
    lab["broken"] |= {"source", "gate"}
    with pytest.raises(BiasUnknownError) as caught:
        make_safe(load_station(station))
    assert any("gate" in note for note in caught.value.__notes__)
    assert lab["magnet"] == 0.0


@pytest.mark.parametrize("failure", [ZeroDivisionError, KeyboardInterrupt])
def test_a_run_that_fails_leaves_what_it_moved_safe_and_the_rest_alone(
    lab: dict[str, Any], station: Path, failure: type[BaseException]
) -> None:
    lab |= {"source": 0.0, "output": False, "gate": 0.0}
    with pytest.raises(failure), open_station(load_station(station)) as opened:
        opened.open(["gate", "field"])
        opened.roles.gate.move_to(1.5)
        raise failure
    assert lab["gate"] == 0.0
    assert lab["magnet"] == 0.5
    assert "source" not in lab["log"]


def test_a_run_makes_everything_safe_that_it_moved(lab: dict[str, Any], station: Path) -> None:
    told: list[tuple[str, bool]] = []
    oversight = Told(told)
    with (
        pytest.raises(InstrumentError, match="gate") as again,  # raised by the end of the station, too
        open_station(load_station(station), oversight=oversight) as opened,
    ):
        opened.open(["gate", "field", "heat"])
        opened.roles.field.move_to(0.4)
        opened.roles.gate.move_to(1.5)
        opened.roles.heat.move_to(0.9)
        opened.roles.heat.move_to(0.9)
        assert told == [("field", True), ("gate", True), ("heat", True)]
        lab["broken"].add("gate")
        with pytest.raises(InstrumentError, match="gate"):
            opened.make_safe()
        assert (lab["gate"], lab["magnet"], lab["heater"]) == (1.5, 0.0, 0.9)
    assert set(told[3:]) == {("field", False), ("heat", False)}
    assert oversight.failures == [again.value], "the gate is left to the guardian"


class TakesOver(Told):
    """A guardian that does all from the first failure on."""

    def permit(self) -> None:
        if self.failures:
            raise TakenOverError("the guardian acts", safe=True)


def test_a_bias_that_is_not_at_zero_is_told_before_slow_setpoints_are_moved(lab: dict[str, Any], station: Path) -> None:
    """A magnet may take half an hour, and an output that is on does not wait for it."""
    guardian = TakesOver([])
    with (
        pytest.raises(BiasUnknownError) as again,
        open_station(load_station(station), oversight=guardian) as opened,
    ):
        opened.open(["gate"])
        opened.bias.claim()
        opened.roles.gate.move_to(1.5)
        lab["broken"].add("source")
        with pytest.raises(BiasUnknownError) as caught:
            opened.make_safe()
        assert any("the guardian acts" in note for note in caught.value.__notes__)
        assert lab["gate"] == 1.5, "it is the guardian's"
    assert again.value is caught.value is guardian.failures[0]


def test_what_stays_is_at_its_end_also_where_it_cannot_be_read(lab: dict[str, Any], station: Path) -> None:
    oversight = Told([])
    with open_station(load_station(station), oversight=oversight) as opened:
        opened.open(["heat"])
        opened.roles.heat.move_to(0.9)
        lab["broken"].add("read heater")
    assert oversight.told == [("heat", True), ("heat", False)]
    assert not oversight.failures


def test_what_failed_is_forgotten_once_it_was_moved_and_brought_to_its_end(lab: dict[str, Any], station: Path) -> None:
    with open_station(load_station(station)) as opened:
        opened.open(["gate"])
        opened.roles.gate.move_to(1.5)
        lab["broken"].add("gate")
        with pytest.raises(InstrumentError, match="gate"):
            opened.make_safe()
        lab["broken"].clear()
        opened.roles.gate.move_to(1.0)
        opened.make_safe()
    assert lab["gate"] == 0.0
