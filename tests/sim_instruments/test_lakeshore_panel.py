"""The Lake Shore 372's front panel on the wire."""

import pytest
from bare_wire import Wire

from sim_instruments.visa import LabnisVisaLibrary


@pytest.mark.parametrize(
    ("channel", "stage"), [(1, "mixing_chamber"), (2, "still"), (3, "four_kelvin"), (4, "fifty_kelvin")]
)
def test_the_first_four_inputs_read_the_stages(twin: LabnisVisaLibrary, fridge: Wire, channel: int, stage: str) -> None:
    truth = getattr(twin.truth.fridge, f"{stage}_temperature")
    assert float(fridge.ask(f"KRDG? {channel}")) == pytest.approx(truth, rel=0.02)
    assert fridge.ask(f"RDGST? {channel}") == "000"
    assert float(fridge.ask(f"SRDG? {channel}")) > 1000


def test_a_disabled_input_reads_zero_and_says_so(fridge: Wire) -> None:
    assert float(fridge.ask("KRDG? 9")) == 0
    assert int(fridge.ask("RDGST? 9")) != 0
    fridge.send("INSET 1,0,10,3,21,1")
    assert float(fridge.ask("KRDG? 1")) == 0
    assert int(fridge.ask("RDGST? 1")) != 0


@pytest.mark.parametrize(
    ("setting", "query", "answer"),
    [
        ("SETP 0,0.05", "SETP? 0", "+0.0500"),
        ("PID 1,5,6,7", "PID? 1", "+5.0000,+6.0000,+7.0000"),
        ("OUTMODE 0,5,1,0,0,1,10", "OUTMODE? 0", "5,1,0,0,1,10"),
        ("RANGE 0,4", "RANGE? 0", "4"),
        ('INNAME 5,"magnet; top"', "INNAME? 5", '"magnet; top"'),
        ("SCAN 3,1", "SCAN?", "03,1"),
    ],
)
def test_settings_read_back(fridge: Wire, setting: str, query: str, answer: str) -> None:
    fridge.ask("*ESR?")
    fridge.send(setting)
    assert fridge.ask(query).replace('"', "") == answer.replace('"', "")
    assert fridge.ask("*ESR?") == "0"


@pytest.mark.parametrize(
    ("message", "bit"), [("KRDG? 17", 16), ("KRDG? MAX", 32), ("RANGE 0,9", 16), ("INSET 1,0", 32), ("NOPE", 32)]
)
def test_a_rejected_command_sets_its_event_bit_and_changes_nothing(fridge: Wire, message: str, bit: int) -> None:
    fridge.ask("*ESR?")
    before = [fridge.ask(query) for query in ("RANGE? 0", "INSET? 1")]
    fridge.send(message)
    assert fridge.ask("*ESR?") == str(bit)
    assert [fridge.ask(query) for query in ("RANGE? 0", "INSET? 1")] == before


def test_the_sample_heater_warms_the_mixing_chamber_and_nothing_else_does(
    twin: LabnisVisaLibrary, fridge: Wire
) -> None:
    base = twin.truth.fridge.mixing_chamber_temperature
    for setting in (
        "SETP 1,0.3",
        "RANGE 1,1",
        "OUTMODE 1,5,1,0,0,0,5",
        "SETP 0,0.2",
        "RANGE 0,6",
        "OUTMODE 0,5,2,0,0,0,5",
    ):
        fridge.send(setting)
    twin.world.clock.sleep(1000.0)
    assert twin.world.stage_temperature("mixing_chamber") == base
    fridge.send("OUTMODE 0,5,1,0,0,0,5")
    twin.world.clock.sleep(1000.0)
    assert float(fridge.ask("KRDG? 1")) == pytest.approx(0.2, rel=0.02)
    fridge.send("RANGE 0,0")
    twin.world.clock.sleep(3000.0)
    assert twin.world.stage_temperature("mixing_chamber") == pytest.approx(base, rel=0.2)


def test_the_square_of_the_temperature_relaxes_towards_that_of_the_power(twin: LabnisVisaLibrary, fridge: Wire) -> None:
    truth = twin.truth.fridge
    for setting in ("OUTMODE 0,2,1,0,0,0,5", "MOUT 0,50", "RANGE 0,6"):  # half of 10 mA in 100 ohm
        fridge.send(setting)
    warmest = truth.mixing_chamber_temperature**2 + 2.5e-3 / truth.stage_cooling
    twin.world.clock.sleep(truth.stage_time_constant)
    part = (warmest - twin.world.stage_temperature("mixing_chamber") ** 2) / (
        warmest - truth.mixing_chamber_temperature**2
    )
    assert part == pytest.approx(0.3679, rel=1e-3)
