"""The Triton as the heater of the stage: in the twin, and with answers that are refusals, late or wrong."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers import oxford_triton
from drivers.errors import CommunicationError, InstrumentError, ReadingError, SettingError
from drivers.oxford_triton import TritonFridge
from drivers.stage_heater import StageHeater
from labnis.station.role_check import missing_members
from sim_instruments.panels.oxford_triton import OxfordTritonPanel
from tests.triton_twin import triton_driver, triton_panel, triton_twin  # noqa: F401  # fixtures

LIMITS = {"maximum_power": 10e-3, "heater_resistance": 100.0}


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oxford_triton, "PAUSE", 0.0)


@contextmanager
def answering(panel: OxfordTritonPanel, part: str, answer: str) -> Iterator[list[str]]:
    """The panel, which executes what it is sent, but answers a message with `part` with `answer`; what it was sent.

    `{}` is the message without its verb.
    """
    sent: list[str] = []
    honest = panel.execute

    def execute(message: str) -> list[bytes]:
        sent.append(message.strip())
        answers = honest(message)
        return [answer.format(message.strip().partition(":")[2]).encode()] if part in message else answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", execute)
        yield sent


def test_the_stage_is_held_in_the_largest_range_that_the_power_allows(
    triton: TritonFridge, panel: OxfordTritonPanel
) -> None:
    assert missing_members(triton, StageHeater) == []
    for left in ("POWR:800", "RANGE:100", "RAMP:ENAB:ON", "TSET:3", "MODE:ON"):  # as somebody has left it
        triton.ask(f"SET:DEV:H1:HTR:SIG:{left}" if "POWR" in left else f"SET:DEV:T8:TEMP:LOOP:{left}")
    assert triton.output_enabled()
    triton.prepare(**LIMITS)
    assert not triton.output_enabled()
    assert triton.heater_power() == panel.power == 0
    assert (panel.loop["MODE"], panel.loop["RANGE"], panel.loop["RAMP:ENAB"]) == ("OFF", 10.0, "OFF")
    triton.output_on()
    assert triton.output_enabled()
    assert triton.level() == pytest.approx(triton.temperature(), rel=0.05)
    triton.set_level(0.2)
    assert triton.heater_power() == pytest.approx(10e-3)
    panel.world.clock.sleep(3600.0)
    assert triton.temperature() == pytest.approx(0.2, rel=0.02)
    assert 0 < triton.heater_power() < 10e-3
    assert triton.level() == 0.2
    triton.output_off()
    assert not triton.output_enabled()
    panel.world.clock.sleep(7200.0)
    assert triton.temperature() == pytest.approx(panel.world.truth.fridge.mixing_chamber_temperature, rel=0.05)


@pytest.mark.parametrize(("power", "current"), [(1e-7, 0.0316), (0.99e-3, 1.0), (1e-3, 3.16), (2.0, 100.0)])
def test_the_range_follows_from_the_power(
    triton: TritonFridge, panel: OxfordTritonPanel, power: float, current: float
) -> None:
    triton.prepare(maximum_power=power, heater_resistance=100.0)
    assert panel.loop["RANGE"] == current


def test_a_power_below_the_lowest_range_is_refused(triton: TritonFridge) -> None:
    with pytest.raises(SettingError, match=r"the heater H1, in 100 ohm, gives up to 9.99e-08 W, more than maximum_pow"):
        triton.prepare(maximum_power=9e-8, heater_resistance=100.0)
    with pytest.raises(SettingError, match=r"the range of its heater is not known\. Call prepare"):
        triton.output_on()


def test_a_loop_that_belongs_to_another_channel_is_taken(triton: TritonFridge, panel: OxfordTritonPanel) -> None:
    for setting in ("HTR:H1", "RANGE:1", "TSET:1", "MODE:ON"):
        triton.ask(f"SET:DEV:T2:TEMP:LOOP:{setting}")
    assert not triton.output_enabled()
    triton.output_off()
    assert (panel.control, panel.loop["MODE"]) == (8, "OFF")


def test_a_power_set_by_hand_is_a_heater_that_is_on(triton: TritonFridge) -> None:
    triton.ask("SET:DEV:H1:HTR:SIG:POWR:5")
    assert triton.output_enabled()
    triton.output_off()
    assert not triton.output_enabled()


@pytest.mark.parametrize("kelvin", [0.0, -1.0, 500.0, float("nan"), float("inf")])
def test_a_setpoint_that_is_no_temperature_is_not_sent(triton: TritonFridge, kelvin: float) -> None:
    with pytest.raises(SettingError, match=r"a set-point of .* K was requested; .* Nothing was sent"):
        triton.set_level(kelvin)


@pytest.mark.parametrize("setting", ["MODE", "RANGE", "RAMP:ENAB", "POWR"])
@pytest.mark.parametrize("said", ["STAT:SET:{}:INVALID", "STAT:SET:{}:NOT_FOUND", "STAT:SET:{}:DENIED", "INVALID"])
def test_a_refused_setting_is_an_error_that_says_so(
    triton: TritonFridge, panel: OxfordTritonPanel, setting: str, said: str
) -> None:
    with (
        answering(panel, f"{setting}:", said),
        pytest.raises(SettingError, match=rf"triton .*: refused 'SET:DEV:.*:{setting}:.*' .it answers '.*{said[-4:]}'"),
    ):
        triton.prepare(**LIMITS)


@pytest.mark.parametrize("said", ["ok", "", "STAT:SET:{}", "STAT:{}:VALID", "STAT:SET:DEV:T5:TEMP:LOOP:TSET:1:VALID"])
def test_an_answer_that_is_not_that_to_the_setting_is_an_error(
    triton: TritonFridge, panel: OxfordTritonPanel, said: str
) -> None:
    with answering(panel, ":TSET:", said), pytest.raises(CommunicationError, match=r"SET:DEV:T8:TEMP:LOOP:TSET:0\.1"):
        triton.set_level(0.1)
    triton.set_level(0.1)
    assert triton.level() == 0.1


def test_the_heater_is_off_although_the_answers_to_its_settings_are_lost(
    triton: TritonFridge, panel: OxfordTritonPanel
) -> None:
    triton.prepare(**LIMITS)
    triton.output_on()
    with answering(panel, "SET:", "?"):
        triton.output_off()
    assert panel.loop["MODE"] == "OFF"


def test_a_setting_that_was_not_adopted_is_an_error(triton: TritonFridge, panel: OxfordTritonPanel) -> None:
    with (
        answering(panel, "READ:DEV:T8:TEMP:LOOP:RAMP:ENAB", "STAT:{}:ON"),
        pytest.raises(SettingError, match="RAMP:ENAB reads ON where OFF was requested"),
    ):
        triton.prepare(**LIMITS)
    with (
        answering(panel, "READ:DEV:T8:TEMP:LOOP:MODE", "STAT:{}:ON"),
        pytest.raises(SettingError, match="MODE reads ON where OFF was requested"),
    ):
        triton.output_off()


@pytest.mark.parametrize(
    ("read", "said", "problem"),
    [
        ("RANGE", "31.6mA", "a range of 31.6 mA and a set-point of 0.0[0-9]* K, where 10 mA"),
        ("RANGE", "0A", "a range of 0 mA"),
        ("TSET", "4K", "a range of 10 mA and a set-point of 4 K"),
    ],
)
def test_a_closed_loop_with_another_range_or_setpoint_is_opened_again(
    triton: TritonFridge, panel: OxfordTritonPanel, read: str, said: str, problem: str
) -> None:
    triton.prepare(**LIMITS)
    with (
        answering(panel, f"READ:DEV:T8:TEMP:LOOP:{read}", f"STAT:{{}}:{said}"),
        pytest.raises(SettingError, match=rf"{problem}.*heater off"),
    ):
        triton.output_on()
    assert panel.loop["MODE"] == "OFF"


def test_range_and_setpoint_are_written_before_the_loop_is_closed_and_after_it(
    triton: TritonFridge, panel: OxfordTritonPanel
) -> None:
    triton.prepare(**LIMITS)
    with answering(panel, "nothing", "") as sent:
        triton.output_on()
    settings = [text.split(":")[5] for text in sent if text.startswith("SET:")]
    assert settings == ["RANGE", "TSET", "MODE", "RANGE", "TSET"]


def test_it_is_not_heated_without_a_valid_sensor(triton: TritonFridge, panel: OxfordTritonPanel) -> None:
    triton.prepare(**LIMITS)
    panel.enabled[8] = False
    with pytest.raises(ReadingError, match="channel T8 is not measured"):
        triton.output_on()
    assert panel.loop["MODE"] == "OFF"


def test_what_is_shown_late_is_waited_for(triton: TritonFridge, panel: OxfordTritonPanel) -> None:
    triton.prepare(**LIMITS)
    honest, left = panel.execute, {"MODE": 3, "RANGE": 2, "POWR": 4}

    def late(message: str) -> list[bytes]:
        name, answers = message.strip().rpartition(":")[2], honest(message)
        if message.startswith("READ") and left.get(name):
            left[name] -= 1
            former = {"MODE": "OFF" if panel.loop["MODE"] == "ON" else "ON", "RANGE": "0A", "POWR": "5uW"}[name]
            return [f"STAT:{message.strip().removeprefix('READ:')}:{former}".encode()]
        return answers

    panel.execute = late  # type: ignore[method-assign]
    triton.output_on()
    assert (left["MODE"], left["RANGE"]) == (0, 0)
    left["MODE"] = 2
    triton.output_off()
    assert not any(left.values())


def test_a_heater_that_stays_on_is_an_error(triton: TritonFridge, panel: OxfordTritonPanel) -> None:
    with (
        answering(panel, "READ:DEV:H1", "STAT:{}:12.5uW"),
        pytest.raises(SettingError, match=r"its heater still gives 1.25e-05 W .DEV:H1:HTR:SIG:POWR.\. Switch it off"),
    ):
        triton.output_off()


@pytest.mark.parametrize("said", ["NOT_FOUND", "12", "12uK", "nanW", "W", "9.91e37W"])
def test_a_power_that_is_none_is_an_error(triton: TritonFridge, panel: OxfordTritonPanel, said: str) -> None:
    with answering(panel, "READ:DEV:H1", f"STAT:{{}}:{said}"), pytest.raises(InstrumentError, match="HTR:SIG:POWR"):
        triton.output_off()
    assert panel.loop["MODE"] == "OFF"


def heated(triton: TritonFridge) -> None:
    """What a run does, in short."""
    triton.prepare(**LIMITS)
    triton.output_on()
    triton.set_level(0.1)
    assert triton.level() == pytest.approx(0.1)
    assert triton.output_enabled()
    triton.output_off()
    assert not triton.output_enabled()


def spoiled(panel: OxfordTritonPanel, at: int, spoil: Callable[[list[bytes], list[bytes]], list[bytes]]) -> list[bool]:
    """Spoil answer number `at`; the list has an element once it was."""
    honest, number, before, struck = panel.execute, itertools.count(), [[b""]], []

    def execute(message: str) -> list[bytes]:
        answer = honest(message)
        former, before[0] = before[0], answer
        if next(number) != at:
            return answer
        struck.append(True)
        return spoil(answer, former)

    panel.execute = execute  # type: ignore[method-assign]
    return struck


@pytest.mark.faults
def test_one_swapped_answer_never_passes_for_a_heater_that_is_off(
    triton: TritonFridge, panel: OxfordTritonPanel
) -> None:
    honest = panel.execute
    for at in itertools.count():
        panel.switch_on()
        struck = spoiled(panel, at, lambda _, former: former)
        try:
            heated(triton)
            assert panel.loop["MODE"] == "OFF"
            assert panel.world.stage.given(panel.world.clock.time()) == 0
        except InstrumentError as error:
            assert "triton" in str(error)
        panel.execute = honest  # type: ignore[method-assign]
        triton.regain_step()
        triton.output_off()
        if not struck:
            break
    assert at > 25


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(at=st.integers(0, 40), said=st.binary(max_size=12), whole=st.booleans())
def test_any_answer_is_an_error_of_ours_or_right(
    triton: TritonFridge, panel: OxfordTritonPanel, at: int, said: bytes, whole: bool
) -> None:
    honest = panel.execute
    panel.switch_on()
    spoiled(panel, at, lambda answer, _: [said if whole else b"".join(answer).rpartition(b":")[0] + b":" + said])
    try:
        heated(triton)
        assert panel.loop["MODE"] == "OFF"
    except InstrumentError as error:
        assert "triton" in str(error)
    finally:
        panel.execute = honest  # type: ignore[method-assign]
        panel.drain()
        triton.regain_step()
