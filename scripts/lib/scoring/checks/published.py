"""Published scorers, reproduced exactly.

GSM8K, simple-evals (MMLU, GPQA), SQuAD v1.1, HotpotQA and GAIA.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable

from scripts.lib.prompts.check_types import CheckOutcome, outcome
from scripts.lib.scoring.checks.common import Params, accepted, compared

_GSM8K = re.compile(r"#### (-?[0-9.,]+)")
# What simple-evals removes before it looks for the letter. The order counts: one replacement may
# make the next one possible.
_FORMATTING = (
    *(r"**", r"$\boxed{", r"}$", r"\$", r"$\text{", r"$", r"\mathrm{", r"\{", r"\text", r"\("),
    *(r"\mathbf{", r"{", r"\boxed"),
)
_WIDE = {"Ａ": "A", "Ｂ": "B", "Ｃ": "C", "Ｄ": "D"}
_MMLU = re.compile(r"answer\s*:[ \t]*([A-DＡ-Ｄ])", re.IGNORECASE)
_GPQA = re.compile(r"Answer[ \t]*:[ \t]*\$?([A-D])\$?", re.IGNORECASE)
_PUNCTUATION = str.maketrans("", "", string.punctuation)


# --- GSM8K ----------------------------------------------------------------------------------------


def gsm8k_number(text: str) -> str | None:
    """The number after the first `#### `, without commas; None if there is none."""
    found = _GSM8K.search(text)
    return found[1].replace(",", "") if found else None


def check_gsm8k(answer: str, params: Params) -> CheckOutcome:
    """The number after the first `#### ` is `value`, as characters: `18.00` is not `18`."""
    wanted, found = str(params["value"]).replace(",", ""), gsm8k_number(answer)
    if found is None:
        return CheckOutcome(False, "no '#### NUMBER'")
    shown = f"#### {found[:40]}"
    return compared(found == wanted, shown, wanted, found[:40], shown)


# --- MMLU -----------------------------------------------------------------------------------------


def mmlu_letter(text: str) -> str | None:
    """The letter after the first `Answer:` as simple-evals reads it.

    `Answer: Because` gives B; the small letter `b` does not.
    """
    for mark in _FORMATTING:
        text = text.replace(mark, "")
    found = _MMLU.search(text)
    return _WIDE.get(found[1], found[1]) if found else None


def check_mmlu(answer: str, params: Params) -> CheckOutcome:
    """The letter after the first `Answer:` is `value`."""
    wanted, found = str(params["value"]), mmlu_letter(answer)
    if found is None:
        return CheckOutcome(False, "no 'Answer: LETTER'")
    return compared(found == wanted, f"chose {found}", wanted, found)


# --- GPQA -----------------------------------------------------------------------------------------


def check_gpqa(answer: str, params: Params) -> CheckOutcome:
    """The letter after the first `Answer:` is `value`. Formatting is not removed.

    `Answer: **B**` and `answer: b` give no letter.
    """
    wanted, found = str(params["value"]), _GPQA.search(answer)
    if found is None:
        return CheckOutcome(False, "no 'Answer: LETTER'")
    return compared(found[1] == wanted, f"chose {found[1]}", wanted, found[1], found[0])


# --- SQuAD v1.1 -----------------------------------------------------------------------------------


def squad_normalize(text: str) -> str:
    """SQuAD v1.1's normalize_answer: lower case, single blanks, no punctuation, no articles."""
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split())


def squad_f1(answer: str, value: str) -> float:
    """Harmonic mean of precision and recall over the words of both texts; 0 if none is common."""
    given, wanted = squad_normalize(answer).split(), squad_normalize(value).split()
    common = (Counter(given) & Counter(wanted)).total()
    if not common:
        return 0.0
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def check_em(answer: str, params: Params) -> CheckOutcome:
    """The whole answer equals `value` or one of `any_of`, normalised. An empty answer fails."""
    same = bool(answer.strip()) and squad_normalize(answer) in map(
        squad_normalize, accepted(params)
    )
    return outcome(same, "match", "no exact match")


