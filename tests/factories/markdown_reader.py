"""What a Markdown reader makes of a page: a real parser's view, for tests of what is escaped."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


@dataclass
class Page:
    """Tables as (rows, columns), link targets, raw HTML, counts of headings, images, emphases."""

    tables: list[tuple[int, int]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    headings: int = 0
    images: int = 0
    emphasis: int = 0


def _flat(tokens: list[Token]) -> list[Token]:
    return [inner for token in tokens for inner in (token, *_flat(token.children or []))]


def read_markdown(page: str) -> Page:
    """Parse as GitHub does: CommonMark with tables and struck-out text."""
    found, rows, columns = Page(), 0, 0
    for token in _flat(MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page)):
        if token.type == "table_open":
            rows = columns = 0
        elif token.type == "th_open":
            columns += 1
        elif token.type == "tr_open":
            rows += 1
        elif token.type == "table_close":
            found.tables.append((rows - 1, columns))
        elif token.type == "link_open":
            found.links.append(str(token.attrs["href"]))
        elif token.type == "text":
            # GitHub looks for addresses in the text that is left when backslashes and entities are
            # resolved.
            found.links.extend(f"mailto:{address}" for address in _ADDRESS.findall(token.content))
        elif token.type in ("html_block", "html_inline"):
            found.html.append(token.content.strip())
        found.headings += token.type == "heading_open"
        found.images += token.type == "image"
        found.emphasis += token.type in ("em_open", "strong_open", "s_open")
    return found
