"""Text from files and instruments as it is shown: no control characters, no passwords."""

import re
from pathlib import Path

import pytest

import labnis
from drivers.errors import CommunicationError
from labnis.ledger import LedgerError, open_ledger
from labnis.printable import printable, sentence, without_passwords
from labnis.storage._disk import failed

HIDDEN = "\x1b[2J\r\x07\x00\x9b\u202e\u2066\u200b\ufeff\ud800"
PASSWORDS = ["simple", "p@ss", "a/b", "a:b", "a b", "a\"b'c", "ü%40", "x@y@z", "#?&="]


def test_what_no_terminal_must_get_is_escaped() -> None:
    shown = printable(f"a{HIDDEN}µ σ\nb")
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert shown.endswith("µ σ\nb")
    assert printable(shown) == shown


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    "text", ["ledger: postgresql://user:{}@db/labnis", "# was redis://:{}@db, ask Eva", "x://u:{}@h?b"]
)
def test_a_password_in_a_url_is_hidden(text: str, password: str) -> None:
    shown = without_passwords(text.format(password))
    assert password not in shown.replace("postgresql", "")
    assert ":***@" in shown


def test_text_without_password_is_unchanged() -> None:
    for text in ("sqlite:////data/ledger.sqlite", "postgresql://labnis@db/labnis", "eva@lab.org: at 10:30", "a://b/c"):
        assert without_passwords(text) == text


@pytest.mark.parametrize("password", ["p@ssCANARY", "CANARY/x@y", "a%2fCANARY"])
def test_a_ledger_that_cannot_be_opened_hides_it(password: str) -> None:
    with pytest.raises(LedgerError) as caught:
        open_ledger(f"nonsense://user:{password}@127.0.0.1/labnis")
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("no", "no."), ("no.", "no."), ("no?", "no?"), ("no …", "no …"), ("no. \n", "no."), ("", ".")],
)
def test_a_sentence_has_one_full_stop(text: str, shown: str) -> None:
    assert sentence(text) == shown


QUOTED = re.compile(r"\{(error|cause|problem|full|failure)(\.\w+)?( or \w+)?\}\.[ \"]")


def test_no_error_is_quoted_before_a_full_stop() -> None:
    """The text may end with a full stop itself. Errors of drivers remove the second one themselves."""
    root = Path(labnis.__file__).parent
    offenders = [
        f"{path.relative_to(root)}:{number}"
        for path in sorted(root.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if QUOTED.search(line) and not ERRORS_OF_DRIVERS.search(line)
    ]
    assert not offenders


ERRORS_OF_DRIVERS = re.compile(r"(Communication|Setting|Reading)Error\(|self\._name, ")


def test_messages_that_quote_an_error_have_single_full_stops() -> None:
    told = [
        CommunicationError("sr830", "a reading failed: it said no.."),
        failed("run.h5: cannot be written", OSError("it said no.")),
        failed("run.h5: cannot be written", OSError("it said no")),
    ]
    for error in told:
        assert re.search(r"no( |\.$|\. )", str(error)), error
        assert ".." not in str(error)
