"""Opening a station: only the requested roles, only from allowed packages, and always closed again."""

import json
import math
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from qcodes.instrument import Instrument, VisaInstrument
from qcodes.parameters import DelegateParameter

from drivers import roles
from drivers.errors import CommunicationError
from labnis.errors import BusyError, ConfigurationError
from labnis.station import OpenStation, StationConfig, SystemClock, load_station, open_station
from labnis.station.lock import hold
from labnis.station.lock_file import lock_file
from labnis.station.lock_names import lock_name_of_address, lock_name_of_serial, lock_name_of_station

from .conftest import Write
from .fakes import FakePanels, FakeSource

HERE = "drivers.fakes_for_tests"
LOCKIN_METHODS = [name for name in vars(roles.LockIn) if not name.startswith("_")]


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """Drivers in an allowed package, their opening and closing in `events`, locks in a folder of this test's own."""
    events: list[str] = []
    made: dict[str, Instrument] = {}
    serials = {"source": "1", "scope": "2", "other": "3"}

    class Fake(Instrument):
        def __init__(self, name: str, address: str, *, channel: int = 0, visalib: str | None = None) -> None:
            super().__init__(name)
            self.front = FakeSource()
            self.opened_at = (address, visalib)
            self.add_parameter("channel", get_cmd=lambda: channel)
            self.add_parameter("overflow", get_cmd=lambda: float("nan"))
            events.append(f"open {name}")
            made[name] = self
            self.connect_message()

        def get_idn(self) -> dict[str, str | None]:
            return {"vendor": "labnis", "model": "fake", "serial": serials[self.name], "firmware": "1"}

        def close(self) -> None:
            if hasattr(self, "front"):
                events.append(f"close {self.name}")
            super().close()

    class Source(Fake):
        def __getattr__(self, name: str) -> object:
            if name in {"prepare", "output_on", "output_off", "output_enabled", "set_level", "level", "read"}:
                return getattr(self.front, name)
            return super().__getattr__(name)

    class LockIn(Fake): ...

    for method in LOCKIN_METHODS:
        setattr(LockIn, method, lambda self, *given, **options: None)

    class Useless(Fake):
        def read(self) -> None: ...

    class Failing(Fake):
        def __init__(self, name: str, address: str, **options: object) -> None:
            super().__init__(name, address)
            raise CommunicationError(name, "no answer to *IDN?.")

    class Broken(Fake):
        def __init__(self, name: str, address: str, **options: object) -> None:
            super().__init__(name, address)
            raise RuntimeError("firmware too old")

    class Aliased(Fake):
        def __init__(self, name: str, address: str, **options: object) -> None:
            super().__init__(name, address)
            for parameter in ("volt", "out", "curr"):
                self.add_parameter(parameter, get_cmd=lambda: 0.0, set_cmd=lambda value: None)
            self.other = self.volt
            self.add_parameter("delegate", DelegateParameter, source=self.volt)

    class Deaf(Instrument):
        def __init__(self, name: str, address: str) -> None:
            super().__init__(name)

        def ask_raw(self, cmd: str) -> str:
            raise TimeoutError(cmd)

    class Visa(VisaInstrument): ...

    module = ModuleType(HERE)
    for kind in (Source, LockIn, Useless, Failing, Broken, Aliased, Deaf, Visa):
        kind.__module__ = HERE
        setattr(module, kind.__name__, kind)
    module.Path = Path  # type: ignore[attr-defined]  # what the module itself imported
    monkeypatch.setitem(sys.modules, HERE, module)
    monkeypatch.setattr("labnis.station.lock.shared_folder", lambda: tmp_path)
    yield SimpleNamespace(events=events, made=made, serials=serials)
    assert not [name for name in Instrument._all_instruments if name in {"source", "scope"}], "names were not freed"


@contextmanager
def opened(config: StationConfig, roles: Sequence[str], **twin: Any) -> Iterator[OpenStation]:
    simulated = FakePanels(**twin) if twin else None
    with open_station(config, twin=simulated) as station:
        station.open(roles)
        yield station


