"""A lab's own packages beside the station file, and nothing else from there."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labnis.errors import ConfigurationError
from labnis.station import check_station, import_object, load_station

from .conftest import Write

DRIVER = """
from qcodes.instrument import Instrument
class Gate(Instrument):
    def __init__(self, name, address):
        super().__init__(name)
        self.add_parameter("voltage", get_cmd=None, set_cmd=None)
"""


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    assert sys.path == path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] == "ourlab":
            del sys.modules[name]


def station(write: Write, *files: tuple[str, str], name: str = "ourlab") -> Path:
    path = write(
        ("  twin:", f"  packages: [{name}]\n  twin:"),
        ("drivers.fakes_for_tests.LockIn", "ourlab.gates.Gate"),
        ("    init:\n      channel: 1\n", ""),
        ("lockin: scope", "gate: {instrument: scope, kind: setpoint, parameter: voltage, maximum: 1.0, rate: 1.0}"),
        ("drivers.fakes_for_tests.Source", "drivers.keithley_2450.Keithley2450"),
        ("address: FAKE0::1", "address: GPIB0::1::INSTR"),
    )
    folder = path.parent / name
    folder.mkdir(exist_ok=True)
    for file, text in (("__init__.py", ""), *files):
        (folder / file).write_text(text, encoding="utf-8")
    return path


def test_what_is_listed_is_imported_and_its_neighbours_are_not(write: Write) -> None:
    path = station(write, ("gates.py", DRIVER), ("near.py", "VALUE = 3\n"))
    (path.parent / "h5netcdf.py").write_text("raise SystemExit('executed')\n", encoding="utf-8")
    check_station(load_station(path))
    assert import_object("ourlab.near.VALUE") == 3
    assert str(path.parent) not in sys.path
    with pytest.raises(ConfigurationError, match="otherlab"):
        import_object("otherlab.gates.Gate")


def test_loading_the_station_file_imports_nothing(write: Write) -> None:
    load_station(station(write, ("gates.py", "raise SystemExit('executed')\n")))
    assert "ourlab" not in sys.modules


def test_two_stations_each_get_their_own_package(write: Write, tmp_path: Path) -> None:
    load_station(station(write, ("near.py", "VALUE = 1\n")))
    assert import_object("ourlab.near.VALUE") == 1
    other = tmp_path / "other"
    (other / "ourlab").mkdir(parents=True)
    (other / "ourlab" / "__init__.py").write_text("", encoding="utf-8")
    (other / "ourlab" / "near.py").write_text("VALUE = 2\n", encoding="utf-8")
    (other / "station.yaml").write_text((tmp_path / "station.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    load_station(other / "station.yaml")
    assert import_object("ourlab.near.VALUE") == 2
    load_station(tmp_path / "station.yaml")
    assert import_object("ourlab.near.VALUE") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def broken(:\n    pass\n", ["gates.py, line 1:", "invalid syntax"]),
        ("\nimport nowhere_to_be_found\n", ["gates.py, line 2:", "nowhere_to_be_found"]),
        ("x = 1\ny = x / 0\n", ["gates.py, line 2:", "ZeroDivisionError"]),
        ("from math import nothing\n", ["gates.py, line 1:", "nothing"]),
        ("Gate = 3\n", ["not an instrument class"]),
        ("x = 1\n", ["has no class Gate"]),
        ("from pathlib import Path as Gate\n", ["not an instrument class"]),
    ],
)
def test_an_error_in_a_labs_file_is_one_message_with_file_and_line(write: Write, text: str, words: list[str]) -> None:
    config = load_station(station(write, ("gates.py", text)))
    with pytest.raises(ConfigurationError) as caught:
        check_station(config)
    message = str(caught.value)
    assert message.startswith(f"{config.path}, line 6: instruments.scope.type: ")
    assert [word for word in words if word not in message] == []
    assert "\n" not in message


@pytest.mark.parametrize("name", ["numpy", "json", "drivers", "procedures", "labnis", "sys"])
def test_no_other_package_can_be_hidden_by_a_labs_own(write: Write, name: str) -> None:
    path = write(("  twin:", f"  packages: [{name}]\n  twin:"))
    (path.parent / name).mkdir()
    (path.parent / name / "__init__.py").write_text("raise SystemExit('executed')\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"packages.*{name}"):
        load_station(path)


def test_the_stations_folder_may_also_be_the_working_folder(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = station(write, ("gates.py", DRIVER))
    monkeypatch.chdir(path.parent)
    monkeypatch.syspath_prepend("")
    check_station(load_station(path))
    monkeypatch.undo()


def test_a_class_that_cannot_play_its_role_is_found_without_opening(write: Write) -> None:
    path = station(write, ("gates.py", DRIVER))
    text = path.read_text(encoding="utf-8").replace(
        "{instrument: scope, kind: setpoint, parameter: voltage, maximum: 1.0",
        "{instrument: scope, kind: setpoint, maximum: 1.0",
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"line 11: labnis\.roles\.gate.*lacks set_level\(\), level\(\)"):
        check_station(load_station(path))
