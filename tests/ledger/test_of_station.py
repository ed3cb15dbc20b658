"""Which stations share a current cooldown."""

from pathlib import Path

import pytest

from labnis.errors import ConfigurationError
from labnis.ledger.of_station import ledger_of, own_ledger_of
from labnis.station import StationConfig, load_station
from tests.run.bench import STATION_TEXT, changed, write_station

DEVICE = "  device: {name: nis_device, island: {volume: 1.0e-18, electron_phonon: 2.0e+9}}"


def station(folder: Path, device: str = "", ledger: str = "") -> StationConfig:
    text = changed(STATION_TEXT, DEVICE, f"  device: {device}" if device else "")
    return load_station(write_station(folder, changed(text, "  data: data", f"  data: ../data\n{ledger}")))


def test_stations_without_a_device_do_not_share_the_cooldown_of_a_data_folder(tmp_path: Path) -> None:
    first, second = station(tmp_path / "a"), station(tmp_path / "b")
    started = own_ledger_of(first, None).start_cooldown("CD12")
    with pytest.raises(
        ConfigurationError, match=r"b/station\.yaml.*labnis\.device: missing; .*'\.\./a/station\.yaml'.*A7"
    ):
        own_ledger_of(second, None)
    assert own_ledger_of(station(tmp_path / "a"), None).current_cooldown() == started
    assert ledger_of(second, None).cooldowns() == [started]  # lists have all
    assert own_ledger_of(station(tmp_path / "b", "B2"), None).current_cooldown() is None


def test_a_station_that_moves_together_with_its_data_keeps_its_cooldown(tmp_path: Path) -> None:
    started = own_ledger_of(station(tmp_path / "old" / "a"), None).start_cooldown("CD12")
    (tmp_path / "old").rename(tmp_path / "new")
    assert own_ledger_of(load_station(tmp_path / "new" / "a" / "station.yaml"), None).current_cooldown() == started


def test_a_ledger_that_the_station_file_names_needs_the_device(tmp_path: Path) -> None:
    ledger = f"  ledger: sqlite:///{tmp_path}/book.db"
    with pytest.raises(ConfigurationError, match=r"labnis\.device: missing; a ledger that stations can share"):
        ledger_of(station(tmp_path / "a", ledger=ledger), None)
    assert own_ledger_of(station(tmp_path / "b", "B2", ledger), None).device == "B2"
