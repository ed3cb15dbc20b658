"""A bad station file ends with one message: file, line, key, what is allowed; a good one loads everywhere."""

import json
import time
import warnings
from pathlib import Path

import pytest
import qcodes
from qcodes.station import ValidationWarning

from drivers.wiring import Amplifier, Wiring
from labnis.errors import ConfigurationError
from labnis.station import load_station

from .conftest import STATION, Write

SHIPPED = Path(__file__).parents[2] / "station.yaml"


def test_the_shipped_station_is_what_the_documentation_says() -> None:
    config = load_station(SHIPPED)
    assert config.roles.keys() == {"bias", "lockin", "analyzer", "vna", "fridge", "stage"}
    assert config.wiring == Wiring(
        series_resistance=2000.0,
        probe_attenuation=88.0,
        amplifiers={"preamplifier": Amplifier(gain=1e7)},
        role_amplifiers={"lockin": "preamplifier"},
    )
    assert config.migrated_lines == ()
    limits = config.limits
    assert (limits.maximum_bias, limits.maximum_step, limits.ramp_rate) == (6e-3, 0.1e-3, 5e-3)
    assert limits.compliance == 5e-6
    assert config.data == SHIPPED.parent / "data"
    assert config.ledger is None
    assert config.twin is not None
    assert config.twin.is_file()


def test_plain_qcodes_reads_the_shipped_station() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        station = qcodes.Station(config_file=str(SHIPPED), default=False)
    assert station.config is not None
    assert station.config["instruments"]["lakeshore"]["init"] == {"channel": 1}
    assert callable(station.load_keithley)
    complaints = [str(w.message) for w in caught if issubclass(w.category, ValidationWarning)]
    assert all("'labnis' was unexpected" in complaint for complaint in complaints)  # and nothing about instruments


def test_loading_the_station_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_station(SHIPPED)


def test_paths_are_relative_to_the_station_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(("  twin:", "  data: runs/here\n  twin:"))
    monkeypatch.chdir("/")
    config = load_station(path)
    assert config.data == path.parent / "runs/here"
    assert config.twin == path.parent / "truth.yaml"


def test_whole_numbers_are_numbers(write: Write) -> None:
    assert (
        load_station(write(("series_resistance: 2000.0", "series_resistance: 2000"))).wiring.series_resistance == 2000
    )


GATE = "instrument: scope, kind: setpoint, parameter: volt, maximum: 1.0, rate: 0.1"

