"""Reflection with a dense part around the resonance: the same results in less time, or a refusal before anything."""

import itertools
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.roles import Roles
from drivers.wiring import Wiring
from labnis import open_run
from labnis.errors import RequestError
from labnis.experiment.preflight import check_request, planned_run
from labnis.experiment.run import Run
from labnis.station import StationConfig, load_station
from labnis.ui.terminal import preflight_text
from procedures import ReflectionVsBias
from procedures.parameter_values import ProcedureError
from sim_instruments.world import World
from tests.run.bench import STATION_TEXT, BiasLog, Commands, Watcher, changed, dry_session, write_station

WIDE: dict[str, Any] = {"points": 9, "span": 400e6, "averages": 2}
SEGMENTS: dict[str, Any] = {"frequencies": 201, "line_span": 80e6, "wing_points": 20}
RESULTS = ("damping_line", "damping_excess", "damping_junction", "resonance_frequency")
VNA = "drivers.keysight_n5222b.KeysightN5222B"
# Of a lab's own package, for which a stand-in fills the role in a dry run.
PLAIN, SEGMENTED = "PlainAnalyzer", "SegmentedAnalyzer"
NUMBERS = itertools.count()


def station_with(folder: Path, kind: str) -> StationConfig:
    """The shipped station with a network analyzer of this `kind`; one without dots is in a package of the lab."""
    text = STATION_TEXT
    if "." not in kind:
        package = f"lab_analyzers_{next(NUMBERS)}"
        folder.mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("lab_analyzers.py"), folder / f"{package}.py")
        text, kind = changed(text, "  twin:", f"  packages: [{package}]\n  twin:"), f"{package}.{kind}"
    return load_station(write_station(folder, changed(text, f"type: {VNA}", f"type: {kind}")))


def axis_of(sweep: ReflectionVsBias) -> np.ndarray:
    parts = [(one.center - one.span / 2, one.center + one.span / 2, one.points) for one in sweep.segments()]
    return np.concatenate([np.linspace(*part) for part in parts])


# --- geometry --------------------------------------------------------------------------------------------------------


def test_the_three_segments_of_a_wide_band() -> None:
    lower, line, upper = ReflectionVsBias(**WIDE, **SEGMENTS).segments()
    assert (line.center, line.span, line.points) == (4.67e9, 80e6, 161)
    assert (lower.points, upper.points) == (20, 20)
    assert lower.center - lower.span / 2 == pytest.approx(4.47e9)
    assert lower.center + lower.span / 2 == pytest.approx(4.63e9 - 8e6)
    assert upper.center + upper.span / 2 == pytest.approx(4.87e9)
    assert {one.if_bandwidth for one in (lower, line, upper)} == {1e3}
    assert ReflectionVsBias(**WIDE).segments() == []


@given(
    line=st.floats(1e3, 1e8),
    ratio=st.floats(1.001, 10.0),
    wing=st.integers(2, 500),
    points=st.integers(11, 2000),
    center=st.floats(2e9, 2e10),
)
def test_whatever_is_allowed_rises_and_repeats_no_frequency(
    line: float, ratio: float, wing: int, points: int, center: float
) -> None:
    sweep = ReflectionVsBias(
        line_span=line, span=line * ratio, wing_points=wing, frequencies=points + 2 * wing, center=center
    )
    if sweep.refusal():
        return
    axis = axis_of(sweep)
    assert axis.size == sweep.frequencies
    # The ends of each segment are read back to 2 Hz, or an error.
    assert np.diff(axis).min() > min(sweep.line_step(), 10.0) * 0.99
    assert np.diff(axis)[[wing - 1, -wing]] == pytest.approx(sweep.wing_step(), rel=1e-3, abs=1e-3)
    assert axis[[0, -1]] == pytest.approx([center - line * ratio / 2, center + line * ratio / 2], abs=1.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"line_span": 80e6}, r"wing_points is 0; a denser part needs both"),
        ({"wing_points": 20}, r"line_span is 0 Hz and wing_points is 20"),
        ({"line_span": 80e6, "wing_points": 1}, "2 points or more at each side"),
        ({"line_span": 80e6, "wing_points": 96}, "leaves 9 of 201 frequencies for line_span; 11 or more"),
        ({"line_span": 400e6, "wing_points": 20}, "line_span is 400000000 Hz; it must be smaller than the span"),
        ({"line_span": 80e6, "wing_points": 90}, "increase line_span, or reduce wing_points"),
        ({"span": 1e3, "line_span": 5e2, "wing_points": 40}, "wing_points are 6.25 Hz apart; 10 Hz or more"),
        ({"center": 100e6, "line_span": 80e6, "wing_points": 20}, "it must lie within"),
    ],
)
def test_a_dense_part_that_is_none_is_refused(
    settings: dict[str, Any], said: str, tmp_path: Path, labnis: Commands, bias: BiasLog
) -> None:
    given_ = " ".join(f"--set {name}={value}" for name, value in ({"span": 400e6} | settings).items())
    answer = labnis(f"run ReflectionVsBias --dry-run --yes {given_} --data {tmp_path / 'data'}")
    assert answer.code == 2
    assert said.replace(r"\\", "") in " ".join(answer.err.split())
    assert "No instrument was touched" in answer.err
    assert not bias.moved
    assert not any(output for _, output in bias.states)


