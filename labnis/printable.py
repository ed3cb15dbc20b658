"""Text of files, instruments, databases and errors as it is shown: without control characters, without passwords."""

import re

__all__ = ["printable", "sentence", "without_passwords"]

# Up to the last @ of the line: a password may contain any character, also @, / and blanks.
_PASSWORD_IN_URL = re.compile(r"(\b[\w+.-]+://[^\s:/@]*):[^\n]*@")
_PASSWORD_AS_OPTION = re.compile(r"(?i)([?&;]\w*(?:pass|pwd|secret|token|key)\w*)=[^\s&'\"]*")


def printable(text: object) -> str:
    """`text` with every character but line ends that is not printable as an escape: ANSI, bidi, zero-width, NUL."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in str(text))


def sentence(text: object) -> str:
    """`text` with a full stop at its end, unless a sentence ends there: errors of other libraries end either way."""
    found = str(text).rstrip()
    return found if found.endswith((".", "?", "!", "…")) else f"{found}."


def without_passwords(text: str) -> str:
    """`text` with `***` in place of the passwords in URLs: `://user:password@host` and `?password=…`."""
    return _PASSWORD_AS_OPTION.sub(r"\1=***", _PASSWORD_IN_URL.sub(r"\1:***@", text))
