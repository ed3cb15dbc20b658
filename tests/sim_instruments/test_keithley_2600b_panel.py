"""The front panels of the Keithley 2600B series: unmodified drivers of other packages, scripts, limits and quirks."""

import struct

import numpy as np
import pytest
import pyvisa
import qcodes.instrument_drivers.Keithley
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymeasure.instruments.keithley import Keithley2600 as PymeasureKeithley2600
from pyvisa.resources import MessageBasedResource

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from sim_instruments.panels.keithley_2600b import KEITHLEY_2600B, Keithley2600BPanel
from sim_instruments.visa import LabnisVisaLibrary
from tests.keithley_2600b_twin import (
    EMPTY,
    keithley_2600b_twin,  # noqa: F401  # a fixture
    next_error,
    plain_wire,  # noqa: F401  # a fixture
    simulated_panel,  # noqa: F401  # a fixture
)

MODELS = qcodes.instrument_drivers.Keithley
TWO_CHANNELS = ("2602A", "2602B", "2604B", "2612B", "2614B", "2634B", "2636B")


def asked(wire: MessageBasedResource, expression: str) -> str:
    return str(wire.query(f"print({expression})")).strip()


def values(wire: MessageBasedResource, expression: str) -> list[float]:
    return [float(one) for one in asked(wire, expression).split("\t")]


# --- unmodified drivers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("twin", [f"Keithley{model}" for model in TWO_CHANNELS], indirect=True)
def test_qcodes_drivers(twin: Twin, wire: MessageBasedResource, request: pytest.FixtureRequest) -> None:
    kind = getattr(MODELS, request.node.callspec.params["twin"])
    smu = kind("smu", twin.addresses["smu"], visalib=twin.visalib)
    assert smu.get_idn()["model"] == kind.__name__.removeprefix("Keithley") == smu.model
    smu.smua.mode("voltage")
    smu.smua.limiti(1e-3)
    smu.smua.sourcerange_v(max(smu.smua.sourcerange_v.vals.values))
    smu.smua.measurerange_i(1e-6)
    smu.smua.nplc(0.5)
    smu.smua.volt(0.01)
    smu.smua.output(True)
    assert smu.smua.volt() == pytest.approx(0.01, rel=1e-3)
    assert smu.smua.volt.measurement_status is not None
    assert abs(smu.smua.curr()) < 1e-6
    smu.display_settext("labnis")
    smu.display_normal()
    smu.snapshot(update=True)
    assert (smu.smua.limiti(), smu.smua.measurerange_i(), smu.smub.output()) == (1e-3, 1e-6, False)
    smu.reset()
    assert (smu.smua.output(), smu.smua.nplc()) == (False, 1.0)
    assert asked(wire, "errorqueue.next()") == EMPTY


@pytest.mark.parametrize("twin", ["Keithley2601B", "Keithley2611B", "Keithley2635B"], indirect=True)
def test_qcodes_driver_of_a_single_channel(twin: Twin, wire: MessageBasedResource, panel: Keithley2600BPanel) -> None:
    smu = getattr(MODELS, f"Keithley{panel.model}")("smu", twin.addresses["smu"], visalib=twin.visalib)
    assert smu.smua.output() is False
    assert asked(wire, "errorqueue.next()") == EMPTY
    # QCoDeS gives every model a channel B; a real one has no variable of this name, either.
    with pytest.raises(pyvisa.VisaIOError):
        smu.smub.output()
    assert next_error(wire) == "-286 TSP Runtime error at line 1: attempt to index global `smub' (a nil value)"


