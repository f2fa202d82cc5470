"""Published scorers' verdicts, to the letter: GSM8K's, simple-evals' for MMLU, SQuAD v1.1's."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping
from typing import Any

from scripts.lib.check_types import Outcome, outcome, texts

_GSM8K = re.compile(r"#### (-?[0-9.,]+)")
# What simple-evals takes off before it looks for the letter. The order counts: one may meet what one left.
_FORMATTING = (
    *(
        "**",
        "$\\boxed{",
        "}$",
        "\\$",
        "$\\text{",
        "$",
        "\\mathrm{",
        "\\{",
        "\\text",
        "\\(",
        "\\mathbf{",
        "{",
        "\\boxed",
    ),
)
_WIDE = {"Ａ": "A", "Ｂ": "B", "Ｃ": "C", "Ｄ": "D"}
_MMLU = re.compile(r"answer\s*:[ \t]*([A-DＡ-Ｄ])", re.IGNORECASE)
_PUNCTUATION = str.maketrans("", "", string.punctuation)


# --- GSM8K --------------------------------------------------------------------------------------------------


def gsm8k_number(text: str) -> str | None:
    """The number after the first `#### `, its commas taken out; None where there is none."""
    found = _GSM8K.search(text)
    return found[1].replace(",", "") if found else None


def check_gsm8k(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The number after the first `#### ` is `value`, character by character: `18.00` is not `18`."""
    wanted, found = str(params["value"]).replace(",", ""), gsm8k_number(answer)
    if found is None:
        return Outcome(False, "no '#### NUMBER'")
    told = f"#### {found[:40]}"
    return outcome(found == wanted, told, f"{told}, expected {wanted}", found[:40], told)


# --- MMLU ---------------------------------------------------------------------------------------------------


def mmlu_letter(text: str) -> str | None:
    """The letter after the first `Answer:` as simple-evals reads it: `Answer: Because` is B, `b` is no B."""
    for mark in _FORMATTING:
        text = text.replace(mark, "")
    found = _MMLU.search(text)
    return _WIDE.get(found[1], found[1]) if found else None


def check_mmlu(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The letter after the first `Answer:` is `value`."""
    wanted, found = str(params["value"]), mmlu_letter(answer)
    if found is None:
        return Outcome(False, "no 'Answer: LETTER'")
    return outcome(found == wanted, f"chose {found}", f"chose {found}, expected {wanted}", found)


# --- SQuAD v1.1 ---------------------------------------------------------------------------------------------


def squad_normalize(text: str) -> str:
    """Lower case, without ASCII punctuation and articles, single spaces (SQuAD v1.1's normalize_answer)."""
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split())


def squad_f1(answer: str, value: str) -> float:
    """The harmonic mean of precision and recall over the words of both texts; 0 where they share none."""
    given, wanted = squad_normalize(answer).split(), squad_normalize(value).split()
    common = (Counter(given) & Counter(wanted)).total()
    if not common:
        return 0.0
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def _wanted(params: Mapping[str, Any]) -> list[str]:
    return [*texts(params["value"]), *texts(params.get("any_of"))]


def check_em(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The whole answer equals `value` (or one of `any_of`) once normalised. An empty answer is no answer."""
    same = bool(answer.strip()) and squad_normalize(answer) in map(squad_normalize, _wanted(params))
    return outcome(same, "match", "no exact match")


def check_f1(answer: str, params: Mapping[str, Any]) -> Outcome:
    """F1 with `value` (or the best of `any_of`) is at least `least` (0.5). An empty answer is no answer."""
    score = max(squad_f1(answer, value) for value in _wanted(params))
    return Outcome(bool(answer.strip()) and score >= float(params.get("least", 0.5)), f"F1 {score:.2f}")
