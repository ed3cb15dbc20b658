"""Syntax tree of a TSP chunk: statements and expressions."""

from dataclasses import dataclass

__all__ = [
    "Assign",
    "Binary",
    "Block",
    "Break",
    "Call",
    "Constant",
    "Do",
    "Expression",
    "For",
    "If",
    "Index",
    "Local",
    "Loop",
    "Name",
    "Return",
    "Statement",
    "TableOf",
    "Unary",
]


@dataclass(frozen=True)
class Constant:
    """A number, a string, true, false or nil."""

    value: float | str | bool | None


@dataclass(frozen=True)
class Name:
    """A variable."""

    name: str
    line: int


@dataclass(frozen=True)
class Index:
    """An element of a table: `object.key` or `object[key]`."""

    object: "Expression"
    key: "Expression"
    line: int


@dataclass(frozen=True)
class Call:
    """A call of a function; as a statement, too."""

    function: "Expression"
    arguments: "tuple[Expression, ...]"
    line: int


@dataclass(frozen=True)
class Unary:
    """`not` or `-`."""

    operator: str
    operand: "Expression"
    line: int


@dataclass(frozen=True)
class Binary:
    """An operator between two expressions."""

    operator: str
    left: "Expression"
    right: "Expression"
    line: int


@dataclass(frozen=True)
class TableOf:
    """A table in braces: pairs of a key, None for the next number, and a value."""

    items: "tuple[tuple[Expression | None, Expression], ...]"


Expression = Constant | Name | Index | Call | Unary | Binary | TableOf


@dataclass(frozen=True)
class Assign:
    """One or more targets and their values."""

    targets: tuple[Expression, ...]
    values: tuple[Expression, ...]
    line: int


@dataclass(frozen=True)
class Local:
    """New variables of this block."""

    names: tuple[str, ...]
    values: tuple[Expression, ...]


@dataclass(frozen=True)
class Do:
    """A block of its own."""

    body: "Block"


@dataclass(frozen=True)
class Loop:
    """`while condition do body end`, or with `until` the `repeat body until condition`."""

    condition: Expression
    body: "Block"
    until: bool
    line: int


@dataclass(frozen=True)
class If:
    """Conditions with their blocks, and the block of `else`."""

    branches: "tuple[tuple[Expression, Block], ...]"
    otherwise: "Block"


@dataclass(frozen=True)
class For:
    """A numeric loop."""

    name: str
    start: Expression
    stop: Expression
    step: Expression
    body: "Block"
    line: int


@dataclass(frozen=True)
class Break:
    """End of the innermost loop."""


@dataclass(frozen=True)
class Return:
    """End of the chunk."""


Statement = Assign | Local | Do | Loop | If | For | Break | Return | Call
Block = tuple[Statement, ...]
