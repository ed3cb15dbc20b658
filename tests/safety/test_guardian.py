"""The guardian of a run that died: the bias to zero, and of the set-points those that the run has left somewhere."""

import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.errors import InstrumentError
from labnis.errors import BusyError, TakenOverError
from labnis.safety.guardian import Guardian
from labnis.station import load_station
from labnis.station.lock import hold
from labnis.station.lock_names import lock_name_of_station

STATION = """\
instruments:
  source: {type: guarded_lab.Source}
  gate: {type: guarded_lab.Level}
  magnet: {type: guarded_lab.Level}
labnis:
  packages: [guarded_lab]
  roles:
    bias: source
    gate: {instrument: gate, kind: setpoint, parameter: value, maximum: 2.0, rate: 10.0}
    field: {instrument: magnet, kind: setpoint, parameter: value, maximum: 1.0, rate: 10.0}
  wiring: {}
  limits: {maximum_bias: 6.0e-3, maximum_step: 1.0e-3, ramp_rate: 0.5, compliance: 5.0e-6}
"""

INSTRUMENTS = '''
"""Instruments whose levels outlive every process, in a file beside this one."""

import json
from pathlib import Path

from drivers.roles import SourceReading

STATE = Path(__file__).with_name("state.json")


class Level:
    def __init__(self, name):
        self.name = name

    @property
    def value(self):
        return json.loads(STATE.read_text())[self.name]

    @value.setter
    def value(self, level):
        STATE.write_text(json.dumps(json.loads(STATE.read_text()) | {self.name: level}))


class Source(Level):
    def prepare(self, *, maximum_voltage, maximum_current, compliance, integration_time): ...
    def output_on(self): ...
    def output_off(self): ...

    def output_enabled(self):
        return self.value != 0

    def set_level(self, value):
        self.value = value

    def level(self):
        return self.value

    def read(self):
        return SourceReading(self.value, 0.0)
'''


