"""Checks of what an answer gives after a mark, such as `#### 42`: as text or number, by its words; and of plain substrings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.lib.base.timed_regex import PatternTimeout, captured
from scripts.lib.prompts.check_types import COUNT_NAMES, CheckOutcome, outcome, texts
from scripts.lib.scoring.checks.published import squad_normalize

# The rest of a line after ####, as GSM8K's references have it.
AFTER_MARK = r"####\s*([^\n]+)"
# Two numbers are equal within this much.
NUMBER_TOLERANCE = 1e-6
DEFAULT_LEAST_OVERLAP = 0.5
_QUOTED = re.compile(r"[\"“]([^\"“”\n]+)[\"”]|(?<!\w)['‘]([^'‘’\n]+)['’](?!\w)")
_COUNTS = {name: float(number) for number, name in enumerate(COUNT_NAMES)}


def _last_line(answer: str) -> str:
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _number(text: str) -> float | None:
    """The number that a text is, without the commas of thousands, or as a word up to twenty."""
    try:
        return _COUNTS[text.lower()] if text.lower() in _COUNTS else float(text.replace(",", ""))
    except ValueError:
        return None


def _normal(text: str, normalize: bool) -> str:
    return text.strip().lower().rstrip(".").rstrip() if normalize else text.strip()


def _same(given: str, wanted: str) -> bool:
    numbers = _number(given), _number(wanted)
    if (
        numbers[0] is not None
        and numbers[1] is not None
        and abs(numbers[0] - numbers[1]) <= NUMBER_TOLERANCE
    ):
        return True
    return given == wanted


def _readings(answer: str, params: Mapping[str, Any], normalize: bool) -> Iterator[tuple[str, str]]:
    """(text, where it stands): what may be the answer, in order."""
    pattern = params.get("pattern")
    flags = ("IGNORECASE", "DOTALL") if pattern else ()
    given = captured(str(pattern or AFTER_MARK), answer, flags)
    yield (
        (_last_line(answer), "the last line")
        if given is None
        else (given, "what the pattern captures")
    )
    if not normalize:
        return
    if quoted := _QUOTED.search(answer):
        yield quoted[1] or quoted[2], "the first quoted text"
    with_colon = [line for line in answer.splitlines() if ":" in line]
    if with_colon:
        yield with_colon[-1].partition(":")[2], "after a colon"


def check_extracted(answer: str, params: Mapping[str, Any]) -> CheckOutcome:
    """What the first match of `pattern` captures (else the last line) is `value` or one of `any_of`, as number or text.

    With `normalize` (the default) case and full stops at the end do not count, and a quoted text or
    the text after a colon is as good.
    """
    if not answer.strip():
        return CheckOutcome(False, "empty answer")
    normalize = bool(params.get("normalize", True))
    wanted = [
        _normal(value, normalize)
        for value in (*texts(params["value"]), *texts(params.get("any_of")))
    ]
    try:
        readings = list(_readings(answer, params, normalize))
    except PatternTimeout as error:
        return CheckOutcome(None, f"gave up on a pattern: {str(error)[:80]}")
    for text, place in readings:
        if any(_same(_normal(text, normalize), value) for value in wanted):
            return CheckOutcome(True, "match", text.strip()[:200], place)
    text, place = readings[0]
    return CheckOutcome(False, f"no match with {params['value']}", text.strip()[:200], place)


def check_substring(answer: str, params: Mapping[str, Any]) -> CheckOutcome:
    """The answer has `text` in it, as it is written; case counts where `case_sensitive`. An empty text is in any answer."""
    if not answer.strip():
        return CheckOutcome(False, "empty answer")
    text = str(params["text"])
    has = text in answer if params.get("case_sensitive") else text.lower() in answer.lower()
    return outcome(has, "has the text", f"lacks {text[:80]!r}")


def _overlap(given: frozenset[str], wanted: frozenset[str]) -> float:
    """The F1 of two sets of words; 0 where they share none."""
    return 2 * len(given & wanted) / (len(given) + len(wanted)) if given & wanted else 0.0


def _word_set(text: str) -> frozenset[str]:
    return frozenset(squad_normalize(text).split())


def check_word_overlap(answer: str, params: Mapping[str, Any]) -> CheckOutcome:
    """The words of what the last match of `pattern` captures (else the last line) overlap with those of `value` enough.

    Words are a set, normalised as SQuAD v1.1 does; `least` (0.5) is their F1, with the best of
    `any_of`.
    """
    if not answer.strip():
        return CheckOutcome(False, "empty answer")
    pattern = params.get("pattern")
    try:
        given = captured(
            str(pattern or AFTER_MARK), answer, ("IGNORECASE",) if pattern else (), last=True
        )
    except PatternTimeout as error:
        return CheckOutcome(None, f"gave up on a pattern: {str(error)[:80]}")
    text = _last_line(answer) if given is None else given
    values = [*texts(params["value"]), *texts(params.get("any_of"))]
    score = max(_overlap(_word_set(text), _word_set(value)) for value in values)
    place = "the last line" if given is None else "what the pattern captures"
    least = float(params.get("least", DEFAULT_LEAST_OVERLAP))
    return CheckOutcome(score >= least, f"overlap {score:.2f}", text.strip()[:200], place)
