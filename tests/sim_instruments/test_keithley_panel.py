"""The Keithley 2450's front panel on the wire."""

import pytest
from bare_wire import Wire

from sim_instruments.visa import LabnisVisaLibrary


def number(wire: Wire, query: str) -> float:
    return float(wire.ask(query))


def assert_no_error(wire: Wire) -> None:
    assert wire.ask(":SYST:ERR?") == '0,"No error;0;0 0"'


@pytest.mark.parametrize(
    ("level", "step"), [(0.0123456789, 0.5e-6), (0.123456789, 5e-6), (1.23456789, 50e-6), (-12.3456789, 500e-6)]
)
def test_the_level_has_the_resolution_of_its_range(bias: Wire, level: float, step: float) -> None:
    bias.send(f":SOUR:VOLT {level}")
    assert number(bias, ":SOUR:VOLT?") == pytest.approx(round(level / step) * step, rel=1e-6)
    assert abs(number(bias, ":SOUR:VOLT?") - level) <= step / 2 * 1.001


def test_autorange_follows_the_level_and_a_fixed_range_refuses_more(bias: Wire) -> None:
    bias.send(":SOUR:VOLT 0.5")
    assert number(bias, ":SOUR:VOLT:RANG?") == 2.0
    bias.send(":SOUR:VOLT 0;:SOUR:VOLT:RANG 0.015")
    assert number(bias, ":SOUR:VOLT:RANG?") == pytest.approx(0.02)
    assert bias.ask(":SOUR:VOLT:RANG:AUTO?") == "0"
    bias.send(":SOUR:VOLT 0.03")
    assert bias.ask(":SYST:ERR?").startswith('-222,"Data out of range')
    assert number(bias, ":SOUR:VOLT?") == 0


def test_a_range_below_the_level_is_a_settings_conflict(bias: Wire) -> None:
    bias.send(":SOUR:VOLT 1;:SOUR:VOLT:RANG 0.02")
    assert bias.ask(":SYST:ERR?").startswith("-221")
    assert number(bias, ":SOUR:VOLT:RANG?") == 2.0


@pytest.mark.parametrize(
    ("full_scale", "digit"), [(1e-8, 1e-14), (1e-7, 1e-13), (1e-6, 1e-12), (1e-5, 1e-11), (1e-4, 1e-10)]
)
def test_current_readings_have_the_resolution_of_their_range(bias: Wire, full_scale: float, digit: float) -> None:
    bias.send(f":SENS:CURR:RANG {full_scale};:SOUR:VOLT 3e-4;:OUTP ON")
    readings = [number(bias, ":READ?") for _ in range(5)]
    counts = [reading / digit for reading in readings]
    assert counts == pytest.approx([round(count) for count in counts], abs=1e-3)


def test_beyond_the_range_reads_the_overflow_marker(bias: Wire) -> None:
    bias.send(":SENS:CURR:RANG 1e-8;:SOUR:VOLT 2e-3;:OUTP ON")
    bias.ask(":READ?")
    assert number(bias, ":READ?") == 9.9e37
    bias.send(":SENS:CURR:RANG:AUTO ON")
    assert number(bias, ":READ?") == pytest.approx(7e-8, rel=0.3)
    assert number(bias, ":SENS:CURR:RANG?") == pytest.approx(1e-7)


def test_a_reading_is_the_worlds_current_and_takes_its_integration_time(twin: LabnisVisaLibrary, bias: Wire) -> None:
    bias.send(":SENS:CURR:NPLC 5;:SOUR:VOLT 1e-3;:OUTP ON")
    bias.ask(":READ?")
    before = twin.clock.time()
    voltage, current = [float(part) for part in bias.ask(":READ? 'defbuffer1',SOUR,READ").split(",")]
    assert twin.clock.time() - before == pytest.approx(0.1, abs=0.002)
    expected = float(twin.world.device_state(1e-3).current)
    assert voltage == pytest.approx(1e-3, abs=1e-7)
    assert current == pytest.approx(expected + twin.truth.noise.current_offset, abs=5e-12)