@pytest.fixture
def left_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, float]]:
    """What a guardian leaves of a run that says `lines` to it and dies, or ends with the line `last`."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # locks of this test's own
    (tmp_path / "guarded_lab.py").write_text(INSTRUMENTS, encoding="utf-8")
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"source": 2e-3, "gate": 1.0, "magnet": 0.5}), encoding="utf-8")
    path = tmp_path / "station.yaml"
    path.write_text(STATION, encoding="utf-8")

    def _left(*notes: tuple[str, bool], dies: bool = True) -> dict[str, float]:
        losses: list[str] = []
        with Guardian(load_station(path), on_loss=losses.append) as guardian:
            guardian.start()
            for role, moves in notes:
                guardian.note(role, moves)
            if dies:
                process = guardian._process
                assert process is not None
                pipe, process.stdin = process.stdin, None
                assert pipe is not None
                pipe.close()
                assert process.wait(timeout=60) == 0
        assert dies or not losses
        left: dict[str, float] = json.loads(state.read_text(encoding="utf-8"))
        return left

    return _left


@pytest.mark.parametrize(
    ("notes", "left"),
    [
        ([], {"gate": 1.0, "magnet": 0.5}),
        ([("gate", True)], {"gate": 0.0, "magnet": 0.5}),
        ([("gate", True), ("field", True), ("gate", False)], {"gate": 1.0, "magnet": 0.0}),
    ],
    ids=["none moved", "one moved", "one moved and at its end"],
)
def test_of_the_setpoints_only_those_that_the_run_has_left_somewhere_are_moved(
    left_by: Callable[..., dict[str, float]], notes: list[tuple[str, bool]], left: dict[str, float]
) -> None:
    assert left_by(*notes) == {"source": 0.0, **left}


def test_a_guardian_that_is_released_moves_nothing(left_by: Callable[..., dict[str, float]]) -> None:
    ended = (("gate", True), ("gate", False))
    assert left_by(*ended, dies=False) == {"source": 2e-3, "gate": 1.0, "magnet": 0.5}


def test_what_a_session_leaves_moved_at_its_end_the_guardian_brings_there(
    left_by: Callable[..., dict[str, float]],
) -> None:
    """As where Ctrl-C ended its own way there."""
    assert left_by(("gate", True), dies=False) == {"source": 0.0, "gate": 0.0, "magnet": 0.5}


def test_a_guardian_acts_at_once_where_the_run_failed_and_the_run_moves_nothing_more(
    left_by: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    """The session, here that of a notebook, lasts on with its lock held; then nothing is to be done at its end."""
    state, losses = tmp_path / "state.json", list[str]()
    config = load_station(tmp_path / "station.yaml")
    with Guardian(config, on_loss=losses.append) as guardian, hold([lock_name_of_station(config.path)]):
        guardian.start()
        guardian.note("gate", True)
        guardian.failed(InstrumentError("gate", "does not hold 0.", "Look at it."))
        assert json.loads(state.read_text(encoding="utf-8")) == {"source": 0.0, "gate": 0.0, "magnet": 0.5}
        with pytest.raises(
            TakenOverError, match=r"does not hold 0.*Its guardian acts in its place: the bias was 0\.002"
        ):
            guardian.permit()
        with pytest.raises(TakenOverError, match="Open a new session"):
            guardian.start()
        process = guardian._process
        state.write_text(json.dumps({"source": 1e-3, "gate": 0.5, "magnet": 0.5}), encoding="utf-8")
    assert process is not None and process.returncode == 0
    assert not losses
    assert json.loads(state.read_text(encoding="utf-8"))["source"] == 1e-3, "of what moves later it knows nothing"


def test_a_guardian_that_failed_at_once_tries_again_after_the_session(
    left_by: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    config = load_station(tmp_path / "station.yaml")
    with Guardian(config, on_loss=lambda why: None) as guardian, hold([lock_name_of_station(config.path)]):
        guardian.start()
        guardian.note("gate", True)
        state.write_text("{}", encoding="utf-8")  # nothing answers
        guardian.failed(InstrumentError("gate", "does not hold 0.", "Look at it."))
        with pytest.raises(TakenOverError, match="Its guardian acts in its place") as told:
            guardian.permit()
        assert not told.value.safe
        state.write_text(json.dumps({"source": 2e-3, "gate": 1.0, "magnet": 0.5}), encoding="utf-8")
    assert json.loads(state.read_text(encoding="utf-8")) == {"source": 0.0, "gate": 0.0, "magnet": 0.5}


def test_a_guardian_that_dies_while_it_acts_is_a_loss(left_by: Callable[..., dict[str, float]], tmp_path: Path) -> None:
    """The session waits no longer, and moves what is left by itself."""
    (tmp_path / "state.json").write_text("{}", encoding="utf-8")
    losses = list[str]()
    with Guardian(load_station(tmp_path / "station.yaml"), on_loss=losses.append) as guardian:
        guardian.start()
        guardian.note("bias", True)
        process = guardian._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        guardian.failed(InstrumentError("source", "does not answer.", "Look at it."))
        assert time.monotonic() - began < 12.0  # it waits for 15 s for one that lives
        guardian.permit()
    assert losses and "does not respond" in losses[0]


def test_a_session_that_ends_while_its_guardian_acts_in_its_place_leaves_it_no_locks(
    left_by: Callable[..., dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guardian goes on with locks of its own: what another program holds, it does not move."""
    path, state = tmp_path / "station.yaml", tmp_path / "state.json"
    path.write_text(STATION.replace("ramp_rate: 0.5", "ramp_rate: 5.0e-4"), encoding="utf-8")  # 4 s from 2 mV to 0
    monkeypatch.setattr("labnis.safety.guardian.ATTEMPT", -46.5)  # waits for 1.5 s
    config = load_station(path)
    name = lock_name_of_station(path)
    with Guardian(config, on_loss=lambda why: None) as guardian, hold([name]):
        guardian.start()
        guardian.note("bias", True)
        process = guardian._process
        guardian.failed(InstrumentError("source", "does not answer.", "Look at it."))
        with pytest.raises(TakenOverError, match="has not reached zero yet"):
            guardian.permit()
    assert process is not None
    while process.poll() is None:
        with suppress(BusyError), hold([name]):
            before = state.read_text(encoding="utf-8")
            time.sleep(0.2)
            assert state.read_text(encoding="utf-8") == before, "it moves what another program holds"
    assert json.loads(state.read_text(encoding="utf-8"))["source"] == 0.0
