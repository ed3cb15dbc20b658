"""The SCPI grammar, on a panel for tests: effects of a line, and errors of a wrong one."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch, Text, encode_values
from sim_instruments.world import SimulatedClock


class Panel(ScpiPanel):
    identification = "Maker,Model,1,1.0"
    resource = "GPIB{}::1::INSTR"
    number_format = "g"
    settings = (
        Setting("[:SENSe<n>]:FREQuency:CENTer", "center", Number(1e9, 10.0, 50e9, "HZ")),
        Setting("[:SENSe<n>]:FREQuency:SPAN", "span", Number(1e6, 0.0, 50e9, "HZ")),
        Setting(":SOURce<n>:VOLTage[:LEVel][:IMMediate][:AMPLitude]", "level", Number(0.0, -1.0, 1.0, "V")),
        Setting(":OUTPut[:STATe]", "output", Switch(False)),
        Setting(":TRIGger:SOURce", "trigger", Choice("IMMediate", "EXTernal", "BUS")),
        Setting(":DISPlay:TEXT", "text", Text()),
        Setting(":AVERage:COUNt", "averages", Integer(1, 1, 100)),
    )

    @command(":CALCulate<n>:MARKer<n>:Y?")
    def marker(self, call: Call) -> str:
        if call.suffixes[1] > 12:
            raise ScpiError(-114)
        return f"{call.suffixes[0]}/{call.suffixes[1]}"

    @command(":TRACe:DATA?")
    def data(self, call: Call) -> str:
        call.expect(2, 3)
        return "|".join(call.arguments)

    @command(":INITiate[:IMMediate]")
    def initiate(self, call: Call) -> None:
        self.start_operation(3.0, finish=lambda: self.state.update(text="done"))


def answers(panel: Panel, message: str) -> str | None:
    panel.receive(message.encode())
    data, _ = panel.take(100_000)
    return data.decode().removesuffix("\n") if data else None


@pytest.fixture
def panel() -> Panel:
    return Panel(SimpleNamespace(clock=SimulatedClock()))  # type: ignore[arg-type]  # a world with nothing in it


@pytest.mark.parametrize(
    "header",
    [
        ":SENSe:FREQuency:CENTer",
        "SENS:FREQ:CENT",
        "sens1:freq:cent",
        ":freq:center",
        "FREQUENCY:CENT",
    ],
)
def test_long_short_and_optional_forms_reach_the_same_setting(panel: Panel, header: str) -> None:
    assert answers(panel, f"{header} 4.67e9;:FREQ:CENT?") == "4.67e+09"
    assert answers(panel, "SYST:ERR?") == '+0,"No error"'


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("FREQU:CENT 1e9", -113),  # neither long nor short form
        ("NONSENSE", -113),
        ("FREQ:CENT", -109),
        ("FREQ:CENT 1e9,2e9", -108),
        ("FREQ:CENT abc", -104),
        ("FREQ:CENT 1 KV", -131),
        ("FREQ:CENT 1e12", -222),
        ("FREQ:CENT nan", -104),
        ("FREQ:CENT inf", -104),
        ("FREQ:CENT 1_0e9", -104),
        ("SENS2:FREQ:CENT 1e9", -114),
        ("CALC:MARK13:Y?", -114),
        ("TRIG:SOUR LINE", -224),
        ("DISP:TEXT hello", -104),
        ("*RST;*FOO", -113),
        ("FREQ:CENT 1e9é", -104),
        ("\x00\x01", -101),
    ],
)
def test_a_rejected_command_queues_one_error_changes_nothing_and_answers_nothing(
    panel: Panel, message: str, code: int
) -> None:
    before = dict(panel.state)

    assert answers(panel, message) is None

    assert panel.state == before
    assert answers(panel, "SYST:ERR:COUN?") == "1"
    assert answers(panel, "SYST:ERR?").startswith(f'{code},"')  # type: ignore[union-attr]
    assert answers(panel, "SYST:ERR?") == '+0,"No error"'


@pytest.mark.parametrize(("message", "bit"), [("NONSENSE", 32), ("FREQ:CENT 1e12", 16)])
def test_errors_set_their_event_status_bit_which_reading_clears(panel: Panel, message: str, bit: int) -> None:
    assert answers(panel, "*ESR?") == "128"  # power-on
    answers(panel, message)
    assert answers(panel, "*ESR?") == str(bit)
    assert answers(panel, "*ESR?") == "0"


def test_chains_continue_below_the_last_header_and_join_their_answers(panel: Panel) -> None:
    assert (
        answers(panel, ":SENS:FREQ:CENT 2 GHZ;SPAN 3 MHZ;:OUTP ON;*ESE 1;:SENS:FREQ:CENT?;SPAN?;*ESE?")
        == "2e+09;3e+06;1"
    )
    assert panel.state["output"] is True


def test_a_command_error_ends_its_chain_and_an_execution_error_does_not(panel: Panel) -> None:
    assert answers(panel, "FREQ:CENT 1e12;SPAN 5;SPAN?") == "5"
    answers(panel, "NONSENSE;:OUTP ON")
    assert panel.state["output"] is False


def test_a_leading_colon_starts_again_at_the_root(panel: Panel) -> None:
    assert answers(panel, "FREQ:CENT 1e9;OUTP ON") is None  # there is no :FREQ:OUTP
    assert answers(panel, "SYST:ERR?").startswith("-113")  # type: ignore[union-attr]


def test_quoted_strings_and_lists_hide_separators(panel: Panel) -> None:
    assert answers(panel, "DISP:TEXT 'a;b, c''d';:DISP:TEXT?") == '"a;b, c\'d"'
    assert answers(panel, "TRAC:DATA? 1,10,'def,buffer;1'") == "1|10|'def,buffer;1'"
    assert answers(panel, "TRAC:DATA? (@1,2),3") == "(@1,2)|3"


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("MAX", 50e9), ("MINimum", 10.0), ("DEF", 1e9), ("1.5 ghz", 1.5e9), (".5E9", 5e8), ("10 MHZ", 10e6)],
)
def test_numbers_take_suffixes_and_names(panel: Panel, parameter: str, value: float) -> None:
    answers(panel, f"FREQ:CENT {parameter}")
    assert panel.state["center"] == pytest.approx(value)


def test_a_query_of_the_maximum_changes_nothing(panel: Panel) -> None:
    assert answers(panel, "FREQ:CENT? MAX") == "5e+10"
    assert panel.state["center"] == 1e9


def test_numeric_suffixes_default_to_one(panel: Panel) -> None:
    assert answers(panel, "CALC:MARK3:Y?") == "1/3"
    assert answers(panel, "calculate2:marker:y?") == "2/1"


def test_an_unread_answer_is_discarded_with_a_query_error(panel: Panel) -> None:
    panel.receive(b"*IDN?")
    assert answers(panel, "OUTP?") == "0"
    assert answers(panel, "SYST:ERR?").startswith("-410")  # type: ignore[union-attr]


def test_the_error_queue_is_bounded_and_says_so(panel: Panel) -> None:
    for _ in range(100):
        panel.receive(b"NONSENSE")
    entries = [answers(panel, "SYST:ERR?") for _ in range(31)]
    assert entries[29] == '-350,"Queue overflow"'
    assert entries[30] == '+0,"No error"'


def test_clear_status_empties_the_queue(panel: Panel) -> None:
    answers(panel, "NONSENSE")
    assert answers(panel, "*STB?") == "4"
    assert answers(panel, "*CLS;*STB?;*ESR?;:SYST:ERR:COUN?") == "0;0;0"


def test_an_operation_completes_when_its_time_has_passed_and_polling_makes_it_pass(panel: Panel) -> None:
    answers(panel, "*CLS;:INIT;*OPC")
    polls = 0
    while not int(answers(panel, "*ESR?") or 0) & 1:
        polls += 1
    assert 2000 < polls < 4000  # 3 s in steps of 1 ms
    assert panel.state["text"] == "done"


def test_opc_query_waits_for_the_operation(panel: Panel) -> None:
    assert answers(panel, "INIT;*OPC?") == "1"
    assert panel.world.clock.time() == pytest.approx(3.0, abs=0.01)
    assert panel.state["text"] == "done"


def test_service_request_summarises_enabled_bits(panel: Panel) -> None:
    answers(panel, "*CLS;*ESE 32;*SRE 32;NONSENSE")
    assert panel.status_byte() == 4 + 32 + 64


@pytest.mark.parametrize(("data_format", "dtype"), [("REAL,64", ">f8"), ("REAL,32", ">f4")])
def test_blocks_have_their_length_and_byte_order(data_format: str, dtype: str) -> None:
    values = np.array([1.5, -2.25, 3e-9])
    block = encode_values(values, data_format)
    assert block[:1] == b"#"
    assert np.frombuffer(block[2 + int(block[1:2]) :], dtype) == pytest.approx(values, rel=1e-7)
    swapped = encode_values(values, data_format, swapped=True)
    assert np.frombuffer(swapped[2 + int(swapped[1:2]) :], dtype.replace(">", "<")) == pytest.approx(values, rel=1e-7)


@given(
    st.lists(st.binary(max_size=60) | st.text("FREQ:CENT?;*IDN ()'\"1e9,#\n", max_size=40).map(str.encode), max_size=5)
)
def test_no_bytes_break_a_panel(messages: list[bytes]) -> None:
    panel = Panel(SimpleNamespace(clock=SimulatedClock()))  # type: ignore[arg-type]
    for message in messages:
        panel.receive(message)
    panel.device_clear()
    panel.receive(b"*IDN?")
    assert panel.take(100)[0] == b"Maker,Model,1,1.0\n"