# --- what the analyzer can -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "drivers.keysight_e5080b.KeysightE5080B",
        "drivers.keysight_n5230c.KeysightN5230C",
        "drivers.rohde_schwarz_znb.RohdeSchwarzZNB",
        "drivers.copper_mountain_m5180.CopperMountainM5180",
        SEGMENTED,
    ],
)
def test_analyzers_with_segments_are_accepted(kind: str, tmp_path: Path) -> None:
    check_request(ReflectionVsBias(**WIDE, **SEGMENTS), station_with(tmp_path, kind))


def test_an_analyzer_without_segments_is_refused_before_anything_is_opened(
    tmp_path: Path, labnis: Commands, bias: BiasLog
) -> None:
    config = station_with(tmp_path, PLAIN)
    check_request(ReflectionVsBias(**WIDE), config)
    with pytest.raises(
        RequestError, match=r"line_span cannot be used with n5222b, the vna: its class \S+PlainAnalyzer"
    ):
        check_request(ReflectionVsBias(**WIDE, **SEGMENTS), config)
    settings = " ".join(f"--set {name}={value}" for name, value in (WIDE | SEGMENTS).items())
    answer = labnis(f"run ReflectionVsBias --dry-run --yes {settings} --data {tmp_path / 'data'}")
    assert answer.code == 2
    assert "Leave line_span out. No instrument was touched." in " ".join(answer.err.split())
    assert not bias.moved
    assert not any(output for _, output in bias.states)
    assert not list(tmp_path.glob("data/**/*.h5"))


def test_without_a_plan_it_is_refused_before_the_source_is_switched_on() -> None:
    """A procedure that a script starts by itself."""
    plain = SimpleNamespace(prepare=lambda **_: pytest.fail("it was prepared"))
    prepared: list[Any] = []
    source = SimpleNamespace(prepare=lambda **settings: prepared.append(settings))
    sweep = ReflectionVsBias(**WIDE, **SEGMENTS)
    sweep.roles = Roles(clock=SimpleNamespace(), wiring=Wiring(series_resistance=0.0), vna=plain, bias=source)  # type: ignore[arg-type]
    with pytest.raises(ProcedureError, match="line_span needs a sweep in segments: what fills the role vna has none"):
        sweep.startup()
    assert prepared == []


def test_the_plan_says_what_segments_save(tmp_path: Path) -> None:
    config = station_with(tmp_path, VNA)
    plain, dense = (planned_run(ReflectionVsBias(**WIDE, **more), config, {}, 0.02) for more in ({}, SEGMENTS))
    assert plain.notes == ()
    text = preflight_text([dense], config, ["vna"], simulated=False)
    assert (
        "each trace is one sweep of 3 segments, 161 points over 80 MHz and 20 at each side: 201 points in 0.402 s; as "
        "dense over all of 400 MHz it would be 801 in 1.6 s"
    ) in text
    assert dense.duration == plain.duration  # as many points
    even = planned_run(ReflectionVsBias(**WIDE, frequencies=801), config, {}, 0.02)
    assert even.duration - dense.duration == pytest.approx(9 * (1.602 - 0.402))


# --- runs ------------------------------------------------------------------------------------------------------------


