"""Check of mathematical expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.prompts.check_types import Outcome, outcome
from scripts.lib.scoring.extract.evidence import Undecided
from scripts.lib.scoring.extract.expressions import read_expression, tidy


def check_math(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's expression is mathematically equal to `value`, which is LaTeX. A rounding is not equal."""
    from scripts.lib.scoring.equality import Undecidable, equal

    value = str(params["value"])
    gold = tidy(value, keep_equation=True)
    try:
        read = read_expression(answer, lambda expression: equal(gold, expression), gold)
    except Undecidable as error:
        return Outcome(None, f"math check could not decide: {error}")
    if read is None:
        return Outcome(False, f"no expression, expected {value}")
    if isinstance(read, Undecided):
        return Outcome(None, read.reason)
    place = f"{read.form}: {read.text}"
    return outcome(read.value, "equal expression", f"not equal to {value}", read.text, place)