def test_qcodes_sweeps(twin: Twin, wire: MessageBasedResource) -> None:
    smu = MODELS.Keithley2602B("smu", twin.addresses["smu"], visalib=twin.visalib)
    smu.smua.nplc(0.1)
    if hasattr(smu.smua, "setup_fastsweep"):
        from qcodes.dataset import LinSweep  # noqa: PLC0415  # only of new ones

        smu.smua.setup_fastsweep(LinSweep(smu.smua.volt, 0, 0.9, 7, 0.01))
    else:
        smu.smua.fastsweep.prepareSweep(0, 0.9, 7, "IV")
    currents = smu.smua.fastsweep()
    assert currents.shape == (7,)
    assert currents[-1] > 100 * abs(currents[0])  # 0.9 mV at the device, above the gap
    smu.smua.timetrace_npts(5)
    smu.smua.timetrace_dt(0.05)
    assert smu.smua.timetrace() == pytest.approx(currents[-1], rel=0.1)
    assert asked(wire, "errorqueue.next()") == EMPTY


@pytest.mark.filterwarnings("ignore:It is not known whether")
def test_pymeasure_driver(twin: Twin, wire: MessageBasedResource) -> None:
    smu = PymeasureKeithley2600(twin.addresses["smu"], visa_library=twin.visalib)
    smu.ChA.source_mode = "voltage"
    smu.ChA.apply_voltage(voltage_range=1, compliance_current=1e-3)
    smu.ChA.source_voltage = 0.02
    smu.ChA.source_output = "ON"
    assert smu.ChA.source_output == "ON"
    assert smu.ChA.voltage == pytest.approx(0.02, rel=1e-2)
    assert (smu.ChA.source_voltage_range, smu.ChA.compliance_current) == (1.0, 1e-3)
    smu.ChA.measure_current(nplc=2, auto_range=False, current=1e-5)
    assert smu.ChA.current_range == pytest.approx(1e-5)
    assert abs(smu.ChA.current) < 1e-6
    assert smu.next_error == (0, "Queue Is Empty")
    smu.ChA.ramp_to_voltage(0.0, steps=3, pause=0.0)
    smu.ChA.source_output = "OFF"
    smu.ChB.apply_current(1e-6)
    assert smu.ChB.source_mode == "current"
    assert asked(wire, "errorqueue.next()") == EMPTY


def test_each_model_has_its_own_identity_and_address() -> None:
    panels = set(KEITHLEY_2600B.values())
    assert len({panel.resource for panel in panels}) >= 9
    assert all(f"Model {panel.model}" in panel.identification for panel in panels)


# --- scripts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunk", "printed"),
    [
        ("print(1 + 2 * 3 ^ 2)", "1.90000e+01"),
        ("print(-2 ^ 2, math.mod(7, 3), 2 .. 'a')", "-4.00000e+00\t1.00000e+00\t2a"),
        ("print(not nil, 1 == '1', nil or 'x', false and 1)", "true\tfalse\tx\tfalse"),
        ("x = 0 for n = 1, 5 do x = x + n end print(x)", "1.50000e+01"),
        ("x = 0 for n = 5, 1, -2 do x = x + n end print(x)", "9.00000e+00"),
        ("x = 8 while x > 1 do x = x / 2 if x == 2 then break end end print(x)", "2.00000e+00"),
        ("x = 0 repeat x = x + 1 until x >= 3 print(x)", "3.00000e+00"),
        ("if 1 > 2 then print(1) elseif 2 > 1 then print(2) else print(3) end", "2.00000e+00"),
        ("local a, b = 1 print(a, b)", "1.00000e+00\tnil"),
        ("t = {4, 5, x = 6} print(t[2], t.x, table.getn(t))", "5.00000e+00\t6.00000e+00\t2.00000e+00"),
        ('print(string.format("%d %.3e %s", 7, 1/3, "a"))', "7 3.333e-01 a"),
        ("print(math.floor(2.7), math.max(1, 3), tonumber('0.5'))", "2.00000e+00\t3.00000e+00\t5.00000e-01"),
        ("do local hidden = 1 end print(hidden)", "nil"),
        ("print(0/0, 1/0)", "nan\tinf"),
        ("format.asciiprecision = 1 print(0.0014)", "1e-03"),
        ("format.asciiprecision = 16 print(0.1)", "1.000000000000000e-01"),
        ("print(1) -- a comment", "1.00000e+00"),
    ],
)
def test_what_scripts_print(wire: MessageBasedResource, chunk: str, printed: str) -> None:
    assert wire.query(chunk).strip() == printed
    assert wire.query("format.asciiprecision = 6 print(errorqueue.next())").strip() == EMPTY


