"""Check of numbers."""

from __future__ import annotations

from fractions import Fraction

from scripts.lib.prompts.check_types import CheckOutcome
from scripts.lib.scoring.checks.common import Params, compared
from scripts.lib.scoring.extract.evidence import Undecided
from scripts.lib.scoring.extract.final_number import read_number, shown

RELATIVE_TOLERANCE = Fraction(1, 10**6)


def check_number(answer: str, params: Params) -> CheckOutcome:
    """The answer's number equals `value` within `tolerance`.

    The tolerance is absolute; the default is a millionth of the value.
    """
    value = Fraction(str(params["value"]))
    tolerance = params.get("tolerance")
    bound = abs(value) * RELATIVE_TOLERANCE if tolerance is None else Fraction(str(tolerance))

    def right(numbers: tuple[Fraction, ...]) -> bool:
        return any(abs(number - value) <= bound for number in numbers)

    try:
        read = read_number(answer)
    except Undecided as error:
        # If neither of two statements is right, it does not matter which one is meant.
        if any(right(said.values) for said in error.values):
            raise
        return CheckOutcome(False, str(error))
    if read is None:
        return CheckOutcome(False, f"no number, expected {shown(value)}")
    said = read.value
    if said.others:
        if said.doubt and right((*said.values, *said.others)):
            reason = f"cannot tell which number is meant: {said}"
            return CheckOutcome(None, reason, str(said), read.place)
        return CheckOutcome(False, f"names several numbers: {said}", str(said), read.place)
    return compared(right(said.values), f"number {said}", shown(value), str(said), read.place)
