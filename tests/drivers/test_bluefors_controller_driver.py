"""The Bluefors Temperature Controller: the last measurement of a channel, if it is valid and not old."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drivers.bluefors_controller import BlueforsController
from drivers.errors import CommunicationError, InstrumentError, ReadingError
from drivers.roles import Thermometer
from labnis.station.role_check import missing_members
from sim_instruments.server.fridge_web import ControllerWeb
from sim_instruments.server.web import EPOCH
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import shipped_twin  # noqa: F401  # a fixture

LATEST, HISTORY = "/channel/measurement/latest", "/channel/historical-data"


@pytest.fixture
def web(twin: LabnisVisaLibrary) -> Iterator[ControllerWeb]:
    with ControllerWeb(twin.world).running() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.web_line.PAUSE", 0.0)


@pytest.fixture
def fridge(web: ControllerWeb) -> BlueforsController:
    return BlueforsController("fridge", web.address)


def test_it_fills_the_role_and_reads_every_stage(fridge: BlueforsController, twin: LabnisVisaLibrary) -> None:
    assert missing_members(fridge, Thermometer) == []
    truth = twin.truth.fridge
    assert fridge.temperature() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
    for channel, stage in ((1, "fifty_kelvin"), (2, "four_kelvin"), (5, "still")):
        assert fridge.channel_temperature(channel) == pytest.approx(getattr(truth, f"{stage}_temperature"), rel=0.02)
    assert fridge.get_idn()["serial"] == "TWIN0001"


def test_the_latest_measurement_is_never_taken_for_that_of_another_channel(
    fridge: BlueforsController, web: ControllerWeb, twin: LabnisVisaLibrary
) -> None:
    """What programs do that take the answer for the channel that they want (id of a channel is ignored)."""
    asked = set()
    for _ in range(8):
        web.requests.clear()
        assert fridge.temperature() == pytest.approx(twin.truth.fridge.mixing_chamber_temperature, rel=0.02)
        asked.add(tuple(web.requests))
        twin.world.clock.sleep(10.0)
    assert asked == {(LATEST,), (LATEST, HISTORY)}


def test_a_controller_that_has_stopped_is_an_error(
    fridge: BlueforsController, web: ControllerWeb, twin: LabnisVisaLibrary
) -> None:
    web.scanner.stopped = twin.world.clock.time()
    twin.world.clock.sleep(3600.0)
    with pytest.raises(ReadingError, match=r"channel 6 .* is 36\d\d s old|no measurement of the last 180 s"):
        fridge.temperature()
    with pytest.raises(ReadingError, match=r"channel 2 .* is 36\d\d s old|no measurement of the last 180 s"):
        fridge.channel_temperature(2)


def test_a_channel_that_is_not_active_is_an_error(fridge: BlueforsController) -> None:
    with pytest.raises(ReadingError, match="channel 7 has no measurement of the last 180 s"):
        fridge.channel_temperature(7)
    with pytest.raises(ReadingError, match="has no channel 13"):
        fridge.channel_temperature(13)


def test_a_measurement_with_a_flag_is_refused(fridge: BlueforsController, web: ControllerWeb) -> None:
    web.flags = [242]
    with pytest.raises(ReadingError, match="no valid temperature: status flag 242"):
        fridge.temperature()


def test_a_measurement_without_temperature_is_refused(fridge: BlueforsController, web: ControllerWeb) -> None:
    web.valid = False
    with pytest.raises(ReadingError, match="no valid temperature: no reason given"):
        fridge.temperature()


def test_a_flag_that_is_accepted_is_noted(web: ControllerWeb, caplog: pytest.LogCaptureFixture) -> None:
    lenient = BlueforsController("lenient", web.address, accepted_flags=[514])
    web.flags = [514]
    assert lenient.temperature() > 0
    assert "has the status flags [514]" in caplog.text
    web.flags = [514, 901]
    with pytest.raises(ReadingError, match="status flag 901"):
        lenient.temperature()


def test_an_error_of_the_controller_is_quoted(fridge: BlueforsController, web: ControllerWeb) -> None:
    web.faults.answer = b'{"status": "ERROR", "error": {"code": 123, "message": "Wrong parameters provided."}}'
    with pytest.raises(CommunicationError, match="Wrong parameters provided"):
        fridge.temperature()


def test_an_address_that_is_not_that_of_a_controller_is_named() -> None:
    with pytest.raises(ValueError, match="http://host:5001"):
        BlueforsController("fridge", "https://10.0.0.5:49098")
    with pytest.raises(ValueError, match="channels 1 to 12"):
        BlueforsController("fridge", "http://10.0.0.5", channel=0)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("channel_nr", "timestamp", "temperature", "status_flags", "datetime")


def answer_with(**changes: Any) -> bytes:
    right = {"status": "OK", "channel_nr": 6, "timestamp": EPOCH, "temperature": 0.02, "status_flags": []}
    return json.dumps(right | {"datetime": "2027-01-15T08:00:00Z"} | changes).encode()


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    answer=st.binary(max_size=40)
    | JSON.map(json.dumps).map(str.encode)
    | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON)).map(lambda some: answer_with(**some))
    | JSON.map(lambda some: answer_with(channel_nr=5, measurements=some))
)
@example(answer=answer_with())
@example(answer=answer_with(timestamp=10**400))
@example(answer=answer_with(temperature=10**400))
@example(answer=answer_with(status_flags=[[1]]))
def test_any_answer_is_a_temperature_or_an_error_of_ours(
    fridge: BlueforsController, web: ControllerWeb, answer: bytes
) -> None:
    web.faults.answer = answer
    try:
        assert 1e-3 <= fridge.temperature() <= 420.0
    except InstrumentError as error:
        assert "fridge" in str(error)
