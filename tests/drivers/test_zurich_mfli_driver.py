"""The MFLI against a model of its node tree: nothing left behind, clipped and stale samples, the output never jumps."""

import math
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from qcodes.instrument import Instrument

from drivers import zurich_mfli
from drivers.errors import CommunicationError, InstrumentError, OverloadError, ReadingError, SettingError
from drivers.roles import LockIn
from drivers.zurich_mfli import ZurichMFLI
from labnis.station.role_check import missing_members

SIGNAL = 0.004 - 0.001j
DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(["adcselect", "oscselect", "sinc", "trigger", "phaseshift", "enable"], 0),
    **{"harmonic": 1, "order": 3, "timeconstant": 0.81, "rate": 1674.0},
}
INPUT = {
    "on": 0,
    "autorange": 1,
    "scaling": 1.0,
    "ac": 0,
    "imp50": 0,
    "diff": 0,
    "range": 1.0,
    "max": 0.1,
    "min": -0.1,
    "float": 0,
}
OUTPUT = {"imp50": 0, "diff": 0, "autorange": 0, "range": 1.0, "on": 0, "offset": 0.0, "add": 0}


class Node:
    """One leaf of the tree, as `ZIParameter`: called to get or to set."""

    def __init__(self, value: Any) -> None:
        self.value, self.ignores = value, False
        self.sent: list[float] = []

    def __call__(self, value: float | None = None, *, deep: bool = False, enum: bool = True) -> Any:
        if value is None:
            return self.value
        self.sent.append(value)
        if not self.ignores:
            self.value = value
        return self.value


class Sample(Node):
    """The last sample; each query of an enabled demodulator gives a new one."""

    def __init__(self, tree: "Mfli") -> None:
        super().__init__(None)
        self.tree, self.time = tree, 1000
        self.extra: dict[str, Any] = {}

    def __call__(self, *_: Any, **__: Any) -> Any:
        if self.tree.demods[0].enable():
            self.time += 60000
        sample = {"timestamp": [self.time], "x": [SIGNAL.real], "y": [SIGNAL.imag], "auxin0": [1.25], "auxin1": [0.0]}
        return sample | self.extra


class Mfli:
    """A model of `zhinst.qcodes.MFLI`, without options."""

    def __init__(self, serial: str, host: str, port: int, *, interface: str | None, name: str) -> None:
        self.opened = (serial, host, port, interface, name)
        self.device_options = ""
        self.demods = [branch(DEFAULTS)]
        self.demods[0].sample = Sample(self)
        self.sigins, self.sigouts, self.oscs = [branch(INPUT)], [branch(OUTPUT)], [branch({"freq": 1e5})]
        self.sigouts[0].amplitudes = [Node(0.0), Node(0.0)]
        self.sigouts[0].enables = [Node(0), Node(0)]

    def get_idn(self) -> dict[str, str]:
        return {"vendor": "Zurich Instruments", "model": "MFLI", "serial": "dev1234", "firmware": "70000"}


def branch(leaves: dict[str, Any]) -> Any:
    return SimpleNamespace(**{name: Node(value) for name, value in leaves.items()})


@pytest.fixture
def mfli(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZurichMFLI]:
    module = ModuleType("zhinst.qcodes")
    module.MFLI = Mfli  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "zhinst.qcodes", module)
    monkeypatch.setattr(zurich_mfli, "NEW_WITHIN", 0.01)
    yield ZurichMFLI("mfli", "dev1234", host="10.0.0.5")
    Instrument.close_all()


@pytest.fixture
def tree(mfli: ZurichMFLI) -> Any:
    return mfli._device


def prepare(mfli: ZurichMFLI, **changes: float) -> None:
    mfli.prepare(**{"amplitude": 0.1, "frequency": 77.7, "time_constant": 0.03, "sensitivity": 0.02, **changes})


def test_it_fills_the_role(mfli: ZurichMFLI, tree: Any) -> None:
    assert missing_members(mfli, LockIn) == []
    assert mfli.get_idn()["serial"] == "dev1234"
    assert tree.opened == ("dev1234", "10.0.0.5", 8004, None, "mfli_labone")
    prepare(mfli)
    assert mfli.read() == SIGNAL
    assert mfli.settling_time() == pytest.approx(13.1 * 0.03)
    assert mfli.read_auxiliary(1) == 1.25
    with pytest.raises(SettingError, match="no auxiliary input 3"):
        mfli.read_auxiliary(3)


def test_the_amplitude_is_that_of_the_role_and_not_a_peak(mfli: ZurichMFLI, tree: Any) -> None:
    prepare(mfli)
    assert tree.sigouts[0].amplitudes[1]() == pytest.approx(0.1 * math.sqrt(2))
    assert (tree.sigouts[0].range(), tree.sigouts[0].on(), tree.sigouts[0].enables[1]()) == (1.0, 1.0, 1.0)
    assert tree.sigins[0].range() == pytest.approx(2 * math.sqrt(2) * 0.02)
    assert mfli.quiet() == 0.0
    tree.device_options = "F5M MD"
    tree.sigouts[0].enables[1](0)
    prepare(mfli)
    assert tree.sigouts[0].amplitudes[0]() == pytest.approx(0.1 * math.sqrt(2))