def test_the_current_limit_trips_and_shows_in_the_status_word(bias: Wire) -> None:
    bias.send(":SOUR:VOLT:ILIM 1e-8;:SOUR:VOLT 2e-3;:OUTP ON")
    bias.ask(":READ?")
    assert bias.ask(":SOUR:VOLT:ILIM:TRIP?") == "1"
    _, current, status = bias.ask(":READ? 'defbuffer1',SOUR,READ,SOURSTAT").split(",")
    assert float(current) == pytest.approx(1e-8, rel=1e-2)
    assert int(status) & 32
    bias.send(":SOUR:VOLT 1e-5")
    bias.ask(":READ?")
    assert bias.ask(":SOUR:VOLT:ILIM:TRIP?") == "0"
    assert_no_error(bias)


def test_an_output_that_is_off_leaves_the_device_at_rest(twin: LabnisVisaLibrary, bias: Wire) -> None:
    bias.send(":SOUR:VOLT 1e-3")
    assert number(bias, ":READ?") == 0
    assert twin.world.line_voltage() == 0


@pytest.mark.parametrize("current", [5e-8, -5e-8, 0.0])
def test_a_source_of_current_has_the_voltage_of_the_device(twin: LabnisVisaLibrary, bias: Wire, current: float) -> None:
    bias.send(f":SOUR:FUNC CURR;:SOUR:CURR:RANG 1e-7;:SOUR:CURR {current};:SENS:FUNC 'VOLT';:OUTP ON")
    number(bias, ":READ?")  # the line's filter settles
    voltage = number(bias, ":READ?")
    assert float(twin.world.device_state(voltage).current) == pytest.approx(current, abs=1e-10)
    source, unit, status = bias.ask(":READ? 'defbuffer1',SOUR,SOURUNIT,SOURSTAT").split(",")
    assert (float(source), unit) == (pytest.approx(current, abs=1e-10), "Amp DC")
    assert int(status) & 32 == 0
    assert bias.ask(":SYST:ERR:COUN?") == "0"


def test_a_source_of_current_stops_at_its_voltage_limit(twin: LabnisVisaLibrary, bias: Wire) -> None:
    bias.send(":SOUR:FUNC CURR;:SOUR:CURR 1e-6;:SOUR:CURR:VLIM 2e-3;:SENS:FUNC 'CURR';:OUTP ON")
    number(bias, ":READ?")
    assert number(bias, ":READ?") == pytest.approx(float(twin.world.device_state(2e-3).current), rel=1e-2)
    assert bias.ask(":SOUR:CURR:VLIM:TRIP?") == "1"
    bias.send(":SOUR:FUNC VOLT")  # not while the output is on
    assert bias.ask(":SYST:ERR?").startswith("-221")


def test_buffers_that_are_never_deleted_exhaust_the_memory(bias: Wire) -> None:
    made = 0
    while bias.ask(f":TRAC:MAKE 'sweep{made}', 100000;:SYST:ERR:COUN?") == "0":
        made += 1
        assert made < 100
    assert bias.ask(":SYST:ERR?").startswith('-225,"Out of memory')
    assert made == 66  # besides two of its own
    bias.send(":TRAC:DEL 'sweep0';:TRAC:MAKE 'another', 100000")
    assert bias.ask(":SYST:ERR:COUN?") == "0"
    bias.send(":TRAC:MAKE 'another', 100")
    assert bias.ask(":SYST:ERR?").startswith("1115")


def test_a_linear_sweep_fills_the_buffer(twin: LabnisVisaLibrary, bias: Wire) -> None:
    bias.send(":SOUR:SWE:VOLT:LIN -1e-3,1e-3,21,0.01,1,AUTO,OFF,OFF,'defbuffer1';:INIT;*WAI")
    assert bias.ask(":TRAC:ACT? 'defbuffer1'") == "21"
    values = [float(part) for part in bias.ask(":TRAC:DATA? 1,21,'defbuffer1',SOUR,READ,REL").split(",")]
    sources, currents, times = values[::3], values[1::3], values[2::3]
    assert sources == pytest.approx([1e-4 * (index - 10) for index in range(21)], abs=5e-6)
    assert currents[-1] == pytest.approx(-currents[0], rel=0.02)
    assert times[0] == 0
    assert times[-1] == pytest.approx(20 * 0.03, rel=0.01)
    assert bias.ask(":OUTP?") == "0"
    assert_no_error(bias)


