"""The VISA library that answers from a VISA record, for unmodified PyVISA programs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pyvisa
from pymeasure.instruments.srs import SR830
from pyvisa.constants import StatusCode

from labnis.visa_log.recording import VisaRecord
from sim_instruments import ADDRESSES
from sim_instruments.visa import VERSION, LabnisVisaLibrary, ReplayEndedError, ReplayLibrary, open_replay

HEADER = {"labnis_visa_record": VERSION}


def write_record(folder: Path, *lines: dict[str, Any], address: str = "GPIB0::8::INSTR", whole: bool = True) -> Path:
    path = folder / "made.visa.jsonl"
    where = {"instrument": "sr830", "address": address}
    ending = [{"do": "end", "ended": ""}] if whole else []
    every = [HEADER, where | {"do": "open"}, *(where | line for line in lines), *ending]
    path.write_text("".join(json.dumps(line) + "\n" for line in every))
    return path


@contextmanager
def opened(path: Path, address: str = "GPIB0::8::INSTR", **options: Any) -> Iterator[tuple[ReplayLibrary, Any]]:
    with open_replay(path) as library:
        resource = pyvisa.ResourceManager(f"{path}@labnis").open_resource(address, **options)
        yield library, resource


@pytest.mark.parametrize(
    "address",
    [
        "GPIB0::8::INSTR",
        "USB0::0x05E6::0x2450::04000001::0::INSTR",
        "TCPIP0::192.168.10.21::inst0::INSTR",
        "TCPIP0::192.168.10.22::hislip0::INSTR",
        "TCPIP0::192.168.10.24::7777::SOCKET",
        "ASRL3::INSTR",
    ],
)
def test_any_address_opens_with_its_attributes(tmp_path: Path, address: str) -> None:
    path = write_record(tmp_path, {"do": "out", "text": "*IDN?\r\n"}, {"do": "in", "text": "me\r\n"}, address=address)
    with opened(path, address, open_timeout=2000) as (_, resource):
        assert resource.resource_name == address
        resource.read_termination = resource.write_termination = "\r\n"
        resource.timeout = 1234
        assert resource.timeout == 1234
        assert resource.query("*IDN?") == "me"


def test_an_address_that_was_not_recorded_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(pyvisa.VisaIOError) as caught,
        opened(write_record(tmp_path), "GPIB0::9::INSTR"),
    ):
        pass
    assert caught.value.error_code == StatusCode.error_resource_not_found


def test_failures_come_again_as_they_were(tmp_path: Path) -> None:
    path = write_record(
        tmp_path,
        {"do": "in", "failed": "error_timeout"},
        {"do": "out", "text": "a\r\n", "failed": "ConnectionResetError", "errno": 104, "reason": "reset by peer"},
        {"do": "in", "failed": "TimeoutError", "errno": None, "reason": "timed out"},
        {"do": "status byte", "value": 64},
        {"do": "clear"},
        {"do": "trigger"},
    )
    with opened(path) as (library, resource):
        with pytest.raises(pyvisa.VisaIOError) as caught:
            resource.read()
        assert caught.value.error_code == StatusCode.error_timeout
        with pytest.raises(ConnectionResetError, match="reset by peer"):
            resource.write("a")
        with pytest.raises(TimeoutError, match="timed out"):
            resource.read()
        assert resource.read_stb() == 64
        resource.clear()
        resource.assert_trigger()
        assert library.left_over() == ""


def test_a_connection_that_failed_fails_again(tmp_path: Path) -> None:
    path = write_record(tmp_path, {"do": "open", "failed": "error_resource_not_found"}, {"do": "clear"})
    with pytest.raises(pyvisa.VisaIOError), opened(path):
        pass


def test_a_long_answer_may_be_read_in_other_pieces(tmp_path: Path) -> None:
    path = write_record(
        tmp_path,
        {"do": "in", "base64": "AAECAw==", "status": "success_max_count_read"},
        {"do": "in", "base64": "BAU="},
    )
    for size in (1, 3, 4, 100):
        with opened(path) as (_, resource):
            resource.chunk_size = size
            assert resource.read_raw() == bytes(range(6))


@pytest.mark.parametrize("whole", [True, False])
def test_after_a_difference_or_the_end_nothing_is_answered_any_more(tmp_path: Path, whole: bool) -> None:
    path = write_record(tmp_path, {"do": "out", "text": "a\r\n"}, whole=whole)
    with opened(path) as (library, resource):
        resource.write("a")
        for _ in range(2):
            with pytest.raises(ReplayEndedError):
                resource.write("b")
        assert library.ran_out is not whole
        assert (
            library.difference == "sr830 (GPIB0::8::INSTR): 'b\\r\\n' sent, where the VISA record has no further call"
        ) is whole


def test_the_clock_reads_the_same_between_the_same_messages_and_does_not_wait(tmp_path: Path) -> None:
    path = write_record(
        tmp_path, {"do": "clear", "clock": [1.0, 2.5]}, {"do": "clear", "clock": [7.0]}, {"do": "clear"}
    )
    with opened(path) as (library, resource):
        clock = library.clock
        assert (clock.time(), clock.time(), clock.time()) == (1.0, 2.5, 2.5)
        clock.sleep(3600.0)
        assert clock.time() == 3602.5
        resource.clear()
        assert clock.time() == 7.0
        resource.clear()
        resource.clear()


# --- with what records are made --------------------------------------------------------------------------------------


def test_a_driver_of_pymeasure_is_recorded_and_replayed(tmp_path: Path, twin: LabnisVisaLibrary) -> None:
    def exchange(visalib: str) -> list[float]:
        lockin = SR830(ADDRESSES["lockin"], visa_library=visalib)
        lockin.time_constant = 0.03
        found = [lockin.x, lockin.y, lockin.frequency, *lockin.snap("X", "Y")]
        lockin.adapter.close()
        return found

    record = VisaRecord(tmp_path / "lockin.visa.jsonl", HEADER)
    record.listen(twin, "lockin", "GPIB0::8")
    before = exchange(f"{twin.library_path}@labnis")
    record.close("")
    with open_replay(record.path) as library:
        assert exchange(f"{record.path}@labnis") == before
        assert library.left_over() == ""
        assert {entry.instrument for entry in library.record.entries} == {"lockin"}


def test_nothing_is_left_of_a_record_that_is_closed(tmp_path: Path, twin: LabnisVisaLibrary) -> None:
    before = set(vars(twin))
    record = VisaRecord(tmp_path / "empty.visa.jsonl", HEADER)
    record.listen(twin, "lockin", ADDRESSES["lockin"])
    record.listen(twin, "bias", ADDRESSES["bias"])
    assert set(vars(twin)) - before >= {"read", "write"}
    record.close("")
    assert set(vars(twin)) == before


def test_each_line_is_in_the_file_when_the_call_returns(tmp_path: Path, twin: LabnisVisaLibrary) -> None:
    record = VisaRecord(tmp_path / "one.visa.jsonl", HEADER)
    record.listen(twin, "lockin", "GPIB0::8")
    resource = pyvisa.ResourceManager(f"{twin.library_path}@labnis").open_resource("GPIB0::8::INSTR")
    resource.write_raw(b"*IDN?\n")
    last = json.loads(record.path.read_bytes().splitlines()[-1])
    assert (last["do"], last["text"], last["instrument"]) == ("out", "*IDN?\n", "lockin")
    resource.read_raw()
    resource.assert_trigger()  # which the twin carries out as a message: one line, not two
    kinds = [json.loads(line).get("do") for line in record.path.read_bytes().splitlines()]
    assert kinds == [None, "open", "out", "in", "trigger"]
    record.close("")