@pytest.mark.parametrize(
    ("place", "leaf", "left", "right"),
    [
        ("demods", "enable", 0, 1),
        ("demods", "order", 1, 4),
        ("demods", "sinc", 1, 0),
        ("demods", "oscselect", 1, 0),
        ("demods", "adcselect", 1, 0),
        ("demods", "harmonic", 2, 1),
        ("demods", "phaseshift", 90.0, 0),
        ("demods", "trigger", 16, 0),
        ("sigins", "scaling", 1e-3, 1),
        ("sigins", "on", 0, 1),
        ("sigins", "autorange", 1, 0),
        ("sigins", "ac", 0, 1),
        ("sigins", "imp50", 1, 0),
        ("sigins", "diff", 1, 0),
        ("sigouts", "imp50", 1, 0),
        ("sigouts", "diff", 1, 0),
        ("sigouts", "autorange", 1, 0),
    ],
)
def test_what_was_left_behind_is_set_and_what_is_ignored_or_changed_is_found(
    mfli: ZurichMFLI, tree: Any, place: str, leaf: str, left: float, right: float
) -> None:
    node = getattr(getattr(tree, place)[0], leaf)
    node.value = left
    prepare(mfli)
    assert node.value == right
    mfli.read()
    node.value = left
    if leaf == "enable":
        with pytest.raises(ReadingError, match="no new sample"):
            mfli.read()
    else:
        with pytest.raises(SettingError, match=rf"{place}/0/{leaf} reads"):
            mfli.read()
    node.ignores = True
    with pytest.raises(SettingError, match=rf"{place}/0/{leaf} reads"):
        prepare(mfli)


@pytest.mark.parametrize(("leaf", "left"), [("offset", 0.5), ("add", 1)])
def test_an_output_that_drives_the_device_is_refused_and_does_not_move(
    mfli: ZurichMFLI, tree: Any, leaf: str, left: float
) -> None:
    node = getattr(tree.sigouts[0], leaf)
    node.value = left
    with pytest.raises(SettingError, match=rf"more than the sine: the node sigouts/0/{leaf} reads"):
        prepare(mfli)
    assert node.sent == tree.sigouts[0].on.sent == []
    node.value = 0
    tree.sigouts[0].enables[0].value = 1
    with pytest.raises(SettingError, match="sigouts/0/enables/0 reads 1"):
        prepare(mfli)


@pytest.mark.parametrize("leaf", ["max", "min"])
def test_a_clipped_input_is_an_error_not_data(mfli: ZurichMFLI, tree: Any, leaf: str) -> None:
    prepare(mfli)
    getattr(tree.sigins[0], leaf).value = -1.0
    with pytest.raises(OverloadError, match="clipped"):
        mfli.read()


@pytest.mark.parametrize(
    "extra", [{"x": [math.nan]}, {"y": [1e32]}, {"x": []}, {"x": None}, {"timestamp": None}, {"timestamp": [math.nan]}]
)
def test_what_is_no_sample_is_an_error(mfli: ZurichMFLI, tree: Any, extra: dict[str, Any]) -> None:
    prepare(mfli)
    tree.demods[0].sample.extra = extra
    with pytest.raises(ReadingError, match="mfli"):
        mfli.read()


def test_auxiliary_inputs_end_at_ten_volts(mfli: ZurichMFLI, tree: Any) -> None:
    prepare(mfli)
    tree.demods[0].sample.extra = {"auxin0": [10.0], "auxin1": [math.nan]}
    with pytest.raises(OverloadError):
        mfli.read_auxiliary(1)
    with pytest.raises(ReadingError):
        mfli.read_auxiliary(2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("amplitude", 8.0), ("amplitude", math.nan), ("frequency", 6e6), ("time_constant", 100.0), ("sensitivity", 3.0)],
)
def test_values_that_it_does_not_have_are_refused(mfli: ZurichMFLI, tree: Any, name: str, value: float) -> None:
    with pytest.raises(SettingError, match="is not possible"):
        prepare(mfli, **{name: value})
    assert tree.oscs[0].freq.sent == []


def test_a_server_that_is_not_there_is_told() -> None:
    pytest.importorskip("zhinst.qcodes")
    with pytest.raises(CommunicationError, match=r"connecting to the data server 127\.0\.0\.1:1 failed"):
        ZurichMFLI("nobody", "dev1234", host="127.0.0.1", port=1)
    Instrument.close_all()


