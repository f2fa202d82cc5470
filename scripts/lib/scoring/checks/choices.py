"""Check of multiple choice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from scripts.lib.prompts.check_types import Outcome, outcome
from scripts.lib.scoring.extract.evidence import Undecided
from scripts.lib.scoring.extract.final_choice import read_choice

_LETTER = r"([A-H])(?![\w'’])"
# The predecessor's places of the letter, in order; of the matches of one, the last counts.
_LAST_LETTERS = (
    re.compile(rf"\b(?i:answer|choice|option)\b[ \t*_]*(?:(?i:is)\b|:)[\s*_:(\[\"']*{_LETTER}"),
    re.compile(r"^[ \t*_(\[]*([A-H])[ \t*_)\].]*$", re.MULTILINE),
    re.compile(rf"\A[\s*_(\[]*{_LETTER}"),
    re.compile(r"\*\*[ \t(]*([A-H])[ \t).:]*\*\*"),
    re.compile(rf"(?<![\w'’]){_LETTER}"),
)


def _last_letter(answer: str) -> str:
    """The letter that the predecessor took; empty where there is none."""
    found = (pattern.findall(answer) for pattern in _LAST_LETTERS)
    return next((letters[-1] for letters in found if letters), "")


def check_multiple_choice(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer chooses the letter `value`, by letter or by the text of one of `choices`.

    With `last`, an answer that commits to no letter or to several is taken by the last one, as the
    predecessor did.
    """
    found = _by_statement(answer, params)
    letter = _last_letter(answer) if params.get("last") and not found.extracted else ""
    if not letter:
        return found
    wanted = str(params["value"]).strip().strip("().").upper()
    return outcome(
        letter == wanted,
        f"chose {letter}",
        f"chose {letter}, expected {wanted}",
        letter,
        "the last letter",
    )


def _by_statement(answer: str, params: Mapping[str, Any]) -> Outcome:
    wanted = str(params["value"]).strip().strip("().").upper()
    given = params.get("choices") or {}
    choices = {str(letter).strip().upper(): str(text) for letter, text in given.items()}
    read = read_choice(answer, wanted, choices)
    if read is None:
        return Outcome(False, "no single choice found")
    if isinstance(read, Undecided):
        possible = any(choice.letter == wanted for choice in read.values)
        return Outcome(None if possible else False, read.reason)
    letter, place = read.value.letter, f"{read.form}: {read.text}"
    if read.value.doubt:
        reason = f"the letter {letter} with the text of {read.value.others[0]}"
        possible = wanted in (letter, *read.value.others)
        return Outcome(None if possible else False, reason, letter, place)
    if read.value.others:
        reason = f"names alternatives: {letter} and {', '.join(read.value.others)}"
        return Outcome(False, reason, letter, place)
    return outcome(
        letter == wanted, f"chose {letter}", f"chose {letter}, expected {wanted}", letter, place
    )
