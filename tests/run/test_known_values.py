"""Parameters that are held or given with a σ, from the request to the file, the refit and the next step."""

import json
from pathlib import Path

import pytest

from labnis.errors import RequestError
from labnis.experiment.known_values import KnownValues, known_from_texts, known_values
from labnis.fit import Estimate
from procedures import IVSweep
from tests.run.bench import Commands, Watcher, dry_session

UNITS = {"gap": "eV", "dynes": "1", "electron_temperature": "K", "gain": "dB"}
RUN = "run IVSweep --set points=21 --dry-run --seed 1 --data data"


def test_values_have_units_and_sigmas() -> None:
    known = known_from_texts(
        ["gap=215ueV", "gain=51.8 dB"], ["dynes=1e-4+-1e-5", "electron_temperature = 110 ± 2 mK"], UNITS
    )
    assert known == KnownValues(
        {"gap": 215e-6, "gain": 51.8}, {"dynes": (1e-4, 1e-5), "electron_temperature": (0.11, 2e-3)}
    )
    both = known_from_texts([], ["gap=215ueV+-1ueV", "electron_temperature=0.11 K ± 2 mK"], UNITS).given
    assert both == {"gap": (215e-6, 1e-6), "electron_temperature": (0.11, 2e-3)}
    assert known_values(None, {"gap": Estimate(2e-4, 1e-6, "eV")}).given == {"gap": (2e-4, 1e-6)}


@pytest.mark.parametrize(
    ("fixed", "priors", "message"),
    [
        (["gapp=2e-4"], [], "'gapp' is no parameter here; they are gap, dynes, electron_temperature, gain"),
        (["gap"], [], "write it like gap=215e-6 or gap=215ueV"),
        (["gap=2e-4+-1e-6"], [], "write it like gap=215e-6"),
        ([], ["gap=2e-4"], r"write it like dynes=1e-4\+-1e-5"),
        *((["gap=215" + unit], [], "cannot be expressed in eV") for unit in ("ueV@", "ueV!", "ueV)", "eV+eV")),
        (["gap=215mK"], [], "'mK' cannot be expressed in eV; give it in eV"),
        ([], ["gap=215ueV+-1"], r"σ needs a unit, too: gap=215ueV\+-1ueV"),
        ([], ["gap=215ueV+-1mK"], "'mK' cannot be expressed in eV"),
        (["gap=215e-6"], ["gap=215+-1ueV"], "gap is known twice"),
        (["gap=215"], [], "gap cannot be held at 215; it is from 1e-05 to 0.01"),
        ([], ["dynes=1e-4+-0"], "dynes is given with σ = 0; give a positive one"),
    ],
)
def test_what_is_no_known_value_is_refused(fixed: list[str], priors: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        known_from_texts(fixed, priors, UNITS).check(UNITS)


def test_a_value_of_another_kind_is_refused() -> None:
    with pytest.raises(RequestError, match=r"priors: gap cannot be given as 0\.0002; a pair \(value, σ\)"):
        known_values(None, {"gap": 2e-4})


def test_a_run_knows_them_and_so_does_its_refit(tmp_path: Path) -> None:
    import labnis  # noqa: PLC0415  # the fixture of that name is the command line

    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(IVSweep(points=21), fixed={"dynes": 1e-4}, priors={"gap": (215e-6, 1e-9)})
        with pytest.raises(RequestError, match="'gapp' cannot be held; the parameters are gap, normal_resistance"):
            session.run(IVSweep(points=21), fixed={"gapp": 1e-4})
        with pytest.raises(RequestError, match="resumed with its own fixed and priors"):
            session.run(IVSweep(points=21), fixed={"gap": 2e-4}, resume=run.path)
    assert run.fit is not None
    assert run.fit["dynes"].sigma == 0 and run.fit.sigma[0] <= 1e-9
    assert run.fit.assumed["dynes"] == "0.0001, held fixed" and "given" in run.fit.assumed["gap"]
    again = labnis.refit(run.path)
    assert again.results == run.results
    free = labnis.refit(run.path, fixed={}, priors={})
    assert free.fit is not None and free.fit["dynes"].sigma > 0 and "gap" not in free.fit.assumed
    other = labnis.refit(run.path, priors={"electron_temperature": (0.11, 1e-3)})
    assert other.fit is not None and "given" in other.fit.assumed["electron_temperature"]
    assert other.fit["dynes"].sigma == 0 and "gap" not in other.fit.assumed
    with pytest.raises(RequestError, match="priors: gapp cannot be given; parameters of this run's fits are"):
        labnis.refit(run.path, priors={"gapp": (1.0, 0.1)})


def test_the_command_line_holds_and_refits(labnis: Commands) -> None:
    answer = labnis(f"{RUN} --fix gapp=2e-4")
    assert answer.code == 2 and "'gapp' is no parameter here; they are gap" in answer.err
    assert not Path("data").exists() or not [*Path("data").rglob("*.h5")]
    answer = labnis(f"{RUN} --fix gap=215ueV --prior dynes=1e-4+-1e-6 --json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert found["results"]["gap"]["value"] == 215e-6
    (path,) = found["runs"]
    answer = labnis(f"refit {path} --data data --fix gap=215.1ueV --json")
    fit = json.loads(answer.out)["fits"]["current_voltage"]
    assert fit["values"][0] == 215.1e-6 and "given" in fit["assumed"]["dynes"]
    answer = labnis(f"refit {path} --data data")
    assert answer.code == 0 and "assumed (current_voltage): gap: 0.000215 eV, held fixed" in answer.out