# (replaced text, new text, line, what the message must say)
CORPUS = [
    # labnis
    ("    bias: source\n", "", 11, ["labnis.roles.bias", "missing", "bias source"]),
    ("bias: source", "bias: sauce", 12, ["labnis.roles.bias", "'sauce'", "source, scope"]),
    ("bias: source", "bias: 3", 12, ["labnis.roles.bias", "found 3", "mapping"]),
    (
        "lockin: scope",
        "locking: scope",
        13,
        ["labnis.roles.locking", "no standard role", "lockin, analyzer, vna, fridge", "kind"],
    ),
    ("  wiring:", "  wirring:", 14, ["labnis.wirring", "unknown key", "roles, wiring, limits"]),
    (
        "series_resistance: 2000.0",
        "series_resistance: -1.0",
        15,
        ["series_resistance", "-1.0", "greater than or equal"],
    ),
    ("series_resistance: 2000.0", "series_resistance: '2000'", 15, ["series_resistance", "'2000'", "number"]),
    ("series_resistance: 2000.0", "divider: 100.0", 15, ["labnis.wiring.divider", "role current", "amplifier"]),
    ("series_resistance: 2000.0", "current_reading: both", 15, ["'both'", "'source' or 'amplifier'"]),
    ("6.0e-3", ".inf", 18, ["labnis.limits.maximum_bias", "inf", "finite"]),
    ("6.0e-3", ".nan", 18, ["labnis.limits.maximum_bias", "nan", "finite"]),
    ("6.0e-3", "0.0", 18, ["labnis.limits.maximum_bias", "greater than 0"]),
    ("6.0e-3", "true", 18, ["labnis.limits.maximum_bias", "True", "number"]),
    ("6.0e-3", "9" * 5000, None, ["not valid YAML"]),
    ("0.1e-3", "7.0e-3", 19, ["labnis.limits.maximum_step", "0.007", "maximum_bias (0.006 V)"]),
    ("    ramp_rate: 5.0e-3\n", "", 17, ["labnis.limits.ramp_rate", "missing"]),
    ("5.0e-6", "5.0e-6\n    fridge_pause: 0.1", 22, ["fridge_pause", "no fridge"]),
    ("5.0e-6", "5.0e-6\n    fridge_pause: 0.2\n    fridge_abort: 0.2", 23, ["fridge_abort", "fridge_pause (0.2 K)"]),
    ("file: truth.yaml", "path: truth.yaml", 23, ["labnis.twin", "unknown key", "file"]),
    ("  twin:", "  ledger: nowhere\n  twin:", 22, ["labnis.ledger", "SQLAlchemy"]),
    ("    lockin: scope\n  wiring:", "  wiring:\n    current_reading: amplifier", 14, ["current_reading", "lockin"]),
    # roles
    (
        "lockin: scope",
        "lockin: {instrument: scope, amplifier: femto}",
        13,
        ["lockin.amplifier", "no amplifier 'femto'", "preamp"],
    ),
    (
        "lockin: scope",
        "lockin: {instrument: scope, gain: 3.0}",
        13,
        ["lockin.gain", "unknown key", "channel, amplifier"],
    ),
    ("lockin: scope", "gate: scope", 13, ["labnis.roles.gate", "kind", "setpoint, reading"]),
    ("lockin: scope", "gate: {instrument: scope, kind: gate}", 13, ["'gate'", "setpoint"]),
    ("lockin: scope", "clock: {instrument: scope, kind: reading}", 13, ["labnis.roles.clock", "clock"]),
    ("lockin: scope", "lockin: {instrument: scope, kind: vna}", 13, ["'vna'", "lockin"]),
    ("lockin: scope", "bias2: {instrument: scope, kind: bias}", 13, ["labnis.roles.bias2", "setpoint"]),
    ("lockin: scope", "gate: {instrument: scope, kind: setpoint, rate: 1.0}", 13, ["gate.maximum", "missing"]),
    (
        "lockin: scope",
        "gate: {instrument: scope, kind: setpoint, maximum: 1.0, minimum: 2.0, rate: 1.0}",
        13,
        ["gate.minimum", "not below maximum"],
    ),
    (
        "lockin: scope",
        "gate: {instrument: scope, kind: setpoint, maximum: 2.0, minimum: 1.0, rate: 1.0}",
        13,
        ["labnis.roles.gate", "at_end is zero", "1 to 2"],
    ),
    (
        "lockin: scope",
        "gate: {instrument: scope, kind: setpoint, maximum: 2.0, rate: 1.0, at_end: off}",
        13,
        ["labnis.roles.gate", "at_end"],
    ),
    ("bias: source", "bias: {instrument: source, range: volts}", 12, ["labnis.roles.bias", "level and output"]),
    (
        "bias: source",
        "bias: {instrument: source, level: volts, output: out}",
        12,
        ["labnis.roles.bias", "no instrument reads the current"],
    ),
    ("{gain: 1.0e+7}", "{gain: 0.0}", 16, ["labnis.wiring.amplifiers.preamp.gain", "positive or negative"]),
    ("5.0e-6", "5.0e-6\n  interlocks: [{watch: vna.value, above: 1.0}]", 22, ["watch", "role vna"]),
    ("5.0e-6", "5.0e-6\n  interlocks: [{watch: lockin.volume, above: 1.0}]", 22, ["watch", "lockin.magnitude"]),
    ("  twin:", "  packages: [numpy]\n  twin:", 22, ["labnis.packages", "numpy"]),
    ("  twin:", "  packages: [json]\n  twin:", 22, ["labnis.packages", "Python"]),
    ("  twin:", "  packages: [nowhere]\n  twin:", 22, ["labnis.packages", "nowhere/__init__.py"]),
    ("  twin:", "  device: {junctions: 0}\n  twin:", 22, ["labnis.device.junctions: found 0; allowed are 1, 2, or"]),
    ("  twin:", "  device: {junctions: 3}\n  twin:", 22, ["labnis.device.junctions: found 3; allowed are 1, 2, or"]),
    ("  twin:", "  device: {junctions: [0, 1]}\n  twin:", 22, ["labnis.device.junctions: found [0, 1]; allowed"]),
    ("  twin:", "  device: {junctions: [1, x]}\n  twin:", 22, ["labnis.device.junctions: found [1, 'x']; allowed"]),
    ("6.0e-3", "3 mV", 18, ["maximum_bias: found '3 mV'; a number in V is needed, without unit and quotes: 0.003"]),
    ("5.0e-6", "5 V", 21, ["compliance: found '5 V'; a number in A is needed", "such as 1.0e-3"]),
    (
        "  twin:",
        "  packages: ourlab\n  twin:",
        22,
        ["labnis.packages: found 'ourlab'; a list, such as [a, b] is needed"],
    ),
    (
        "  twin:",
        "  device: {island: 3}\n  twin:",
        22,
        ["labnis.device.island: found 3; a mapping (key: value) is needed"],
    ),
    (
        "lockin: scope",
        "lockin: {instrument: scope, channel: 1.5}",
        13,
        ["lockin.channel: found 1.5; text or a whole number"],
    ),
    ("lockin: scope", f"gate: {{{GATE}, switch: [a]}}", 13, ["gate.switch: found ['a']; a list of two entries"]),
    ("lockin: scope", f"gate: {{{GATE}, switch: [a, b]}}", 13, ["output is missing", "switch only names the methods"]),
    ("lockin: scope", f"gate: {{{GATE}, at_end: park}}", 13, ["at_end: found 'park'; it should be 'zero', 'stay' or"]),
    (
        "bias: source",
        "bias: {instrument: source, level: a, switch: [b, c]}",
        12,
        ["labnis.roles.bias: output is missing"],
    ),
    *(
        (
            "lockin: scope",
            f"{name}: {{instrument: scope, kind: reading, parameter: volt}}",
            13,
            ["no keyword of Python"],
        )
        for name in ("self", "class", "import", "None", "a.b")
    ),
    # instruments
    ("labnis:", "labniss:", 10, ["labniss", "unknown key", "instruments, labnis"]),
    (
        "    address: FAKE0::1",
        "    adress: FAKE0::1",
        4,
        ["instruments.source.adress", "unknown key", "type", "address"],
    ),
    ("    type: drivers.fakes_for_tests.Source\n", "", 2, ["instruments.source.type", "missing"]),
    ("drivers.fakes_for_tests.Source", "os.system", 3, ["'os.system'", "drivers, qcodes", "pymeasure"]),
    ("drivers.fakes_for_tests.Source", "driversx.y.Source", 3, ["'driversx.y.Source'", "allowed"]),
    ("drivers.fakes_for_tests.Source", "drivers..system", 3, ["source.type"]),
    ("FAKE0::1", "17", 4, ["instruments.source.address", "17", "string"]),
    ("FAKE0::1", '"GPIB0::8;*RST"', 4, ["instruments.source.address", "semicolons"]),
    ("FAKE0::1", '"GPIB0::8\\n*RST"', 4, ["instruments.source.address", "allowed"]),
    ("      channel: 1", "      address: GPIB0::3", 9, ["scope.init.address", "beside `type:`"]),
    ("  source:\n", "  my source:\n", 2, ["my source", "unknown key"]),
    (
        "    address: FAKE0::1",
        "    address: FAKE0::1\n    parameters:\n      level:\n        initial_value: 1.0",
        7,
        ["source.parameters.level.initial_value", "role bias", "ramps"],
    ),
    (  # settings of a submodule: an unknown key before QCoDeS 0.62
        "    address: FAKE0::1",
        "    address: FAKE0::1\n    channel:\n      level:\n        initial_value: 1.0",
        None,
        ["instruments.source.channel"],
    ),
    # YAML
    ("  scope:", "  source:", 5, ["duplicate key", "source"]),
    ("FAKE0::1", "!!python/object/apply:os.system [touch pwned]", 4, ["tag", "python/object"]),
    ("FAKE0::1", "!include /etc/passwd", 4, ["tag", "!include"]),
    ("FAKE0::1", "&a FAKE0::1", 4, ["anchor &a"]),
    ("FAKE0::1", "*a", 4, ["alias *a"]),
    ("FAKE0::1", "[" * 5000, 4, ["nested deeper"]),
    ("FAKE0::1", "2024-01-01 10:00:00", 4, ["instruments.source.address", "quotes"]),
    ("FAKE0::1", "'unclosed", 24, ["not valid YAML"]),
    ("  scope:", "  1:", 5, ["instruments.1", "keys are text"]),
]


