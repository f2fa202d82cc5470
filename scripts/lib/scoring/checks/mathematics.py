"""Check of mathematical expressions."""

from __future__ import annotations

from scripts.lib.prompts.check_types import CheckOutcome, outcome
from scripts.lib.scoring.checks.common import Params
from scripts.lib.scoring.extract.expressions import read_expression, tidy


def check_math(answer: str, params: Params) -> CheckOutcome:
    """The answer's expression is mathematically equal to `value`, which is LaTeX.

    A rounding is not equal.
    """
    from scripts.lib.scoring.equality import equal

    value = str(params["value"])
    gold = tidy(value, keep_equation=True)
    read = read_expression(answer, lambda expression: equal(gold, expression), gold)
    if read is None:
        return CheckOutcome(False, f"no expression, expected {value}")
    return outcome(read.value, "equal expression", f"not equal to {value}", read.text, read.place)
