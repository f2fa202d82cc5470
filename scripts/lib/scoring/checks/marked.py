"""Checks of the text after a mark, such as `#### 42`, and of plain substrings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scripts.lib.base.timed_regex import captured
from scripts.lib.prompts.check_types import COUNT_NAMES, CheckOutcome, outcome
from scripts.lib.scoring.checks.common import Params, accepted
from scripts.lib.scoring.checks.published import python_number, squad_normalize

# The rest of a line after ####, as in GSM8K's references.
AFTER_MARK = r"####\s*([^\n]+)"
# Two numbers are equal within this difference.
NUMBER_TOLERANCE = 1e-6
DEFAULT_LEAST_OVERLAP = 0.5
_QUOTED = re.compile(r"[\"“]([^\"“”\n]+)[\"”]|(?<!\w)['‘]([^'‘’\n]+)['’](?!\w)")
_COUNTS = {name: float(number) for number, name in enumerate(COUNT_NAMES)}


def _last_line(answer: str) -> str:
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _number(text: str) -> float | None:
    """The number that a text is, without the commas of thousands, or as a word up to twenty."""
    return _COUNTS.get(text.lower(), python_number(text.replace(",", "")))


def _normal(text: str, normalize: bool) -> str:
    return text.strip().lower().rstrip(".").rstrip() if normalize else text.strip()


def _same(given: str, wanted: str) -> bool:
    number, other = _number(given), _number(wanted)
    if number is not None and other is not None and abs(number - other) <= NUMBER_TOLERANCE:
        return True
    return given == wanted


def _captured(
    answer: str, params: Params, flags: tuple[str, ...], last: bool = False
) -> tuple[str, str]:
    """(text, its place): what the pattern captures, else the last line."""
    pattern = params.get("pattern")
    given = captured(str(pattern or AFTER_MARK), answer, flags if pattern else (), last)
    if given is None:
        return _last_line(answer), "the last line"
    return given, "what the pattern captures"


def _readings(answer: str, params: Params, normalize: bool) -> Iterator[tuple[str, str]]:
    """(text, its place): what may be the answer, in order."""
    yield _captured(answer, params, ("IGNORECASE", "DOTALL"))
    if not normalize:
        return
    if quoted := _QUOTED.search(answer):
        yield quoted[1] or quoted[2], "the first quoted text"
    with_colon = [line for line in answer.splitlines() if ":" in line]
    if with_colon:
        yield with_colon[-1].partition(":")[2], "after a colon"


def check_extracted(answer: str, params: Params) -> CheckOutcome:
    """The first match of `pattern` captures `value` or one of `any_of`, as number or text.

    Without a match, the last line is used. With `normalize` (the default), case and full stops at
    the end make no difference, and a quoted text or the text after a colon may be the answer, too.
    """
    if not answer.strip():
        return CheckOutcome(False, "empty answer")
    normalize = bool(params.get("normalize", True))
    wanted = [_normal(value, normalize) for value in accepted(params)]
    readings = list(_readings(answer, params, normalize))
    for text, place in readings:
        if any(_same(_normal(text, normalize), value) for value in wanted):
            return CheckOutcome(True, "match", text.strip()[:200], place)
    text, place = readings[0]
    return CheckOutcome(False, f"no match with {params['value']}", text.strip()[:200], place)


def check_substring(answer: str, params: Params) -> CheckOutcome:
    """The answer contains `text`, which may be empty. Case counts only if `case_sensitive`."""
    if not answer.strip():
        return CheckOutcome(False, "empty answer")
    text = str(params["text"])
    has = text in answer if params.get("case_sensitive") else text.lower() in answer.lower()
    return outcome(has, "has the text", f"lacks {text[:80]!r}")


def _overlap(given: frozenset[str], wanted: frozenset[str]) -> float:
    """The F1 of two sets of words; 0 if they share none."""
    return 2 * len(given & wanted) / (len(given) + len(wanted)) if given & wanted else 0.0


def _word_set(text: str) -> frozenset[str]:
    return frozenset(squad_normalize(text).split())


def check_word_overlap(answer: str, params: Params) -> CheckOutcome:
    """The words that the last match of `pattern` captures have an F1 of `least` (0.5) with `value`.

    Without a match, the last line is used. Words are a set, normalised as in SQuAD v1.1. The best
    F1 counts, with `value` or with one of `any_of`.
    """
    if not answer.strip():
        return CheckOutcome(False, "empty answer")
    text, place = _captured(answer, params, ("IGNORECASE",), last=True)
    score = max(_overlap(_word_set(text), _word_set(value)) for value in accepted(params))
    least = float(params.get("least", DEFAULT_LEAST_OVERLAP))
    return CheckOutcome(score >= least, f"overlap {score:.2f}", text.strip()[:200], place)