@pytest.mark.parametrize(("old", "new", "line", "words"), CORPUS, ids=lambda value: str(value)[:40])
def test_a_bad_file_is_named_with_line_and_key(
    write: Write,
    old: str,
    new: str,
    line: int | None,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write((old, new))
    with pytest.raises(ConfigurationError) as caught:
        load_station(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert line is None or f"station.yaml, line {line}:" in message
    assert [word for word in words if word not in message] == []
    assert list(tmp_path.iterdir()) == [path]  # nothing was executed


@pytest.mark.parametrize(
    ("current", "own"),
    [
        ("{instrument: source, channel: smua}", True),
        ("source", True),
        ("{instrument: source, channel: smub}", False),
        ("{instrument: source, channel: smua, parameter: aux}", False),
        ("scope", False),
    ],
)
def test_the_source_reads_the_current_unless_another_part_or_parameter_is_named(
    write: Write, current: str, own: bool
) -> None:
    path = write(("    bias: source\n", f"    bias: {{instrument: source, channel: smua}}\n    current: {current}\n"))
    assert load_station(path).source_reads_current == own


def test_an_amplifier_before_the_sources_own_reading_is_refused_and_used_for_a_named_parameter(write: Write) -> None:
    with pytest.raises(ConfigurationError, match=r"line 13: labnis\.roles\.current\.amplifier: .*parameter: …"):
        load_station(write(("lockin: scope", "current: {instrument: source, amplifier: preamp}")))
    current = "current: {instrument: source, parameter: aux, amplifier: preamp}"
    assert not load_station(write(("lockin: scope", current))).source_reads_current


BY_LEVEL = "{instrument: source, level: volt, output: out, current: curr}"
BY_CHANNEL = "{instrument: source, channel: ch1, level: volt, output: out, current: curr}"
MOVED = "kind: setpoint, maximum: 1.0, rate: 0.1"


@pytest.mark.parametrize(
    ("bias", "gate", "shared"),
    [
        (BY_LEVEL, "instrument: source, parameter: volt", "volt of source"),
        (BY_LEVEL, "instrument: source, parameter: out", "out of source"),
        (BY_LEVEL, "instrument: source, parameter: aux, output: out", "out of source"),
        (BY_LEVEL, "instrument: source", "the role bias"),
        (BY_CHANNEL, "instrument: source, channel: ch1, parameter: volt", "ch1.volt of source"),
        (BY_CHANNEL, "instrument: source, parameter: ch1.volt", "ch1.volt of source"),
        ("source", "instrument: source, parameter: volt", "volt of source"),
        ("source", "instrument: source, channel: ch1, parameter: volt", "ch1.volt of source"),
        ("{instrument: source, channel: ch1}", "instrument: source, parameter: ch1.volt", "ch1.volt of source"),
        (BY_LEVEL, "instrument: source, parameter: aux", None),
        (BY_CHANNEL, "instrument: source, channel: ch2, parameter: volt", None),
        ("{instrument: source, channel: ch1}", "instrument: source, channel: ch10, parameter: volt", None),
        (BY_LEVEL, "instrument: scope, parameter: volt", None),
    ],
)
def test_a_setpoint_never_moves_what_the_bias_uses(write: Write, bias: str, gate: str, shared: str | None) -> None:
    path = write(("bias: source", f"bias: {bias}"), ("lockin: scope", f"gate: {{{gate}, {MOVED}}}"))
    if shared is None:
        assert "gate" in load_station(path).setpoints
        return
    with pytest.raises(ConfigurationError, match=r"line 13: labnis\.roles\.gate: uses .* as the role bias") as caught:
        load_station(path)
    assert shared in str(caught.value)


def test_two_setpoints_never_move_one_parameter(write: Write) -> None:
    gate = f"{{instrument: scope, parameter: volt, {MOVED}}}"
    path = write(("lockin: scope", f"gate: {gate}\n    gate2: {gate}"))
    with pytest.raises(
        ConfigurationError, match=r"line 14: labnis\.roles\.gate2: uses volt of scope, as the role gate"
    ):
        load_station(path)


@pytest.mark.parametrize(("init", "refused"), [("", True), ("    init: {slot: 2}\n", False)])
def test_one_instrument_under_two_names_is_not_moved_by_both(write: Write, init: str, refused: bool) -> None:
    path = write(
        ("lockin: scope", f"gate: {{instrument: scope, parameter: volt, {MOVED}}}"),
        ("FAKE0::2\n    init:\n      channel: 1\n", f"fake0::1\n{init}"),
    )
    if not refused:
        load_station(path)
        return
    with pytest.raises(ConfigurationError, match=r"roles\.gate: scope and source.*are one instrument \(fake0::1\)"):
        load_station(path)


BOMB = "a: &a [x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["line 1", "empty"]),
        (b"# only a comment\n", ["line 1", "empty"]),
        (b"- instruments\n- labnis\n", ["line 1", "mapping"]),
        (b"just text", ["line 1", "mapping"]),
        (b"instruments: {}\nlabnis: {}\n", ["line 1", "instruments"]),
        (STATION.encode() + b"---\na: 1\n", ["line 24", "another document"]),
        (b"\n\xff\xfe\x00", ["line 2", "UTF-8"]),
        (b"a: \x00", ["YAML"]),
        (BOMB.encode(), ["line 1", "anchor &a"]),
        (b"a: " + b"x" * 1_100_000, ["larger than"]),
    ],
)
def test_what_is_no_station_at_all_is_refused_at_once(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "station.yaml"
    path.write_bytes(content)
    began = time.monotonic()
    with pytest.raises(ConfigurationError) as caught:
        load_station(path)
    assert time.monotonic() - began < 1
    assert str(path) in str(caught.value)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("path", [Path("nowhere.yaml"), Path("/"), Path("/dev/zero")])
def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=str(path)):
        load_station(path)


