"""24: malicious station files: 2 with the line, at once, in little memory, and nothing in them is executed."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.measuring import ROOT, STATION

GOOD = STATION.format(
    bias="TCPIP0::127.0.0.1::1::SOCKET",
    lockin="GPIB0::8::INSTR",
    analyzer="GPIB0::9::INSTR",
    vna="GPIB0::10::INSTR",
    fridge="GPIB0::11::INSTR",
    rate=0.02,
    more="",
    below="",
)
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
CORPUS: dict[str, tuple[str | bytes, str]] = {
    "tag": (GOOD + "x: !!python/object/apply:os.system ['touch executed']\n", "tag"),
    "object": (GOOD + "x: !!python/name:os.system\n", "tag"),
    "aliases": (LAUGHS + GOOD, "line"),
    "duplicate": (GOOD + "instruments: {}\n", "line"),
    "truncated": (GOOD[: len(GOOD) // 2], "line"),
    "unclosed": (GOOD + "x: [1, 2\n", "line"),
    "deep": ("[" * 5000 + "]" * 5000, "nested"),
    "long": ("x: " + "9" * (1 << 22), "kB"),
    "control characters": (GOOD + "x: '\x07'\n", ""),
    "tabs": (GOOD.replace("  roles", "\troles"), "line"),
    "corrupt": (GOOD.encode()[:300] + b"\xff\xfe\x00\x80" + GOOD.encode()[300:], "line"),
    "billion laughs in a value": (GOOD + LAUGHS.replace("a0: ", "x0: "), "line"),
    "anchor": (GOOD.replace("sr830: {", "sr830: &a {"), "line"),
    "number of a million digits": (GOOD.replace("2000.0", "9" * 50_000), ""),
    "merge": (GOOD + "x: {<<: {a: 1}}\n", "line"),
}
CANARY = """\
from pathlib import Path
Path(__file__).with_name("executed").touch()
class Instrument:
    pass
"""
TYPE = "drivers.sr830.SR830"
for name, kind in {
    "module elsewhere": "canary.Instrument",
    "module of the system": "os.system",
    "dots": "drivers..canary.Instrument",
    "path": "drivers/../canary.Instrument",
    "similar name": "driversx.canary.Instrument",
    "call": "drivers.__import__('canary').Instrument",
}.items():
    CORPUS[f"type {name}"] = (GOOD.replace(TYPE, kind), "line")

CHECKS = """\
import json, os, resource, sys

from labnis import cli
from labnis.cli import measuring


def check(name):
    # `labnis check` in a process of its own, which has imported labnis already.
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(name + ".said", os.O_CREAT | os.O_WRONLY, 0o600), 2)
        os.dup2(2, 1)
        sys.argv = ["labnis", "check", "--station", name, "--data", "data"]
        try:
            cli.run()
        except SystemExit as ended:
            os._exit(int(ended.code or 0))
    _, status, used = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


print(json.dumps({name: check(name) for name in sys.argv[1:]}))
"""


def file_of(name: str) -> str:
    return f"{name.replace(' ', '-')}.yaml"


@dataclass(frozen=True)
class Outcome:
    """How `labnis check` ended: exit code, processor time (s), largest memory (MB), and what it said."""

    code: int
    seconds: float
    megabytes: float
    said: str


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "canary.py").write_text(CANARY, encoding="utf-8")
    for name, (text, _) in {"good": (GOOD, ""), **CORPUS}.items():
        (folder / file_of(name)).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run(
        [sys.executable, "-c", CHECKS, *map(file_of, ["good", *CORPUS])],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "HOME": str(folder), "PATH": os.environ["PATH"], "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert not (folder / "executed").exists(), "something in a station file was carried out"
    assert "canary" not in {path.stem.split(".")[0] for path in folder.rglob("*.pyc")}
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        name: Outcome(code, seconds, megabytes, (folder / f"{file_of(name)}.said").read_text(encoding="utf-8"))
        for name, (code, seconds, megabytes) in ((name, found[file_of(name)]) for name in ["good", *CORPUS])
    }


def test_the_file_that_they_are_made_from_is_good(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["good"].code == 0, outcomes["good"].said


@pytest.mark.parametrize("name", CORPUS)
def test_refused_at_once_with_file_and_line(outcomes: dict[str, Outcome], name: str) -> None:
    found, good = outcomes[name], outcomes["good"]
    assert found.code == 2, found.said
    assert file_of(name) in found.said
    assert CORPUS[name][1] in found.said
    assert "Traceback" not in found.said
    assert found.seconds < good.seconds + 1.0
    assert found.megabytes < good.megabytes + 200


def test_the_canary_would_sing(tmp_path: Path) -> None:
    (tmp_path / "canary.py").write_text(CANARY, encoding="utf-8")
    subprocess.run([sys.executable, "-c", "import canary"], cwd=tmp_path, check=True)
    assert (tmp_path / "executed").exists()
