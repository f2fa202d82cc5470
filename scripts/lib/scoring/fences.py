"""Fenced code blocks, by a CommonMark parser: in lists, of any length, nested, unclosed at the end of a cut-off answer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # Imported here, since most processes score nothing. Blocks alone: emphasis and links inside them are not looked at.
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").disable("inline")


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """(language, body) of each fenced block. A block around another one, as in ````` ````markdown`````, gives the inner ones."""
    if "```" not in text and "~~~" not in text:
        return []
    found: list[tuple[str, str]] = []
    for token in _parser().parse(text):
        if token.type == "fence":
            language = token.info.strip().split(" ")[0].lower()
            inner = fenced_blocks(token.content) if len(token.markup) > 3 or language in ("markdown", "md") else []
            found += inner or [(language, token.content.removesuffix("\n"))]
    return found
