"""The pages of docs/ and the files beside them: links, the way to a subject, commands; without building the site."""

import re
from functools import cache
from pathlib import Path

import pytest

from labnis import cli
from tests.documentation.pages import DOCS, commands_of, text_of
from tests.run.bench import ROOT
from tests.test_messages import options_of_commands

pytestmark = pytest.mark.documentation

PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)

SUBJECTS = {
    "how-to/station.md": "labnis check --dry-run",
    "own-lab.md#an-instrument": "class GateSource(VisaInstrument)",
    "own-lab.md#a-measurement": "class GateMap(Measurement)",
    "calibration.md#what-the-uncertainties-contain": "The *statistical* part is the noise",
    "safety.md#however-a-run-ends": "Ctrl-C, SIGTERM, SIGHUP",
}
"""What a newcomer looks for → words of the section that has it."""


@cache
def sections_of(page: Path) -> dict[str, str]:
    """Anchor of each heading of a page, as a code host and the site make it → text below it."""
    text = FENCED.sub(lambda block: block[0].replace("\n#", "\n #"), text_of(page))
    parts = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in parts[1::2]]
    return dict(zip(anchors, parts[2::2], strict=True))


@cache
def links_of(page: Path) -> tuple[tuple[Path, str], ...]:
    """File and anchor of each link of a page to a file of the repository."""
    text = re.sub(r"^ {4}.*$", "", re.sub(r"`[^`\n]*`", "", FENCED.sub("", text_of(page))), flags=re.MULTILINE)
    links = [link.partition("#") for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)]
    return tuple(((page.parent / file).resolve() if file else page, anchor) for file, _, anchor in links)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, anchor in links_of(page):
        assert file.exists(), f"{page}: {file}"
        assert not anchor or anchor in sections_of(file), f"{page}: {file}#{anchor}"


def test_every_page_is_in_the_contents_of_the_site_once() -> None:
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```$", text_of(DOCS / "index.md"), re.MULTILINE | re.DOTALL)
    lines = [line for tree in trees for line in tree.splitlines() if not line.startswith(":")]
    listed = [line.partition("<")[2].removesuffix(">") or line for line in lines]
    there = [page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")]
    assert sorted(listed) == sorted(set(there) - {"index"})


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("start", ["docs/index.md", "README.md"])  # of the site, of the repository
def test_the_first_page_leads_to_a_subject_in_two_clicks(start: str, subject: str) -> None:
    first = links_of(ROOT / start)
    second = [link for page, _ in first if page.suffix == ".md" for link in links_of(page)]
    name, _, anchor = subject.partition("#")
    assert (DOCS / name, anchor) in {*first, *second}
    assert SUBJECTS[subject] in (sections_of(DOCS / name)[anchor] if anchor else text_of(DOCS / name))


def test_every_command_exists() -> None:
    commands = [line for page in PAGES for line in commands_of(page) if line.startswith("labnis ")]
    assert len(commands) > 100
    for line in commands:
        name, *words = line.replace("…", "").split()[1:]
        assert name in {*cli.COMMANDS, "COMMAND"} or name.startswith("--"), line
        options = {word.partition("=")[0].strip("[]") for word in words if word.startswith(("--", "[--"))}
        assert options <= options_of_commands(), line
