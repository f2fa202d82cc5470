"""Checks of wording: exact and normalised match, lists, choices, patterns, phrases, SQuAD's EM and F1, needles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from scripts.lib.answers import final_line, normalize
from scripts.lib.check_types import Outcome, outcome, texts
from scripts.lib.patterns import PATTERN_CHARACTERS, PatternTimeout, found

# A phrase right after one of these is denied, not stated.
_DENIALS = ("not", "never", "nor", "neither", "than", "instead of", "isn't")


def _wanted(params: Mapping[str, Any]) -> list[str]:
    return [*texts(params["value"]), *texts(params.get("any_of"))]


def check_exact(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The whole answer is `value` (or one of `any_of`), but for white space at its ends."""
    return outcome(answer.strip() in [value.strip() for value in _wanted(params)], "exact match", "not the exact text")


def check_normalized(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The whole answer, or its last line without `Answer:`, is `value` (or one of `any_of`) after normalisation."""
    given = {normalize(answer), normalize(final_line(answer))}
    return outcome(bool(given & set(map(normalize, _wanted(params)))), "match", f"no match with {params['value']}")


def _items(line: str) -> list[str]:
    parts = re.split(r"-+>|[,;→>|]|\s-+\s|\band\b|\bthen\b", line.strip("[](){} .`*"))
    return [item for item in map(normalize, parts) if item]


def check_items(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The list on the last line (by commas, `and`, arrows) has exactly these items; in this order where `ordered`."""
    given, wanted = (
        _items(final_line(answer[-PATTERN_CHARACTERS:])),
        [normalize(item) for item in texts(params["value"])],
    )
    same = given == wanted if params.get("ordered") else Counter(given) == Counter(wanted)
    absent = [item for item in wanted if item not in given]
    extra = [item for item in given if item not in wanted]
    said = [f"lacks {', '.join(absent)[:60]}"] if absent else []
    said += [f"unasked {', '.join(extra)[:60]}"] if extra else []
    return outcome(same, "the list", "; ".join(said) or "another order or count")


_LETTER = r"\(?\[?\**([A-J])(?:\**[\])]|\**(?![\w'’]))"
# Words in any case, but the letter as a capital: "the answer is a tricky one" chooses nothing.
_STATED_CHOICE = re.compile(
    rf"(?i:\b(?:answer|choice|option|choose|pick)\b(?:\s+(?:is|would be))?\s*[:=]?\s*(?:option\s+)?){_LETTER}"
)
_ALTERNATIVE = re.compile(r"\W{0,4}(?:or|and|/|,|&)\W{0,4}\(?[A-J]\b(?!\w)")
_CHOICE_PATTERNS = (
    re.compile(r"\\boxed\{\s*(?:\\text\{)?\s*\(?([A-J])\)?\s*\}"),
    _STATED_CHOICE,
    re.compile(r"^\W*\(?([A-J])\)?\s*(?:[.):](?!\w)|$)", re.M),
    re.compile(r"^\W*\(?([a-j])\)?\s*(?:[.)]|$)", re.M),
    re.compile(r"\*\*\(?([A-J])\)?[.):]?(?:\s[^*\n]*)?\*\*"),
)


def check_multiple_choice(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The chosen letter by the first strategy that finds one: boxed, 'answer is', a line's own, bold, the choice's text."""
    wanted = str(params["value"]).strip().upper().strip("().")
    tail = answer[-PATTERN_CHARACTERS:]
    for pattern in _CHOICE_PATTERNS:
        matches = list(pattern.finditer(tail))
        letters = {match[1].upper() for match in matches}
        stated = pattern is _STATED_CHOICE
        if stated and any(_ALTERNATIVE.match(tail, match.end()) for match in matches[-1:]):
            return Outcome(False, "names alternatives")
        # A stated answer may be corrected further down; several letters by another strategy are no choice.
        if len(letters) == 1 or (stated and letters):
            letter = matches[-1][1].upper()
            return outcome(letter == wanted, f"chose {letter}", f"chose {letter}, expected {wanted}")
    choices = params.get("choices") or {}
    named = [letter for letter, text in choices.items() if holds(normalize(tail), str(text))]
    if len(named) == 1:
        return outcome(named[0] == wanted, f"named {named[0]}", f"named {named[0]}, expected {wanted}")
    return Outcome(False, "no single choice found")


def check_regex(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Every `required` pattern is found and no `forbidden` one (in the first 20,000 characters, `^` and `$` by line)."""
    try:
        for pattern in texts(params.get("required")):
            if not found(pattern, answer):
                return Outcome(False, f"pattern not found: {pattern[:80]}")
        for pattern in texts(params.get("forbidden")):
            if found(pattern, answer):
                return Outcome(False, f"forbidden pattern found: {pattern[:80]}")
    except PatternTimeout as error:
        return Outcome(False, f"gave up on a pattern: {str(error)[:80]}")
    # Nothing to forbid in nothing: an empty answer passes no check.
    return outcome(bool(answer.strip()), "patterns hold", "empty answer")


def holds(text: str, phrase: str) -> bool:
    """Whether a normalised text states a phrase: as whole words, and not right after a denial."""
    wanted = re.escape(normalize(phrase))
    denied = "".join(rf"(?<!\b{re.escape(normalize(word))} )" for word in _DENIALS)
    return bool(wanted) and re.search(rf"(?<!\w){denied}{wanted}(?!\w)", text) is not None


def _mentions(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(normalize(phrase))}(?!\w)", text) is not None


def check_contains(answer: str, params: Mapping[str, Any]) -> Outcome:
    """States `all` phrases, at least one of `any`, and mentions none of `none` (whole words, normalised)."""
    text = normalize(answer)
    absent = [phrase for phrase in texts(params.get("all")) if not holds(text, phrase)]
    if absent:
        return Outcome(False, f"lacks {', '.join(absent)}")
    wanted = texts(params.get("any"))
    if wanted and not any(holds(text, phrase) for phrase in wanted):
        return Outcome(False, f"has none of {', '.join(wanted)}")
    banned = [phrase for phrase in texts(params.get("none")) if _mentions(text, phrase)]
    if banned:
        return Outcome(False, f"has {', '.join(banned)}")
    return outcome(bool(text), "phrases hold", "empty answer")


def f1(answer: str, value: str) -> float:
    """Token F1 of two normalised texts (SQuAD)."""
    given, wanted = normalize(answer).split(), normalize(value).split()
    common = sum((Counter(given) & Counter(wanted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def check_f1(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Token F1 with `value` (or the best of `any_of`) is at least `least` (default 0.5)."""
    score = max(f1(answer, value) for value in _wanted(params))
    return outcome(score >= float(params.get("least", 0.5)), f"F1 {score:.2f}", f"F1 {score:.2f}")


def check_em(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The whole answer equals `value` (or one of `any_of`) after SQuAD's normalisation."""
    return outcome(normalize(answer) in map(normalize, _wanted(params)), "match", "no exact match")


def check_needle(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Every hidden fact is stated in the answer."""
    text = normalize(answer)
    absent = [value for value in texts(params["value"]) if not holds(text, value)]
    return outcome(not absent, "needle found", "needle not found")
