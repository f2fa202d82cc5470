"""The two forms of output for people: plain text for the terminal, and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from scripts.lib.base import markdown
from scripts.lib.base.untrusted_text import one_line


@dataclass(frozen=True, slots=True)
class Form:
    """How to write names, other untrusted text, and tables of (rows, headers)."""

    name: Callable[[object], str]
    text: Callable[[object], str]
    table: Callable[[Iterable[Sequence[object]], Sequence[str]], str]


def _terminal_table(rows: Iterable[Sequence[object]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True)


TERMINAL = Form(one_line, one_line, _terminal_table)
MARKDOWN = Form(markdown.code, markdown.text, markdown.table)


def form(is_markdown: bool) -> Form:
    """Markdown, or the terminal's plain text."""
    return MARKDOWN if is_markdown else TERMINAL
