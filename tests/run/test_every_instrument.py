"""Every instrument of `drivers` in a station that calibrates the device: the stations in `combinations`.

In process at the twin, and, with what it serves, over TCP at a twin that `labnis twin serve` serves.
"""

import importlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from ruamel.yaml import YAML

from drivers.models import MODELS
from labnis.station import load_station
from sim_instruments.panels import PANELS
from tests.cli.test_served_twin import serving
from tests.run.bench import RESULTS, Commands, command, write_station
from tests.test_house_rules import DRIVERS, instruments_of

COMBINATIONS = {path.stem: path for path in sorted(Path(__file__).with_name("combinations").glob("*.yaml"))}
POWER = ("gain", "noise_temperature")
WITHOUT_ANALYZER = {"gs200_sr830", "keithley_2600b_smub"}
IN_PROCESS = {"IVSweep.points": 41, "ReflectionVsBias.points": 6, "EmittedPowerVsBias.points": 6}
IN_REAL_TIME = {
    "IVSweep.points": 31,
    "IVSweep.settling_time": "10ms",
    "ReflectionVsBias.points": 6,
    "ReflectionVsBias.averages": 1,
    # The level of so few short spectra scatters by chance, which is a warning more often with fewer of them.
    "EmittedPowerVsBias.points": 12,
    "EmittedPowerVsBias.averages": 1,
    "EmittedPowerVsBias.sweep_time": "0.1s",
}
WITHIN = 4.0
#: Computers of a fridge, which are asked by HTTP what they are.
WEB = {"drivers.bluefors_control.BlueforsControl", "drivers.bluefors_controller.BlueforsController"}

Results = dict[str, dict[str, Any]]


def instrument_types() -> set[str]:
    """Types of all instruments in `drivers`, as in a station file."""
    return {f"drivers.{module}.{kind.__name__}" for module in DRIVERS for kind in instruments_of(module)}


def expected_results(combination: str) -> list[str]:
    return [name for name in RESULTS if combination not in WITHOUT_ANALYZER or name not in POWER]


def with_settings(arguments: str, settings: dict[str, Any]) -> str:
    return arguments + "".join([f" --set {name}={value}" for name, value in settings.items()])


@pytest.fixture
def calibrated(labnis: Commands, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str], Results]:
    """Combination → results of its calibration in process; all workers of pytest-xdist share one run of each."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "combinations"

    def results_of(combination: str) -> Results:
        file = write_station(folder / combination, COMBINATIONS[combination].read_text(encoding="utf-8"))
        record = file.with_name("results.json")
        with FileLock(record.with_suffix(".lock")):
            if not record.exists():
                arguments = f"calibrate --dry-run --json --seed 1 --station '{file}' --data '{file.parent / 'data'}'"
                answer = labnis(with_settings(arguments, IN_PROCESS))
                assert answer.code == 0, answer.err
                record.write_text(json.dumps(json.loads(answer.out)["results"]), encoding="utf-8")
        found: Results = json.loads(record.read_text(encoding="utf-8"))
        return found

    return results_of


def test_every_instrument_is_in_a_combination() -> None:
    used = {entry["type"] for path in COMBINATIONS.values() for entry in load_station(path).instruments.values()}
    assert used == instrument_types()


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_combination_is_calibrated_as_far_as_its_roles_allow(
    combination: str, calibrated: Callable[[str], Results]
) -> None:
    results = calibrated(combination)
    assert list(results) == expected_results(combination)
    assert {name: one["warnings"] for name, one in results.items() if one["warnings"]} == {}
    off = {name: (one["value"] - one["truth"]) / one["sigma"] for name, one in results.items()}
    assert {name: pull for name, pull in off.items() if not abs(pull) < WITHIN} == {}


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_role_of_a_combination_is_read(combination: str, labnis: Commands, tmp_path: Path) -> None:
    file = write_station(tmp_path / combination, COMBINATIONS[combination].read_text(encoding="utf-8"))
    answer = labnis(f"check --dry-run --open --json --station '{file}'")
    assert answer.code == 0, answer.err
    readings = {one["role"]: one for one in json.loads(answer.out)["readings"]}
    assert set(readings) == set(load_station(file).roles)
    assert {role: one["problem"] for role, one in readings.items() if one["problem"]} == {}
    if "fridge" in readings:
        assert readings["fridge"]["value"] == pytest.approx(0.010, rel=0.05)
    if "still" in readings:
        assert readings["still"]["value"] == pytest.approx(0.85, rel=0.05)


def test_all_combinations_have_the_same_results(calibrated: Callable[[str], Results]) -> None:
    found = {combination: calibrated(combination) for combination in COMBINATIONS}
    disagreeing = [
        (name, one, other)
        for one, other in itertools.combinations(found, 2)
        for name in found[one].keys() & found[other].keys()
        if not agree(found[one][name], found[other][name])
    ]
    assert disagreeing == []


def agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return abs(one["value"] - other["value"]) < WITHIN * np.hypot(one["sigma"], other["sigma"])


def at_addresses(text: str, addresses: dict[str, str]) -> dict[str, Any]:
    """The station file with these addresses, without the instruments that have none, and the roles that they fill."""
    station: dict[str, Any] = YAML(typ="safe").load(text)
    station["instruments"] = {
        name: entry | {"address": addresses[name]}
        for name, entry in station["instruments"].items()
        if name in addresses
    }
    ours = station["labnis"]
    ours["roles"] = {
        role: spec
        for role, spec in ours["roles"].items()
        if (spec if isinstance(spec, str) else spec["instrument"]) in addresses
    }
    ours["visalib"] = "@py"
    return station


@pytest.mark.faults
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_combination_has_the_same_results_over_tcp(
    combination: str, calibrated: Callable[[str], Results], tmp_path: Path
) -> None:
    here = calibrated(combination)
    text = COMBINATIONS[combination].read_text(encoding="utf-8")
    file = write_station(tmp_path / "served", text)
    with serving(file.parent, "--station", file.name, "--log", "commands.jsonl") as addresses:
        served = [name for name, entry in load_station(file).instruments.items() if is_served(entry["type"])]
        assert sorted(addresses) == sorted(served)
        discovered = command(f"discover --visalib @py --json {' '.join(addresses.values())}", file.parent)
        types = {one["address"]: one["type"] for one in json.loads(discovered.out)["instruments"]}
        known = {name: types[address] for name, address in addresses.items() if types[address] is not None}
        expected = {name: load_station(file).instruments[name]["type"] for name in addresses}
        assert known == {name: kind for name, kind in expected.items() if kind in {*MODELS.values(), *WEB}}
        with file.open("w", encoding="utf-8") as opened:
            YAML(typ="safe").dump(at_addresses(text, addresses), opened)
        assert command("cooldown start first", file.parent).code == 0
        checked = command("check --open --json", file.parent)
        assert checked.code == 0, checked.err
        assert [one["problem"] for one in json.loads(checked.out)["readings"] if one["problem"]] == []
        answer = command(with_settings("calibrate --yes --json", IN_REAL_TIME), file.parent)
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert report["simulated"] is True
    assert list(report["results"]) == expected_results(combination)
    differing = [name for name, one in report["results"].items() if not agree(one, here[name])]
    assert differing == []


def is_served(kind: str) -> bool:
    module, _, name = kind.rpartition(".")
    bases = {base.__name__ for base in getattr(importlib.import_module(module), name).__mro__}
    return kind in WEB or not bases.isdisjoint(PANELS)
