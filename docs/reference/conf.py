"""Sphinx: docs/reference as a site. `make docs` builds it; a dead link or an orphan page fails."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "epyc-inference-bench"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = project
html_show_sphinx = False
html_copy_source = False
# Headings down to the third level are targets of links, as on the pages of a repository.
myst_heading_anchors = 3
exclude_patterns = ["benchmarks/local-*"]

_LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)\s]*)\)")
_HERE = Path(__file__).resolve().parent


def keep_inside(app: Sphinx, name: str, source: list[str]) -> None:
    """Show a link to a file outside this folder as its text: the site has no such file.

    tests/test_docs.py checks that the file exists.
    """
    folder = (_HERE / name).parent

    def shown(link: re.Match[str]) -> str:
        target = (folder / link[2].partition("#")[0]).resolve()
        return link[0] if target.is_relative_to(_HERE) else link[1]

    source[0] = _LINK.sub(shown, source[0])


def setup(app: Sphinx) -> None:
    """Connect the step before a page is parsed."""
    app.connect("source-read", keep_inside)