@pytest.mark.parametrize(
    "ledger", ["postgresql://me:hunter2@db/labnis", "hunter2", "[hunter2]", "''", "hunter2\n  ledger: hunter2"]
)
def test_the_password_of_the_ledger_is_shown_nowhere(write: Write, ledger: str) -> None:
    path = write(("  twin:", f"  ledger: {ledger}\n  twin:"))
    try:
        config = load_station(path)
    except ConfigurationError as error:
        shown = str(error)
    else:
        shown = repr(config) + str(config.model_dump()) + json.dumps(config.model_dump(mode="json"))
        assert config.ledger.get_secret_value() == ledger
    assert "hunter2" not in shown


SHORT = "drivers.fakes_for_tests.LockIn"
PYMEASURE = "pymeasure.instruments.srs.SR830"


@pytest.mark.parametrize(
    ("kind", "lines", "key", "unit"),
    [
        (SHORT, "timeout: 31", "init.timeout", "s"),
        (SHORT, "timeout: 0", "init.timeout", "s"),
        (SHORT, "timeout: null", "init.timeout", "s"),  # QCoDeS: no timeout at all
        (SHORT, "timeout: true", "init.timeout", "s"),
        (SHORT, "timeout: '9'", "init.timeout", "s"),
        (SHORT, "channel: 1\n    parameters: {timeout: {initial_value: 31}}", "parameters.timeout.initial_value", "s"),
        (PYMEASURE, "timeout: 31000", "init.timeout", "ms"),
        (PYMEASURE, "gpib: {timeout: 31000}", "init.gpib.timeout", "ms"),
    ],
)
def test_a_timeout_without_a_bound_is_refused(write: Write, kind: str, lines: str, key: str, unit: str) -> None:
    path = write(("drivers.fakes_for_tests.LockIn", kind), ("channel: 1", lines))
    with pytest.raises(ConfigurationError) as caught:
        load_station(path)
    message = str(caught.value)
    assert f"line {10 if 'parameters' in key else 9}: instruments.scope.{key}: found" in message
    assert f"(in {unit}); allowed are times above 0 and up to 30 s" in message


@pytest.mark.parametrize(("kind", "timeout"), [(SHORT, 30), (SHORT, 0.5), (PYMEASURE, 30_000)])
def test_a_timeout_within_the_bound(write: Write, kind: str, timeout: float) -> None:
    load_station(write(("drivers.fakes_for_tests.LockIn", kind), ("channel: 1", f"timeout: {timeout}")))
