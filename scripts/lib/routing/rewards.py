"""Routing outcomes: the reward of each action on each question.

An infrastructure error (an engine's failure, a failed guard, a missing cell) and an unscored answer
have no reward. A wrong or late answer has reward 0. The reward of a correct answer is
`quality - 0.15 * max(0, elapsed / expected - 1)`, where `expected` is the time of the frontdoor,
the default route, on the same question.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from scripts.lib.prompts.loader import Question
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.routing.entries import ACTIONS, FRONTDOOR, MODE
from scripts.lib.scoring.rubric import MOST_SCORE

COST_WEIGHT = 0.15


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """One action on one question; times in seconds.

    `success` and `reward` are None if there is no reward; `why` has the reason. `quality` is the
    score divided by the best score.
    """

    suite: str
    question: str
    tier: int
    action: str
    entry: str
    success: bool | None
    quality: float | None = None
    elapsed_s: float | None = None
    expected_s: float | None = None
    reward: float | None = None
    infrastructure: bool = False
    why: str = ""
    cell_file: str = ""
    mode: str = MODE


def cost_aware_reward(quality: float, elapsed_s: float, expected_s: float) -> float:
    """The reward of a correct answer of this quality (0 to 1); below 0 if it took very long."""
    return quality - COST_WEIGHT * max(0.0, elapsed_s / expected_s - 1)


def outcome(action: str, entry: str, row: ReviewRow, mode: str = MODE) -> ModelOutcome:
    """A reviewed cell as an outcome, without its reward (see `rewarded`)."""
    asked = row.suite, row.question_id, row.tier, action, entry
    known = ModelOutcome(*asked, None, cell_file=row.cell_file, mode=mode)
    if row.status == "error":
        return replace(known, infrastructure=True, why=row.error)
    known = replace(known, elapsed_s=row.generation_s or None)
    if row.status == "timeout":
        return replace(known, success=False, quality=0.0, why=row.error)
    if row.score is None or row.passed is None:
        return replace(known, why=f"unscored: {row.score_reason}")
    quality = row.score / MOST_SCORE
    return replace(known, success=row.passed, quality=quality, why=row.score_reason)


def missing(
    action: str, entry: str, question: Question, why: str, mode: str = MODE
) -> ModelOutcome:
    """The outcome of a question whose cell is missing."""
    asked = question.suite, question.id, question.tier, action, entry
    return ModelOutcome(*asked, None, infrastructure=True, why=why, mode=mode)


def _expected(outcomes: Sequence[ModelOutcome]) -> Mapping[tuple[str, str], float]:
    """The frontdoor's time per question; without one, its median over the suite.

    If the frontdoor has several modes, the time of `baseline` is used, else of the first one.
    """
    own: dict[tuple[str, str], float] = {}
    for o in sorted(outcomes, key=lambda o: o.mode != MODE):
        if o.action == FRONTDOOR and o.elapsed_s:
            own.setdefault((o.suite, o.question), o.elapsed_s)
    medians = {
        suite: statistics.median(seconds for (name, _), seconds in own.items() if name == suite)
        for suite in {suite for suite, _ in own}
    }
    questions = {(o.suite, o.question) for o in outcomes}
    return {key: own.get(key, medians.get(key[0], 0.0)) for key in questions}


def rewarded(outcomes: Iterable[ModelOutcome]) -> tuple[ModelOutcome, ...]:
    """The outcomes with their rewards.

    Without any time of the frontdoor in a suite, the reward of a correct answer is its quality.
    """
    outcomes = tuple(outcomes)
    expected = _expected(outcomes)
    return tuple(_with_reward(o, expected[(o.suite, o.question)] or None) for o in outcomes)


def _with_reward(o: ModelOutcome, expected_s: float | None) -> ModelOutcome:
    if o.success is None:
        return o
    reward = 0.0
    if o.success:
        assert o.quality is not None
        reward = o.quality
        if o.elapsed_s is not None and expected_s is not None:
            reward = cost_aware_reward(o.quality, o.elapsed_s, expected_s)
    return replace(o, expected_s=expected_s, reward=reward)


def by_action(
    outcomes: Iterable[ModelOutcome],
) -> dict[tuple[str, str, str, str], list[ModelOutcome]]:
    """(suite, action, entry, mode) -> outcomes, in the order of ACTIONS, mode `baseline` first."""
    groups: dict[tuple[str, str, str, str], list[ModelOutcome]] = {}
    for o in sorted(
        outcomes, key=lambda o: (o.suite, ACTIONS.index(o.action), o.entry, o.mode != MODE, o.mode)
    ):
        groups.setdefault((o.suite, o.action, o.entry, o.mode), []).append(o)
    return groups
