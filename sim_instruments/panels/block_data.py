"""Blocks of definite length in the messages of a client: `#216` and 16 bytes of any value (IEEE 488.2, 7.7.6).

In the text of a message each byte of a block is a character of private use, so that no parser takes one for a line
feed, a separator or white space.
"""

import re
from collections.abc import Iterator

import numpy as np

from sim_instruments.panels.scpi_values import ScpiError

__all__ = ["as_bytes", "as_text", "block_values", "end_of_blocks"]

# A string, in which `#` means nothing, or the head of a block, which begins a parameter.
HEAD = re.compile(
    rb"'[^']*'|\"[^\"]*\"|(?<=[\s,])#(?:" + "|".join([rf"{n}(\d{{{n}}})" for n in range(1, 10)]).encode() + b")"
)
PRIVATE = 0xE000
HIDDEN = re.compile(f"[{chr(PRIVATE)}-{chr(PRIVATE + 255)}]")


def _payloads(message: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of the bytes of each block; the last one may end beyond the message."""
    at = 0
    while (head := HEAD.search(message, at)) is not None:
        at = head.end()
        if head.lastindex:
            begin, at = at, at + int(head[head.lastindex])
            yield begin, at


def end_of_blocks(message: bytes) -> int:
    """Bytes of `message` through its last block, which may be more than there are; 0 without a block."""
    return max([end for _, end in _payloads(message)], default=0)


def as_text(message: bytes) -> str:
    """Text of `message`, with the bytes of its blocks as characters of private use."""
    if b"#" not in message:
        return message.decode("latin-1")
    text, at = "", 0
    for begin, end in _payloads(message):
        text += message[at:begin].decode("latin-1") + "".join([chr(PRIVATE + byte) for byte in message[begin:end]])
        at = end
    return text + message[at:].decode("latin-1")


def as_bytes(text: str) -> bytes:
    """The message of a `text` that `as_text` gave."""
    return HIDDEN.sub(lambda one: chr(ord(one[0]) - PRIVATE), text).encode("latin-1")


def block_values(parameter: str, number_format: str) -> list[float]:
    """Numbers in the block `parameter`, in NumPy's `number_format`. Raises ScpiError if there is no such block."""
    whole = b" " + as_bytes(parameter)
    (begin, end), *_ = [*_payloads(whole), (0, 0)]
    width = np.dtype(number_format).itemsize
    if not begin or end != len(whole) or (end - begin) % width:
        raise ScpiError(-161)
    values = np.frombuffer(whole[begin:end], number_format).astype(np.float64)
    if not np.isfinite(values).all():
        raise ScpiError(-222)
    return [float(value) for value in values]
