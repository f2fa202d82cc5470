"""Fenced code blocks, found by a CommonMark parser.

It knows blocks in lists, of any length, nested, and unclosed at the end of an answer that was cut
off.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # Imported here, since most processes score nothing.
    from markdown_it import MarkdownIt

    # Blocks are enough: emphasis and links inside them are of no interest.
    return MarkdownIt("commonmark").disable("inline")


def fenced_blocks(text: str) -> list[tuple[str, str]]:
    """(language, body) of each fenced block in order.

    A block around others, as in ````` ````markdown`````, gives these.
    """
    if "```" not in text and "~~~" not in text:
        return []
    found: list[tuple[str, str]] = []
    for token in _parser().parse(text):
        if token.type != "fence":
            continue
        language = token.info.strip().split(" ")[0].lower()
        may_hold_blocks = len(token.markup) > 3 or language in ("markdown", "md")
        inner = fenced_blocks(token.content) if may_hold_blocks else []
        found += inner or [(language, token.content.removesuffix("\n"))]
    return found