def test_only_the_required_roles_are_opened_and_closed_in_reverse(write: Write, fakes: SimpleNamespace) -> None:
    config = load_station(write())
    with opened(config, ["bias"]) as station:
        assert station.roles.get("lockin") is None
    assert fakes.events == ["open source", "close source"]
    fakes.events.clear()
    with opened(config, ["lockin"]) as station:
        assert station.roles.lockin.name == "scope"
        assert station.source.name == "source"
        assert station.roles.bias is station.bias
        assert isinstance(station.clock, SystemClock)
        assert station.roles.wiring == config.wiring
    assert fakes.events == ["open source", "open scope", "close scope", "close source"]


def test_the_lockin_is_opened_where_the_current_is_read_through_it(write: Write, fakes: SimpleNamespace) -> None:
    path = write(("lockin: scope", "current: {instrument: scope, channel: aux1, amplifier: preamp}"))
    sys.modules[HERE].LockIn.read_auxiliary = lambda self, channel: 2.0 if channel == 1 else float("nan")
    with opened(load_station(path), ["bias"]) as station:
        assert "open scope" in fakes.events
        assert station.roles.current.read() == pytest.approx(2.0e-7)


def test_opening_prints_nothing(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(load_station(write()), ["lockin"]):
        pass
    assert capsys.readouterr().out == ""


def test_the_snapshot_is_fresh_and_strict_json(write: Write) -> None:
    with opened(load_station(write()), ["lockin"]) as station:
        snapshot = station.snapshot()
    json.dumps(snapshot, allow_nan=False)
    parameters = snapshot["instruments"]["scope"]["parameters"]
    assert parameters["channel"]["value"] == 1
    assert parameters["overflow"]["value"] == "NaN"
    assert snapshot["instruments"]["source"]["parameters"]["IDN"]["value"]["vendor"] == "labnis"


@pytest.mark.parametrize("failure", [ZeroDivisionError, KeyboardInterrupt])
def test_a_failed_run_is_ramped_to_zero_before_anything_is_closed(
    write: Write, fakes: SimpleNamespace, failure: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeSource().clock
    monkeypatch.setattr("labnis.station.opening.SystemClock", lambda alive: clock)
    with pytest.raises(failure), opened(load_station(write()), ["bias"]) as station:
        station.bias.prepare(6e-3, 1e-6, 0.02)
        station.bias.move_to(2e-3)
        front = fakes.made["source"].front
        raise failure
    assert front.value == 0.0
    assert not front.output
    assert fakes.events == ["open source", "close source"]


def test_a_station_that_was_only_looked_at_is_not_touched(write: Write, fakes: SimpleNamespace) -> None:
    with opened(load_station(write()), ["bias"]):
        front = fakes.made["source"].front
    assert front.calls == []


# --- dry runs --------------------------------------------------------------------------------------------------------


def test_a_dry_run_swaps_address_and_library_and_nothing_else(write: Write, fakes: SimpleNamespace) -> None:
    config = load_station(write())
    twin = {"source": "GPIB0::1::INSTR", "scope": "GPIB0::2::INSTR"}
    with opened(config, ["lockin"], visalib="@sim", addresses=twin) as station:
        assert fakes.made["source"].opened_at == ("GPIB0::1::INSTR", "@sim")
        assert fakes.made["scope"].channel() == 1
        assert station.config is config


def test_a_twin_that_cannot_be_opened_is_named(write: Write, fakes: SimpleNamespace) -> None:
    config = load_station(write())
    twin = {"source": "GPIB0::1::INSTR"}
    with (
        pytest.raises(ConfigurationError, match=r"nowhere\.yaml@sim"),
        opened(config, ["bias"], visalib="nowhere.yaml@sim", addresses=twin),
    ):
        pass
    assert fakes.events == []


def test_a_dry_run_never_falls_back_to_a_real_address(write: Write, fakes: SimpleNamespace) -> None:
    config = load_station(write())
    with (
        pytest.raises(ConfigurationError, match="scope"),
        opened(config, ["lockin"], visalib="@sim", addresses={"source": "GPIB0::1::INSTR"}),
    ):
        pass
    assert fakes.events == []


# --- locks -----------------------------------------------------------------------------------------------------------


def test_a_second_opening_is_busy_before_anything_is_opened(write: Write, fakes: SimpleNamespace) -> None:
    config = load_station(write())
    with opened(config, ["bias"]):
        fakes.events.clear()
        with pytest.raises(BusyError, match="in use by process"), opened(config, ["lockin"]):
            pass
        assert fakes.events == []


def test_an_address_in_use_by_another_station_is_busy(write: Write, fakes: SimpleNamespace, tmp_path: Path) -> None:
    config = load_station(write())
    with (
        hold([lock_name_of_address("fake0::1")], tmp_path),
        pytest.raises(BusyError, match="FAKE0::1"),
        opened(config, ["bias"]),
    ):
        pass
    assert fakes.events == []


def test_an_instrument_that_another_station_uses_by_another_address_is_busy(
    write: Write, fakes: SimpleNamespace, tmp_path: Path
) -> None:
    serial = lock_name_of_serial({"vendor": "labnis", "model": "fake", "serial": "1"})
    assert serial is not None
    config = load_station(write())
    with hold([serial], tmp_path), pytest.raises(BusyError, match="serial number 1"), opened(config, ["bias"]):
        pass
    assert fakes.events == ["open source", "close source"]


def test_one_instrument_by_two_addresses_is_refused_with_both_names(write: Write, fakes: SimpleNamespace) -> None:
    fakes.serials["scope"] = fakes.serials["source"]
    words = r"line 7: instruments.scope.address: scope \(FAKE0::2\) and source \(FAKE0::1\) are one instrument"
    with pytest.raises(ConfigurationError, match=words), opened(load_station(write()), ["lockin"]):
        pass
    assert fakes.events == ["open source", "open scope", "close scope", "close source"]
    with opened(load_station(write(("FAKE0::2", "fake0::1"))), ["lockin"]):  # two parts of one instrument
        pass


@pytest.mark.parametrize("timeout", [31_000.0, math.inf])
def test_a_class_that_waits_too_long_for_an_answer_is_refused(
    write: Write, fakes: SimpleNamespace, timeout: float
) -> None:
    sys.modules[HERE].LockIn.visa_handle = SimpleNamespace(timeout=timeout)
    words = rf"line 6: instruments.scope.type: its VISA timeout is {timeout / 1e3:g} s; allowed are .* up to 30 s"
    with pytest.raises(ConfigurationError, match=words), opened(load_station(write()), ["lockin"]):
        pass
    assert fakes.events == ["open source", "open scope", "close scope", "close source"]


def test_a_station_says_which_of_its_locks_is_lost(write: Write, tmp_path: Path) -> None:
    names = [
        lock_name_of_station(tmp_path / "station.yaml"),
        lock_name_of_address("FAKE0::1"),
        lock_name_of_serial({"vendor": "labnis", "model": "fake", "serial": "1"}) or "",
    ]
    for name in names:
        with opened(load_station(write()), ["bias"]) as station:
            assert station.lost_lock() == ""
            lock_file(name, tmp_path).unlink()
            assert f"of {name} was removed" in station.lost_lock()


# --- what cannot be opened -------------------------------------------------------------------------------------------


def test_a_role_that_is_not_filled_is_named(write: Write) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"line 11: labnis\.roles\.vna: missing"),
        opened(load_station(write()), ["vna"]),
    ):
        pass


