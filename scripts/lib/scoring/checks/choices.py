"""Check of multiple choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.check_types import Outcome, outcome
from scripts.lib.scoring.evidence import Undecided
from scripts.lib.scoring.final_choice import read_choice


def check_multiple_choice(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer chooses the letter `value`, by letter or by the text of one of `choices`."""
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
    return outcome(letter == wanted, f"chose {letter}", f"chose {letter}, expected {wanted}", letter, place)
