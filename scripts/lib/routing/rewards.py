"""Routing outcomes: what each action was worth on each question, and which route a suite should take.

An infrastructure error (the engine's, a guard's, a missing cell) and an unscored answer say nothing
of an action and give no reward. A wrong answer, and one that came too late, is worth 0. A correct
one is worth its quality less what it cost beyond the expected: `quality - 0.15 * max(0, elapsed /
expected - 1)`, where `expected` is what the frontdoor, the default route, took for the same
question.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from scripts.lib.prompts.loader import Question
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.routing.entries import ACTIONS, FRONTDOOR, MODE

COST_WEIGHT = 0.15
BEST_SCORE = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """One action on one question. `success` is None where nothing can be said, `why` tells; times in seconds.

    `quality` is the score's share of the best one (0 to 1); `reward` None where there is none.
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
    """The worth of a correct answer of that quality (0 to 1). It has no floor: what takes long enough is worth less than 0."""
    return quality - COST_WEIGHT * max(0.0, elapsed_s / expected_s - 1)


def outcome(action: str, entry: str, row: ReviewRow, mode: str = MODE) -> Outcome:
    """A reviewed cell as an outcome, its reward still to be given (see `rewarded`)."""
    known = Outcome(
        row.suite,
        row.question_id,
        row.tier,
        action,
        entry,
        None,
        cell_file=row.cell_file,
        mode=mode,
    )
    if row.status == "error":
        return replace(known, infrastructure=True, why=row.error)
    elapsed = row.generation_s or None
    if row.status == "timeout":
        return replace(known, success=False, quality=0.0, elapsed_s=elapsed, why=row.error)
    if row.score is None or row.passed is None:
        return replace(known, elapsed_s=elapsed, why=f"unscored: {row.score_reason}")
    return replace(
        known,
        success=row.passed,
        quality=row.score / BEST_SCORE,
        elapsed_s=elapsed,
        why=row.score_reason,
    )


def missing(action: str, entry: str, question: Question, why: str, mode: str = MODE) -> Outcome:
    """The outcome of a question whose cell is not there."""
    known = Outcome(question.suite, question.id, question.tier, action, entry, None, mode=mode)
    return replace(known, infrastructure=True, why=why)


def _expected(outcomes: Sequence[Outcome]) -> Mapping[tuple[str, str], float]:
    """What the frontdoor took per question; where it has no time of its own, its median over the suite.

    Of several modes of the frontdoor `baseline` is what is expected, else the first.
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


def rewarded(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """The outcomes with their rewards. Without any time of the frontdoor in a suite a correct answer is worth its quality."""
    outcomes = tuple(outcomes)
    expected = _expected(outcomes)
    return tuple(_with_reward(o, expected[(o.suite, o.question)] or None) for o in outcomes)


def _with_reward(o: Outcome, expected_s: float | None) -> Outcome:
    if o.success is None:
        return o
    worth = 0.0
    if o.success:
        assert o.quality is not None
        known = o.elapsed_s is not None and expected_s is not None
        worth = cost_aware_reward(o.quality, o.elapsed_s, expected_s) if known else o.quality  # type: ignore[arg-type]
    return replace(o, expected_s=expected_s, reward=worth)


def by_action(
    outcomes: Iterable[Outcome],
) -> dict[tuple[str, str, str, str], list[Outcome]]:
    """(suite, action, entry, mode) -> its outcomes, actions in their order, `baseline` before the other modes."""
    groups: dict[tuple[str, str, str, str], list[Outcome]] = {}
    for o in sorted(
        outcomes, key=lambda o: (o.suite, ACTIONS.index(o.action), o.entry, o.mode != MODE, o.mode)
    ):
        groups.setdefault((o.suite, o.action, o.entry, o.mode), []).append(o)
    return groups
