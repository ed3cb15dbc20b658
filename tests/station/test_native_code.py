"""A station file, wherever it comes from, loads no library: neither by `type:`, nor by `init:`, nor by `visalib:`."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from labnis.errors import ConfigurationError
from labnis.station import import_named_in_file, instrument_class, load_station

from .conftest import Write

LOCKIN = "drivers.fakes_for_tests.LockIn"
OWN = """
from qcodes.instrument import Instrument
class LogReader(Instrument):
    def __init__(self, name, folder):
        super().__init__(name)
"""


def refused(path: Path, words: Sequence[str]) -> None:
    """The file is refused, at the latest when the class of the instrument is looked up."""
    with pytest.raises(ConfigurationError) as caught:
        instrument_class(load_station(path), "scope")
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(
    "init",
    [
        "dll_path: evil",
        "dllpath: evil",
        "lib: evil",
        "visa_library: evil",
        "library: {name: evil}",
        "api: ./evil",
        "api: /evil",
        "api: lib/evil",
        "api: evil.so.6",
        "api: EVIL.DLL",
        "api: 'C:\\evil'",
        "options: [a, [~/evil]]",
        "visalib: /evil.so",
        "visalib: evil@ivi",
        "visalib: '@evil'",
        "visalib: 3",
    ],
)
def test_no_library_and_no_path_in_init(write: Write, init: str) -> None:
    refused(write(("channel: 1", init)), ["line 9: instruments.scope.init.", init.partition(":")[0]])


@pytest.mark.parametrize(
    "init", ["mode: A", "terminator: '\\n'", 'terminator: "\\r\\n"', "module: 3", "visalib: '@py'"]
)
def test_numbers_and_words_in_init(write: Write, init: str) -> None:
    load_station(write(("channel: 1", init)))


@pytest.mark.parametrize("library", ["/evil.so", "evil", "evil@ivi", "@evil", "/evil.yaml@sim"])
def test_no_library_in_visalib(write: Write, library: str) -> None:
    refused(
        write(("  twin:", f"  visalib: '{library}'\n  twin:")),
        ["line 22: labnis.visalib", repr(library), "@py and @ivi", "PYVISA_LIBRARY"],
    )


@pytest.mark.parametrize(
    "kind",
    [
        "qcodes.instrument_drivers.AlazarTech.AlazarTechATS9360",
        "qcodes.instrument_drivers.Keysight.KeysightM960x",
        "qcodes.instrument_drivers.mock_instruments.DummyInstrument",
    ],
)
def test_a_class_that_speaks_no_visa_is_no_instrument(write: Write, kind: str) -> None:
    refused(write((LOCKIN, kind)), ["line 6: instruments.scope.type", kind, "VisaInstrument", "labnis.packages"])


@pytest.mark.parametrize(
    "kind",
    [
        "qcodes.instrument.Instrument",
        "qcodes.tests.x.Y",
        "qcodes.Station",
        "pymeasure.experiment.Procedure",
        "pymeasure.display.widgets.X",
    ],
)
def test_what_is_no_driver_is_not_imported(write: Write, kind: str) -> None:
    refused(write((LOCKIN, kind)), ["line 6: instruments.scope.type", "qcodes.instrument_drivers"])


@pytest.mark.parametrize(
    "kind",
    [
        "qcodes.instrument_drivers.Keysight.Keysight34465A",
        "qcodes.instrument_drivers.oxford.OxfordTriton",
        "pymeasure.instruments.srs.SR830",
    ],
)
def test_classes_that_speak_visa_or_tcp(write: Write, kind: str) -> None:
    assert instrument_class(load_station(write((LOCKIN, kind))), "scope").__name__ == kind.rpartition(".")[2]


def test_a_labs_own_class_may_read_a_folder(write: Write) -> None:
    path = write(
        (LOCKIN, "ourlab.logs.LogReader"),
        ("channel: 1", "folder: /mnt/fridge"),
        ("  twin:", "  packages: [ourlab]\n  twin:"),
    )
    (path.parent / "ourlab").mkdir()
    (path.parent / "ourlab" / "__init__.py").touch()
    (path.parent / "ourlab" / "logs.py").write_text(OWN, encoding="utf-8")
    assert instrument_class(load_station(path), "scope").__name__ == "LogReader"


@pytest.mark.parametrize(
    "dotted",
    [
        "antigravity.Fly",
        "this.s",
        "labnis.cli.__main__.main",
        "drivers.unused.Thing",
        "ourlab..near.X",
        ".X",
        "a.b\n.X",
    ],
)
def test_a_file_names_classes_of_procedures_analyses_and_listed_packages_only(dotted: str) -> None:
    with pytest.raises(ConfigurationError, match=r"procedures, labnis\.fit|no dotted path"):
        import_named_in_file(dotted)
