"""Check of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from scripts.lib.prompts.check_types import Outcome
from scripts.lib.scoring.extract.evidence import Undecided
from scripts.lib.scoring.extract.final_number import read_number, shown

RELATIVE_TOLERANCE = Fraction(1, 10**6)


def check_number(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's number equals `value` within `tolerance` (absolute; default: a millionth of the value)."""
    value = Fraction(str(params["value"]))
    tolerance = params.get("tolerance")
    bound = abs(value) * RELATIVE_TOLERANCE if tolerance is None else Fraction(str(tolerance))

    def right(numbers: tuple[Fraction, ...]) -> bool:
        return any(abs(number - value) <= bound for number in numbers)

    read = read_number(answer)
    if read is None:
        return Outcome(False, f"no number, expected {shown(value)}")
    if isinstance(read, Undecided):
        # Where neither of two statements is right, it does not matter which one is meant.
        possible = any(right(said.values) for said in read.values)
        return Outcome(None if possible else False, read.reason)
    said, place = read.value, f"{read.form}: {read.text}"
    if said.others:
        if said.doubt and right((*said.values, *said.others)):
            return Outcome(None, f"cannot tell which number is meant: {said}", str(said), place)
        return Outcome(False, f"names several numbers: {said}", str(said), place)
    if right(said.values):
        return Outcome(True, f"number {said}", str(said), place)
    return Outcome(False, f"number {said}, expected {shown(value)}", str(said), place)
