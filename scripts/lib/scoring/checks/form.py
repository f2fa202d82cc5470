"""Checks of form: counts, case, beginnings and ends, keywords, parts (the kind of instructions that IFEval asks for)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from scripts.lib.check_types import COUNTED, Outcome, texts
from scripts.lib.scoring.checks.json_values import only_json
from scripts.lib.scoring.fences import fenced_blocks
from scripts.lib.scoring.words import looked_at

_BULLET = re.compile(r"\s*[-*•+]\s+\S")
_NUMBERED = re.compile(r"\s*\d+[.)]\s+\S")


def words(text: str) -> list[str]:
    """The words of a text: runs without white space that hold a letter or digit (`-` and `##` are none)."""
    return [word for word in text.split() if any(c.isalnum() for c in word)]


def sentences(text: str) -> int:
    """How many sentences: pieces that end in . ! ? before white space, abbreviations and numbered list marks apart."""
    plain = re.sub(r"\b(?:e\.g|i\.e|etc|vs|Dr|Mr|Mrs|Ms|St|No|approx)\.|^\s*\d+\.\s", " ", text.strip(), flags=re.M)
    return len([piece for piece in re.split(r"(?<=[.!?])[\"')\]*_]*\s+", plain) if re.search(r"\w", piece)])


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


_COUNTS: dict[str, Callable[[str], int]] = {
    "words": lambda text: len(words(text)),
    "lines": lambda text: len(_lines(text)),
    "sentences": sentences,
    "bullets": lambda text: sum(bool(_BULLET.match(line)) for line in _lines(text)),
    "numbered": lambda text: sum(bool(_NUMBERED.match(line)) for line in _lines(text)),
    "paragraphs": lambda text: len([p for p in re.split(r"\n\s*\n", text.strip()) if p.strip()]),
    "headings": lambda text: sum(bool(re.match(r"#{1,6}\s+\S", line)) for line in _lines(text)),
    "placeholders": lambda text: len(re.findall(r"\[[^\[\]\n]{1,80}\]", text)),
    "highlights": lambda text: len(re.findall(r"(?<!\*)\*{1,2}[^\s*][^*\n]{0,200}\*{1,2}(?!\*)", text)),
    "digits": lambda text: sum(c.isdigit() for c in text),
    "capital_words": lambda text: sum(sum(map(str.isalpha, w)) > 1 and w.isupper() for w in words(text)),
    "code_blocks": lambda text: len(fenced_blocks(text)),
    "questions": lambda text: text.count("?"),
    "characters": len,
}


_WHOLE_FENCE = re.compile(r"\A(?P<fence>`{3,}|~{3,})[^\n`]*\n(?P<body>.*?)\n?[ \t]*(?P=fence)[`~]*\Z", re.DOTALL)


def _unfenced(text: str) -> str:
    """The text without a fence around the whole of it."""
    whole = _WHOLE_FENCE.match(text)
    return whole["body"] if whole is not None and whole["fence"] not in whole["body"] else text


_FLAGS: dict[str, Callable[[str], bool]] = {
    "all_lowercase": lambda text: text == text.lower() and text != text.upper(),
    "all_uppercase": lambda text: text == text.upper() and text != text.lower(),
    "no_commas": lambda text: "," not in text and any(c.isalpha() for c in text),
    "title": lambda text: re.search(r"<<[^<>\n]+>>", text) is not None,
    "json": only_json,
    "quoted": lambda text: len(text) > 2 and text[0] in '"“' and text[-1] in '"”',
}


def _bounds(found: int, name: str, wanted: int) -> bool:
    return found >= wanted if name.endswith("_min") else found <= wanted if name.endswith("_max") else found == wanted


def _keywords(text: str, name: str, wanted: Mapping[str, int]) -> str:
    for word, count in wanted.items():
        have = text.lower().count(str(word).lower()) if name.startswith("letters") else looked_at(text).count(str(word))
        if not _bounds(have, name, count):
            return f"{word!r} {have} times, expected {name.partition('_')[2] or 'exactly'} {count}"
    return ""


def _line_words(text: str, name: str, wanted: int) -> str:
    for number, line in enumerate(_lines(text), 1):
        have = len(words(re.sub(r"^\s*(?:[-*•+]|\d+[.)])\s+", "", line)))
        if not _bounds(have, name, wanted):
            return f"line {number} has {have} words, {name} is {wanted}"
    return ""


def _lines_start(text: str, wanted: list[str]) -> str:
    lines = _lines(text)
    if len(lines) < len(wanted):
        return f"{len(lines)} lines, expected {len(wanted)}"
    for number, (line, start) in enumerate(zip(lines, wanted, strict=False), 1):
        if not line.strip().startswith(start):
            return f"line {number} does not start with {start!r}"
    return ""


def _edges(text: str, name: str, wanted: str) -> str:
    fits = (
        text.startswith(wanted)
        if name == "starts_with"
        else text.rstrip(" \n\"'*`").endswith(wanted) or text.endswith(wanted)
    )
    return "" if fits else f"{name} {wanted!r}: not so"


def _acrostic(text: str, wanted: str) -> str:
    have = "".join(next((c for c in line if c.isalpha()), "") for line in _lines(text))
    return "" if have.lower() == wanted.lower() else f"first letters {have[:30]!r}, expected {wanted!r}"


def _violation(text: str, name: str, wanted: Any, params: Mapping[str, Any]) -> str:
    """What is violated ('' for nothing)."""
    base = name.removesuffix("_min").removesuffix("_max")
    if base in COUNTED:
        have = _COUNTS[base](text)
        return "" if _bounds(have, name, wanted) else f"{name} {wanted}: {have}"
    if name in _FLAGS:
        return "" if _FLAGS[name](text) == wanted else f"{name} {wanted}: not so"
    if base in ("keywords", "letters"):
        return _keywords(text, name, wanted)
    if base == "line_words":
        return _line_words(text, name, wanted)
    if name == "forbidden_words":
        return next((f"has {word!r}" for word in texts(wanted) if looked_at(text).count(word)), "")
    if name == "lines_start_with":
        return _lines_start(text, texts(wanted))
    if name in ("starts_with", "ends_with"):
        return _edges(text, name, str(wanted))
    if name == "acrostic":
        return _acrostic(text, str(wanted))
    if name == "postscript":
        return "" if re.search(rf"^\s*{re.escape(str(wanted))}", text, re.M) else f"no postscript {wanted!r}"
    if name == "parts":
        have = len([part for part in text.split(str(params["separator"])) if part.strip()])
        return "" if have == wanted else f"{have} parts, expected {wanted}"
    return ""


def check_constraints(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Every constraint holds. An empty answer meets none; a fence around the whole answer is no part of it."""
    whole = answer.strip()
    text = _unfenced(whole)
    if not text.strip():
        return Outcome(False, "empty answer")
    for name, wanted in params.items():
        said = _violation(whole if name.startswith("code_blocks") else text, name, wanted, params)
        if said:
            return Outcome(False, said)
    return Outcome(True, "form holds")