def test_a_role_of_a_labs_own_that_is_not_filled_is_named(write: Write) -> None:
    with pytest.raises(ConfigurationError, match="magnet: missing"), opened(load_station(write()), ["magnet"]):
        pass


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("drivers.fakes_for_tests.Failing", ["line 7", "scope.address", "unreachable", "FAKE0::2", "no answer"]),
        (
            "drivers.fakes_for_tests.Broken",
            ["line 6", "fakes_for_tests.Broken cannot", "RuntimeError: firmware too old"],
        ),
        ("drivers.fakes_for_tests.Deaf", ["line 6", "TypeError", "channel", "init"]),
        ("drivers.fakes_for_tests.Useless", ["labnis.roles.lockin", "lacks", "settling_time()", "read_auxiliary()"]),
        ("drivers.fakes_for_tests.Missing", ["line 6", "has no class Missing; it has Source, LockIn, Useless"]),
        ("drivers.fakes_for_tests.Path", ["line 6", "not an instrument class"]),
        ("drivers.nowhere_to_be_found.Thing", ["line 6", "cannot be imported"]),
    ],
)
def test_what_cannot_play_its_role_is_named_and_the_others_are_closed(
    write: Write, fakes: SimpleNamespace, kind: str, words: list[str]
) -> None:
    config = load_station(write(("drivers.fakes_for_tests.LockIn", kind)))
    with pytest.raises(ConfigurationError) as caught, opened(config, ["lockin"]):
        pass
    assert [word for word in words if word not in str(caught.value)] == []
    assert fakes.events[-1] == "close source"
    with opened(config, ["bias"]):  # nothing stands in the way of the next attempt
        pass


