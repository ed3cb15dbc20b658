"""One YAML file, read safely, with the line of every key.

Station files are written by hand, so the reader is strict: only plain mappings, lists, strings,
numbers and booleans. Tags, anchors and aliases, duplicate keys, non-finite numbers and files of unreasonable size are
refused before anything is built from them. Nothing in the file is ever executed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, MappingStartEvent, NodeEvent, SequenceStartEvent

from labnis.errors import ConfigurationError
from labnis.printable import without_passwords

__all__ = ["Document", "Location", "read_document"]

Location = tuple[str | int, ...]
"""Path of a value: keys and list indices, from the top."""

LARGEST_FILE = 64 * 1024
"""Bytes. A full station file has 3 kB; this size still parses in well under a second."""

TOPS: dict[type, str] = {dict: "mapping (key: value)", list: "list (- entry)"}
"""Type at the top of a file → its description."""

DEEPEST = 32
"""Levels of nesting."""


@dataclass(frozen=True)
class Document:
    """A checked YAML file.

    Attributes
    ----------
    path
        The file, as given.
    data
        Its content as plain dict, list, str, int, float, bool and None: a mapping, or of the type `top`.

    """

    path: Path
    data: Any
    _tree: Any
    _text: str

    def line(self, location: Sequence[str | int]) -> int:
        """Line (from 1) of the deepest part of `location` that exists in the file."""
        line = 1
        node: Any = self._tree
        for key in location:
            if not hasattr(node, "lc"):
                break
            try:
                position = node.lc.key(key) if isinstance(key, str) else node.lc.item(key)
                line = position[0] + 1
                node = node[key]
            except (KeyError, IndexError, TypeError):
                break
        return line

    def text_without(self, location: Sequence[str]) -> str:
        """The file's text with `***` in place of the value at `location`, and of passwords in URLs anywhere."""
        text = self._text
        node = YAML(typ="safe", pure=True).compose(text)
        for key in location:
            node = next((value for name, value in getattr(node, "value", ()) if name.value == key), None)
        if node is not None:
            text = text[: node.start_mark.index] + "'***'" + text[node.end_mark.index :]
        return without_passwords(text)  # for example in comments

    def error(self, location: Sequence[str | int], problem: str) -> ConfigurationError:
        """Build the error for a `problem` at `location`, naming file, line and key."""
        key = ".".join(map(str, location))
        found = f"{key + ': ' if key else ''}{problem}"
        return ConfigurationError(f"{self.path}, line {self.line(location)}: {without_passwords(found)}")


def read_document(path: Path, *, top: type = dict) -> Document:
    """Read the YAML file at `path`, which holds a mapping, or a list where `top` is list.

    Raises
    ------
    ConfigurationError
        It cannot be read or has values that are not plain; the message has file, line and key.

    """
    text = _read_text(path)
    try:
        _refuse_active_content(path, text)
        tree = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        # ruamel quotes the values of duplicate keys; one of them may be a database URL with its password.
        problem = str(error.problem).partition(" with value ")[0]
        raise ConfigurationError(f"{path}, line {line}: not valid YAML: {problem}") from None
    except (YAMLError, ValueError) as error:
        # ValueError: a number of more digits than Python converts, a month 13.
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(f"{path}: not valid YAML: {reason}") from error
    if tree is None:
        raise ConfigurationError(f"{path}, line 1: the file is empty; a {TOPS[top]} is needed")
    if not isinstance(tree, top):
        found = next((text for kind, text in TOPS.items() if isinstance(tree, kind)), "plain value")
        raise ConfigurationError(f"{path}, line 1: found a {found} at the top; a {TOPS[top]} is needed")
    document = Document(path, {}, tree, text)
    return Document(path, _plain(document, tree, ()), tree, text)


def _read_text(path: Path) -> str:
    if not path.is_file():
        found = "it is a folder or a device" if path.exists() else "no such file"
        raise ConfigurationError(f"{path}: cannot be read: {found}; give a YAML file")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ConfigurationError(f"{path}: larger than {LARGEST_FILE // 1024} kB, the largest size allowed")
        return content.decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}, line {line}: not UTF-8 text: {error.reason}") from error


def _refuse_active_content(path: Path, text: str) -> None:
    """Refuse tags, anchors and aliases on the event stream, before any value is constructed."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        where = f"{path}, line {event.start_mark.line + 1}"
        if isinstance(event, AliasEvent):
            raise ConfigurationError(f"{where}: alias *{event.anchor} is not allowed; write the value out")
        if isinstance(event, NodeEvent):
            _refuse_tag_or_anchor(where, event)
        depth += isinstance(event, MappingStartEvent | SequenceStartEvent)
        depth -= type(event).__name__ in {"MappingEndEvent", "SequenceEndEvent"}
        if depth > DEEPEST:
            raise ConfigurationError(f"{where}: nested deeper than {DEEPEST} levels")


def _refuse_tag_or_anchor(where: str, event: Any) -> None:
    if event.anchor is not None:
        raise ConfigurationError(f"{where}: anchor &{event.anchor} is not allowed; write the value out")
    if event.tag is not None:
        raise ConfigurationError(f"{where}: YAML tag {event.tag} is not allowed; write a plain value")


def _plain(document: Document, node: Any, location: Location) -> Any:
    """Strip ruamel's round-trip types; refuse values of other types."""
    if isinstance(node, dict):
        for key in node:
            if not isinstance(key, str):
                raise document.error((*location, key), f"found the key {key!r}; keys are text")
        return {str(key): _plain(document, value, (*location, str(key))) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(document, value, (*location, index)) for index, value in enumerate(node)]
    if node is None or isinstance(node, bool):
        return node
    if isinstance(node, date) and not isinstance(node, datetime):
        return node.isoformat()  # as it was written
    for kind in (int, float, str):
        if isinstance(node, kind):
            break
    else:
        raise document.error(location, f"found a {type(node).__name__} ({node}); put quotes around text")
    value = kind(node)
    if isinstance(value, float) and not math.isfinite(value):
        raise document.error(location, f"found {value}; a finite number is needed")
    return value
