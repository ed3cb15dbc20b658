"""The Bluefors Temperature Controller as the heater of the stage: refusals, lost and wrong answers, no repetition."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.bluefors_controller import BlueforsController
from drivers.errors import CommunicationError, InstrumentError, ReadingError, SettingError
from drivers.stage_heater import StageHeater
from labnis.station.role_check import missing_members
from sim_instruments.server.fridge_web import ControllerWeb
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import shipped_twin  # noqa: F401  # a fixture

LIMITS = {"maximum_power": 10e-3, "heater_resistance": 100.0}
UPDATE = "/heater/update"

Changed = Callable[[str, Any, dict[str, Any]], Any]
"""What is answered to a target and a body in place of an answer."""


@pytest.fixture
def web(twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControllerWeb]:
    monkeypatch.setattr("drivers.web_line.PAUSE", 0.0)
    with ControllerWeb(twin.world).running() as found:
        found.scanner.dwell = 1e-3
        yield found


@pytest.fixture
def fridge(web: ControllerWeb) -> BlueforsController:
    return BlueforsController("fridge", web.address)


@pytest.fixture
def answering(web: ControllerWeb, monkeypatch: pytest.MonkeyPatch) -> Callable[[Changed], None]:
    """Have the controller, which carries out what it is sent, answer something else."""

    def answer(changed: Changed) -> None:
        def answered(target: str, body: Any) -> tuple[int, Any]:
            status, right = ControllerWeb.answered(web, target, body)
            return status, changed(target, body, dict(right))

        monkeypatch.setattr(web, "answered", answered)

    return answer


@pytest.fixture
def updates(web: ControllerWeb, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Settings that the controller was sent."""
    sent: list[dict[str, Any]] = []

    def answered(target: str, body: Any) -> tuple[int, Any]:
        if target == UPDATE:
            assert body.pop("heater_nr") == 4
            sent.append(dict(body))
            body["heater_nr"] = 4
        return ControllerWeb.answered(web, target, body)

    monkeypatch.setattr(web, "answered", answered)
    return sent


def given_power(web: ControllerWeb) -> float:
    """Power (W) that the stage gets now."""
    return web.world.stage.given(web.world.clock.time())


def test_the_stage_is_held_with_the_power_that_is_allowed(
    fridge: BlueforsController, web: ControllerWeb, updates: list[dict[str, Any]]
) -> None:
    assert missing_members(fridge, StageHeater) == []
    web.heaters[4] |= {"active": True, "pid_mode": 0, "power": 0.02, "setpoint": 4.0}  # as somebody has left it
    assert fridge.output_enabled()
    fridge.prepare(**LIMITS)
    assert not fridge.output_enabled()
    assert given_power(web) == 0
    fridge.output_on()
    assert fridge.output_enabled()
    assert fridge.level() == pytest.approx(fridge.temperature(), rel=0.05)
    fridge.set_level(0.2)
    assert given_power(web) == pytest.approx(10e-3)
    web.world.clock.sleep(3600.0)
    assert fridge.temperature() == pytest.approx(0.2, rel=0.02)
    assert fridge.level() == 0.2
    fridge.output_off()
    assert not fridge.output_enabled()
    web.world.clock.sleep(7200.0)
    assert fridge.temperature() == pytest.approx(web.world.truth.fridge.mixing_chamber_temperature, rel=0.05)
    loop = {"pid_mode": 1, "control_algorithm": 1, "max_power": 10e-3}
    start = updates[2].pop("setpoint")
    assert 0 < start < 0.05
    assert updates == [{"active": False}, loop, loop, {"active": True}, {"setpoint": 0.2}, {"active": False}]


def test_a_lower_limit_of_the_controller_stays(fridge: BlueforsController, web: ControllerWeb) -> None:
    web.heaters[4]["max_power"] = 1e-3
    fridge.prepare(**LIMITS)
    assert web.heaters[4]["max_power"] == 1e-3
    web.heaters[4]["max_power"] = 0.0
    with pytest.raises(SettingError, match=r"fridge \(http://.*\): heater 4 has a max_power of 0 W"):
        fridge.prepare(**LIMITS)


def test_another_resistance_is_refused(fridge: BlueforsController, web: ControllerWeb) -> None:
    web.heaters[4]["resistance"] = 120.0
    with pytest.raises(SettingError, match=r"resistance of 120 ohm there .*; the station file has .* 100 ohm"):
        fridge.prepare(**LIMITS)
    with pytest.raises(SettingError, match=r"largest power of its heater is not known\. Call prepare"):
        fridge.output_on()
    assert not web.heaters[4]["active"]


@pytest.mark.parametrize(
    ("coupled", "said"), [({6: 0}, "no channel"), ({6: 0, 5: 4}, "channel 5"), ({7: 4}, "channel 6, 7")]
)
def test_a_heater_of_another_channel_is_refused(
    fridge: BlueforsController, web: ControllerWeb, coupled: dict[int, int], said: str
) -> None:
    fridge.prepare(**LIMITS)
    web.coupled |= coupled
    problem = rf"heater 4 is coupled to {said}, not to channel 6 alone \(/channels\)\. Couple"
    with pytest.raises(SettingError, match=problem):
        fridge.output_on()
    with pytest.raises(SettingError, match=problem):
        fridge.prepare(**LIMITS)
    assert not web.heaters[4]["active"]