@pytest.mark.parametrize("name", ["other", "delegate"])
def test_a_setpoint_never_moves_the_level_of_the_bias_by_another_name(write: Write, name: str) -> None:
    path = write(
        ("drivers.fakes_for_tests.Source", f"{HERE}.Aliased"),
        ("bias: source", "bias: {instrument: source, level: volt, output: out, current: curr}"),
        ("lockin: scope", f"gate: {{instrument: source, kind: setpoint, parameter: {name}, maximum: 1.0, rate: 1.0}}"),
    )
    with (
        pytest.raises(ConfigurationError, match=r"line 13: labnis\.roles\.gate: moves, by another name, .* role bias"),
        opened(load_station(path), ["gate"]),
    ):
        pass


def test_an_instrument_that_does_not_answer_idn_is_unreachable(write: Write) -> None:
    path = write(("drivers.fakes_for_tests.LockIn", f"{HERE}.Deaf"), ("\n    init:\n      channel: 1", ""))
    with (
        pytest.raises(ConfigurationError, match=r"does not answer \*IDN\?"),
        opened(load_station(path), ["lockin"]),
    ):
        pass


def test_an_address_without_an_instrument_is_unreachable(write: Write) -> None:
    path = write(
        ("drivers.fakes_for_tests.Source", f"{HERE}.Visa"),
        ("FAKE0::1", "TCPIP0::127.0.0.1::1::SOCKET"),
        ("  twin:", '  visalib: "@py"\n  twin:'),
    )
    with (
        pytest.raises(ConfigurationError, match=r"line 4.*unreachable: source at TCPIP0::127\.0\.0\.1::1::SOCKET"),
        opened(load_station(path), ["bias"]),
    ):
        pass


def test_a_name_in_use_elsewhere_in_the_process_is_left_alone(write: Write, fakes: SimpleNamespace) -> None:
    other = sys.modules[HERE].LockIn("source", "FAKE0::9")
    with (
        pytest.raises(ConfigurationError, match="already open in this process"),
        opened(load_station(write()), ["bias"]),
    ):
        pass
    assert "close source" not in fakes.events
    other.close()


def test_of_two_sessions_that_open_one_name_at_once_the_second_leaves_the_first_alone(
    write: Write, fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write()
    other = path.with_name("other.yaml")
    other.write_text(path.read_text(encoding="utf-8").replace("FAKE0", "FAKE1"), encoding="utf-8")
    refused: list[str] = []
    threads: list[threading.Thread] = []
    source = sys.modules[HERE].Source
    identity = source.get_idn

    def second() -> None:
        try:
            with opened(load_station(other), ["bias"]):
                pass
        except ConfigurationError as error:
            refused.append(str(error))

    def slow(self: Any) -> Any:
        if not threads:  # the first is not open yet
            threads.append(threading.Thread(target=second))
            threads[0].start()
            threads[0].join(0.2)
        return identity(self)

    monkeypatch.setattr(source, "get_idn", slow)
    with opened(load_station(path), ["bias"]):
        threads[0].join()
        assert "close source" not in fakes.events
    assert "already open in this process" in refused[0]


def test_pyvisa_looks_for_a_visa_library_once_and_not_for_each_instrument(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYVISA_LIBRARY", raising=False)
    with opened(load_station(write()), ["bias"]):
        pass
    monkeypatch.setattr(os, "popen", lambda command: pytest.fail(f"PyVISA runs {command}"))
    with opened(load_station(write()), ["bias"]):
        pass


def test_a_visa_library_that_is_not_there_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYVISA_LIBRARY", "@nonexistent")
    with (
        pytest.raises(ConfigurationError, match=r"'@nonexistent'.*labnis\.visalib"),
        opened(load_station(write()), ["bias"]),
    ):
        pass