@pytest.mark.parametrize(
    ("chunk", "entry"),
    [
        ("*NONSENSE", "-285 TSP Syntax error at line 1: unexpected symbol near `*'"),
        (":SOUR:VOLT 1", "-285 TSP Syntax error at line 1: unexpected symbol near `:'"),
        ("for n = 1, 2 do", "-285 TSP Syntax error at line 1: `end' expected near `<eof>'"),
        ("smua.source.levelv", "-285 TSP Syntax error at line 1: `=' expected near `<eof>'"),
        ("x = 5 % 3", "-285 TSP Syntax error at line 1: unexpected symbol near `%'"),
        ("x = 5 $", "-285 TSP Syntax error at line 1: unexpected symbol near `$'"),
        ("channel.close(1)", "-286 TSP Runtime error at line 1: attempt to index global `channel' (a nil value)"),
        ("smua.sauce.levelv = 1", "-286 TSP Runtime error at line 1: attempt to index field `sauce' (a nil value)"),
        ("smua.measure.ohm()", "-286 TSP Runtime error at line 1: attempt to call field `ohm' (a nil value)"),
        ("print(1 + nil)", "-286 TSP Runtime error at line 1: attempt to perform arithmetic on a nil value"),
        ("smua.source.levelv = 50", "1101 Parameter Too Big"),
        ("smua.source.limiti = 0", "1102 Parameter Too Small"),
        ("smua.source.func = 7", "-224 Illegal Parameter Value"),
        ("smua.source.levelv = 'high'", "-104 Data Type"),
        ("smua.source.levelv = 20 smua.source.limiti = 3", "5007 Operation would exceed safe operating area of"),
        ("format.asciiprecision = 17", "1405 Invalid ASCII precision"),
    ],
)
def test_errors_have_the_numbers_and_texts_of_the_instrument(
    wire: MessageBasedResource, chunk: str, entry: str
) -> None:
    wire.write(chunk)
    assert next_error(wire).startswith(entry)
    assert asked(wire, "errorqueue.count") == "0.00000e+00"


def test_an_error_does_not_end_a_script_but_a_runtime_error_does(wire: MessageBasedResource) -> None:
    assert wire.query("smua.source.limiti = 0 print(1)").strip() == "1.00000e+00"
    wire.write("smua.source.limiti = 1e-3 x.y = 1 smua.source.limiti = 1e-4")
    assert values(wire, "smua.source.limiti") == [1e-3]
    assert [next_error(wire)[:5] for _ in range(2)] == ["1102 ", "-286 "]


def test_scripts_are_loaded_and_called(wire: MessageBasedResource) -> None:
    wire.write("loadscript twice\nprint(2 * factor)\nendscript")
    assert wire.query("factor = 4 twice()").strip() == "8.00000e+00"
    assert wire.query("loadandrunscript\r\nfor n = 1, 1 do\r\nprint(n)\r\nend\r\nendscript").strip() == "1.00000e+00"
    wire.write("loadandrunscript again\nagain()\nendscript")
    assert "stack overflow" in next_error(wire)


def test_binary_buffers(wire: MessageBasedResource) -> None:
    wire.write("smua.measure.count = 3 smua.nvbuffer1.clear() smua.nvbuffer1.appendmode = 1")
    wire.write("smua.measure.v(smua.nvbuffer1) smua.measure.v(smua.nvbuffer1)")
    assert values(wire, "smua.nvbuffer1.n") == [6.0]
    assert wire.query("printbuffer(1, 2, smua.nvbuffer1.readings)").count(",") == 1
    wire.write("format.data = format.REAL64 format.byteorder = format.BIGENDIAN printnumber(0.25, -1)")
    assert wire.read_bytes(19) == b"#0" + struct.pack(">2d", 0.25, -1.0) + b"\n"
    wire.write("printbuffer(1, 2, smub.nvbuffer1)")
    assert next_error(wire).startswith("4900")


