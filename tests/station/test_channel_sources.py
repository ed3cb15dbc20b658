"""Sources with several channels fill the role of the bias with one of them, named by `channel` in the station file."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from qcodes_contrib_drivers.drivers.StanfordResearchSystems import SIM928 as UPSTREAM

from drivers.roles import BiasSource
from labnis.errors import ConfigurationError
from labnis.station import check_station, load_station, open_station
from labnis.station.role_check import filling_channels
from labnis.station.simulated import simulated_instruments
from sim_instruments import SHIPPED_TRUTH, open_twin

STATION = """
instruments:
  source: {{type: {type}, address: "{address}"{init}}}
  dmm: {{type: qcodes.instrument_drivers.Keysight.Keysight34465A, address: "TCPIP0::192.168.10.30::inst0::INSTR"}}
labnis:
  roles:
    bias: {{instrument: source{channel}}}
    gate: {{instrument: source, kind: setpoint, parameter: {gate}, minimum: -1, maximum: 2.0, rate: 0.5}}
    current: {{instrument: dmm, parameter: volt, amplifier: basel}}
  wiring:
    divider: 1000.0
    series_resistance: 2000.0
    amplifiers: {{basel: {{gain: 1.0e+7}}}}
  limits: {{maximum_bias: 2.0e-3, maximum_step: 0.1e-3, ramp_rate: 5.0e-3, compliance: 5.0e-6}}
"""
SOURCES = {
    "qdac": {
        "type": "drivers.qdac2.QDac2",
        "address": "TCPIP0::192.168.8.17::5025::SOCKET",
        "init": ", init: {output_filter: high}",
        "channel": ", channel: ch05",
        "gate": "ch06.dc_constant_V",
    },
    "sim928": {
        "type": "drivers.sim928.SIM928",
        "address": "GPIB0::2::INSTR",
        "init": "",
        "channel": ", channel: port3",
        "gate": "volt_5",
    },
    "b2900": {
        "type": "drivers.keysight_b29xx.KeysightB29xx",
        "address": "USB0::0x0957::0x8E18::MY51140001::0::INSTR",
        "init": "",
        "channel": "",
        "gate": "",
    },
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_channel_is_the_bias(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = STATION.format(**SOURCES[kind])
    if not SOURCES[kind]["gate"]:
        text = "\n".join([line for line in text.splitlines() if "gate:" not in line])
    path = tmp_path / "station.yaml"
    path.write_text(text, encoding="utf-8")
    config = load_station(path)
    simulated = {"wiring": config.wiring_record(), "instruments": simulated_instruments(config)}
    with open_twin(SHIPPED_TRUTH, seed=1, **simulated) as twin:
        monkeypatch.setattr(UPSTREAM.time, "sleep", twin.clock.sleep)
        assert "source" not in twin.stand_ins
        with open_station(config, twin=twin) as station:
            station.open(["bias", "current"] + ["gate"] * (SOURCES[kind]["gate"] != ""))
            station.bias.prepare(0.5e-3, 1e-6, 0.02)
            for bias in (0.2e-3, -0.3335e-3, 0.4e-3):  # the second is between two steps of the SIM928
                station.bias.move_to(bias)
                reading = station.bias.read()
                assert reading.bias == pytest.approx(bias, abs=0.6e-6)
                assert np.isfinite(reading.current)
            for setpoint in station.setpoints.values():
                setpoint.move_to(0.5)
                assert setpoint.read() == pytest.approx(0.5, abs=1e-5)
            station.make_safe()
            assert station.source.level() == 0.0
            assert not station.source.output_enabled()
            assert all(setpoint.read() == pytest.approx(0.0, abs=1e-5) for setpoint in station.setpoints.values())


HOLDERS = {
    "drivers.keithley_2600b.Keithley2600B": "`channel: smua` or `smub`",
    "drivers.qdac2.QDac2": "`channel: ch01` to `ch24`",
    "drivers.sim928.SIM928": "`channel: port1` to `port9`",
}
ONE_SOURCE = """
instruments:
  source: {{type: {type}, address: "GPIB0::2::INSTR"}}
  dmm: {{type: drivers.keysight_34465a.Keysight34465A, address: "TCPIP0::192.168.10.30::inst0::INSTR"}}
labnis:
  roles:
    bias: {bias}
    current: {{instrument: dmm, amplifier: basel}}
  wiring: {{amplifiers: {{basel: {{gain: 1.0e+7}}}}}}
  limits: {{maximum_bias: 2.0e-3, maximum_step: 0.1e-3, ramp_rate: 5.0e-3, compliance: 5.0e-6}}
"""


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_role_without_its_channel_is_told_the_channels(holder: str, tmp_path: Path) -> None:
    path = tmp_path / "station.yaml"
    path.write_text(ONE_SOURCE.format(type=holder, bias="source"), encoding="utf-8")
    kind = holder.rpartition(".")[2]
    with pytest.raises(ConfigurationError) as refused:
        check_station(load_station(path))
    told = f"source is a {kind}, whose channels play this role; name one of them: {HOLDERS[holder]}"
    assert str(refused.value).endswith(f"labnis.roles.bias: {told}")


def test_every_driver_with_channels_declares_them() -> None:
    found = {}
    for file in sorted((Path(__file__).parents[2] / "drivers").glob("*.py")):
        module = importlib.import_module(f"drivers.{file.stem}")
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__ and vars(kind).get("__init__")
            if own and "add_submodule" in own.__code__.co_names:
                found[f"{kind.__module__}.{kind.__name__}"] = filling_channels(kind, BiasSource)
    assert found.keys() == HOLDERS.keys()
    assert all(found.values()), found


def test_a_class_of_qcodes_with_channels_is_told_as_such(tmp_path: Path) -> None:
    path, kind = tmp_path / "station.yaml", "qcodes.instrument_drivers.Keithley.Keithley2602B"
    path.write_text(ONE_SOURCE.format(type=kind, bias="source"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"name its channel \(channel: …\) and the parameters \(level: …, "):
        check_station(load_station(path))
    path.write_text(ONE_SOURCE.format(type=kind, bias="{instrument: source, level: volt, output: output}"))
    config = load_station(path)
    simulated = {"wiring": config.wiring_record(), "instruments": simulated_instruments(config)}
    with (
        open_twin(SHIPPED_TRUTH, seed=1, **simulated) as twin,
        open_station(config, twin=twin) as station,
        pytest.raises(
            ConfigurationError,
            match=r"has no volt, but its channels have; name one of them: `channel: smua` or `smub`$",
        ),
    ):
        station.open(["bias"])


def test_a_bias_without_its_channel_beside_another_role_of_its_instrument_is_told(tmp_path: Path) -> None:
    path = tmp_path / "station.yaml"
    path.write_text(STATION.format(**SOURCES["qdac"] | {"channel": ""}), encoding="utf-8")
    with pytest.raises(
        ConfigurationError,
        match=r"labnis\.roles\.gate: uses ch06\.dc_constant_V of source, as the role bias .*; bias names no channel$",
    ):
        load_station(path)
