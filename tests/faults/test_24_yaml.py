"""24: station files made to harm: 2 with the line, at once, in little memory, and nothing in them is carried out."""

import subprocess
import sys

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
CORPUS = {
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
    "merge": (GOOD + "x: {<<: {a: 1}}\n", "line"),
}
CHECK = """\
import resource, sys, time
from pathlib import Path
from labnis.errors import ConfigurationError
from labnis.station import load_station
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    began = time.process_time()
    try:
        load_station(Path(name))
    except ConfigurationError as error:
        assert error.exit_code == 2
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"{time.process_time() - began:.3f} {grown:.1f} {error!s:.300}".replace("\\n", " "))
    else:
        print(f"9 9 accepted {name}")
"""


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, float, str]]:
    """Name → processor time (s), memory gained so far (MB) and message, all read by one process of little memory."""
    folder = tmp_path_factory.mktemp("corpus")
    names = [f"{name.replace(' ', '-')}.yaml" for name in CORPUS]
    for name, (text, _) in zip(names, CORPUS.values(), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CHECK, *names],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert not (folder / "executed").exists()
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    return {name: (float(t), float(m), said) for name, (t, m, said) in zip(CORPUS, lines, strict=True)}


@pytest.mark.parametrize("name", CORPUS)
def test_refused_at_once(refused: dict[str, tuple[float, float, str]], name: str) -> None:
    seconds, megabytes, said = refused[name]
    assert "accepted" not in said
    assert CORPUS[name][1] in said
    assert f"{name.replace(' ', '-')}.yaml" in said
    assert seconds < 1.0
    assert megabytes < 200