@pytest.mark.parametrize("kelvin", [0.0, -1.0, 500.0, float("nan"), float("inf")])
def test_a_setpoint_that_is_no_temperature_is_not_sent(
    fridge: BlueforsController, web: ControllerWeb, kelvin: float
) -> None:
    web.requests.clear()
    with pytest.raises(SettingError, match=r"a set-point of .* K was requested; .* Nothing was sent"):
        fridge.set_level(kelvin)
    assert web.requests == []


def test_a_heater_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="heaters 1 to 4"):
        BlueforsController("fridge", "http://10.0.0.5", heater=0)


def test_a_refusal_names_the_request_and_what_the_controller_says(web: ControllerWeb) -> None:
    fridge = BlueforsController("fridge", web.address, channel=5, heater=3)
    web.heaters[3] = {}
    with pytest.raises(CommunicationError, match="/heater"):
        fridge.level()
    del web.heaters[3]
    problem = (
        r"fridge \(http://.*\): answers /heater/update .*'setpoint': 0.7.* with an error: Wrong parameters provided\."
    )
    with pytest.raises(SettingError, match=problem):
        fridge.set_level(0.7)


def test_a_setting_is_sent_once_and_a_query_again(fridge: BlueforsController, web: ControllerWeb) -> None:
    web.faults.busy = 1
    assert not fridge.output_enabled()
    web.requests.clear()
    web.faults.busy = 1
    with pytest.raises(CommunicationError, match=r"/heater/update: the server is busy or has failed"):
        fridge.set_level(0.1)
    assert web.requests == [UPDATE]


@pytest.mark.parametrize("lost", [None, [], {"status": "ERROR"}, {"status": "OK", "datetime": "1"}])
def test_the_heater_is_off_although_the_answer_is_lost(
    fridge: BlueforsController, web: ControllerWeb, answering: Callable[[Changed], None], lost: Any
) -> None:
    fridge.prepare(**LIMITS)
    fridge.output_on()
    answering(lambda target, body, right: lost if target == UPDATE else right)
    fridge.output_off()
    assert not web.heaters[4]["active"]
    assert given_power(web) == 0


@pytest.mark.parametrize("state", [True, None, 0, "false"])
def test_a_heater_that_does_not_read_as_off_is_an_error(
    fridge: BlueforsController, answering: Callable[[Changed], None], state: object
) -> None:
    answering(lambda target, body, right: right | {"active": state} if target == "/heater" else right)
    with pytest.raises(SettingError, match=rf"active of heater 4 reads {state} where False was requested"):
        fridge.output_off()


@pytest.mark.parametrize(("key", "value"), [("max_power", 0.1), ("setpoint", 4.0), ("pid_mode", 0), ("setpoint", None)])
@pytest.mark.parametrize("active", [False, True])
def test_a_loop_that_reads_back_differently_does_not_heat(
    fridge: BlueforsController,
    web: ControllerWeb,
    answering: Callable[[Changed], None],
    key: str,
    value: object,
    active: bool,
) -> None:
    fridge.prepare(**LIMITS)

    def changed(target: str, body: Any, right: dict[str, Any]) -> dict[str, Any]:
        return right | {key: value} if target == "/heater" and right["active"] is active else right

    answering(changed)
    with pytest.raises(SettingError, match=rf"{key} of heater 4 reads {value} where .* was requested"):
        fridge.output_on()
    assert not web.heaters[4]["active"]


def test_it_is_not_heated_without_a_valid_sensor(fridge: BlueforsController, web: ControllerWeb) -> None:
    fridge.prepare(**LIMITS)
    web.valid = False
    with pytest.raises(ReadingError, match=r"channel 6 .* no valid temperature"):
        fridge.output_on()
    assert not web.heaters[4]["active"]


def heated(fridge: BlueforsController) -> None:
    """What a run does, in short."""
    fridge.prepare(**LIMITS)
    fridge.output_on()
    fridge.set_level(0.1)
    assert fridge.level() == pytest.approx(0.1)
    assert fridge.output_enabled()
    fridge.output_off()
    assert not fridge.output_enabled()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("status", "datetime", "data", "heater_nr", "active", "pid_mode", "resistance", "max_power", "setpoint")


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(at=st.integers(0, 20), said=JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)))
def test_any_answer_is_an_error_of_ours_or_the_heater_is_off(
    fridge: BlueforsController, web: ControllerWeb, at: int, said: Any
) -> None:
    number = itertools.count()

    def answered(target: str, body: Any) -> tuple[int, Any]:
        status, right = ControllerWeb.answered(web, target, body)
        if next(number) != at:
            return status, right
        return status, right | said if isinstance(said, dict) else said

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "answered", answered)
        try:
            heated(fridge)
            assert not web.heaters[4]["active"]
        except InstrumentError as error:
            assert "fridge" in str(error)
            assert len(str(error)) < 1000
    fridge.output_off()
    assert json.dumps(web.heaters[4]["active"]) == "false"
