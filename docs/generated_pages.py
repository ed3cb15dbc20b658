"""Pages of the site that are made at its build, from the program or from files of the repository.

In the folder of the documents each is a page of a few lines, which a code host shows.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

import typer
from pydantic import BaseModel
from typer.cli import get_docs_for_click

from labnis import cli
from labnis.accuracy import StatedUncertainty
from labnis.station.role_spec import KINDS
from labnis.station.sections import LabnisSection

ROOT = Path(__file__).parents[1]
FILES = {"README.md": "overview", "CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing"}
"""File of the repository → page that shows it."""
LINK = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")
LINK_TO_FILE = re.compile(rf"\]\(\.\./((?:\.\./)*)({'|'.join(map(re.escape, FILES))})")
ATTRIBUTE = re.compile(r"^ {4}(\w+(?:, \w+)*)\n((?: {8}.+\n?)+)", re.MULTILINE)
"""Names of attributes in a docstring, and what it says of them."""
TYPES = {"number": "number", "integer": "whole number", "string": "text", "boolean": "true or false"}
BOUNDS = {"exclusiveMinimum": ">", "minimum": "≥", "maximum": "≤"}


def replace_generated(app: Any, page: str, source: list[str]) -> None:
    """Replace the text of `page` by that of its file, or complete it from the program (Sphinx's event source-read)."""
    shown = next((file for file, its_page in FILES.items() if its_page == page), None)
    if shown is not None:
        app.env.note_dependency(str(ROOT / shown))
        source[0] = LINK.sub(relative_to_docs, (ROOT / shown).read_text(encoding="utf-8"))
    elif page == "reference/commands":
        source[0] += commands()
    elif page == "reference/station-keys":
        source[0] += "\n".join(station_keys())
    source[0] = LINK_TO_FILE.sub(lambda link: f"]({link[1]}{FILES[link[2]]}.md", source[0])


def relative_to_docs(link: re.Match[str]) -> str:
    """A link of a file at the root of the repository, as it is in the folder of the documents."""
    return f"]({link[1].removeprefix('docs/')})" if link[1].startswith("docs/") else f"](../{link[1]})"


def commands() -> str:
    """Every command with its arguments and options, by typer's own generator."""
    group = typer.core.TyperGroup(name="labnis", commands={name: cli._loaded(name) for name in cli.COMMANDS})
    text = get_docs_for_click(obj=group, ctx=typer.Context(group), name="labnis")
    return text[text.index("\n## ") :]


def station_keys() -> Iterator[str]:
    """A table for each section of the station file, from its model."""
    seen: set[type[BaseModel]] = set()
    waiting: list[tuple[str, type[BaseModel]]] = [("labnis:", LabnisSection)]
    while waiting:
        place, model = waiting.pop(0)
        if model in seen:
            continue
        seen.add(model)
        yield from table("A stated uncertainty" if model is StatedUncertainty else f"`{place}`", model)
        fields = model.model_fields.items()
        waiting = [(f"{place} {key}:", one) for key, field in fields for one in models_in(field.annotation)] + waiting
    for spec, kinds in groupby(KINDS, key=lambda kind: KINDS[kind].spec):
        yield from table(f"`labnis: roles:`, kind {', '.join(kinds)}", spec)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def table(heading: str, model: type[BaseModel]) -> Iterator[str]:
    """Keys of a section, with type, default and meaning."""
    schema = model.model_json_schema()
    meanings = {}
    for base in reversed(model.__mro__):
        for names, text in ATTRIBUTE.findall(base.__doc__ or "") if issubclass(base, BaseModel) else ():
            first, *others = names.split(", ")
            meanings |= {first: " ".join(text.split()).replace("|", r"\|"), **dict.fromkeys(others, f"see `{first}`")}
    yield from ("", f"## {heading}", "", (model.__doc__ or "").partition("\n")[0], "")
    yield from ("| key | value | default | meaning |", "| --- | --- | --- | --- |")
    for key, field in schema["properties"].items():
        if key in ("kind", "role_amplifiers") or "'const'" in str(field):  # no keys of the file
            continue
        default = "required" if key in schema.get("required", ()) else in_file(field.get("default"))
        yield f"| `{key}` | {kind_of(field)} | {default} | {meanings[key]} |"


def in_file(value: Any) -> str:
    """A default as it would be in the file; of a section and of nothing it is none."""
    if value in (None, "", []) or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def kind_of(schema: dict[str, Any]) -> str:
    """What a value has to be, in words, by its JSON schema."""
    match schema:
        case {"anyOf": choices}:
            words = " or ".join(kind_of(one) for one in choices if one.get("type") != "null")
        case {"enum": choices}:
            words = " or ".join(f"`{one}`" for one in choices)
        case {"prefixItems": parts}:
            words = f"[{', '.join(map(kind_of, parts))}]"
        case {"items": part}:
            words = f"list of {kind_of(part)}"
        case {"additionalProperties": dict(part)}:
            words = f"NAME: {kind_of(part)}"
        case {"$ref": "#/$defs/StatedUncertainty"}:
            words = "stated uncertainty"
        case {"$ref": _} | {"type": "object"}:
            words = "section"
        case {"format": "date"}:
            words = "date"
        case {"type": name}:
            bounds = [f"{sign} {schema[word]:g}" for word, sign in BOUNDS.items() if word in schema]
            words = f"{TYPES[name]} {', '.join(bounds)}".strip()
        case _:
            words = "see meaning"
    return words
