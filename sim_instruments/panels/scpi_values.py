"""Values in SCPI messages: parameters in, numbers and blocks out (SCPI-99 volume 1, IEEE 488.2)."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "Call",
    "Choice",
    "Integer",
    "Kind",
    "Number",
    "ScpiError",
    "Switch",
    "Text",
    "definite_block",
    "encode_values",
    "find_mnemonic",
    "mnemonic_matches",
    "short_form",
]

ERRORS = {
    0: "No error",
    -101: "Invalid character",
    -102: "Syntax error",
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -114: "Header suffix out of range",
    -131: "Invalid suffix",
    -161: "Invalid block data",
    -200: "Execution error",
    -213: "Init ignored",
    -221: "Settings conflict",
    -222: "Data out of range",
    -224: "Illegal parameter value",
    -230: "Data corrupt or stale",
    -241: "Hardware missing",
    -350: "Queue overflow",
    -410: "Query INTERRUPTED",
    -420: "Query UNTERMINATED",
}

NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*([a-zA-Z]*)\s*")
MULTIPLIERS = {
    "": 1.0, "T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3, "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12, "F": 1e-15,
}  # fmt: skip


class ScpiError(Exception):
    """A message the instrument rejects.

    Parameters
    ----------
    code
        SCPI error number, a key of `ERRORS` or an instrument's own positive one.
    text
        Message in place of the standard one.

    """

    def __init__(self, code: int, text: str = "") -> None:
        self.code = code
        self.text = text or ERRORS[code]
        super().__init__(f"{code}, {self.text}")

    @property
    def event_bit(self) -> int:
        """Its bit of the standard event status register (IEEE 488.2, 11.5.1)."""
        command_error, execution_error, device_error, query_error = 32, 16, 8, 4
        kinds = {1: command_error, 2: execution_error, 4: query_error}
        return kinds.get(-self.code // 100, device_error)


def short_form(mnemonic: str) -> str:
    """Return the short form of a mnemonic in SCPI notation: `VOLTage` gives `VOLT`."""
    return "".join(character for character in mnemonic if not character.islower())


def mnemonic_matches(mnemonic: str, text: str) -> bool:
    """Whether `text` is the long or the short form of `mnemonic`, in any case."""
    return text.upper() in (short_form(mnemonic), mnemonic.upper())


def find_mnemonic(mnemonics: Iterable[str], text: str) -> str:
    """The one of `mnemonics` that `text` is a form of. Raises ScpiError -224."""
    for mnemonic in mnemonics:
        if mnemonic_matches(mnemonic, text):
            return mnemonic
    raise ScpiError(-224)


def parse_number(text: str, unit: str = "") -> float:
    """Parse decimal data with an optional suffix such as `4.67 GHZ` where `unit` is `HZ`."""
    match = NUMBER.fullmatch(text)
    if match is None:
        raise ScpiError(-104)
    digits, suffix = match[1], match[2].upper()
    if not suffix:
        return float(digits)
    if not unit or not suffix.endswith(unit):
        raise ScpiError(-131)
    prefix = suffix[: -len(unit)]
    if prefix == "M" and unit in ("HZ", "OHM"):
        prefix = "MA"  # SCPI's own exception: MHZ and MOHM are mega
    if prefix not in MULTIPLIERS:
        raise ScpiError(-131)
    return float(digits) * MULTIPLIERS[prefix]


class Kind(ABC):
    """Format of one setting, written and shown; `default` is its value after `*RST`."""

    default: Any

    @abstractmethod
    def parse(self, text: str) -> Any:
        """Value for the parameter `text`. Raises ScpiError."""

    def show(self, value: Any, number_format: str) -> str:
        """Answer to the query."""
        return str(value)


@dataclass(frozen=True)
class Number(Kind):
    """A real number within limits; `unit` is the suffix it may carry."""

    default: float
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""

    def parse(self, text: str) -> float:
        """Value for `text`, a number or DEFault, or MINimum or MAXimum where there is a limit."""
        named = {"MINimum": self.low, "MAXimum": self.high, "DEFault": self.default}
        for name, value in named.items():
            if mnemonic_matches(name, text) and math.isfinite(value):
                return value
        value = parse_number(text, self.unit)
        if not self.low <= value <= self.high:
            raise ScpiError(-222)
        return value

    def show(self, value: float, number_format: str) -> str:
        """Format `value`."""
        return format(value, number_format)


class Integer(Number):
    """A whole number within limits; a real one is rounded, as IEEE 488.2 asks."""

    def parse(self, text: str) -> int:
        """Value for `text`."""
        return round(super().parse(text))

    def show(self, value: float, number_format: str) -> str:
        """Format `value`."""
        return str(value)


@dataclass(frozen=True)
class Switch(Kind):
    """ON or OFF, 1 or 0."""

    default: bool

    def parse(self, text: str) -> bool:
        """Value for `text`."""
        upper = text.strip().upper()
        if upper in ("ON", "OFF"):
            return upper == "ON"
        return round(parse_number(upper)) != 0

    def show(self, value: bool, number_format: str) -> str:
        """Format `value`."""
        return f"{value:d}"


class Choice(Kind):
    """One of several mnemonics in SCPI notation, stored and shown in its short form; the default comes first."""

    def __init__(self, *mnemonics: str) -> None:
        self.mnemonics = mnemonics
        self.default = short_form(mnemonics[0])

    def parse(self, text: str) -> str:
        """Short form for `text`."""
        return short_form(find_mnemonic(self.mnemonics, text))


@dataclass(frozen=True)
class Text(Kind):
    """A quoted string."""

    default: str = ""

    def parse(self, text: str) -> str:
        """Content of the quoted string `text`."""
        if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
            raise ScpiError(-104)
        return text[1:-1].replace(text[0] * 2, text[0])

    def show(self, value: str, number_format: str) -> str:
        """Format `value`."""
        return '"' + value.replace('"', '""') + '"'


class Call(NamedTuple):
    """One command as received: numeric suffixes of its header (1 where omitted) and its parameters."""

    suffixes: tuple[int, ...]
    arguments: tuple[str, ...]

    def parse(self, index: int, kind: Kind) -> Any:
        """Parameter `index`, read as `kind`; ScpiError -109 if it is missing."""
        if index >= len(self.arguments):
            raise ScpiError(-109)
        return kind.parse(self.arguments[index])

    def number(self, index: int, low: float = -math.inf, high: float = math.inf) -> float:
        """Parameter `index` as a number within limits."""
        value: float = self.parse(index, Number(0.0, low, high))
        return value

    def channel(self, channels: Container[int]) -> int:
        """The first parameter as one of `channels`."""
        number = round(self.number(0))
        if number not in channels:
            raise ScpiError(-222)
        return number

    def optional(self, index: int, kind: Kind) -> Any:
        """Parameter `index`, read as `kind`; the default of `kind` if it is missing."""
        return self.parse(index, kind) if index < len(self.arguments) else kind.default

    def expect(self, low: int, high: int | None = None) -> None:
        """Check the number of parameters: from `low` to `high` (or exactly `low`)."""
        if len(self.arguments) < low:
            raise ScpiError(-109)
        if len(self.arguments) > (low if high is None else high):
            raise ScpiError(-108)


def definite_block(payload: bytes) -> bytes:
    """Wrap `payload` as an IEEE 488.2 definite-length arbitrary block."""
    length = str(len(payload))
    return f"#{len(length)}{length}".encode() + payload


def encode_values(values: ArrayLike, data_format: str, *, swapped: bool = False) -> bytes:
    """Encode real `values` of any shape, in C order.

    Parameters
    ----------
    values
        The numbers.
    data_format
        `REAL,64`, `REAL,32` (blocks) or `ASC` (comma-separated, 12 significant digits).
    swapped
        Least significant byte first, as FORMat:BORDer SWAPped.

    """
    array = np.asarray(values, dtype=np.float64).ravel()
    if data_format.startswith("ASC"):
        return ",".join([format(value, "+.11E") for value in array.tolist()]).encode()
    width = {"REAL,64": "f8", "REAL,32": "f4"}[data_format]
    return definite_block(array.astype(("<" if swapped else ">") + width).tobytes())
