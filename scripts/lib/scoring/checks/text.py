"""Checks of wording: exact and normalised match, lists, patterns, phrases, needles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from scripts.lib.base.timed_regex import found
from scripts.lib.prompts.check_types import CheckOutcome, outcome, texts
from scripts.lib.scoring.checks.common import Params, accepted
from scripts.lib.scoring.extract.courtesy import without_courtesy
from scripts.lib.scoring.extract.final_text import (
    final_line,
    list_items,
    read_list,
    read_text,
    spoken,
)
from scripts.lib.scoring.extract.words import Text, looked_at


def check_exact(answer: str, params: Params) -> CheckOutcome:
    """The whole answer is `value` or one of `any_of`, apart from white space at its ends."""
    given = answer.strip()
    matches = given in [value.strip() for value in accepted(params)]
    return outcome(matches, "exact match", "not the exact text", given[:200])


def check_normalized(answer: str, params: Params) -> CheckOutcome:
    """The answer has the words of `value` or of one of `any_of`.

    It has them as a whole, in a statement, or in its last line.
    """
    read = read_text(answer, accepted(params))
    mismatch = f"no match with {params['value']}"
    return outcome(read.value, "match", mismatch, spoken(read.text)[:200], read.place)


def check_items(answer: str, params: Params) -> CheckOutcome:
    """The list that the answer commits to has exactly the items `value`.

    Their order counts if `ordered`. Commas, `and`, arrows and bullets separate items.
    """
    wanted = [item for text in texts(params["value"]) for item in list_items(text, whole=True)]
    ordered = bool(params.get("ordered"))

    def is_wanted(given: list[str]) -> bool:
        return given == wanted if ordered else Counter(given) == Counter(wanted)

    read = read_list(answer, is_wanted)
    given = list_items(read.text)
    absent = [item for item in wanted if item not in given]
    extra = [item for item in given if item not in wanted]
    differences = [f"lacks {', '.join(absent)[:60]}"] if absent else []
    differences += [f"unasked {', '.join(extra)[:60]}"] if extra else []
    mismatch = "; ".join(differences) or "another order or count"
    return outcome(read.value, "the list", mismatch, ", ".join(given)[:200], read.place)


# The part of an answer that patterns see, by the parameter `on`.
_PLACES: Mapping[str, Callable[[str], str]] = {
    "answer": str.strip,
    "last_line": lambda answer: spoken(final_line(answer)),
}


def check_regex(answer: str, params: Params) -> CheckOutcome:
    """Every `required` pattern is found and no `forbidden` one.

    The first 20,000 characters are searched; `^` and `$` match at lines. With `on: last_line`,
    patterns see only the last line, without Markdown, LaTeX commands and polite sentences.
    """
    text = _PLACES[str(params.get("on") or "answer")](answer)
    for pattern in texts(params.get("required")):
        if not found(pattern, text):
            return CheckOutcome(False, f"pattern not found: {pattern[:80]}")
    for pattern in texts(params.get("forbidden")):
        if found(pattern, text):
            return CheckOutcome(False, f"forbidden pattern found: {pattern[:80]}")
    # An empty answer never passes, although nothing forbidden is in it.
    return outcome(bool(answer.strip()), "patterns hold", "empty answer")


def _stated(answer: str) -> Text:
    r"""The answer's words, without polite sentences and LaTeX commands (`$100^\circ\text{C}$`)."""
    lines = without_courtesy(answer).split("\n")
    return looked_at("\n".join(spoken(line) if "\\" in line else line for line in lines))


def check_contains(answer: str, params: Params) -> CheckOutcome:
    """The answer states `all` phrases and one of `any`, and contains none of `none`.

    Phrases are whole words, normalised.
    """
    text = _stated(answer)
    absent = [phrase for phrase in texts(params.get("all")) if not text.states(phrase)]
    if absent:
        return CheckOutcome(False, f"lacks {', '.join(absent)}")
    wanted = texts(params.get("any"))
    if wanted and not any(map(text.states, wanted)):
        return CheckOutcome(False, f"has none of {', '.join(wanted)}")
    banned = [phrase for phrase in texts(params.get("none")) if text.count(phrase)]
    if banned:
        return CheckOutcome(False, f"has {', '.join(banned)}")
    return outcome(bool(answer.strip()), "phrases hold", "empty answer")


def check_needle(answer: str, params: Params) -> CheckOutcome:
    """Every hidden fact is stated in the answer."""
    text = _stated(answer)
    absent = [value for value in texts(params["value"]) if not text.states(value, as_subject=True)]
    return outcome(not absent, "needle found", "needle not found")
