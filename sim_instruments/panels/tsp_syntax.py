"""Parser of the part of TSP, Keithley's Lua 5.0, that drivers send.

It knows assignments, `local`, calls, `do`, `while`, `repeat`, numeric `for`, `if`, `break` and `return`; all operators
of Lua 5.0, which has no `%` and no `#`; numbers, strings, `nil`, booleans, and tables in braces. It does not know
functions defined in a script, `for ... in`, method calls with a colon, long strings and long comments: these are syntax
errors, which the instrument does not have.

Errors have the words of Lua 5.0 as far as those are known: "unexpected symbol near", "... expected near".
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sim_instruments.panels.tsp_tree import (
    Assign,
    Binary,
    Block,
    Break,
    Call,
    Constant,
    Do,
    Expression,
    For,
    If,
    Index,
    Local,
    Loop,
    Name,
    Return,
    Statement,
    TableOf,
    Unary,
)

__all__ = ["TspSyntaxError", "parse"]

KEYWORDS = frozenset(
    {
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not",
        "or", "repeat", "return", "then", "true", "until", "while",
    }
)  # fmt: skip
TOKEN = re.compile(
    r"(?P<space>[ \t\r\n\f\v]+|--[^\n]*)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<symbol>\.\.\.|\.\.|==|~=|<=|>=|[-+*/^=<>(){}\[\];:,.])",
    re.ASCII | re.DOTALL,
)
ESCAPE = re.compile(r"\\(\d{1,3}|.)", re.DOTALL)
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
# Binding powers, left and right, of the binary operators (Lua 5.0 reference manual, 2.5.6).
POWERS = {
    "or": (1, 2), "and": (3, 4),
    "<": (5, 6), ">": (5, 6), "<=": (5, 6), ">=": (5, 6), "~=": (5, 6), "==": (5, 6),
    "..": (8, 7), "+": (9, 10), "-": (9, 10), "*": (11, 12), "/": (11, 12), "^": (16, 15),
}  # fmt: skip
UNARY_POWER = 13
DEEPEST = 40
END = "<eof>"


class TspSyntaxError(Exception):
    """A chunk is no TSP; the message is that of the instrument."""


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def _tokens(text: str) -> Iterator[_Token]:
    at, line = 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise TspSyntaxError(f"TSP Syntax error at line {line}: unexpected symbol near `{text[at]}'")
        kind, found = str(match.lastgroup), match[0]
        if kind != "space":
            yield _Token("keyword" if kind == "name" and found in KEYWORDS else kind, found, line)
        at, line = match.end(), line + found.count("\n")
    yield _Token("end", END, line)


def parse(text: str) -> Block:
    """The statements of a chunk. Raises TspSyntaxError."""
    parser = _Parser(tuple(_tokens(text)))
    block = parser.block()
    if parser.next.kind != "end":
        raise parser.expected(END)
    return block


class _Parser:
    """Recursive descent; binary operators by their binding powers."""

    def __init__(self, tokens: tuple[_Token, ...]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _is(self, *texts: str) -> bool:
        return self.next.kind in ("symbol", "keyword") and self.next.text in texts

    def _accept(self, *texts: str) -> bool:
        found = self._is(*texts)
        if found:
            self._take()
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self.expected(text)

    def expected(self, what: str) -> TspSyntaxError:
        return self._error(f"`{what}' expected")

    def _error(self, problem: str) -> TspSyntaxError:
        return TspSyntaxError(f"TSP Syntax error at line {self.next.line}: {problem} near `{self.next.text}'")

    # --- statements -----------------------------------------------------------------------------------------------

    def block(self) -> Block:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error("chunk has too many syntax levels")
        found = []
        while self.next.kind != "end" and not self._is("end", "else", "elseif", "until"):
            statement = self._statement()
            self._accept(";")
            found.append(statement)
            if isinstance(statement, Break | Return):
                break
        self._depth -= 1
        return tuple(found)

    def _statement(self) -> Statement:
        known = {
            "do": self._do, "while": self._while, "repeat": self._repeat, "for": self._for, "if": self._if,
            "local": self._local, "return": self._return, "break": Break,
        }  # fmt: skip
        if self.next.kind == "keyword" and self.next.text in known:
            return known[self._take().text]()
        return self._assignment_or_call()

    def _do(self) -> Statement:
        body = self.block()
        self._expect("end")
        return Do(body)

    def _while(self) -> Statement:
        line, condition = self.next.line, self.expression()
        self._expect("do")
        body = self.block()
        self._expect("end")
        return Loop(condition, body, until=False, line=line)

    def _repeat(self) -> Statement:
        line, body = self.next.line, self.block()
        self._expect("until")
        return Loop(self.expression(), body, until=True, line=line)

    def _for(self) -> Statement:
        line, name = self.next.line, self._name()
        self._expect("=")
        start = self.expression()
        self._expect(",")
        stop = self.expression()
        step = self.expression() if self._accept(",") else Constant(1.0)
        self._expect("do")
        body = self.block()
        self._expect("end")
        return For(name, start, stop, step, body, line)

    def _if(self) -> Statement:
        branches = []
        while True:
            condition = self.expression()
            self._expect("then")
            branches.append((condition, self.block()))
            if not self._accept("elseif"):
                break
        otherwise = self.block() if self._accept("else") else ()
        self._expect("end")
        return If(tuple(branches), otherwise)

    def _local(self) -> Statement:
        names = [self._name()]
        while self._accept(","):
            names.append(self._name())
        return Local(tuple(names), self._expressions() if self._accept("=") else ())

    def _return(self) -> Statement:
        if self.next.kind != "end" and not self._is("end", "else", "elseif", "until", ";"):
            self._expressions()
        return Return()

    def _assignment_or_call(self) -> Statement:
        line, first = self.next.line, self._suffixed()
        if isinstance(first, Call):
            return first
        targets: list[Expression] = [first]
        while self._accept(","):
            targets.append(self._suffixed())
        self._expect("=")
        if any(not isinstance(target, Name | Index) for target in targets):
            raise self._error("syntax error")
        return Assign(tuple(targets), self._expressions(), line)

    def _name(self) -> str:
        if self.next.kind != "name":
            raise self._error("<name> expected")
        return self._take().text

    # --- expressions ----------------------------------------------------------------------------------------------

    def _expressions(self) -> tuple[Expression, ...]:
        found = [self.expression()]
        while self._accept(","):
            found.append(self.expression())
        return tuple(found)

    def expression(self, power: int = 0) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error("chunk has too many syntax levels")
        line = self.next.line
        if self._is("not", "-"):
            operator = self._take().text
            left: Expression = Unary(operator, self.expression(UNARY_POWER), line)
        else:
            left = self._simple()
        while self._is(*POWERS) and POWERS[self.next.text][0] > power:
            operator = self._take().text
            left = Binary(operator, left, self.expression(POWERS[operator][1]), line)
        self._depth -= 1
        return left

    def _simple(self) -> Expression:
        kind, text, _line = self.next
        if kind == "number":
            self._take()
            return Constant(float(text))
        if kind == "string":
            self._take()
            return Constant(_unquoted(text))
        constants = {"nil": None, "true": True, "false": False}
        if kind == "keyword" and text in constants:
            self._take()
            return Constant(constants[text])
        return self._table() if self._is("{") else self._suffixed()

    def _table(self) -> Expression:
        self._expect("{")
        items: list[tuple[Expression | None, Expression]] = []
        while not self._is("}"):
            key: Expression | None = None
            if self._accept("["):
                key = self.expression()
                self._expect("]")
                self._expect("=")
            elif self.next.kind == "name" and self._tokens[self._at + 1].text == "=":
                key = Constant(self._name())
                self._expect("=")
            items.append((key, self.expression()))
            if not self._accept(",", ";"):
                break
        self._expect("}")
        return TableOf(tuple(items))

    def _suffixed(self) -> Expression:
        line = self.next.line
        found: Expression
        if self._accept("("):
            found = self.expression()
            self._expect(")")
        elif self.next.kind == "name":
            found = Name(self._take().text, line)
        else:
            raise self._error("unexpected symbol")
        while True:
            line = self.next.line
            if self._accept("."):
                found = Index(found, Constant(self._name()), line)
            elif self._accept("["):
                found = Index(found, self.expression(), line)
                self._expect("]")
            elif self._accept("("):
                arguments = () if self._is(")") else self._expressions()
                self._expect(")")
                found = Call(found, arguments, line)
            elif self.next.kind == "string" or self._is("{"):
                found = Call(found, (self._simple(),), line)
            else:
                return found


def _unquoted(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        return chr(int(match[1]) % 256) if match[1].isdigit() else ESCAPED.get(match[1], match[1])

    return ESCAPE.sub(plain, text[1:-1])
