"""The SR830's front panel on the wire: its own grammar, filter, converter and status bytes."""

import math

import numpy as np
import pytest
from bare_wire import Wire

from sim_instruments.visa import LabnisVisaLibrary
from sim_instruments.world import OutputFilter


@pytest.mark.parametrize("query", ["SLVL?", "slvl ?", "SLVL?;", " SLVL ? "])
def test_spaces_case_and_trailing_semicolons_do_not_matter(lockin: Wire, query: str) -> None:
    lockin.send("SLVL0.100;")
    assert lockin.ask(query) == "0.1"


@pytest.mark.parametrize(
    ("message", "bit"),
    [("FOO", 5), ("OUTP?9", 4), ("SENS 27", 4), ("SLVL 0.001", 4), ("SLVL one", 5), ("AUXV 1,11", 4)],
)
def test_a_rejected_command_sets_its_event_bit_and_changes_nothing(lockin: Wire, message: str, bit: int) -> None:
    lockin.ask("*ESR?")
    before = [lockin.ask(query) for query in ("SENS?", "SLVL?", "AUXV?1")]
    lockin.send(message)
    assert lockin.ask(f"*ESR?{bit}") == "1"
    assert lockin.ask("*ESR?") == "0"
    assert [lockin.ask(query) for query in ("SENS?", "SLVL?", "AUXV?1")] == before


def test_each_query_of_a_line_answers_with_a_message_of_its_own(lockin: Wire) -> None:
    lockin.send("SENS?;OFLT?")
    assert lockin.resource.read().strip() == "26"
    assert lockin.resource.read().strip() == "8"


def test_the_signal_is_the_conductance_at_the_bias(twin: LabnisVisaLibrary, bias: Wire, lockin: Wire) -> None:
    bias.send(":SOUR:VOLT 1.5e-3;:OUTP ON")
    lockin.send("SLVL 0.1;SENS 23;OFLT 8;OFSL 3")
    twin.clock.sleep(3)
    x, y = [float(part) for part in lockin.ask("SNAP?1,2").split(",")]
    world, wiring = twin.world, twin.world.wiring
    step = 1e-5
    slope = (float(world.device_state(1.5e-3 + step).current) - float(world.device_state(1.5e-3 - step).current)) / (
        2 * step
    )
    expected = slope * 0.1 / wiring.excitation_divider * wiring.current_amplifier_gain
    assert x == pytest.approx(expected, rel=2e-3)
    assert abs(y) < 1e-3 * x


def test_the_output_approaches_a_new_value_as_its_filter_does(
    twin: LabnisVisaLibrary, bias: Wire, lockin: Wire
) -> None:
    lockin.send("SLVL 0.1;SENS 23;OFLT 10;OFSL 1")  # 1 s, two stages
    twin.clock.sleep(30)
    low = float(lockin.ask("OUTP?1"))
    bias.send(":SOUR:VOLT 2e-3;:OUTP ON")
    start = twin.clock.time()
    lockin.ask("OUTP?1")
    twin.clock.sleep(2.0)
    middle = float(lockin.ask("OUTP?1"))
    x = twin.clock.time() - start
    twin.clock.sleep(40)
    high = float(lockin.ask("OUTP?1"))
    remaining = (high - middle) / (high - low)
    assert remaining == pytest.approx(math.exp(-x) * (1 + x), abs=0.01)


def test_four_stages_step_as_their_differential_equations_do() -> None:
    exact = OutputFilter(0.0)
    exact.advance(0.7, 1 + 2j, 0.3)
    exact.advance(1.1, -0.5, 0.2)
    stages = np.zeros(4, complex)
    step = 1e-5
    for count, signal, constant in ((70_000, 1 + 2j, 0.3), (40_000, -0.5 + 0j, 0.2)):
        for _ in range(count):
            stages += step / constant * (np.concatenate([[signal], stages[:-1]]) - stages)
    assert exact.stages == pytest.approx(stages, abs=2e-4)


