"""How a judge of pairs is checked: canaries in every batch, and the checks of a batch.

A canary is the reference against a near miss (on topic, well formed, wrong), in both orders, or the
same answer twice, which is a tie. As far as they can, the machine checks prove what it deserves.

The checks of a batch are tests: a judge that decides LEAST_RIGHT of the requests rightly fails one
in at most 1 of 50 batches.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path

from scipy import special

from scripts.lib.base.layout import VERDICTS
from scripts.lib.judging.batch import Known
from scripts.lib.judging.canaries import (
    damaged_reference,
    for_canaries,
    near_miss,
    right_answer,
    share_count,
)
from scripts.lib.judging.instrument import (
    MOST_UNSCORED,
    Measure,
    SeriesReport,
    first_replies,
    items_of,
    proportion,
    report_of,
    retests,
)
from scripts.lib.judging.run import Checks, Found
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.judge_prompt import material
from scripts.lib.scoring.pair_prompt import FIRST_BETTER, SECOND_BETTER, TIE, answer_pair
from scripts.lib.scoring.series import Item, Role, Series, verdict_digest
from scripts.lib.scoring.verdict_store import (
    BatchRecord,
    ItemOutcome,
    JudgeVerdict,
    all_series,
)

LEAST_PAIR_CANARIES = 22
NEAR_MISS, SAME_TWICE = "near miss", "same answer twice"
# Every eleven canaries: four near misses in both orders, and three ties.
_ORDER = (*(NEAR_MISS, SAME_TWICE) * 3, NEAR_MISS)
LEAST_RIGHT, LEAST_SAME_AGAIN = 0.8, 0.6
# The chance that a judge exactly at a limit fails a check.
FALSE_ALARM = 0.02


def pair_canary_count(first: bool, items: int, share: float) -> int:
    """The number of canaries of a batch with this number of other items, first or not."""
    return max(LEAST_PAIR_CANARIES, share_count(items, share))


def _right_and_wrong(questions: Sequence[Question]) -> list[tuple[Question, str, str]]:
    """(question, right answer, near miss) where the checks prove both.

    If they prove none, since a suite has few checks: the references, and these with a mistake.
    """

    def of(
        right: Callable[[Question], str | None], wrong: Callable[[Question], str | None]
    ) -> list[tuple[Question, str, str]]:
        both = ((q, right(q), wrong(q)) for q in questions)
        return [(q, good, bad) for q, good, bad in both if good and bad]

    return of(right_answer, near_miss) or of(lambda q: q.reference_answer, damaged_reference)


def make_pair_canaries(
    series: Series, batch: str, items: Sequence[Item], known: Known, share: float, first: bool
) -> Iterator[Item]:
    """At least LEAST_PAIR_CANARIES canaries; the batch's name is the seed.

    None if no question has both a right answer and a wrong one.
    """
    chance, count = random.Random(f"pair canaries {batch}"), len(items)
    usable = _right_and_wrong(for_canaries(known.questions))
    number = 0
    for kind in cycle(_ORDER if usable else ()):
        if number >= pair_canary_count(first, count, share):
            return
        question, *answers = chance.choice(usable)
        right, wrong = (material(question, answer, "stop") for answer in answers)
        twice = chance.choice((right, wrong))
        shown = [(right, wrong, FIRST_BETTER), (wrong, right, SECOND_BETTER)]
        if kind == SAME_TWICE:
            shown = [(twice, twice, TIE)]
        for one, other, expected in shown:
            pair = answer_pair(one, other)
            digest = verdict_digest(series, pair.pair, f"{batch}/canary/{number}")
            number += 1
            yield Item(digest, Role.CANARY, question.name_in_full, pair, kind, expected)


def _is_below(right: int, n: int, least: float) -> bool:
    """True if `right` of `n` is significantly below a share."""
    return bool(n and special.bdtr(right, n, least) < FALSE_ALARM)


def _of_kind(items: Iterable[ItemOutcome], kind: str) -> list[bool]:
    """Whether each scored canary of a kind was decided rightly."""
    return [
        item.score == item.expected
        for item in items
        if item.role is Role.CANARY and item.kind == kind and item.score is not None
    ]


def pair_findings(
    items: Sequence[ItemOutcome],
    verdicts: Mapping[str, JudgeVerdict],
    failed: Sequence[BatchRecord] = (),
    accepted: Sequence[BatchRecord] = (),
) -> Found:
    """What the checks of a batch found wrong with the judge; empty if its verdicts may be used.

    `accepted`: the series' accepted batches. Their canaries count, too.
    """
    found = list[str]()
    earlier = items_of(accepted)
    for kind, said in (
        (NEAR_MISS, "comparisons of the reference with a near miss were decided rightly"),
        (SAME_TWICE, "comparisons of an answer with itself were a tie"),
    ):
        right = _of_kind(items, kind)
        if not right:
            found.append(f"no canary could be checked: {kind}")
        for looked_at in (right, [*_of_kind(earlier, kind), *right]):
            if _is_below(sum(looked_at), len(looked_at), LEAST_RIGHT):
                found.append(f"only {sum(looked_at)} of {len(looked_at)} {said}")
                break
    twice = retests(items)
    same = sum(first == again for first, again in twice)
    if _is_below(same, len(twice), LEAST_SAME_AGAIN):
        found.append(
            f"only {same} of {len(twice)} pairs that were asked twice got the same verdict"
        )
    answered = first_replies(items, verdicts)
    unscored = Counter(item.unscored[:60] for item in answered if item.score is None)
    if unscored.total() > MOST_UNSCORED * len(answered):
        often = unscored.most_common(1)[0][0]
        found.append(
            f"{unscored.total()} of {len(answered)} replies could not be used (most often: {often})"
        )
    return Found(tuple(found))


PAIR_CHECKS = Checks(make_pair_canaries, pair_findings)


def pair_measures(records: Iterable[BatchRecord]) -> tuple[Measure, ...]:
    """The figures of a judge of pairs over its closed batches, quarantined ones included.

    `first_shown_preferred`: among the requests with a winner, the share of the answer shown first;
    half is fair.
    """
    items = [item for record in records for item in record.items]
    own = [item for item in items if item.role in (Role.PAIR, Role.RETEST)]
    won = [
        item.score == FIRST_BETTER for item in own if item.score in (FIRST_BETTER, SECOND_BETTER)
    ]
    near, same, twice = _of_kind(items, NEAR_MISS), _of_kind(items, SAME_TWICE), retests(items)
    found = (
        proportion("near_miss_right", sum(near), len(near)),
        proportion("same_answer_tie", sum(same), len(same)),
        proportion("retest_exact", sum(a == b for a, b in twice), len(twice)),
        proportion("first_shown_preferred", sum(won), len(won)),
        proportion("unscored", sum(item.score is None for item in own), len(own)),
    )
    return tuple(measure for measure in found if measure is not None)


class PairSeriesReport(SeriesReport):
    """The report of a judge of pairs."""

    __slots__ = ()

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The judge's figures over its batches."""
        return pair_measures(self.records)


def all_reports(root: Path = VERDICTS) -> tuple[SeriesReport, ...]:
    """A report for each judge that has verdicts in the tree, of answers or of pairs."""
    return tuple(
        pair_report(series, root) if series.compares else report_of(series, root)
        for series in all_series(root)
    )


def pair_report(series: Series, root: Path = VERDICTS) -> SeriesReport:
    """The report of a judge of pairs."""
    found = report_of(series, root)
    return PairSeriesReport(found.series, found.scorer, found.model, found.records)