def test_a_lost_server_is_told(mfli: ZurichMFLI, tree: Any) -> None:
    prepare(mfli)
    tree.demods[0].sample = Node(None)
    del tree.sigins[0].max
    with pytest.raises(ReadingError):
        mfli.read()
    tree.demods[0].sample = Sample(tree)
    with pytest.raises(CommunicationError, match="sigins/0/max failed"):
        mfli.read()


def test_without_zhinst_it_can_be_imported_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zhinst.qcodes", None)
    with pytest.raises(CommunicationError, match=r"pip install labnis\[zurich\]"):
        ZurichMFLI("absent", "dev1")
    Instrument.close_all()


NUMBERS = st.floats() | st.integers() | st.sampled_from([0, 1, 4, 0.1, 0.9, 10**400, 1e308, -1e308])
ANYTHING = st.recursive(
    NUMBERS | st.none() | st.booleans() | st.text(max_size=8) | st.binary(max_size=4) | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
) | st.lists(st.floats(), max_size=4).map(np.array)
NODES = [
    *[("sigins", leaf) for leaf in INPUT if leaf != "float"],
    *[("demods", leaf) for leaf in DEFAULTS],
    *[("sigouts", leaf) for leaf in OUTPUT],
    ("oscs", "freq"),
]
ROBUST = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


def only_number(answer: Any) -> float:
    """The number that a node or a field of a sample tells; NaN if it tells none."""
    while isinstance(answer, list | np.ndarray) and len(answer) == 1:
        answer = answer[0]
    plain = isinstance(answer, int | float) and not isinstance(answer, bool) and abs(answer) < 1e300
    return float(answer) if plain else math.nan


@pytest.mark.faults
@ROBUST
@given(node=st.sampled_from(NODES), answer=ANYTHING, late=st.booleans())
@example(node=("sigins", "max"), answer="0.5", late=True)
@example(node=("demods", "order"), answer="4", late=False)
def test_any_value_of_a_node_is_right_or_an_error_of_ours(
    mfli: ZurichMFLI, tree: Any, node: tuple[str, str], answer: Any, late: bool
) -> None:
    leaf = getattr(getattr(tree, node[0])[0], node[1])
    before = leaf.value
    try:
        if late:
            prepare(mfli)
        leaf.value, leaf.ignores = answer, True
        if not late:
            prepare(mfli)
        settling, read = mfli.settling_time(), mfli.read()
        assert read == SIGNAL
        assert settling == pytest.approx(13.1 * 0.03, rel=0.03)
        assert mfli.quiet() == 0
        assert math.isfinite(only_number(answer)) or node == ("demods", "enable")  # which the model looks at itself
    except InstrumentError as error:
        assert "mfli (dev1234)" in str(error)
        assert len(str(error)) < 1000
    finally:
        leaf.value, leaf.ignores = before, False


@pytest.mark.faults
@ROBUST
@given(sample=st.fixed_dictionaries({}, optional=dict.fromkeys(["x", "y", "auxin0", "timestamp"], ANYTHING)) | ANYTHING)
@example(sample={"x": "0.1"})
@example(sample={"x": [0.1, 0.2]})
@example(sample={"auxin0": 10**400})
def test_any_sample_is_right_or_an_error_of_ours(mfli: ZurichMFLI, tree: Any, sample: Any) -> None:
    prepare(mfli)
    known = isinstance(sample, dict) and not sample.keys() - {"x", "y", "auxin0", "timestamp"}
    fields = {"x": SIGNAL.real, "y": SIGNAL.imag, "auxin0": 1.25} | (sample if known else {})
    right = tree.demods[0].sample
    right.extra = sample if known else {}
    tree.demods[0].sample = right if known else Node(sample)
    try:
        for read, expected in (
            (mfli.read, [only_number(fields["x"]), only_number(fields["y"])]),
            (lambda: mfli.read_auxiliary(1), [only_number(fields["auxin0"])]),
        ):
            try:
                found = complex(read())
            except InstrumentError as error:
                assert "mfli (dev1234)" in str(error)
                assert len(str(error)) < 1000
            else:
                assert known
                assert [found.real, found.imag][: len(expected)] == expected
    finally:
        tree.demods[0].sample, right.extra = right, {}


@pytest.mark.faults
@ROBUST
@given(answer=ANYTHING)
@example(answer={"serial": None})
def test_any_identity_and_options_are_texts_or_an_error_of_ours(mfli: ZurichMFLI, tree: Any, answer: Any) -> None:
    before = tree.device_options
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "get_idn", lambda: answer)
        patch.setattr(tree, "device_options", answer)
        try:
            found = mfli.get_idn()
            assert list(found) == ["vendor", "model", "serial", "firmware"]
            assert all(value is None or isinstance(value, str) for value in found.values())
        except InstrumentError as error:
            assert "mfli (dev1234)" in str(error)
        try:
            mfli.quiet()
        except InstrumentError as error:
            assert "mfli (dev1234)" in str(error)
    assert tree.device_options == before