# --- source and readings ---------------------------------------------------------------------------------------------


def test_defaults(wire: MessageBasedResource) -> None:
    attributes = (
        "source.func",
        "source.output",
        "source.levelv",
        "source.limiti",
        "source.limitv",
        "measure.nplc",
        "sense",
    )
    assert values(wire, ", ".join(f"smub.{one}" for one in attributes)) == [1.0, 0.0, 0.0, 1.0, 40.0, 1.0, 0.0]
    assert values(wire, "smua.source.autorangev, smua.measure.autorangei, smua.measure.filter.enable") == [1, 1, 0]
    assert values(wire, "format.asciiprecision, localnode.linefreq, localnode.prompts") == [6.0, 50.0, 0.0]


def test_a_level_beyond_a_fixed_range_is_an_error_only_with_the_output_on(wire: MessageBasedResource) -> None:
    wire.write("smua.source.rangev = 0.1 smua.source.levelv = 0.5")
    assert asked(wire, "errorqueue.count") == "0.00000e+00"
    wire.write("smua.source.output = 1")
    assert next_error(wire) == "5005 Value too big for range"
    assert values(wire, "smua.source.output, smua.source.levelv") == [0.0, 0.5]
    wire.write("smua.source.levelv = 0.05 smua.source.output = 1 smua.source.levelv = 0.5")
    assert next_error(wire) == "5005 Value too big for range"
    assert values(wire, "smua.source.output, smua.source.levelv") == [1.0, 0.05]


def test_ranges(wire: MessageBasedResource) -> None:
    wire.write("smua.source.levelv = 2 smua.measure.rangei = 3e-7 smua.measure.rangev = 40")
    # What is sourced is measured in the source range; the other setting is kept.
    assert values(wire, "smua.source.rangev, smua.measure.rangei, smua.measure.rangev") == [6.0, 1e-6, 6.0]
    wire.write("smua.source.func = smua.OUTPUT_DCAMPS")
    assert values(wire, "smua.measure.rangev, smua.measure.autorangei") == [40.0, 0.0]


def test_an_over_range_reading_is_its_marker(wire: MessageBasedResource) -> None:
    wire.write("smua.source.levelv = 5 smua.source.output = 1 smua.measure.rangei = 100e-9")
    assert values(wire, "smua.measure.i(), status.measurement.instrument.smua.condition") == [9.91e37, 128.0]


def test_compliance(wire: MessageBasedResource) -> None:
    wire.write("smua.source.levelv = 5 smua.source.limiti = 100e-9 smua.source.output = 1")
    current, condition = values(wire, "smua.measure.i(), status.measurement.instrument.smua.condition")
    assert current == pytest.approx(100e-9, rel=0.02)
    assert condition == 2.0
    assert asked(wire, "smua.source.compliance") == "true"


def test_a_relative_offset_spoils_readings(wire: MessageBasedResource) -> None:
    wire.write("smua.measure.rel.leveli = 1e-6 smua.measure.rel.enablei = 1 smua.source.output = 1")
    assert values(wire, "smua.measure.i()")[0] == pytest.approx(-1e-6, rel=1e-3)


def test_readings_take_time(wire: MessageBasedResource, twin: Twin) -> None:
    wire.write("smua.measure.nplc = 5 smua.measure.filter.count = 4 smua.measure.filter.enable = 1")
    before = twin.clock.time()
    wire.query("print(smua.measure.i())")
    assert twin.clock.time() - before == pytest.approx(0.4, abs=0.01)


def test_channel_b_does_not_reach_the_device(wire: MessageBasedResource, panel: Keithley2600BPanel) -> None:
    wire.write("smub.source.levelv = 1 smub.source.output = 1")
    assert panel.world.source.output is False
    assert values(wire, "smub.measure.v()") == [pytest.approx(1.0)]
    wire.write("smua.source.levelv = 0.5 smua.source.output = 1")
    assert (panel.world.source.level, panel.world.source.output) == (pytest.approx(0.5), True)


