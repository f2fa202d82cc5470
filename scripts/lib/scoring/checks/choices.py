"""Check of multiple choice."""

from __future__ import annotations

import re

from scripts.lib.prompts.check_types import CheckOutcome
from scripts.lib.scoring.checks.common import Params, compared
from scripts.lib.scoring.extract.evidence import Undecided
from scripts.lib.scoring.extract.final_choice import read_choice

_LETTER = r"([A-H])(?![\w'’])"
# The predecessor's patterns for the letter, in order. The last match of a pattern counts.
_LAST_LETTERS = (
    re.compile(rf"\b(?i:answer|choice|option)\b[ \t*_]*(?:(?i:is)\b|:)[\s*_:(\[\"']*{_LETTER}"),
    re.compile(r"^[ \t*_(\[]*([A-H])[ \t*_)\].]*$", re.MULTILINE),
    re.compile(rf"\A[\s*_(\[]*{_LETTER}"),
    re.compile(r"\*\*[ \t(]*([A-H])[ \t).:]*\*\*"),
    re.compile(rf"(?<![\w'’]){_LETTER}"),
)


def _last_letter(answer: str) -> str:
    """The letter that the predecessor took; empty if there is none."""
    found = (pattern.findall(answer) for pattern in _LAST_LETTERS)
    return next((letters[-1] for letters in found if letters), "")


def check_multiple_choice(answer: str, params: Params) -> CheckOutcome:
    """The answer chooses the letter `value`, by letter or by the text of one of `choices`.

    With `last`, the last letter counts if an answer commits to no letter or to several. The
    predecessor scored so.
    """
    wanted = str(params["value"]).strip().strip("().").upper()
    try:
        found = _by_statement(answer, wanted, params.get("choices") or {})
    except Undecided:
        letter = _last_letter(answer) if params.get("last") else ""
        if not letter:
            raise
    else:
        letter = _last_letter(answer) if params.get("last") and not found.extracted else ""
        if not letter:
            return found
    return compared(letter == wanted, f"chose {letter}", wanted, letter, "the last letter")


def _by_statement(answer: str, wanted: str, given: Params) -> CheckOutcome:
    choices = {str(letter).strip().upper(): str(text) for letter, text in given.items()}
    try:
        read = read_choice(answer, wanted, choices)
    except Undecided as error:
        if any(choice.letter == wanted for choice in error.values):
            raise
        return CheckOutcome(False, str(error))
    if read is None:
        return CheckOutcome(False, "no single choice found")
    letter, others = read.value.letter, read.value.others
    if read.value.doubt:
        reason = f"the letter {letter} with the text of {others[0]}"
        passed = None if wanted in (letter, *others) else False
        return CheckOutcome(passed, reason, letter, read.place)
    if others:
        reason = f"names alternatives: {letter} and {', '.join(others)}"
        return CheckOutcome(False, reason, letter, read.place)
    return compared(letter == wanted, f"chose {letter}", wanted, letter, read.place)