def measured(folder: Path, kind: str = VNA, **settings: Any) -> Run:
    station_with(folder, kind)
    with dry_session(folder, Watcher()) as session:
        return session.run(ReflectionVsBias(**WIDE | settings))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The same device and seed, evenly dense and in segments."""
    return {
        name: measured(tmp_path_factory.mktemp(name), **settings)
        for name, settings in {"even": {"frequencies": 801}, "segments": SEGMENTS, "coarse": {}}.items()
    }


def test_a_run_in_segments_has_the_results_of_one_with_four_times_the_points(runs: dict[str, Run]) -> None:
    even, dense, coarse = (runs[name].fits["reflection"] for name in ("even", "segments", "coarse"))
    for name in RESULTS:
        found, expected = dense[name], even[name]
        assert found.value == pytest.approx(expected.value, abs=3 * np.hypot(found.sigma, expected.sigma)), name
        assert found.sigma == pytest.approx(expected.sigma, rel=0.15), name
    assert coarse["damping_junction"].sigma > 1.6 * dense["damping_junction"].sigma
    times = [float(runs[name].data["time"].max()) for name in ("even", "segments")]
    assert times[1] < 0.4 * times[0]


def test_the_file_has_the_frequencies_that_were_measured(runs: dict[str, Run]) -> None:
    data = runs["segments"].data
    np.testing.assert_allclose(data["frequency"], axis_of(ReflectionVsBias(**WIDE, **SEGMENTS)), atol=2.0)
    assert data["s11"].shape == (9, 201)
    assert runs["segments"].metadata["parameters"]["line_span"] == 80e6


def test_the_map_shows_each_reading_at_its_frequency(runs: dict[str, Run]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = runs["segments"].plot()
    (mesh,) = figure.axes[0].collections
    edges = mesh.get_coordinates()[:, 0, 1] * 1e9
    frequency = runs["segments"].data["frequency"].values
    assert edges.size == frequency.size + 1
    np.testing.assert_allclose(edges[1:-1], (frequency[1:] + frequency[:-1]) / 2, rtol=1e-9)


@pytest.mark.parametrize(
    "kind",
    [
        "drivers.rohde_schwarz_znb.RohdeSchwarzZNB",
        "drivers.copper_mountain_m5065.CopperMountainM5065",
        SEGMENTED,
    ],
)
def test_other_analyzers_measure_the_same(kind: str, tmp_path: Path, runs: dict[str, Run]) -> None:
    run = measured(tmp_path, kind, **SEGMENTS)
    np.testing.assert_allclose(run.data["frequency"], runs["segments"].data["frequency"], atol=2.0)
    for name in RESULTS:
        found, expected = run.fits["reflection"][name], runs["segments"].fits["reflection"][name]
        assert found.value == pytest.approx(expected.value, abs=4 * np.hypot(found.sigma, expected.sigma)), name


def test_biases_chosen_by_information_until_a_goal_is_met(tmp_path: Path, labnis: Commands, bias: BiasLog) -> None:
    write_station(tmp_path)
    data = f"--dry-run --yes --data {tmp_path / 'data'}"
    assert labnis(f"run IVSweep --set points=61 {data}").code == 0
    settings = " ".join(f"--set {name}={value}" for name, value in (WIDE | SEGMENTS | {"points": 41}).items())
    goal = "--set order=information --until 'damping_junction=0.2e6 1/s'"
    answer = labnis(f"run ReflectionVsBias {settings} {goal} {data}")
    assert answer.code == 0, answer.err
    run = open_run(max((tmp_path / "data").rglob("*ReflectionVsBias*.h5")))
    assert run.data.attrs["rows"] < 30
    assert run.results["damping_junction"].sigma < 0.2e6
    assert not run.fits["reflection"].warnings
    assert bias.left_at_zero


def test_a_sweep_that_breaks_off_is_resumed_in_segments(
    tmp_path: Path, labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_station(tmp_path)
    settings = " ".join(f"--set {name}={value}" for name, value in (WIDE | SEGMENTS).items())
    counted, honest = [0], World.reflection

    def reflection(world: World, *arguments: Any) -> Any:
        counted[0] += 1
        if counted[0] == 13:  # in the middle of the fifth trace
            raise KeyboardInterrupt
        return honest(world, *arguments)

    monkeypatch.setattr(World, "reflection", reflection)
    answer = labnis(f"run ReflectionVsBias --dry-run --yes {settings} --data {tmp_path / 'data'}")
    assert answer.code != 0
    (file,) = (tmp_path / "data").rglob("*.h5")
    assert 2 < open_run(file).data.attrs["rows"] < 9
    monkeypatch.setattr(World, "reflection", honest)
    answer = labnis(f"resume --dry-run --yes --data {tmp_path / 'data'}")
    assert answer.code in (0, 1), answer.err
    resumed = open_run(file)
    assert resumed.data.attrs["rows"] == 9
    np.testing.assert_allclose(resumed.data["frequency"], axis_of(ReflectionVsBias(**WIDE, **SEGMENTS)), atol=2.0)
    assert np.isfinite(resumed.data["s11"]).all()