def test_a_sweep_into_a_deleted_buffer_is_a_settings_conflict(bias: Wire) -> None:
    bias.send(":TRAC:MAKE 'sweep',100;:SOUR:SWE:VOLT:LIN 0,1e-3,3,0.01,1,AUTO,OFF,OFF,'sweep';:TRAC:DEL 'sweep'")
    bias.send(":INIT")
    assert bias.ask(":SYST:ERR?").startswith("-221")
    assert bias.ask(":OUTP?") == "0"


RAMP = (
    ':TRIG:LOAD "Empty";:TRIG:BLOC:CONF:REC 1,"VoltCustomSweepList";:TRIG:BLOC:DEL:CONS 2,0.1'
    ';:TRIG:BLOC:CONF:NEXT 3,"VoltCustomSweepList";:TRIG:BLOC:BRAN:COUN 4,{count},2'
)


def load_ramp(bias: Wire, levels: str = "1e-3,2e-3,3e-3", count: int = 2) -> None:
    bias.send(":SOUR:VOLT:RANG 0.02;:OUTP ON")
    bias.send(f":SOUR:LIST:VOLT {levels}")
    bias.send(RAMP.format(count=count))


def test_a_trigger_model_walks_the_source_by_itself_and_leaves_the_output_on(
    twin: LabnisVisaLibrary, bias: Wire
) -> None:
    load_ramp(bias)
    assert bias.ask(":TRIG:STAT?").startswith("BUILDING;")
    bias.send(":INIT")
    for level in (1e-3, 2e-3, 3e-3):
        assert number(bias, ":SOUR:VOLT?") == pytest.approx(level)
        assert bias.ask(":TRIG:STAT?").startswith("RUNNING;" if level < 3e-3 else "IDLE;")
        twin.clock.sleep(0.1)  # of which nobody tells the instrument
    assert number(bias, ":SOUR:VOLT?") == pytest.approx(3e-3)
    assert bias.ask(":OUTP?") == "1"
    assert_no_error(bias)


def test_after_the_last_level_of_a_list_comes_the_first(twin: LabnisVisaLibrary, bias: Wire) -> None:
    load_ramp(bias, count=3)
    bias.send(":INIT;*WAI")
    assert number(bias, ":SOUR:VOLT?") == pytest.approx(1e-3)


def test_what_waits_for_a_trigger_model_finds_it_done(twin: LabnisVisaLibrary, bias: Wire) -> None:
    load_ramp(bias)
    before = twin.clock.time()
    assert bias.ask(":INIT;*OPC?") == "1"
    assert twin.clock.time() - before == pytest.approx(0.2, abs=0.01)
    assert bias.ask(":TRIG:STAT?") == "IDLE;IDLE;4"


def test_a_model_without_a_delay_is_fast_but_takes_time(twin: LabnisVisaLibrary, bias: Wire) -> None:
    bias.send(":SOUR:VOLT:RANG 0.02;:SOUR:LIST:VOLT 1e-3,2e-3")
    bias.send(':TRIG:BLOC:CONF:NEXT 2,"VoltCustomSweepList";:TRIG:BLOC:BRAN:COUN 4,100,2')
    before = twin.clock.time()
    bias.ask(":INIT;*OPC?")
    assert twin.clock.time() - before == pytest.approx(0.03, abs=0.01)
    assert number(bias, ":SOUR:VOLT?") == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("stop", "level", "output"), [(":ABOR", 2e-3, "1"), (":OUTP OFF", 2e-3, "0"), ("*RST", 0.0, "0")]
)
def test_a_running_model_is_stopped_where_it_is(
    twin: LabnisVisaLibrary, bias: Wire, stop: str, level: float, output: str
) -> None:
    load_ramp(bias)
    bias.send(":INIT")
    twin.clock.sleep(0.1)
    bias.send(stop)
    assert not bias.ask(":TRIG:STAT?").startswith(("RUNNING", "IDLE"))
    twin.clock.sleep(1.0)
    assert number(bias, ":SOUR:VOLT?") == pytest.approx(level)
    assert bias.ask(":OUTP?") == output
    assert_no_error(bias)