@pytest.mark.parametrize(("slope", "bandwidth"), [(0, 1 / 4), (1, 1 / 8), (2, 3 / 32), (3, 5 / 64)])
def test_noise_has_the_equivalent_bandwidth_of_the_slope(
    twin: LabnisVisaLibrary, lockin: Wire, slope: int, bandwidth: float
) -> None:
    lockin.send(f"SENS 17;OFLT 8;OFSL {slope}")  # 1 mV, 100 ms
    samples = []
    for _ in range(400):
        twin.clock.sleep(1.0)
        samples.append(float(lockin.ask("OUTP?2")))
    expected = twin.truth.noise.current_white * twin.world.wiring.current_amplifier_gain * math.sqrt(bandwidth / 0.1)
    assert np.std(samples) == pytest.approx(expected, rel=0.15)


def test_readings_within_one_time_constant_are_not_independent(twin: LabnisVisaLibrary, lockin: Wire) -> None:
    lockin.send("SENS 17;OFLT 12")  # 10 s
    twin.clock.sleep(300)
    samples = np.array([float(lockin.ask("OUTP?2")) for _ in range(50)])  # 1 ms apart
    twin.clock.sleep(300)
    later = float(lockin.ask("OUTP?2"))
    assert np.std(samples) < 0.2 * max(abs(later), 1e-7)


def test_an_overload_latches_until_it_is_read(twin: LabnisVisaLibrary, bias: Wire, lockin: Wire) -> None:
    bias.send(":SOUR:VOLT 2e-3;:OUTP ON")
    lockin.send("SLVL 0.1;SENS 17")  # signal 4 mV, full scale 1 mV
    twin.clock.sleep(5)
    assert float(lockin.ask("OUTP?1")) == pytest.approx(1.09e-3, rel=1e-3)
    lockin.send("SENS 20")
    assert lockin.ask("LIAS?2") == "1"
    assert lockin.ask("LIAS?") == "0"


def test_the_output_has_sixteen_bits(twin: LabnisVisaLibrary, bias: Wire, lockin: Wire) -> None:
    bias.send(":SOUR:VOLT 2e-3;:OUTP ON")
    lockin.send("SLVL 0.1;SENS 26")
    twin.clock.sleep(5)
    counts = float(lockin.ask("OUTP?1")) * 30000
    assert counts == pytest.approx(round(counts), abs=1e-3)


def test_auxiliary_input_one_is_the_current_amplifier(twin: LabnisVisaLibrary, bias: Wire, lockin: Wire) -> None:
    bias.send(":SOUR:VOLT 1e-2;:OUTP ON")
    twin.clock.sleep(1)
    current = float(twin.world.device_state(1e-2).current)
    voltage = float(lockin.ask("OAUX?1"))
    assert voltage == pytest.approx(current * 1e7, abs=2e-3)
    assert voltage * 3000 == pytest.approx(round(voltage * 3000), abs=0.05)
    assert lockin.ask("OAUX?2") == "0"


def test_auxiliary_input_clips(twin: LabnisVisaLibrary, bias: Wire, lockin: Wire) -> None:
    bias.send(":SOUR:VOLT 0.05;:OUTP ON")
    twin.clock.sleep(1)
    assert float(lockin.ask("OAUX?1")) == 10.5


def test_phase_turns_the_signal(twin: LabnisVisaLibrary, bias: Wire, lockin: Wire) -> None:
    bias.send(":SOUR:VOLT 2e-3;:OUTP ON")
    lockin.send("SLVL 0.1;SENS 23;PHAS 90")
    twin.clock.sleep(5)
    x, y, r, theta = [float(part) for part in lockin.ask("SNAP?1,2,3,4").split(",")]
    assert abs(x) < 1e-2 * r
    assert y == pytest.approx(-r, rel=1e-3)
    assert theta == pytest.approx(-90, abs=0.5)


def test_the_buffer_stores_at_its_rate_and_transfers_both_formats(twin: LabnisVisaLibrary, lockin: Wire) -> None:
    lockin.send("SLVL 0.1;SENS 23;SRAT 6;SEND 0;REST;STRT")  # 4 Hz
    twin.clock.sleep(5.01)
    lockin.send("PAUS")
    assert lockin.ask("SPTS?") == "20"
    text = [float(part) for part in lockin.ask("TRCA?1,0,20").rstrip(",").split(",")]
    lockin.send("TRCL?1,0,20")
    words = np.frombuffer(bytes(lockin.resource.read_raw())[:80], "<i2")
    assert words[::2] * 2.0 ** (words[1::2] - 124) == pytest.approx(text, rel=1e-3)
