"""7: storage fails and a stop is asked for: the bias is at zero before storage is touched; 6."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from labnis.storage import RunWriter, StorageError
from labnis.storage.errors import RunFileError
from sim_instruments.world import World
from tests.faults.measuring import Lab, remove_rescue_copies
from tests.run.bench import BiasLog, Commands, write_station


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_data_folder_is_gone_and_somebody_stops_the_run(lab: Lab, signum: int) -> None:
    process = lab.begin_sweep()
    shutil.rmtree(lab.data)
    process.send_signal(signum)
    said = lab.ended(process, 6)
    lab.assert_safe()
    assert str(lab.data) in said
    assert "StorageWarning(" not in said
    remove_rescue_copies(said)


@pytest.mark.parametrize("failing", [("flush", "finish"), ("flush",), ("finish",)])
def test_zero_comes_before_any_storage_and_its_failure_before_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failing: tuple[str, ...]
) -> None:
    write_station(tmp_path)
    bias = BiasLog(monkeypatch)
    seen: list[tuple[float, bool]] = []

    def failing_once_biased(original: Any) -> Any:
        def method(*arguments: Any, **keywords: Any) -> Any:
            # A flush by the clock may come before the first bias on a busy machine; it is not what is tested.
            if not bias.moved:
                return original(*arguments, **keywords)
            seen.append(bias.states[-1])
            raise RunFileError("the disk fell out")

        return method

    for name in failing:
        monkeypatch.setattr(RunWriter, name, failing_once_biased(getattr(RunWriter, name)))
    stop_at_first_bias(monkeypatch)
    answer = Commands(monkeypatch, capsys)("run IVSweep --dry-run --set points=41")
    assert answer.code == 6
    assert "the disk fell out" in answer.err
    assert bias.moved
    assert seen
    assert set(seen) == {(0.0, False)}
    assert issubclass(RunFileError, StorageError)


def stop_at_first_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGINT to this process once a voltage is on the device."""
    original = World.set_source
    sent: list[float] = []

    def stopping(world: World, **state: Any) -> None:
        original(world, **state)
        if state["output"] and state["level"] and not sent:
            sent.append(state["level"])
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(World, "set_source", stopping)