def check_f1(answer: str, params: Params) -> CheckOutcome:
    """F1 with `value` or the best of `any_of` is at least `least` (0.5). An empty answer fails."""
    score = max(squad_f1(answer, value) for value in accepted(params))
    return CheckOutcome(
        bool(answer.strip()) and score >= float(params.get("least", 0.5)), f"F1 {score:.2f}"
    )


# --- HotpotQA -------------------------------------------------------------------------------------

# These words count only as a whole answer: with any other answer, they share no words.
_CLOSED = frozenset(("yes", "no", "noanswer"))
# HotpotQA's script reads bare answers. This project's prompt asks for them after this label.
_SHORT = re.compile(
    r"^[ \t>*_#-]*(?:final\s+)?answer[ \t*_]*:[ \t*_]*(\S.*)$", re.IGNORECASE | re.MULTILINE
)


def short_answer(text: str) -> str:
    """What follows the last label `Answer:` of a line; without one the whole text."""
    found = _SHORT.findall(text)
    return str(found[-1]) if found else text


def hotpot_f1(answer: str, value: str) -> float:
    """SQuAD's F1, but 0 if one of the two is yes, no or noanswer and the other is not."""
    given, wanted = squad_normalize(answer), squad_normalize(value)
    if given != wanted and not _CLOSED.isdisjoint((given, wanted)):
        return 0.0
    return squad_f1(answer, value)


def check_hotpot(answer: str, params: Params) -> CheckOutcome:
    """The short answer equals `value`, normalised; with `least`, their F1 is at least that."""
    value, given = str(params["value"]), short_answer(answer).strip()
    if not given:
        return CheckOutcome(False, "empty answer")
    if "least" in params:
        score = hotpot_f1(given, value)
        return CheckOutcome(score >= float(params["least"]), f"F1 {score:.2f}", given[:200])
    same = squad_normalize(given) == squad_normalize(value)
    return outcome(same, "match", "no exact match", given[:200])


# --- GAIA -----------------------------------------------------------------------------------------

_FINAL = re.compile(r"FINAL ANSWER[ \t*_]{0,9}:", re.IGNORECASE)
_SIGNS = str.maketrans("", "", "$%,")


def gaia_final(text: str) -> str | None:
    """What follows the last `FINAL ANSWER:`: the rest of its line, else the next line with text.

    None without such a mark.
    """
    *_, last = [None, *_FINAL.finditer(text)]
    if last is None:
        return None
    lines = (line.strip(" \t\r*_`") for line in text[last.end() :].split("\n"))
    return next(filter(None, lines), "")


def python_number(text: str) -> float | None:
    """A number as Python writes it."""
    try:
        return float(text)
    except ValueError:
        return None


def _gaia_number(text: str) -> float:
    """A number without `$`, `%` and commas; infinity if the text is not one, as published."""
    number = python_number(text.translate(_SIGNS))
    return float("inf") if number is None else number


def _gaia_text(text: str) -> str:
    """A text without blanks, in lower case."""
    return re.sub(r"\s", "", text).lower()


def _gaia_bare(text: str) -> str:
    return _gaia_text(text).translate(_PUNCTUATION)


def gaia_equal(given: str, value: str) -> bool:
    """GAIA's question_scorer: as numbers, else as lists (`,` or `;`), else as bare texts."""
    if python_number(value) is not None or not re.search("[,;]", value):
        return _gaia_same(given, value, _gaia_bare)
    items, wanted = re.split("[,;]", given), re.split("[,;]", value)
    # In the items of a list, punctuation counts.
    return len(items) == len(wanted) and all(map(_gaia_same, items, wanted))


def _gaia_same(given: str, value: str, form: Callable[[str], str] = _gaia_text) -> bool:
    number = python_number(value)
    return form(given) == form(value) if number is None else _gaia_number(given) == number


def check_gaia(answer: str, params: Params) -> CheckOutcome:
    """What follows the last `FINAL ANSWER:` is `value` by GAIA's rules."""
    value, given = str(params["value"]), gaia_final(answer)
    if not given:
        return CheckOutcome(False, "no 'FINAL ANSWER: …'")
    shown = f"FINAL ANSWER: {given[:100]}"
    return compared(gaia_equal(given, value), shown, value[:100], given[:200], shown)
