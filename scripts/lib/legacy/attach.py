"""Which run a review scores: by the speeds that were copied into it, else by its name.

A speed has two or three digits that no other run's answer to the same question is likely to have,
and a review holds up to sixty. A name may be another model's by now: the predecessor named files by
roles, and gave a role to one model after another.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import PurePosixPath

from scripts.lib.legacy.reviews import LegacyReview, LegacyScore
from scripts.lib.legacy.runs import SPEED_TEST, LegacyRun

# Of at least so many speeds this share has to be equal; the others may be of answers that were
# measured again.
LEAST_SPEEDS, LEAST_SHARE = 10, Fraction(9, 10)
# Fewer tell only where all of them are equal and every part of the review's name is one of the
# run's name.
FEWEST_SPEEDS = 3

Key = tuple[str, str]


def latest(runs: Iterable[LegacyRun]) -> LegacyRun | None:
    """The latest run; one that is cut only where there is no whole one."""
    return max(runs, key=lambda run: (not run.damage, *run.order), default=None)


@dataclass(frozen=True)
class _Printed:
    """A review's speeds above 0 (a timeout's 0 is every run's) by suite and question, and how exactly they are written."""

    speeds: Mapping[Key, float]

    @cached_property
    def tolerance(self) -> float:
        """How far a run's speed may be from the one that it was rounded to, halves to either side."""
        exponents = [
            int(Decimal(repr(speed)).normalize().as_tuple().exponent)
            for speed in self.speeds.values()
        ]
        digits = -min(0, *exponents)
        return 0.5 * 10.0**-digits * (1 + 1e-6)

    @property
    def enough(self) -> bool:
        return len(self.speeds) >= LEAST_SPEEDS

    def are(self, equal: int) -> bool:
        """True where so many equal speeds say that the run is this one."""
        return self.enough and equal >= LEAST_SHARE * len(self.speeds)


class Finder:
    """Finds the runs of reviews among those of an archive."""

    def __init__(self, runs: Sequence[LegacyRun]) -> None:
        self._runs = runs
        self._by_name: dict[str, list[LegacyRun]] = {}
        # Of each question the speeds of all runs, sorted, each with its run's place: a thousand
        # runs are asked at once.
        self._by_question: dict[Key, list[tuple[float, int]]] = {}
        for place, run in enumerate(runs):
            if not run.from_log:
                self._by_name.setdefault(run.review_name, []).append(run)
            for a in run.answers:
                if a.tokens_per_s and a.suite != SPEED_TEST:
                    self._by_question.setdefault((a.suite, a.question), []).append(
                        (a.tokens_per_s, place)
                    )
        for speeds in self._by_question.values():
            speeds.sort()

    def _equal(self, printed: _Printed) -> list[tuple[LegacyRun, int]]:
        """Every run that has any of these speeds, as they are written, and how many."""
        counts: Counter[int] = Counter()
        for key, speed in printed.speeds.items():
            known = self._by_question.get(key, [])
            first = bisect_left(known, (speed - printed.tolerance, -1))
            last = bisect_right(known, (speed + printed.tolerance, len(self._runs)))
            counts.update({place for _, place in known[first:last]})
        return [(self._runs[place], count) for place, count in sorted(counts.items())]

    def find(self, review: LegacyReview) -> tuple[LegacyRun | None, str]:
        """(the run, what is to be told of it; empty: nothing). Without a run the remark is the reason."""
        named = self._by_name.get(review.name, [])
        printed = _Printed(
            {key: s.tokens_per_s for key, s in review.scores.items() if s.tokens_per_s}
        )
        equal = self._equal(printed) if len(printed.speeds) >= FEWEST_SPEEDS else []
        fitting = [(run, count) for run, count in equal if printed.are(count)]
        own = [run for run, _ in fitting if run.review_name == review.name and not run.from_log]
        if own:
            return latest(own), ""
        found, rivals = _one(fitting, len(printed.speeds))
        if found is not None:
            return found, ""
        if named:
            return latest(named), _doubt(printed, equal, review.name)
        few = [] if printed.enough else [pair for pair in equal if pair[1] == len(printed.speeds)]
        found, alike = _one(
            [pair for pair in few if _is_alike(review.name, pair[0])], len(printed.speeds)
        )
        if found is not None:
            return found, ""
        return None, f"no file {review.name}.json, {_why(printed, equal, rivals or alike)}"


def _is_alike(name: str, run: LegacyRun) -> bool:
    return set(name.split("_")) <= set(run.review_name.split("_"))


def _one(
    fitting: Sequence[tuple[LegacyRun, int]], of: int
) -> tuple[LegacyRun | None, list[LegacyRun]]:
    """(the run meant, None where several may be, and those). Runs of one model in one mode do not compete, nor does one
    whose speeds are not all equal with one whose are.
    """
    whole = [run for run, count in fitting if count == of]
    meant = whole or [run for run, _ in fitting]
    if len({(run.model, run.config) for run in meant}) > 1:
        return None, meant
    return latest(meant), []


def _why(
    printed: _Printed, equal: Sequence[tuple[LegacyRun, int]], rivals: Sequence[LegacyRun]
) -> str:
    if rivals:
        return f"and its speeds are those of {len(rivals)} runs: {', '.join(run.source for run in rivals[:3])}"
    if not printed.enough:
        return (
            f"and {len(printed.speeds)} speeds above 0 are too few to find it by (at least {LEAST_SPEEDS}, "
            f"or {FEWEST_SPEEDS} that are all a run's of a name alike)"
        )
    run, count = max(equal, key=lambda pair: pair[1], default=(None, 0))
    nearest = (
        f": at most {count} of {len(printed.speeds)} are equal, in {run.source}"
        if run is not None and count
        else ""
    )
    return f"and no run has its speeds{nearest}"


def _doubt(printed: _Printed, equal: Sequence[tuple[LegacyRun, int]], name: str) -> str:
    """What is told of a review that only its name ties to a run, though its speeds could have told."""
    most = max((count for run, count in equal if run.review_name == name), default=0)
    return f"at most {most} of {len(printed.speeds)} speeds are equal" if printed.enough else ""


def by_run(reviews: Iterable[LegacyReview]) -> Mapping[tuple[str, bool], LegacyReview]:
    """(run, whether of the second round) -> the review that counts: the one that is named as its run, else the longest."""
    found: dict[tuple[str, bool], LegacyReview] = {}
    for review in sorted(
        reviews, key=lambda r: (PurePosixPath(r.run).stem != r.name, -len(r.scores))
    ):
        if review.run:
            found.setdefault((review.run, review.rescored), review)
    return found


def with_suites(review: LegacyReview, run: LegacyRun) -> tuple[LegacyReview, list[str]]:
    """A review that names no suites with those of its run's questions, and the questions that are in none or in several."""
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
