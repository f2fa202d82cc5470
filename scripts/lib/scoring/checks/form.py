"""Check of form: counts, case, beginnings and ends, keywords, parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from scripts.lib.prompts.check_types import COUNTED, CheckOutcome, texts
from scripts.lib.scoring.checks.common import Params
from scripts.lib.scoring.extract.fences import fenced_blocks
from scripts.lib.scoring.extract.json_values import only_json
from scripts.lib.scoring.extract.words import looked_at

_BULLET = re.compile(r"\s*[-*•+]\s+\S")
_NUMBERED = re.compile(r"\s*\d+[.)]\s+\S")
_LIST_MARK = re.compile(r"^\s*(?:[-*•+]|\d+[.)])\s+")
_HEADING = re.compile(r"#{1,6}\s+\S")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]{1,80}\]")
_HIGHLIGHT = re.compile(r"(?<!\*)\*{1,2}[^\s*][^*\n]{0,200}\*{1,2}(?!\*)")
_TITLE = re.compile(r"<<[^<>\n]+>>")
_BLANK_LINE = re.compile(r"\n\s*\n")
# Points that do not end a sentence: of abbreviations and list numbers.
_POINT = re.compile(r"\b(?:e\.g|i\.e|etc|vs|Dr|Mr|Mrs|Ms|St|No|approx)\.|^\s*\d+\.\s", re.MULTILINE)
_SENTENCE_GAP = re.compile(r"(?<=[.!?])[\"')\]*_]*\s+")
_WHOLE_FENCE = re.compile(
    r"\A(?P<fence>`{3,}|~{3,})[^\n`]*\n(?P<body>.*?)\n?[ \t]*(?P=fence)[`~]*\Z",
    re.DOTALL,
)


def _words(text: str) -> list[str]:
    """The words of a text: runs without white space that contain a letter or digit."""
    return [word for word in text.split() if any(c.isalnum() for c in word)]


def _sentence_count(text: str) -> int:
    """The number of sentences: pieces that end in . ! ? before white space.

    Points of abbreviations and list numbers do not count.
    """
    pieces = _SENTENCE_GAP.split(_POINT.sub(" ", text.strip()))
    return sum(re.search(r"\w", piece) is not None for piece in pieces)


def _lines(text: str) -> list[str]:
    """The lines that are not blank."""
    return [line for line in text.splitlines() if line.strip()]


def _count_lines(text: str, pattern: re.Pattern[str]) -> int:
    """The number of lines that begin with a pattern."""
    return sum(pattern.match(line) is not None for line in _lines(text))


def _is_capital_word(word: str) -> bool:
    """Whether a word is in capitals and has more than one letter."""
    return word.isupper() and sum(map(str.isalpha, word)) > 1


_COUNTS: dict[str, Callable[[str], int]] = {
    "words": lambda text: len(_words(text)),
    "lines": lambda text: len(_lines(text)),
    "sentences": _sentence_count,
    "bullets": lambda text: _count_lines(text, _BULLET),
    "numbered": lambda text: _count_lines(text, _NUMBERED),
    "paragraphs": lambda text: sum(bool(part.strip()) for part in _BLANK_LINE.split(text.strip())),
    "headings": lambda text: _count_lines(text, _HEADING),
    "placeholders": lambda text: len(_PLACEHOLDER.findall(text)),
    "highlights": lambda text: len(_HIGHLIGHT.findall(text)),
    "digits": lambda text: sum(c.isdigit() for c in text),
    "capital_words": lambda text: sum(map(_is_capital_word, _words(text))),
    "code_blocks": lambda text: len(fenced_blocks(text)),
    "questions": lambda text: text.count("?"),
    "characters": len,
}


def _unfenced(text: str) -> str:
    """The text without a fence around the whole of it."""
    whole = _WHOLE_FENCE.match(text)
    return whole["body"] if whole is not None and whole["fence"] not in whole["body"] else text


_FLAGS: dict[str, Callable[[str], bool]] = {
    "all_lowercase": lambda text: text == text.lower() and text != text.upper(),
    "all_uppercase": lambda text: text == text.upper() and text != text.lower(),
    "no_commas": lambda text: "," not in text and any(c.isalpha() for c in text),
    "title": lambda text: _TITLE.search(text) is not None,
    "json": only_json,
    "quoted": lambda text: len(text) > 2 and text[0] in '"“' and text[-1] in '"”',
}


def _fits(found: int, name: str, wanted: int) -> bool:
    """Whether a count fits a constraint: a bound by `_min` or `_max` in its name, else exact."""
    if name.endswith("_min"):
        return found >= wanted
    if name.endswith("_max"):
        return found <= wanted
    return found == wanted


# The functions below return which constraint is violated, and how; empty if none is.


def _count(text: str, name: str, wanted: int) -> str:
    have = _COUNTS[_base(name)](text)
    return "" if _fits(have, name, wanted) else f"{name} {wanted}: {have}"


def _flag(text: str, name: str, wanted: bool) -> str:
    return "" if _FLAGS[name](text) == wanted else f"{name} {wanted}: not so"


def _keywords(text: str, name: str, wanted: Mapping[str, int]) -> str:
    for word, count in wanted.items():
        have = looked_at(text).count(str(word))
        if name.startswith("letters"):
            have = text.lower().count(str(word).lower())
        if not _fits(have, name, count):
            return f"{word!r} {have} times, expected {name.partition('_')[2] or 'exactly'} {count}"
    return ""


def _line_words(text: str, name: str, wanted: int) -> str:
    for number, line in enumerate(_lines(text), 1):
        have = len(_words(_LIST_MARK.sub("", line)))
        if not _fits(have, name, wanted):
            return f"line {number} has {have} words, {name} is {wanted}"
    return ""


def _forbidden_words(text: str, _name: str, wanted: Any) -> str:
    return next((f"has {word!r}" for word in texts(wanted) if looked_at(text).count(word)), "")


def _lines_start(text: str, _name: str, wanted: Any) -> str:
    starts, lines = texts(wanted), _lines(text)
    if len(lines) < len(starts):
        return f"{len(lines)} lines, expected {len(starts)}"
    for number, (line, start) in enumerate(zip(lines, starts, strict=False), 1):
        if not line.strip().startswith(start):
            return f"line {number} does not start with {start!r}"
    return ""


def _starts_with(text: str, name: str, wanted: Any) -> str:
    return "" if text.startswith(str(wanted)) else f"{name} {str(wanted)!r}: not so"


def _ends_with(text: str, name: str, wanted: Any) -> str:
    end = str(wanted)
    # Emphasis marks and quotes may follow it.
    holds = text.endswith(end) or text.rstrip(" \n\"'*`").endswith(end)
    return "" if holds else f"{name} {end!r}: not so"


def _acrostic(text: str, _name: str, wanted: Any) -> str:
    have = "".join(next((c for c in line if c.isalpha()), "") for line in _lines(text))
    if have.lower() == str(wanted).lower():
        return ""
    return f"first letters {have[:30]!r}, expected {str(wanted)!r}"


def _postscript(text: str, _name: str, wanted: Any) -> str:
    begins = re.search(rf"^\s*{re.escape(str(wanted))}", text, re.MULTILINE)
    return "" if begins else f"no postscript {str(wanted)!r}"


_VIOLATIONS: Mapping[str, Callable[[str, str, Any], str]] = {
    **dict.fromkeys(COUNTED, _count),
    **dict.fromkeys(_FLAGS, _flag),
    "keywords": _keywords,
    "letters": _keywords,
    "line_words": _line_words,
    "forbidden_words": _forbidden_words,
    "lines_start_with": _lines_start,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "acrostic": _acrostic,
    "postscript": _postscript,
}


def _base(name: str) -> str:
    """A constraint's name without `_min` and `_max`."""
    return name.removesuffix("_min").removesuffix("_max")


def _violation(text: str, name: str, params: Params) -> str:
    """How a constraint is violated; empty if it holds."""
    wanted = params[name]
    if name == "parts":
        have = sum(bool(part.strip()) for part in text.split(str(params["separator"])))
        return "" if have == wanted else f"{have} parts, expected {wanted}"
    # `separator` belongs to `parts`; it is not a constraint.
    violation = _VIOLATIONS.get(_base(name))
    return violation(text, name, wanted) if violation is not None else ""


def check_constraints(answer: str, params: Params) -> CheckOutcome:
    """Every constraint holds.

    An empty answer meets none; a fence around the whole answer is not part of it.
    """
    whole = answer.strip()
    text = _unfenced(whole)
    if not text.strip():
        return CheckOutcome(False, "empty answer")
    for name in params:
        violated = _violation(whole if name.startswith("code_blocks") else text, name, params)
        if violated:
            return CheckOutcome(False, violated)
    return CheckOutcome(True, "form holds")