@pytest.mark.parametrize(
    ("role", "channel"),
    [
        (SimulatedRole("bias", "bias"), "smua"),
        (SimulatedRole("bias", "bias", channel="smub"), "smub"),
        (SimulatedRole("bias", "bias", options={"level": "smub.volt", "output": "smub.output"}), "smub"),
        (SimulatedRole("bias", "bias", options={"level": "ChB.source_voltage"}), "smub"),
    ],
)
def test_the_device_is_at_the_channel_of_the_role(role: SimulatedRole, channel: str) -> None:
    instruments = {"smu": SimulatedInstrument("smu", ("Keithley2602B",), (role,))}
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=instruments) as twin:
        opened = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["smu"])
        assert isinstance(opened, MessageBasedResource)
        library = opened.visalib
        assert isinstance(library, LabnisVisaLibrary)
        for name in ("smua", "smub"):
            opened.write(f"{name}.source.levelv = 1e-3 {name}.source.output = 1")
            assert library.world.source.output is (name == channel)
            opened.write("reset()")


def test_a_reset_switches_off(wire: MessageBasedResource, panel: Keithley2600BPanel) -> None:
    for reset in ("reset()", "smua.reset()", "*RST"):
        wire.write("smua.source.levelv = 0.5 smua.source.output = 1")
        wire.write(reset)
        assert panel.world.source.output is False
        assert values(wire, "smua.source.levelv, smua.source.output") == [0.0, 0.0]


# --- quirks ----------------------------------------------------------------------------------------------------------

ENDLESS = "while smua.measure.i() < 1 do smua.source.levelv = 0.001 end print('done')"


def test_a_script_that_does_not_end_blocks_everybody(
    wire: MessageBasedResource, twin: Twin, panel: Keithley2600BPanel
) -> None:
    wire.write("smua.source.output = 1")
    wire.write(ENDLESS)  # the level is never reached
    other = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["smu"])
    assert isinstance(other, MessageBasedResource)
    with pytest.raises(pyvisa.VisaIOError, match="Timeout"):
        other.query("*IDN?")
    wire.write("smua.source.output = 0")  # is not read, either
    twin.clock.sleep(30.0)
    assert panel.world.source.output is True
    assert panel.world.source.level == pytest.approx(0.001)
    wire.write("abort")
    # The commands that have waited are executed now.
    assert wire.read().startswith("Keithley Instruments Inc., Model 2602B")
    assert panel.world.source.output is False
    assert next_error(wire) == "-286 TSP Runtime error at line 1: User Abort"
    assert asked(wire, "errorqueue.next()") == EMPTY


def test_a_device_clear_ends_a_script_and_leaves_the_output_on(
    wire: MessageBasedResource, panel: Keithley2600BPanel
) -> None:
    wire.write("smua.source.output = 1")
    wire.write(ENDLESS)
    wire.write("smua.source.output = 0")
    wire.clear()
    assert panel.world.source.output is True
    assert next_error(wire).endswith("User Abort")


def test_a_read_waits_for_a_long_script(wire: MessageBasedResource, twin: Twin) -> None:
    wire.timeout = 2000
    wire.write("print('begun') delay(25) print('done')")
    assert wire.read().strip() == "begun"
    with pytest.raises(pyvisa.VisaIOError, match="Timeout"):
        wire.read()
    assert twin.clock.time() == pytest.approx(2.0, abs=0.1)
    wire.timeout = 60000
    assert wire.read().strip() == "done"
    assert twin.clock.time() == pytest.approx(25.0, abs=0.1)
    assert asked(wire, "errorqueue.next()") == EMPTY


