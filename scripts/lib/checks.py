"""Deterministic checks: does an answer meet a criterion? A check that cannot run leaves the criterion unscored, never 0.

Each check type of check_types.CHECK_PARAMETERS has one function in a check_* module: (answer, parameters) -> Outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scripts.lib import check_text
from scripts.lib.answers import clean
from scripts.lib.check_code import check_code
from scripts.lib.check_form import check_constraints
from scripts.lib.check_json import check_json_schema, check_tool_call
from scripts.lib.check_numbers import check_math, check_number
from scripts.lib.check_types import Outcome
from scripts.lib.prompt_loader import Check, Criterion, Question
from scripts.lib.rubric import CriterionScore, QuestionScore

# Raised when a check decides differently: reviews are then made again, no inference is.
SCORER_VERSION = 2

CHECKS: dict[str, Callable[[str, Mapping[str, Any]], Outcome]] = {
    "number": check_number,
    "math": check_math,
    "exact": check_text.check_exact,
    "normalized": check_text.check_normalized,
    "items": check_text.check_items,
    "multiple_choice": check_text.check_multiple_choice,
    "regex": check_text.check_regex,
    "contains": check_text.check_contains,
    "json_schema": check_json_schema,
    "tool_call": check_tool_call,
    "constraints": check_constraints,
    "f1": check_text.check_f1,
    "em": check_text.check_em,
    "code": check_code,
    "needle": check_text.check_needle,
}


def _run(check: Check, answer: str) -> Outcome:
    try:
        return CHECKS[check.type](answer, check.params)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        return Outcome(None, f"{check.type} check could not run: {error}")


def _score_criterion(criterion: Criterion, answer: str) -> CriterionScore:
    if not criterion.checks:
        return CriterionScore(criterion.criterion, criterion.weight, None, "no check")
    outcomes = [_run(check, answer) for check in criterion.checks]
    failed = next((outcome for outcome in outcomes if outcome.passed is False), None)
    if failed is not None:
        return CriterionScore(criterion.criterion, criterion.weight, 0.0, failed.reason)
    unable = next((outcome for outcome in outcomes if outcome.passed is None), None)
    if unable is not None:
        return CriterionScore(criterion.criterion, criterion.weight, None, unable.reason)
    return CriterionScore(criterion.criterion, criterion.weight, 1.0, outcomes[0].reason)


def score_answer(question: Question, answer: str, finish_reason: str) -> QuestionScore:
    """Score one answer: thinking and echo taken off first; a truncated answer is scored as far as it goes, and noted."""
    text = clean(answer, question.prompt_text())
    notes = [note for note, so in (("truncated", finish_reason in ("length", "timeout")), ("empty", not text)) if so]
    return QuestionScore(tuple(_score_criterion(c, text) for c in question.scoring), ", ".join(notes))
