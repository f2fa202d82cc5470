"""Check of form on plain text: white space separates words, and Markdown is not interpreted.

The predecessor has such rules: in its `auto_score`, and in the verifiers of its second format.
"""

from __future__ import annotations

import json
import operator
import re
import string
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from scripts.lib.base.timed_regex import found
from scripts.lib.prompts.check_types import PLAIN_RULES, CheckOutcome, texts
from scripts.lib.scoring.checks.common import Params

_ITEM = re.compile(r"\d+\.|-|•|[A-Z]")
_BULLET = re.compile(r"^[ \t]*[-*•] ", re.MULTILINE)
_NUMBERED = re.compile(r"^[ \t]*\d+[.)] ", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_SENTENCE_ENDS = re.compile(r"[.!?]+")


def _lines(text: str) -> list[str]:
    """The lines that are not blank."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _joined(text: str) -> str:
    """The text without line ends, and without blanks at its ends."""
    return text.replace("\r", "").replace("\n", "").strip()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _holds_json(text: str) -> bool:
    """Whether a text is JSON, or its part from the first `{` to the last `}`, or `[` to `]`."""
    parts = [text[text.find(a) : text.rfind(b) + 1] for a, b in ("{}", "[]") if a in text]
    return any(map(_is_json, (text, *parts)))


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def _without_end_marks(text: str) -> str:
    return text.strip().rstrip(".!?").rstrip().lower()


# --- rules: (text, wanted) -> how the rule is violated (empty if it is not) -----------------------


def _counted(
    what: str, count: Callable[[str], int], fits: Callable[[int, int], bool]
) -> Callable[[str, Any], str]:
    def violated(text: str, wanted: Any) -> str:
        have = count(text)
        return "" if fits(have, wanted) else f"{have} {what}, expected {wanted}"

    return violated


def _property(what: str, holds: Callable[[str], object]) -> Callable[[str, Any], str]:
    def violated(text: str, wanted: Any) -> str:
        return "" if bool(holds(text)) == wanted else f"{what}: {'not so' if wanted else 'is so'}"

    return violated


def _items(text: str, wanted: Any) -> str:
    """Either count may fit: of lines that begin like an item, or of all lines."""
    lines = _lines(text)
    begun = sum(_ITEM.match(line) is not None for line in lines)
    if wanted in (begun, len(lines)):
        return ""
    return f"{begun} items in {len(lines)} lines, expected {wanted}"


def _one_of(text: str, wanted: Any) -> str:
    return "" if _joined(text) in map(str.strip, texts(wanted)) else "not the exact text"


def _holds(text: str, wanted: Any) -> str:
    return next(
        (f"lacks {word!r}" for word in texts(wanted) if word.lower() not in text.lower()), ""
    )


def _lacks(text: str, wanted: Any) -> str:
    return next((f"has {word!r}" for word in texts(wanted) if word.lower() in text.lower()), "")


def _forbidden_words(text: str, wanted: Any) -> str:
    """Whole words, as `grep -iw` finds them."""
    for word in texts(wanted):
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE):
            return f"has {word!r}"
    return ""


def _labels(text: str, wanted: Any) -> str:
    lines, labels = _lines(text), texts(wanted)
    if len(lines) != len(labels):
        return f"{len(lines)} lines, expected {len(labels)}"
    for number, (line, label) in enumerate(zip(lines, labels, strict=True), 1):
        if not line.lstrip().startswith(label):
            return f"line {number} does not begin with {label!r}"
    return ""


def _line_pattern(text: str, wanted: Any) -> str:
    for pattern in texts(wanted):
        for number, line in enumerate(_lines(text), 1):
            if not found(pattern, line):
                return f"line {number} does not match {pattern[:80]}"
    return ""


def _starts_with(text: str, wanted: Any) -> str:
    begins = text.strip().lower().startswith(str(wanted).strip().lower())
    return "" if begins else f"does not begin with {str(wanted)!r}"


def _ends_with(text: str, wanted: Any) -> str:
    ends = _without_end_marks(text).endswith(_without_end_marks(str(wanted)))
    return "" if ends else f"does not end with {str(wanted)!r}"


def _alphabetical(text: str) -> bool:
    lines = [line.strip().lower() for line in _lines(text)]
    return lines == sorted(lines)


def _words(text: str) -> int:
    return len(text.split())


def _paragraphs(text: str) -> int:
    return sum(bool(block.strip()) for block in _BLANK_LINES.split(text.strip()))


def _sentences(text: str) -> int:
    return len(_SENTENCE_ENDS.findall(text))


RULES: Mapping[str, Callable[[str, Any], str]] = {
    "words": _counted("words", _words, operator.eq),
    "words_min": _counted("words", _words, operator.ge),
    "words_max": _counted("words", _words, operator.le),
    "items": _items,
    "paragraphs": _counted("paragraphs", _paragraphs, operator.eq),
    "sentences_min": _counted("sentence ends", _sentences, operator.ge),
    "one_of": _one_of,
    "holds": _holds,
    "lacks": _lacks,
    "forbidden_words": _forbidden_words,
    "labels": _labels,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "all_uppercase": _property("all upper case", lambda text: text == text.upper()),
    "all_lowercase": _property("all lower case", lambda text: text == text.lower()),
    "alphabetical": _property("in alphabetical order", _alphabetical),
    "no_punctuation": _property("no punctuation", lambda text: not any(map(_is_punctuation, text))),
    "json_object": _property(
        "a JSON object alone", lambda text: text[:1] == "{" and _is_json(_joined(text))
    ),
    "holds_json": _property("JSON", _holds_json),
    "bullet_list": _property("a bullet list", _BULLET.search),
    "numbered_list": _property("a numbered list", _NUMBERED.search),
    "comma_separated": _property(
        "one line with commas", lambda text: "," in text and "\n" not in text
    ),
    "line_pattern": _line_pattern,
}


def _looked_at(answer: str, params: Params) -> str:
    """The `first_lines` of an answer, not counting lines that begin with one of `skip_lines`."""
    skipped = tuple(texts(params.get("skip_lines")))
    lines = [line for line in answer.splitlines() if not skipped or not line.startswith(skipped)]
    return "\n".join(lines[: params.get("first_lines")]).strip()


def check_plain_text(answer: str, params: Params) -> CheckOutcome:
    """Every rule holds. An empty answer fails, unless it `may_be_empty`: then the rules decide."""
    text = _looked_at(answer, params)
    if not text and not params.get("may_be_empty"):
        return CheckOutcome(False, "empty answer")
    violations = (RULES[name](text, params[name]) for name in PLAIN_RULES if name in params)
    violated = next(filter(None, violations), "")
    return CheckOutcome(False, violated) if violated else CheckOutcome(True, "form holds")
