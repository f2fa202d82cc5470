"""Deterministic checks: does an answer meet a criterion? A check that cannot run leaves the criterion unscored, never 0.

Each check type of check_types.CHECK_PARAMETERS has one function in a check_* module: (answer, parameters) -> Outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib import check_text
from scripts.lib.answers import clean
from scripts.lib.check_code import check_code
from scripts.lib.check_form import check_constraints
from scripts.lib.check_json import check_json_schema, check_tool_call
from scripts.lib.check_numbers import check_math, check_number
from scripts.lib.check_types import Outcome
from scripts.lib.prompt_loader import Check, Criterion, Question

# Raised when a check decides differently: reviews are then made again, no inference is.
SCORER_VERSION = 2
PASS_SCORE = 2
LEAST_COVERAGE = 0.5

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


@dataclass(frozen=True, slots=True)
class CriterionScore:
    """One criterion's points from 0 to 1; None where it is unscored."""

    criterion: str
    weight: int
    points: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class QuestionScore:
    """An answer's score by deterministic checks, computed from its criteria."""

    criteria: tuple[CriterionScore, ...]
    note: str = ""

    @property
    def coverage(self) -> float:
        """Share of the criteria's weight that was scored, 0 to 1."""
        total = sum(c.weight for c in self.criteria)
        return sum(c.weight for c in self.criteria if c.points is not None) / total if total else 0.0

    @property
    def fraction(self) -> float | None:
        """Points over the scored weight; None where nothing is scored."""
        scored = [(c.weight, c.points) for c in self.criteria if c.points is not None]
        return sum(w * p for w, p in scored) / sum(w for w, _ in scored) if scored else None

    @property
    def score(self) -> int | None:
        """0-3 on the rubric; None where less than half of the weight could be scored."""
        if self.fraction is None or self.coverage < LEAST_COVERAGE:
            return None
        if self.fraction >= 0.9:
            return 3
        if self.fraction >= 0.6:
            return 2
        return 1 if self.fraction > 0 else 0

    @property
    def passed(self) -> bool | None:
        return None if self.score is None else self.score >= PASS_SCORE

    @property
    def reason(self) -> str:
        parts = [f"{c.reason} ({c.weight})" for c in self.criteria if c.points is not None]
        return "; ".join(([self.note] if self.note else []) + parts) or "no check scores this question"


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
