"""Text from files and instruments as it is shown: no control characters, no passwords."""

import pytest

from labnis.ledger import LedgerError, open_ledger
from labnis.printable import printable, without_passwords

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
