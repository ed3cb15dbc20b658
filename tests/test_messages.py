"""Every message of the product: what it names exists, and its words are those of a technical text."""

import ast
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer

from labnis import cli
from tests.test_house_rules import ROOT, SOURCES, parsed, source_id

COMMAND = typer.main.get_command(cli.app)


@cache
def options_of_commands() -> frozenset[str]:
    """Every option of every command, such as --until."""
    found = {"--help"}
    groups: list[Any] = [COMMAND]
    while groups:
        command = groups.pop()
        found |= {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        context = typer.Context(command)
        names = command.list_commands(context) if hasattr(command, "list_commands") else ()
        groups += [cli._loaded(name) if command is COMMAND else command.get_command(context, name) for name in names]
    return frozenset(found)


def texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each literal below `node` that is no docstring; {} in place of what is filled in."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return
        case ast.Constant(value=str(text)):
            yield node.lineno, text
        case ast.JoinedStr(values=parts):
            yield node.lineno, "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in parts)
            for part in parts:
                if isinstance(part, ast.FormattedValue):
                    yield from texts(part.value)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from texts(child)


@cache
def messages() -> tuple[tuple[str, str], ...]:
    """Place and text of every literal of the product with a blank: messages, help, parts of them."""
    return tuple(
        (f"{source_id(path)}:{line}", text) for path in SOURCES for line, text in texts(parsed(path)) if " " in text
    )


def offenders(pattern: str, allowed: frozenset[str] = frozenset()) -> list[str]:
    """Place and text of the messages in which `pattern` finds what is not `allowed`."""
    return [
        f"{place}: {found[0]!r} in {text!r}"
        for place, text in messages()
        for found in re.finditer(pattern, text, re.IGNORECASE)
        if found[0].removeprefix("labnis ") not in allowed
    ]


def test_every_option_that_a_message_names_exists() -> None:
    assert len(messages()) > 1000
    assert not offenders(r"(?<![\w-])--[a-z][a-z-]*", options_of_commands())


def test_every_command_that_a_message_names_exists() -> None:
    names = frozenset(cli.COMMANDS)
    assert offenders(r"`labnis [a-z]+")  # there are some, so that the next line tests something
    quoted = [
        f"{place}: {text!r}"
        for place, text in messages()
        for found in re.finditer(r"`labnis ([\w-]+)|(?:^|[:;,] )labnis (run|check|new|ls|show|log) ", text)
        if (found[1] or found[2]) not in names
    ]
    assert not quoted


def test_every_page_that_a_message_names_exists() -> None:
    missing = [
        f"{place}: {page}"
        for place, text in messages()
        for page in re.findall(r"\b(?:docs|drivers)/[\w.]+", text)
        if not (ROOT / page).exists()
    ]
    assert not missing


WORDS = (
    r"\b(?:please|cables?|whatever|hardly|nobody|somebody|spoil\w*|strikes?|clever|nicely|simply|obviously)\b",
    r"(?<!\.)\.\.(?!\.)",  # two full stops
    r"\bspeaks? (?:for|against|HTTP)\b|\bgoes on\b|\bstands for the measured\b|\bwarmth\b|\blets you in\b",
    r" {2,}(?=\w)(?<=\w {2})",  # two blanks within a sentence
)
"""Words that are metaphors or empty, and slips of typing."""


def test_every_character_of_a_message_has_a_readable_form_in_ascii() -> None:
    read_by_users = [path for path in SOURCES if {"cli", "procedures"} & {*path.parts}]
    docstrings = [
        (source_id(path), node.value)
        for path in read_by_users
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    escaped = sorted(
        f"{place}: {character!r}"
        for place, text in [*messages(), *docstrings]
        for character in set(text)
        if not unicodedata.name(character, "").startswith("LATIN SMALL LETTER A WITH")  # of names of persons
        if character.encode("ascii", "labnis").startswith(b"\\") and character != "\\"
    )
    assert not escaped


def test_the_words_of_messages_are_technical() -> None:
    found = [offender for pattern in WORDS for offender in offenders(pattern)]
    assert not found, "\n".join(found)


def test_a_message_of_several_sentences_ends_with_a_full_stop() -> None:
    """A message of one clause has none, as it may be continued."""
    sentences = re.compile(r"[a-z0-9)’'\"}](?<!e\.g)\. [A-Z]")
    open_ended = [
        f"{place}: …{text[-80:]!r}"
        for place, text in messages()
        if "reproduction" not in place
        if sentences.search(text) and not text.rstrip().endswith((".", "?", ":", "}"))
    ]
    assert not open_ended, "\n".join(open_ended)


def test_a_message_that_is_a_sentence_of_an_instrument_ends_with_a_full_stop() -> None:
    """Problem and advice of an InstrumentError are sentences, so that its parts can follow each other."""
    found = []
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            match node:
                case ast.Call(
                    func=ast.Name(
                        id="CommunicationError"
                        | "RejectedCommandError"
                        | "SettingError"
                        | "ReadingError"
                        | "OverloadError"
                        | "ComplianceError"
                    ),
                    args=[_, *sentences],
                ):
                    found += [
                        f"{source_id(path)}:{line}: {text!r}"
                        for sentence in sentences
                        for line, text in [next(texts(sentence), (0, "."))]
                        if not text.endswith(".")
                    ]
    assert not found, "\n".join(found)