@pytest.mark.parametrize(
    "command",
    [":SOUR:VOLT 0", ":SOUR:VOLT:RANG 0.2", ":SOUR:VOLT:ILIM 1e-6", ":SOUR:FUNC CURR", ":SOUR:LIST:VOLT 0",
     ':TRIG:LOAD "Empty"', ":TRIG:BLOC:NOP 2", ":READ?"],
)  # fmt: skip
def test_while_a_model_runs_what_concerns_it_is_a_settings_conflict(bias: Wire, command: str) -> None:
    load_ramp(bias)
    bias.send(":INIT")
    bias.send(command)
    assert bias.ask(":SYST:ERR?").startswith("-221")
    bias.send(":INIT")
    assert bias.ask(":SYST:ERR?").startswith("-213")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (":SOUR:LIST:VOLT " + ",".join(["0"] * 101), "-108"),
        (":SOUR:LIST:VOLT 0,211", "-222"),
        (":SOUR:VOLT:RANG 0.02;:SOUR:LIST:VOLT 0,0.03", "-222"),
        (":SOUR:LIST:VOLT?", "-230"),
        (':TRIG:BLOC:CONF:NEXT 1,"VoltCustomSweepList"', "-224"),
        (":SOUR:LIST:VOLT 0,1;:TRIG:BLOC:CONF:REC 1,'VoltCustomSweepList',3", "-222"),
        (":TRIG:BLOC:DEL:CONS 1,1e-8", "-222"),
        (":TRIG:BLOC:DEL:CONS 0,1", "-222"),
        (":TRIG:BLOC:BRAN:COUN 1,5", "-109"),
        (":TRIG:BLOC:BRAN:COUN 1,5,2;:INIT", "-221"),
        (":TRIG:LOAD 'Unknown'", "-224"),
        (":TRIG:LOAD 'Empty';:INIT", "-221"),
    ],
)
def test_wrong_lists_and_models_are_refused(bias: Wire, command: str, code: str) -> None:
    bias.send(command)
    assert bias.ask(":SYST:ERR?").startswith(code)
    assert number(bias, ":SOUR:VOLT?") == 0


def test_lists_grow_by_a_hundred_up_to_their_end(bias: Wire) -> None:
    hundred = ",".join(["1e-3"] * 100)
    for _ in range(25):
        bias.send(f":SOUR:LIST:VOLT:APP {hundred}")
    assert_no_error(bias)
    bias.send(":SOUR:LIST:VOLT:APP 1e-3")
    assert bias.ask(":SYST:ERR?").startswith("-222")
    assert len(bias.ask(":SOUR:LIST:VOLT?").split(",")) == 2500


def test_named_buffers_are_made_filled_and_deleted(bias: Wire) -> None:
    bias.send(":TRAC:MAKE 'mine', 100;:SENS:COUN 4;:TRAC:TRIG 'mine'")
    assert bias.ask(":TRAC:ACT? 'mine';:TRAC:POIN? 'mine'") == "4;100"
    assert len(bias.ask(":TRAC:DATA? 1,4,'mine'").split(",")) == 4
    bias.send(":TRAC:DEL 'mine'")
    bias.send(":TRAC:ACT? 'mine'")
    assert bias.ask(":SYST:ERR?").startswith("-224")


def test_fetch_answers_the_last_reading_again(bias: Wire) -> None:
    bias.send(":SOUR:VOLT 5e-4;:OUTP ON")
    assert bias.ask(":READ?") == bias.ask(":FETC?")


def test_binary_readings_agree_with_their_text(bias: Wire) -> None:
    bias.send(":SOUR:VOLT 5e-4;:OUTP ON;:SENS:COUN 3;:TRAC:TRIG 'defbuffer1'")
    text = [float(part) for part in bias.ask(":TRAC:DATA? 1,3,'defbuffer1'").split(",")]
    bias.send(":FORM REAL")
    assert bias.resource.query_binary_values(":TRAC:DATA? 1,3,'defbuffer1'", "d") == text


def test_resistance_is_voltage_over_current(bias: Wire) -> None:
    bias.send(":SENS:FUNC 'RES';:SOUR:VOLT 5e-3;:OUTP ON")
    bias.ask(":READ?")
    assert number(bias, ":READ?") == pytest.approx(26e3, rel=0.1)  # two junctions and the line
