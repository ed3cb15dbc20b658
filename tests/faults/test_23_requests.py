"""23: NaN, infinity, negative numbers, 1e9 points, one ulp beyond any limit: 2, and not one command is sent.

The whole command runs in this process, with a station whose instruments the twin's server plays: its log is empty.
"""

import math

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pymeasure.experiment import FloatParameter, IntegerParameter, ListParameter
from pymeasure.experiment.parameters import Parameter

import procedures
from drivers.sr830 import SENSITIVITIES, SR830, TIME_CONSTANTS
from labnis.experiment.request import procedure_names
from procedures.sweep_parameter import MOST_POINTS, SweepParameter
from tests.faults.measuring import Lab
from tests.run.bench import Answer, Commands

BIAS_LIMIT, COMPLIANCE = 6.0e-3, 5.0e-6
#: Highest temperature (K) of the stage that the station of these tests has.
STAGE_LIMIT = 0.4
STAGE = (
    f"stage: {{instrument: lakeshore, maximum: {STAGE_LIMIT}, maximum_power: 1.0e-2, heater_resistance: 100, rate: 1, "
    "window: 0.1}"
)
ISLAND = "  device: {island: {volume: 1.0e-18, electron_phonon: 2.0e+9}}"
PARAMETERS = [(kind, name) for kind in procedure_names() for name in getattr(procedures, kind)().parameter_objects()]
#: No shrinking: a request that is not refused is a real run, and every further one takes seconds.
PHASES = (Phase.explicit, Phase.generate)
#: Limits that are not the parameter's own: the station's.
STATION_LIMITS = {"maximum_bias": BIAS_LIMIT, "maximum_current": COMPLIANCE}
#: Largest point of a list: bias or temperature.
POINT_LIMITS = {"bias_points": BIAS_LIMIT, "temperatures": STAGE_LIMIT}


class Requests:
    """`labnis run` in this process, with the promise that nothing came of it."""

    def __init__(self, lab: Lab, labnis: Commands) -> None:
        self.lab = lab
        self.labnis = labnis

    def refused(self, kind: str, *pairs: str) -> Answer:
        sets = " ".join(f"--set '{pair}'" for pair in pairs)
        answer = self.labnis(f"run {kind} --yes {sets} --station {self.lab.station} --data {self.lab.data}")
        assert answer.code == 2, (pairs, answer.err)
        assert self.lab.log == [], pairs
        assert not list(self.lab.data.glob("*/*/*.h5"))
        return answer


