"""Finds the run that a review scores: by the speeds copied into the review, else by its name.

A speed has two or three digits, and a review holds up to sixty speeds, so two runs rarely share
them. A name can be misleading: the predecessor named files by role, and gave the same role to
several models over time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath

from scripts.lib.legacy.reviews import Key, LegacyReview, LegacyScore
from scripts.lib.legacy.runs import SPEED_TEST, LegacyRun

# This share of at least ten speeds must be equal; the other answers may have been measured again.
LEAST_SPEEDS, LEAST_SHARE = 10, Fraction(9, 10)
# Fewer speeds count only if all are equal, and every part of the review's name is in the run's.
FEWEST_SPEEDS = 3


def latest(runs: Iterable[LegacyRun]) -> LegacyRun | None:
    """The latest run; a damaged one only if none is whole."""
    return max(runs, key=lambda run: (not run.damage, *run.order), default=None)


def _tolerance(speeds: Iterable[float]) -> float:
    """How far a run's speed may be from the printed one: half of the last digit that is printed."""
    exponents = [int(Decimal(repr(speed)).normalize().as_tuple().exponent) for speed in speeds]
    return 0.5 * 10.0 ** min(0, *exponents) * (1 + 1e-6)


class Finder:
    """Finds the runs of reviews among those of an archive."""

    def __init__(self, runs: Sequence[LegacyRun]) -> None:
        self._runs = runs
        self._by_name: dict[str, list[LegacyRun]] = {}
        # Question -> the speeds of all runs, sorted, each with its run's index.
        self._by_question: dict[Key, list[tuple[float, int]]] = {}
        for place, run in enumerate(runs):
            if not run.from_log:
                self._by_name.setdefault(run.review_name, []).append(run)
            for a in run.answers:
                if a.tokens_per_s and a.suite != SPEED_TEST:
                    speeds = self._by_question.setdefault((a.suite, a.question), [])
                    speeds.append((a.tokens_per_s, place))
        for speeds in self._by_question.values():
            speeds.sort()

    def _equal(self, printed: Mapping[Key, float]) -> list[tuple[LegacyRun, int]]:
        """Every run with any of these speeds, as they are printed, and how many it has."""
        counts: Counter[int] = Counter()
        tolerance = _tolerance(printed.values())
        for key, speed in printed.items():
            known = self._by_question.get(key, [])
            first = bisect_left(known, (speed - tolerance, -1))
            last = bisect_right(known, (speed + tolerance, len(self._runs)))
            counts.update({place for _, place in known[first:last]})
        return [(self._runs[place], count) for place, count in sorted(counts.items())]

    def find(self, review: LegacyReview) -> tuple[LegacyRun | None, str]:
        """(the run, a remark if it is not certain). Without a run, the remark is the reason."""
        named, printed = self._by_name.get(review.name, []), review.speeds
        total, enough = len(printed), len(printed) >= LEAST_SPEEDS
        if named and not enough:
            return latest(named), ""
        equal = self._equal(printed) if total >= FEWEST_SPEEDS else []
        if enough:
            fitting = [(run, count) for run, count in equal if count >= LEAST_SHARE * total]
        else:
            fitting = [pair for pair in equal if pair[1] == total and _alike(review.name, pair[0])]
        own = [run for run, _ in fitting if run in named]
        # A run with all of the speeds is preferred to one that lacks a few.
        meant = [run for run, count in fitting if count == total] or [run for run, _ in fitting]
        if own or len({(run.model, run.config) for run in meant}) == 1:
            return latest(own or meant), ""
        if named:
            most = max((count for run, count in equal if run in named), default=0)
            return latest(named), f"at most {most} of {total} speeds are equal"
        return None, f"there is no {review.name}.json, {_why(total, equal, meant)}"


def _alike(name: str, run: LegacyRun) -> bool:
    return set(name.split("_")) <= set(run.review_name.split("_"))


def _why(total: int, equal: Sequence[tuple[LegacyRun, int]], rivals: Sequence[LegacyRun]) -> str:
    if rivals:
        sources = ", ".join(run.source for run in rivals[:3])
        return f"and {len(rivals)} runs have its speeds: {sources}"
    if total < LEAST_SPEEDS:
        return (
            f"and {total} speeds above 0 are too few to find its run by: at least {LEAST_SPEEDS}, "
            f"or {FEWEST_SPEEDS} that all equal those of a run with a similar name"
        )
    if not equal:
        return "and no run has its speeds"
    run, count = max(equal, key=lambda pair: pair[1])
    return f"and no run has its speeds: at most {count} of {total} are equal, in {run.source}"


def by_run(reviews: Iterable[LegacyReview]) -> Mapping[tuple[str, bool], LegacyReview]:
    """(run, whether it is the second round) -> the review to use.

    A review with the run's name comes first, then the longest.
    """
    found: dict[tuple[str, bool], LegacyReview] = {}
    for review in sorted(
        reviews, key=lambda r: (PurePosixPath(r.run).stem != r.name, -len(r.scores))
    ):
        if review.run:
            found.setdefault((review.run, review.rescored), review)
    return found


def with_suites(review: LegacyReview, run: LegacyRun) -> tuple[LegacyReview, list[str]]:
    """(the review, questions without a suite).

    If the review names no suites, those of its run are used. A question that is in no suite of the
    run, or in several, has none.
    """
    suites: dict[str, list[str]] = {}
    for answer in run.answers:
        suites.setdefault(answer.question, []).append(answer.suite)
    scores: dict[Key, LegacyScore] = {}
    lost = []
    for (suite, question), score in review.scores.items():
        found = [suite] if suite else suites.get(question, [])
        if len(found) == 1:
            scores[found[0], question] = score
        else:
            lost.append(question)
    return replace(review, scores=scores), lost
