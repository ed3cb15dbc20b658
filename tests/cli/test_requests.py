"""Requests in words and units: parameters, goals, and names that do not exist."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from pymeasure.experiment import ListParameter, Procedure, VectorParameter

from labnis.experiment.goals import outcomes_of, parsed_goals
from labnis.fit import result_from_mapping
from procedures import IVSweep
from procedures.parameter_values import ProcedureError, set_parameter
from tests.run.bench import Commands, command, fit_only_the_end, forked

RUN = "run IVSweep --set points=20 --dry-run --seed 1 --data data"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("maximum_bias", "1mV", 1e-3),
        ("maximum_bias", "100 µV", 1e-4),  # not 9.999999999999999e-05
        ("maximum_bias", "1e-3 V", 1e-3),
        ("maximum_bias", "1e-3", 1e-3),
        ("excitation_frequency", "1e-1 kHz", 100.0),
        ("settling_time", "1min", 60.0),
        ("points", "1e3", 1000),
    ],
)
def test_a_value_may_have_a_unit(name: str, text: str, value: float) -> None:
    procedure = IVSweep()
    set_parameter(procedure, name, text)
    assert getattr(procedure, name) == value


class WithLists(Procedure):  # type: ignore[misc]  # pymeasure has no type information
    """Parameters of the other kinds that pymeasure has."""

    range = ListParameter("Range", choices=[0.01, 0.1, 1.0], units="V", default=1.0)
    coil = VectorParameter("Coil", length=2, units="T", default=[0.0, 0.0])


def test_lists_take_units_too() -> None:
    procedure = WithLists()
    set_parameter(procedure, "range", "100 mV")
    set_parameter(procedure, "coil", "[1mT, 0.2]")
    assert (procedure.range, procedure.coil) == (0.1, [1e-3, 0.2])
    with pytest.raises(
        ProcedureError, match=r"WithLists\.range cannot be '200mV': it must be one of 0\.01, 0\.1, 1\.0 V"
    ):
        set_parameter(procedure, "range", "200mV")
    sweep = IVSweep()
    set_parameter(sweep, "bias_points", "0mV,0.1mV,0.2mV:1mV:5")
    assert sweep.bias_points == pytest.approx((0.0, 1e-4, 2e-4, 4e-4, 6e-4, 8e-4, 1e-3))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("maximum_bias", "1 kg"),
        ("maximum_bias", "1 degC"),
        ("maximum_bias", "1mV+1mV"),
        ("maximum_bias", "1__import__"),
        ("points", "100 V"),
        ("points", "1e9999999"),
        ("points", "2.5"),
    ],
)
def test_a_unit_of_another_kind_is_refused(name: str, text: str) -> None:
    with pytest.raises(ProcedureError, match=f"IVSweep.{name} cannot be"):
        set_parameter(IVSweep(), name, text)


def test_procedures_lists_parameters_with_units_defaults_and_limits(labnis: Commands) -> None:
    answer = labnis("procedures IVSweep")
    (line,) = (line for line in answer.out.splitlines() if line.startswith("integration_time"))
    assert [part.strip() for part in line.split("  ") if part.strip()] == [
        "integration_time", "0 s", "from 0 s to 1 s", "Current integration time, or 0 for whole cycles of the mains",
    ]  # fmt: skip
    found = {one["name"]: one for one in json.loads(labnis("procedures IVSweep --json").out)[0]["parameters"]}
    assert found["integration_time"]["unit"] == "s"
    assert found["direction"]["choices"] == ["up", "down", "up-down"]


def test_procedures_lists_those_of_the_lab_without_running_its_scripts(
    labnis: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert labnis("new lab lab").code == 0
    lab = tmp_path / "lab"
    monkeypatch.chdir(lab)
    (lab / "mylab" / "tonight.py").write_text("raise SystemExit('a script of the lab was run')\n", encoding="utf-8")
    (lab / "mylab" / "derived.py").write_text(
        "from mylab.maps import GateMap\n\n\nclass SlowMap(GateMap):\n    'A slow one.'\n", encoding="utf-8"
    )
    answer = labnis("procedures")
    assert answer.code == 0 and not answer.err
    assert "mylab.maps.GateMap: Current of the device against gate and bias." in answer.out
    assert "21 points, -2 mV to 2 mV" in answer.out
    names = [one["name"] for one in json.loads(labnis("procedures --json").out)]
    assert names[-2:] == ["mylab.derived.SlowMap", "mylab.maps.GateMap"] and "IVSweep" in names
    answer = labnis("run GateMap --dry-run")
    assert answer.code == 2 and "mylab.derived.SlowMap, mylab.maps.GateMap, or a dotted path" in answer.err
    (lab / "mylab" / "broken.py").write_text(
        "import nosuch\nfrom procedures import Measurement\n\n\nclass Broken(Measurement):\n    pass\n",
        encoding="utf-8",
    )
    answer = labnis("procedures")
    assert answer.code == 0 and "mylab.maps.GateMap" in answer.out
    assert "mylab.broken.Broken is not listed" in answer.err and "broken.py, line 1" in answer.err
    assert labnis("check").code == 0
    (lab / "mylab" / "broken.py").write_text("import this\ndef f(\n", encoding="utf-8")
    assert "broken.py, line 2: '(' was never closed; its procedures are not listed" in labnis("procedures").err
    answer = labnis("check")
    assert answer.code == 2 and re.search(r"labnis\.packages: .*broken\.py, line 2: '\(' was never closed", answer.err)


def test_a_goal_that_was_not_reached_is_told_with_the_sigma_reached(
    labnis: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_only_the_end(monkeypatch, 20)
    answer = labnis(f"{RUN} --json --until gap=1e-12eV")
    assert answer.code == 0, answer.err
    (goal,) = json.loads(answer.out)["goals"]
    assert goal["reached"] is False and goal["unit"] == "eV" and 1e-10 < goal["sigma"] < 1e-6
    assert goal["wanted"] == 1e-12
    assert re.search(r"--until gap=1e-12 eV was not reached: σ is .* neV, at most 1 peV was wanted", answer.err)
    answer = labnis(f"{RUN} --json --until gap=1e-6%")
    (goal,) = json.loads(answer.out)["goals"]
    assert goal["reached"] is False and goal["wanted"] == pytest.approx(2.15e-12, rel=0.01)
    assert "at most 2.15 peV was wanted" in answer.err
    fit_only_the_end(monkeypatch, 24)
    (goal,) = json.loads(labnis(f"{RUN.replace('=20', '=31')} --json --until gap=1meV").out)["goals"]
    assert goal["reached"] is True


def test_a_goal_that_too_few_data_reach_is_not_said_to_be_missed_by_sigma() -> None:
    known = result_from_mapping("m", {"gap": (215e-6, 1e-8)}, units={"gap": "eV"})
    fit = replace(known, degrees_of_freedom=10)
    (outcome,) = outcomes_of(parsed_goals(["gap=1meV"], {"gap": "eV"}), fit, ended=False)
    assert not outcome.reached and outcome.sigma == 1e-8
    told = "--until gap=0.001 eV was not reached: σ is .* neV, but known too badly from only 10"
    assert re.search(told, str(outcome))
    assert "at most 1 meV" not in str(outcome)


def test_an_unknown_quantity_or_cooldown_is_an_error_that_lists_what_there_is(labnis: Commands) -> None:
    assert labnis("cooldown start March").code == 0
    answer = labnis("calibrations --cooldown Mrach")
    assert answer.code == 2 and "'Mrach'" in answer.err and "there are March" in answer.err
    answer = labnis("calibrations --quantity gian")
    assert answer.code == 2 and "'gian'" in answer.err and "there are none" in answer.err


def test_quiet_shows_no_plan_and_verbose_each_step(tmp_path: Path) -> None:
    quiet, plain, verbose = (forked(f"{RUN} {option}", tmp_path) for option in ("--quiet", "", "--verbose"))
    assert quiet.code == 0 and "gap" in quiet.out
    assert "limits of" not in quiet.err and "IVSweep" not in quiet.err
    assert "limits of" in plain.err and "opened keithley" not in plain.err
    steps = [line.removeprefix("labnis: INFO: ") for line in verbose.err.splitlines() if "INFO" in line]
    assert steps[0].startswith("opened keithley at USB0::") and steps[0].endswith("2450 TWIN0001 1.7.12b")
    assert "the instruments are prepared; measuring" in steps and "fitting: current_voltage" in steps
    assert steps[-1].startswith("the results are in the ledger sqlite:")
    both = forked(f"{RUN} -q -v", tmp_path)
    assert "limits of" not in both.err and "opened keithley" in both.err


def completions(line: str) -> list[str]:
    """What the shell offers for the last word of `line`."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    answer = command("", Path.cwd(), _LABNIS_COMPLETE="complete_bash", **words)
    assert answer.code == 0, answer.err
    return answer.out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("labnis ca", ["calibrate", "calibrations"]),
        ("labnis cooldown s", ["start"]),
        ("labnis run --un", ["--until"]),
    ],
)
def test_the_shell_completes_commands_and_options(line: str, offered: list[str]) -> None:
    assert completions(line) == offered


def test_the_script_for_completion_is_for_labnis() -> None:
    answer = command("--show-completion bash", Path.cwd())
    assert answer.code == 0 and "_LABNIS_COMPLETE=complete_bash" in answer.out
    assert answer.out.rstrip().endswith("-F _labnis_completion labnis")