@pytest.fixture
def requests(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Requests:
    text = lab.station.read_text(encoding="utf-8")
    assert "fridge: lakeshore}" in text
    text = text.replace("fridge: lakeshore}", f"fridge: lakeshore, {STAGE}}}").replace(
        "labnis:\n", f"labnis:\n{ISLAND}\n"
    )
    lab.station.write_text(text, encoding="utf-8")
    return Requests(lab, Commands(monkeypatch, capsys))


def impossible(kind: str, name: str) -> st.SearchStrategy[str]:
    """Texts that the parameter `name` of the procedure `kind` must not take."""
    parameter: Parameter = getattr(procedures, kind)().parameter_objects()[name]
    nonsense = st.sampled_from(["nan", "inf", "-inf", "1e400", "", "1_0", "0x10", "many"])
    if isinstance(parameter, SweepParameter):  # no points at all means: those of the other parameters
        segments = st.sampled_from(
            ["0:1e-3", "0:1e-3:1", "0:1e-3:-5", f"0:1e-3:{MOST_POINTS + 1}", "0:nan:5", "0,,1e-3"]
        )
        beyond = st.floats(min_value=POINT_LIMITS[name], exclude_min=True).map(lambda point: f"0:1e-3:5,{point!r}")
        return st.one_of(nonsense.filter(bool), segments, beyond, beyond.map(lambda text: text.replace(",", ",-")))
    if isinstance(parameter, ListParameter):
        return st.one_of(nonsense, st.sampled_from(["Sweep", "sweep ", "0", "informations", "['sweep']"]))
    if isinstance(parameter, IntegerParameter):
        least, most = int(parameter.minimum), int(parameter.maximum)
        outside = st.sampled_from([least - 1, most + 1, 0, -5, 10**9])
        integers = st.one_of(st.integers(max_value=least - 1), st.integers(min_value=most + 1))
        return st.one_of(nonsense, st.sampled_from(["1e9", "10.5"]), outside.map(str), integers.map(str))
    assert isinstance(parameter, FloatParameter)
    low = float(parameter.minimum)
    high = min(float(parameter.maximum), STATION_LIMITS.get(name, math.inf))
    beyond = st.sampled_from([math.nextafter(low, -math.inf), math.nextafter(high, math.inf), *([-1.0] * (low >= 0))])
    anywhere = st.one_of(st.floats(max_value=low, exclude_max=True), st.floats(min_value=high, exclude_min=True))
    return st.one_of(nonsense, beyond.map(repr), anywhere.map(repr))


def names_the_cause(answer: Answer, name: str) -> bool:
    return any(cause in answer.err for cause in (name, "bias", "compliance", "stage")) and "days" not in answer.err


@pytest.mark.parametrize(("kind", "name"), PARAMETERS)
@settings(max_examples=12, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_no_parameter_can_be(kind: str, name: str, requests: Requests, data: st.DataObject) -> None:
    assert names_the_cause(requests.refused(kind, f"{name}={data.draw(impossible(kind, name))}"), name)


def beyond_by_an_ulp(kind: str, name: str) -> list[str]:
    parameter = getattr(procedures, kind)().parameter_objects()[name]
    if isinstance(parameter, SweepParameter):
        beyond = math.nextafter(POINT_LIMITS[name], math.inf)
        return [
            *(f"{end!r}:0:9" for end in (beyond, -beyond)),
            f"0,1e-3,2e-3,{-beyond!r}",
            "0:1e-3:5,1e308",
            "0:inf:9",
            f"0:1:{10**9}",
        ]
    if isinstance(parameter, ListParameter):
        return ["", "nan", "0", *(f"{choice}s" for choice in parameter.choices)]
    if isinstance(parameter, IntegerParameter):
        return [str(int(parameter.minimum) - 1), str(int(parameter.maximum) + 1), "1000000000"]
    low, high = float(parameter.minimum), min(float(parameter.maximum), STATION_LIMITS.get(name, math.inf))
    return [repr(math.nextafter(low, -math.inf)), repr(math.nextafter(high, math.inf)), "nan", "inf", "-inf"]


@pytest.mark.parametrize(("kind", "name"), PARAMETERS)
def test_every_limit_of_every_parameter_is_sharp(kind: str, name: str, requests: Requests) -> None:
    for text in beyond_by_an_ulp(kind, name):
        assert names_the_cause(requests.refused(kind, f"{name}={text}"), name), text


def test_a_bias_of_nothing_is_no_sweep(requests: Requests) -> None:
    requests.refused("IVSweep", "maximum_bias=0")


# --- what no instrument of the station has ----------------------------------------------------------------------------


def not_a_step(steps: tuple[float, ...], low: float, high: float) -> st.SearchStrategy[float]:
    far = st.floats(low, high).filter(lambda value: not any(math.isclose(value, step, rel_tol=1e-5) for step in steps))
    inside = [step for step in steps if low <= step <= high]
    return st.one_of(st.sampled_from(inside).map(lambda step: min(step * 1.01, high / 1.01)), far)


@settings(max_examples=25, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    setting=st.one_of(
        not_a_step(TIME_CONSTANTS, 1e-5, 100.0).map(lambda value: f"time_constant={value!r}"),
        not_a_step(SENSITIVITIES, 2e-9, 0.9).map(lambda value: f"sensitivity={value!r}"),
        st.integers(4, 4999).filter(lambda mv: mv % 2).map(lambda mv: f"excitation={mv / 1000!r}"),
    )
)
def test_a_setting_that_the_lock_in_has_no_step_for(requests: Requests, setting: str) -> None:
    answer = requests.refused("IVSweep", setting)
    assert "sr830, the lockin" in answer.err


def test_settings_that_exclude_each_other(requests: Requests) -> None:
    answer = requests.refused("IVSweep", "time_constant=100", "excitation_frequency=1000")
    assert "200 Hz" in answer.err
    for kind, highest in (("ReflectionVsBias", 26.5e9), ("EmittedPowerVsBias", 44e9)):
        answer = requests.refused(kind, f"center={highest!r}", "span=1e6")
        assert "must lie within" in answer.err
        requests.refused(kind, f"center={highest - 0.5e6:.1f}", f"span={math.nextafter(1e6, 2e6) + 1e-4!r}")


def test_the_steps_themselves_are_not_refused() -> None:

    for constant in TIME_CONSTANTS:
        for full_scale in SENSITIVITIES:
            SR830.check_settings(amplitude=0.01, frequency=77.7, time_constant=constant, sensitivity=full_scale)


# --- limits that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["maximum_bias: .nan", "maximum_bias: .inf", "maximum_bias: -6.0e-3"])
def test_limits_that_are_none(requests: Requests, limit: str) -> None:
    station = requests.lab.station
    text = station.read_text(encoding="utf-8")
    assert "maximum_bias: 6.0e-3" in text
    station.write_text(text.replace("maximum_bias: 6.0e-3", limit), encoding="utf-8")
    answer = requests.refused("IVSweep")
    assert "maximum_bias" in answer.err
    assert "line" in answer.err