def test_a_sweep_runs_on_and_the_level_does_not_follow(
    wire: MessageBasedResource, twin: Twin, panel: Keithley2600BPanel
) -> None:
    wire.write("smua.source.output = 1 smua.trigger.source.action = smua.ENABLE smua.trigger.initiate()")
    assert next_error(wire) == "5059 trigger.source.action enabled without configuration"
    wire.write("smua.trigger.source.listv({0.01, 0.02, 0.03, 0.04}) smua.trigger.count = 4 smua.source.delay = 0.5")
    wire.write("smua.trigger.initiate()")
    levels = []
    for _ in range(5):
        assert values(wire, "smua.source.levelv") == [0.0]
        levels.append(panel.world.source.level)
        assert values(wire, "status.operation.sweeping.condition") == [2.0 if len(levels) < 5 else 0.0]
        twin.clock.sleep(0.5)
    assert levels == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.0])
    wire.write("smua.trigger.endsweep.action = smua.SOURCE_HOLD smua.trigger.source.linearv(0.01, 0.04, 4)")
    wire.timeout = 5000
    wire.query("smua.trigger.initiate() waitcomplete() print('done')")
    assert panel.world.source.level == pytest.approx(0.04)
    wire.write("smua.source.levelv = 0.035")
    assert panel.world.source.level == pytest.approx(0.035)


WORDS = (
    "smua smub . source measure levelv = == 1 -2.5e3 0x10 ( ) { } [ ] , ; print while for do end if then else repeat "
    "until break return local x nil true .. # not and or % ^ 'a' \" abort loadscript endscript *RST delay printbuffer "
    "nvbuffer1 string.format '%d' errorqueue.next() trigger initiate() waitcomplete() format data -- reset() exit()"
)
WORD = st.sampled_from([*WORDS.split(" "), "\n", "loadandrunscript\n", "\nendscript\n", "math.floor", "tostring"])
MESSAGES = st.lists(st.lists(WORD, max_size=12).map(" ".join) | st.text(max_size=30), max_size=5)


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    messages=st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=30), max_size=5)
)
def test_the_panel_survives_any_message(panel: Keithley2600BPanel, messages: list[str]) -> None:
    for message in messages:
        panel.receive(message.encode("utf-8", "replace"))
    panel.device_clear()
    panel.receive(b"localnode.prompts = 0 localnode.showerrors = 0")
    panel.device_clear()
    panel.receive(b"*IDN?")
    assert panel.take(200) == (panel.identification.encode() + b"\n", True)


def test_prompts_and_shown_errors_are_lines_of_their_own(wire: MessageBasedResource) -> None:
    wire.write("localnode.prompts = 1")
    assert wire.read().strip() == "TSP>"
    wire.write("localnode.showerrors = 1 nonsense(")
    assert [wire.read().strip()] == ["TSP?"]
    wire.write("localnode.showerrors = 1")
    assert wire.read().strip() == "TSP?"
    wire.write("nonsense(")
    assert wire.read().startswith("-285, TSP Syntax error")
    assert wire.read().strip() == "TSP?"
    wire.write("loadscript x")
    assert wire.read().strip() == ">>>>"


def test_a_read_without_a_query(wire: MessageBasedResource) -> None:
    with pytest.raises(pyvisa.VisaIOError):
        wire.read()
    assert next_error(wire) == "-420 Query Unterminated"


def test_readings_scatter_and_have_the_digits_of_their_range(wire: MessageBasedResource) -> None:
    wire.write("format.asciiprecision = 12 smua.source.output = 1 smua.measure.rangei = 1e-6")
    found = np.array([values(wire, "smua.measure.i()")[0] for _ in range(5)]) / 1e-12
    assert found == pytest.approx(np.round(found), abs=1e-3)


def test_a_current_source_and_its_limit_of_the_voltage(wire: MessageBasedResource) -> None:
    wire.write("smua.source.func = smua.OUTPUT_DCAMPS smua.source.leveli = 2e-7 smua.source.limitv = 10")
    wire.write("smua.source.output = smua.OUTPUT_ON")
    current, voltage = values(wire, "smua.measure.iv()")
    assert current == pytest.approx(2e-7, rel=1e-3)
    assert 0.5 < voltage < 10
    assert asked(wire, "smua.source.compliance") == "false"
    wire.write("smua.source.limitv = 1")
    assert values(wire, "smua.measure.v()") == pytest.approx([1.0], rel=1e-3)
    assert values(wire, "status.measurement.instrument.smua.condition") == [1.0]
