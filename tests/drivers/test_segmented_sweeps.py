"""Several bands in one sweep, with every family of network analyzers that has that: right data, or an error."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from drivers.capabilities import Segment, SegmentedSweep
from drivers.copper_mountain_m5065 import CopperMountainM5065
from drivers.errors import InstrumentError, SettingError
from drivers.keysight_n5222b import KeysightN5222B
from drivers.rohde_schwarz_znb import RohdeSchwarzZNB
from labnis.station.plausible_role import PlausibleRole
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from tests.acquiring import acquired
from tests.vna_twin import SWEEP, panel_of, require_no_wrong_number, require_right, vna_twin

WINGS = [Segment(4.63e9, 18e6, 10, 1e3), Segment(4.67e9, 40e6, 81, 1e3), Segment(4.71e9, 18e6, 10, 1e3)]


class Family(NamedTuple):
    """A driver, the model of the panel, and commands of another user in the middle of a measurement."""

    kind: Any
    model: str
    left: tuple[str, ...]
    changes: tuple[str, ...]
    ignored: tuple[str, ...]


FAMILIES = {
    "keysight": Family(
        KeysightN5222B,
        "KeysightN5222B",
        ("SENS:SEGM:ARB ON;:SENS:SEGM1 ON;:SENS:SWE:TYPE SEGM",),
        ("SENS:SEGM2:SWE:POIN 80", "SENS:SEGM3 OFF", "SENS:SWE:TYPE LIN"),
        ("SEGM2:ADD", "SEGM3:FREQ:STOP", "SEGM2:SWE:POIN"),
    ),
    "rohde_schwarz": Family(
        RohdeSchwarzZNB,
        "RohdeSchwarzZNB20",
        (
            "SENS1:SEGM1:ADD;:SENS1:SEGM1:POW 10;:SENS1:SEGM1:BWID 1E6;:SENS1:SWE:TYPE SEGM",
            "SENS1:SEGM1:ADD;:SENS1:SEGM2:ADD;:SENS1:SEGM1:STAT OFF;:SENS1:SEGM:SWE:DWEL:CONT ON",
        ),
        (
            "SENS1:SEGM2:SWE:POIN 80", "SENS1:SEGM3:STAT OFF", "SENS1:SWE:TYPE LIN", "SENS1:SEGM1:POW 0",
            "SENS1:SEGM2:BWID 1E4", "SENS1:SEGM1:FREQ:STAR 4.62E9", "SENS1:SEGM:DEL:ALL", "SENS1:SEGM4:ADD",
            "SENS1:SEGM2:DEL",
        ),
        (
            "SEGM2:ADD", "SEGM3:FREQ:STOP", "SEGM2:SWE:POIN", "SEGM1:POW", "SEGM1:BWID", "DEL:ALL", "SWE:TYPE",
        ),
    ),
    "copper_mountain": Family(
        CopperMountainM5065,
        "CopperMountainM5065",
        (
            "SENS1:SEGM:DATA 5,0,0,1,0,0,2,1E9,2E9,11,5,3E9,4E9,11,5;:SENS1:SWE:TYPE SEGM",
            "SENS1:SEGM:DATA 5,1,1,1,1,1,1,1E9,2E9,11,1E3,0,0.01,0;:SENS1:SWE:TYPE SEGM",
        ),
        (
            "SENS1:SEGM:DATA 5,0,0,0,0,0,1,1E9,2E9,101", "SENS1:SWE:TYPE LIN", "SENS1:SWE:POIN:TIME 0.01",
            "SENS1:SEGM:DATA 5,0,1,0,0,0,3,4.621E9,4.639E9,10,1E3,4.65E9,4.69E9,81,1E3,4.701E9,4.719E9,10,1E4",
        ),
        ("SEGM:DATA", "SWE:TYPE"),
    ),
}  # fmt: skip


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture
def twin(family: Family) -> Iterator[Twin]:
    with vna_twin(family.model) as found:
        yield found


@pytest.fixture
def vna(family: Family, twin: Twin) -> Any:
    return family.kind("vna", twin.addresses["vna"], visalib=twin.visalib)


def prepare(vna: Any, segments: list[Segment] = WINGS) -> None:
    vna.prepare_segments(segments, power=-10.0, averages=4)


def test_one_sweep_has_the_points_of_all_segments(vna: Any) -> None:
    assert missing_members(vna, SegmentedSweep) == []
    for _ in range(2):
        prepare(vna)
        axis = vna.frequencies()
        assert axis.shape == (101,)
        assert (axis[0], axis[9], axis[10], axis[90], axis[91], axis[-1]) == (
            4.621e9, 4.639e9, 4.65e9, 4.69e9, 4.701e9, 4.719e9
        )  # fmt: skip
        require_right(vna)
        assert vna.next_error() is None
        assert 4 * 101 / 1e3 < vna.duration() < 8 * 101 / 1e3
    vna.prepare(**SWEEP)
    np.testing.assert_allclose(vna.frequencies(), np.linspace(4.62e9, 4.72e9, 101), atol=2.0)
    require_right(vna)


def test_the_noise_is_that_of_each_bandwidth(vna: Any) -> None:
    """At most points; a single one may be far by chance."""
    scatter = []
    for bandwidth in (1e2, 1e4):
        prepare(vna, [WINGS[0], WINGS[1]._replace(if_bandwidth=bandwidth), WINGS[2]])
        first, second = (acquired(vna)[10:91] for _ in range(2))
        scatter.append(float(np.std(first - second)))
    assert scatter[1] / scatter[0] == pytest.approx(10.0, rel=0.3)


def test_what_an_earlier_user_left_changes_nothing(family: Family, vna: Any) -> None:
    panel = panel_of(vna)
    for left in family.left:
        panel.execute("*RST")
        panel.execute(left)
        assert not panel.errors, left
        for prepared in (lambda: prepare(vna), lambda: vna.prepare(**SWEEP)):
            prepared()
            require_right(vna)
            assert vna.duration() < 2.0, left


def test_a_change_by_somebody_else_is_found(family: Family, vna: Any) -> None:
    for change in family.changes:
        prepare(vna)
        vna.timeout(0.2)
        panel_of(vna).execute(change)
        with pytest.raises(InstrumentError):
            acquired(vna)
        panel_of(vna).switch_on()


def test_an_ignored_setting_is_an_error(family: Family, vna: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(vna)
    honest: Callable[[str], Any] = panel.execute_unit
    vna.timeout(0.2)
    for header in family.ignored:
        panel.switch_on()
        panel.execute("SENS1:SEGM1:ADD;:SOUR1:POW1 -20" if family.kind is RohdeSchwarzZNB else "*CLS")
        ignored = lambda unit, h=header: None if h in unit and "?" not in unit else honest(unit)  # noqa: E731
        with monkeypatch.context() as patch:
            patch.setattr(panel, "execute_unit", ignored)
            with pytest.raises(InstrumentError):
                prepare(vna)
        vna._in_step = True


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([], "the number of segments is 0"),
        ([WINGS[1]] * 300, "the number of segments is 300"),
        ([WINGS[0], WINGS[1]._replace(points=1)], "points is 1"),
        ([WINGS[0], WINGS[1]._replace(span=0.0)], "span is 0"),
        ([WINGS[0], WINGS[1]._replace(center=60e9)], "center is"),
        ([WINGS[0]._replace(if_bandwidth=float("nan"))], "if_bandwidth is"),
        ([WINGS[0]._replace(points=90_000), WINGS[1]._replace(points=150_000)], "is"),
    ],
)
def test_segments_out_of_range_send_nothing(
    vna: Any, segments: list[Segment], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(panel_of(vna), "receive", seen.append)
    with pytest.raises(ValueError, match=said):
        prepare(vna, segments)
    assert seen == []


@pytest.mark.parametrize("segments", [WINGS[::-1], [WINGS[1], WINGS[1]], [WINGS[0], Segment(4.649e9, 20e6, 11, 1e3)]])
def test_overlapping_segments_are_refused_where_they_are_not_known_to_work(
    family: Family, vna: Any, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    if family.kind is KeysightN5222B:
        prepare(vna, segments)
        require_right(vna)
        return
    seen: list[bytes] = []
    monkeypatch.setattr(panel_of(vna), "receive", seen.append)
    with pytest.raises(ValueError, match=r"segment 1 ends at .* and segment 2 begins at .* rising order"):
        prepare(vna, segments)
    assert seen == []


def test_the_power_is_set_before_the_source_goes_on(family: Family, vna: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(vna)
    sent: list[str] = []
    honest = panel.execute_unit
    monkeypatch.setattr(panel, "execute_unit", lambda unit: sent.append(unit) or honest(unit))
    prepare(vna)
    power = next(at for at, unit in enumerate(sent) if ":SOUR" in unit and ":POW" in unit and unit.endswith(" -10"))
    output = next(at for at, unit in enumerate(sent) if unit.startswith(":OUTP") and unit.endswith(" 1"))
    assert power < output


def segmented_session(vna: Any) -> list[float]:
    found: list[float] = []
    for segments in (WINGS, [WINGS[1], WINGS[2]._replace(points=5)]):
        prepare(vna, segments)
        trace, axis = acquired(vna), vna.frequencies()
        found += [axis[0], axis[10], axis[-1], len(trace), abs(trace[0]), vna.duration()]
    return found


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(family: Family, twin: Twin) -> None:
    require_no_wrong_number(family.kind, twin, segmented_session)


# --- in the role -----------------------------------------------------------------------------------------------------


def test_the_role_compares_every_frequency_with_the_request(vna: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    role = PlausibleRole(vna, "vna", "vna (here)")
    prepare(role)
    assert acquired(role).shape == role.frequencies().shape == (101,)
    for at, off in ((0, 1.5e6), (50, 0.3e6), (50, -0.3e6), (91, -1.5e6)):
        wrong = vna.frequencies()
        wrong[at] += off
        monkeypatch.setattr(vna, "_axis", wrong)
        with pytest.raises(InstrumentError, match=rf"as number {at + 1} where|do not increase"):
            role.frequencies()
        prepare(role)
    role.prepare(**SWEEP)
    assert role.frequencies().shape == (101,)


def test_the_role_takes_overlapping_segments_that_a_script_asks_for() -> None:
    with vna_twin("KeysightN5222B") as twin:
        role = PlausibleRole(KeysightN5222B("vna", twin.addresses["vna"], visalib=twin.visalib), "vna", "vna (here)")
        prepare(role, [WINGS[1], WINGS[0]])
        assert role.frequencies()[0] == 4.65e9
        assert acquired(role).shape == (91,)


def test_a_segment_that_reads_back_as_another_is_refused(vna: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instrument that rounds its frequencies to 1 MHz."""
    panel = panel_of(vna)
    honest = panel.show_number
    monkeypatch.setattr(panel, "show_number", lambda value: honest(round(value, -6) if value > 1e8 else value))
    with pytest.raises(SettingError, match=r"where .* was requested"):
        prepare(vna, [segment._replace(center=segment.center + 0.3e6) for segment in WINGS])
