"""The Triton as a thermometer: in the twin, and at a TCP socket."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drivers.errors import CommunicationError, InstrumentError, ReadingError
from drivers.oxford_triton import TritonFridge
from drivers.roles import Thermometer
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.oxford_triton import OxfordTritonPanel
from tests.served_panel import served
from tests.triton_twin import triton_driver, triton_panel, triton_twin  # noqa: F401  # fixtures


def test_it_fills_the_role_and_reads_every_stage(triton: TritonFridge, panel: OxfordTritonPanel) -> None:
    assert missing_members(triton, Thermometer) == []
    truth = panel.world.truth.fridge
    assert triton.temperature() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
    assert triton.channel_temperature("stil") == pytest.approx(truth.still_temperature, rel=0.02)
    assert triton.channel_temperature(3) == pytest.approx(truth.four_kelvin_temperature, rel=0.02)
    assert triton.channel_temperature("T4") == pytest.approx(truth.fifty_kelvin_temperature, rel=0.02)
    assert triton.get_idn() == {
        "vendor": "OXFORD INSTRUMENTS", "model": "TRITON", "serial": "TWIN0061", "firmware": "2.6"
    }  # fmt: skip


def test_it_reads_over_tcp(panel: OxfordTritonPanel) -> None:
    with served(panel) as port:
        remote = TritonFridge("remote", f"TCPIP0::127.0.0.1::{port}::SOCKET", visalib="@py")
        assert remote.temperature() == pytest.approx(panel.world.truth.fridge.mixing_chamber_temperature, rel=0.02)
        remote.snapshot(update=True)
        remote.close()


def test_a_channel_that_is_not_measured_is_refused(triton: TritonFridge, panel: OxfordTritonPanel) -> None:
    panel.enabled[8] = False
    with pytest.raises(ReadingError, match="channel T8 is not measured; its value is old"):
        triton.temperature()


@pytest.mark.parametrize(("channel", "answer"), [(7, "NOT_FOUND"), ("SORB", "NONE"), ("NAME", "INVALID")])
def test_a_channel_that_does_not_exist_is_named(triton: TritonFridge, channel: str | int, answer: str) -> None:
    with pytest.raises(ReadingError, match=f"has no channel T?{channel} .it answers '{answer}'"):
        triton.channel_temperature(channel)


@pytest.mark.parametrize("channel", [0, "T0", "T30", "", "M C", "MC;*RST", True, None, 8.0])
def test_a_channel_that_cannot_exist_is_refused(triton: TritonFridge, twin: Twin, channel: object) -> None:
    with pytest.raises(ReadingError, match="no such channel"):
        triton.channel_temperature(channel)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="allowed are 1 to 29"):
        TritonFridge("other", twin.addresses["triton"], channel=channel, visalib=twin.visalib)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "expected"), [("1.47628K", 1.47628), ("12.3mK", 12.3e-3), ("0.0123K", 0.0123), ("9500uK", 9.5e-3)]
)
def test_units_of_a_reading(
    triton: TritonFridge, panel: OxfordTritonPanel, monkeypatch: pytest.MonkeyPatch, answer: str, expected: float
) -> None:
    monkeypatch.setattr(panel, "_temperature", lambda _: answer)
    monkeypatch.setattr(panel, "show_number", lambda text: text.removesuffix("K"))
    assert triton.temperature() == pytest.approx(expected)


@pytest.mark.parametrize(("kelvin", "problem"), [(1.6e123, "over-range"), (0.0, "not a temp"), (600.0, "possible")])
def test_what_is_no_temperature_is_refused(
    triton: TritonFridge, panel: OxfordTritonPanel, monkeypatch: pytest.MonkeyPatch, kelvin: float, problem: str
) -> None:
    monkeypatch.setattr(panel, "_temperature", lambda _: kelvin)
    with pytest.raises(ReadingError, match=problem):
        triton.temperature()


def test_a_lost_connection_is_an_error(panel: OxfordTritonPanel) -> None:
    with served(panel) as port:
        remote = TritonFridge("remote", f"TCPIP0::127.0.0.1::{port}::SOCKET", visalib="@py", timeout=0.2)
        panel.execute = lambda _: []  # type: ignore[method-assign]
        with pytest.raises(CommunicationError, match=r"remote \(TCPIP0"):
            remote.temperature()
        remote.close()


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(triton: TritonFridge, panel: OxfordTritonPanel) -> None:
    channels = ("MC", 3, 3, "STIL", "MC", "MC")
    clean = [triton.channel_temperature(channel) for channel in channels]
    honest, at, right = panel.execute, 0, 0
    while True:
        before: list[list[bytes]] = [[b""]]
        answered = [0]

        def behind(message: str, at: int = at, before: list = before, answered: list = answered) -> list[bytes]:
            answer = honest(message)
            answered[0] += 1
            swapped = before[0] if answered[0] == at + 1 else answer
            before[0] = answer
            return swapped

        triton._channels.clear()
        panel.execute = behind  # type: ignore[method-assign]
        try:
            found = [triton.channel_temperature(channel) for channel in channels]
            assert np.allclose(found, clean, rtol=0.05)
            right += 1
        except InstrumentError as error:
            assert "triton" in str(error)
        panel.execute = honest  # type: ignore[method-assign]
        triton.regain_step()
        at += 1
        if answered[0] < at:
            break
    assert right > 5


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(value=st.text(max_size=12) | st.floats().map(lambda value: f"{value}K"), whole=st.booleans())
@example(value="١K", whole=False)
@example(value="9" * 100 + "K", whole=False)
def test_any_answer_is_a_temperature_or_an_error_of_ours(
    triton: TritonFridge, panel: OxfordTritonPanel, value: str, whole: bool
) -> None:
    honest = panel.execute

    def answered(message: str) -> list[bytes]:
        if "SIG:TEMP" not in message:
            return honest(message)
        begin = "" if whole else "STAT:DEV:T8:TEMP:SIG:TEMP:"
        return [(begin + value).encode("utf-8", "replace")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", answered)
        try:
            assert 1e-3 <= triton.temperature() <= 420.0
        except InstrumentError as error:
            assert "triton" in str(error)
