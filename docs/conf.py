"""How Sphinx builds the site of the documentation: `make docs`. Nothing is fetched from the network."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `generated_pages`

from generated_pages import replace_generated

from labnis import __version__ as release

project = "labnis"
copyright = "the authors of labnis"  # noqa: A001  # Sphinx's name
version = release
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["figures"]
html_theme = "furo"
html_title = f"labnis {release}"
html_show_sphinx = False

# The pages are those that a code host shows: its anchors of headings, and no highlighting that they do not ask for.
myst_heading_anchors = 4
highlight_language = "none"
smartquotes = False  # texts have names and values to be copied

# Every notebook runs at each build, in an empty folder; an exception or a warning of labnis ends the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "warn"

# In docstrings `name` is code, and types are those of the signature.
default_role = "code"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_ivar = True
# Links to pages and headings must lead somewhere; types of Python and of other packages have no page here.
nitpick_ignore_regex = [("py:.*", ".*")]


SEVERAL = re.compile(r"^(\w+(?:, \w+)+)\n((?: {4}.+\n?)+)", re.MULTILINE)
"""Names in a docstring that share a description."""


def separate(_app, _what, _name, _object, _options, lines):
    """Give each attribute its own description: napoleon takes the first of several names for a type."""
    parts = SEVERAL.sub(lambda found: "".join(f"{name}\n{found[2]}" for name in found[1].split(", ")), "\n".join(lines))
    lines[:] = parts.split("\n")


def without_arguments(_app, what, _name, _object, _options, signature, _returned):
    """Leave out the signature of a protocol, which has none of its own."""
    return ("", "") if what == "class" and (signature or "").startswith("(*args") else None


def setup(app):  # noqa: D103  # Sphinx calls it
    app.connect("autodoc-process-docstring", separate, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", without_arguments)
    app.connect("source-read", replace_generated)
