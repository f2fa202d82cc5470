"""The places of a text where a mark is only quoted: in code, in quotes, in a JSON string."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property

_FENCE = re.compile(r"^[ \t]*(?:[-*+>]|\d+[.)])?[ \t]*(?P<fence>`{3,}|~{3,})", re.MULTILINE)
_CODE_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]+\1(?!`)")
# A string of code or JSON, or a quotation, in one line. If it is not closed, it ends with the line.
_STRING = re.compile(
    r'"(?:[^"\\\n]|\\.)*(?P<double>")?'
    r"|(?<!\w)[rbfuRBFU]{0,2}'(?:[^'\\\n]|\\.|'(?=\w))*(?P<single>')?"
)
_JSON_STRING = re.compile(r'":\s*"')
_CODE_LINE = re.compile(
    r"[ \t]*(?:(?:def|class|import|from|return|async|await)\b.*\S|@\w|(?:if|for|while|with|else"
    r"|try)\b.*:"
    r"|[A-Za-z_][\w.\[\]]*\s*[-+*/|&]?=[^=]|[A-Za-z_][\w.]*\(.*\)\s*$)",
    re.MULTILINE,
)
# Code and quotes around a mark are searched this many characters back in its line.
LINE_CHARACTERS = 500
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}


def _fences(text: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, closed) of each fenced block.

    This is enough to tell code from prose; `fences.py` reads the code itself.
    """
    opening: re.Match[str] | None = None
    for mark in _FENCE.finditer(text):
        fence = mark["fence"]
        if opening is None:
            opening = mark
        elif fence[0] == opening["fence"][0] and len(fence) >= len(opening["fence"]):
            yield opening.start(), mark.end(), True
            opening = None
    if opening is not None:
        yield opening.start(), len(text), False


class Literal:
    """The places of one text where a mark is only quoted."""

    def __init__(self, text: str):
        self._text = text

    @cached_property
    def _fences(self) -> list[tuple[int, int, bool]]:
        return list(_fences(self._text)) if "```" in self._text or "~~~" in self._text else []

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        return (
            [match.span() for match in _CODE_SPAN.finditer(self._text)] if "`" in self._text else []
        )

    @cached_property
    def _strings(self) -> list[tuple[int, int]]:
        closed = (
            match for match in _STRING.finditer(self._text) if match["double"] or match["single"]
        )
        return [match.span() for match in closed]

    def holds(self, tag: re.Match[str], open_fences: bool, offset: int = 0) -> bool:
        """Whether a tag is only quoted.

        A fence that is never closed counts if `open_fences` is set. The tag's positions refer to a
        text that begins `offset` characters before this one.
        """
        start, end = tag.start() - offset, tag.end() - offset
        number = bisect_left(self._fences, (start,)) - 1
        if number >= 0:
            _, last, closed = self._fences[number]
            if start < last and (closed or open_fences):
                return True
        if _inside(self._spans, start, end) or _inside(self._strings, start, end):
            return True
        closing_quote = _QUOTES.get(self._text[start - 1 : start]) if start else None
        if closing_quote is not None and self._text.startswith(closing_quote, end):
            return True
        first = max(0, start - LINE_CHARACTERS)
        before = self._text[max(first, self._text.rfind("\n", first, start) + 1) : start]
        return _in_json_string(before) or self._in_comment(before, end)

    def _in_comment(self, before: str, end: int) -> bool:
        """Whether a tag is in a comment: after `#`, in a line of code or right above one."""
        if "#" not in before:
            return False
        code, _, _ = before.partition("#")
        if code.strip():
            return _CODE_LINE.match(code) is not None
        next_line = self._text.find("\n", end, end + LINE_CHARACTERS) + 1
        return bool(self._text[end:next_line].strip() and _CODE_LINE.match(self._text, next_line))


def _inside(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether a place is inside one of the spans, which are in order."""
    number = bisect_left(spans, (start,)) - 1
    return number >= 0 and end < spans[number][1]


def _in_json_string(before: str) -> bool:
    """Whether the beginning of a line ends inside a JSON string, after `"key": "`."""
    if before.replace('\\"', "").count('"') % 2 == 0:
        return False
    return _JSON_STRING.search(before) is not None
