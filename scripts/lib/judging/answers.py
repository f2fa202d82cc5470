"""Finds the stored answers that are pending for a judge; equal answers are judged once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.lib.base.stored_json import Damaged
from scripts.lib.judging.batch import Mix, retest_count
from scripts.lib.judging.canaries import (
    LEAST_CHECKED,
    canary_count,
    is_provable,
    score_by_checks,
)
from scripts.lib.judging.cost import Measured, RequestSize, at_most_usd, expected_usd, size_of
from scripts.lib.planning.cell_record import read_cell
from scripts.lib.planning.plan import Cell, Plan, Shard
from scripts.lib.prompts.types import Question
from scripts.lib.results.review import Review, answer_of, plan_review
from scripts.lib.scoring.judge_prompt import (
    HEAD_CHARACTERS,
    TAIL_CHARACTERS,
    Material,
    material,
)
from scripts.lib.scoring.scorers import is_asked
from scripts.lib.scoring.series import Item, Role, Series, verdict_digest
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import ClaudeConfig

# For English text. A missing answer is estimated to be as long as its token limit allows.
ANSWER_CHARACTERS_PER_TOKEN = 5.0
NO_SERIES = Series("", "", {})
# A batch takes its checked answers from at most this many that need no verdict.
MOST_CHECKED = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One stored answer as it is shown to a judge, and the review that needs its score.

    `source`: the model that gave it, which the judge does not see.
    """

    question: Question
    shown: Material
    review: str
    source: str = ""

    @property
    def label(self) -> str:
        """The full name of the question."""
        return self.question.name_in_full


def every_cell(cell: Cell) -> bool:
    """The default filter of `stored_answers`."""
    return True


def _answer(file: Path) -> tuple[str, str] | None:
    try:
        return answer_of(read_cell(file))
    except (FileNotFoundError, Damaged):
        return None


def stored_answer(shard: Shard, cell: Cell, review: Review) -> Answer | None:
    """The stored answer of a cell; None if it is missing, damaged, or has no answer."""
    answer = _answer(Path(shard.folder) / cell.file_name)
    if answer is None:
        return None
    shown = material(cell.question, *answer)
    return Answer(cell.question, shown, review.file, shard.model.key)


def stored_answers(
    plans: Iterable[Plan], wanted: Callable[[Cell], bool] = every_cell
) -> Iterator[Answer]:
    """The answers of the stored cells, in plan order; damaged cells are skipped."""
    for plan in plans:
        for shard in plan.shards:
            review = plan_review(plan, shard)
            for cell in filter(wanted, review.cells):
                answer = stored_answer(shard, cell, review)
                if answer is not None:
                    yield answer


@dataclass(frozen=True, slots=True)
class Asked:
    """An item for a judge, and the reviews that show its verdict."""

    item: Item
    reviews: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What a judge has to do.

    `pending`: items without a usable verdict. `judged`: items with one, for retests. `quarantined`:
    items that are left out because their batch failed. `checked`: answers whose score the checks
    know, to measure the judge with (see `with_known_scores`).
    """

    pending: tuple[Item, ...]
    judged: tuple[Item, ...]
    quarantined: tuple[Item, ...]
    checked: tuple[Item, ...] = ()


def pair_item(
    series: Series, label: str, shown: Material, expected: int | None = None, source: str = ""
) -> Item:
    """The batch item for an answer. `expected`: its score by the checks, if they decide it all."""
    digest = verdict_digest(series, shown.pair)
    return Item(digest, Role.PAIR, label, shown, expected=expected, source=source)


def answer_item(series: Series, answer: Answer) -> Item:
    """The batch item for a stored answer, with the checks' score if it is certain."""
    finish = "length" if answer.shown.truncated else "stop"
    expected = score_by_checks(answer.question, answer.shown.answer, finish)
    return pair_item(series, answer.label, answer.shown, expected, answer.source)


def asked_answers(series: Series, answers: Iterable[Answer], scope: str) -> Iterator[Asked]:
    """What a judge of that scope (see `JudgeConfig`) is asked."""
    for answer in answers:
        if is_asked(scope, answer.question):
            item = pair_item(series, answer.label, answer.shown, source=answer.source)
            yield Asked(item, (answer.review,))


def sort_asked(store: VerdictStore, asked: Iterable[Asked], again: bool = False) -> Work:
    """Sort the distinct items. `again`: those of failed batches count as pending, too."""
    pending, judged, quarantined = list[Item](), list[Item](), list[Item]()
    seen = set[str]()
    for one in asked:
        item, pair = one.item, one.item.shown.pair
        if pair in seen:
            continue
        seen.add(pair)
        if store.usable(pair) is not None:
            judged.append(item)
        elif store.is_quarantined(pair) and not again:
            quarantined.append(item)
        else:
            pending.append(item)
    return Work(tuple(pending), tuple(judged), tuple(quarantined))


def with_known_scores(series: Series, work: Work, stored: Iterable[Answer]) -> Work:
    """The same work, with the checks' scores of the pending answers, and of a sample of others.

    `stored`: all stored answers, also those that the judge is not asked about: where
    it is asked what the checks cannot see, only these have a score that is known.
    """
    distinct = {answer.shown.pair: answer for answer in stored}
    pending = {item.shown.pair for item in work.pending}
    asked = [
        answer_item(series, distinct[pair]) if (pair := item.shown.pair) in distinct else item
        for item in work.pending
    ]
    others = [
        answer
        for pair, answer in distinct.items()
        if pair not in pending and is_provable(answer.question)
    ]
    sample = random.Random(series.name).sample(others, min(len(others), MOST_CHECKED))
    scored = (*asked, *(answer_item(series, answer) for answer in sample))
    checked = tuple(item for item in scored if item.expected is not None)
    return replace(work, pending=tuple(asked), checked=checked)


def waiting_reviews(store: VerdictStore, asked: Iterable[Asked]) -> list[str]:
    """The reviews with an item for which another run could get a verdict."""
    reviews: dict[str, set[str]] = {}
    for one in asked:
        reviews.setdefault(one.item.shown.pair, set()).update(one.reviews)
    waiting = (
        found
        for pair, found in reviews.items()
        if store.usable(pair) is None and not store.is_quarantined(pair)
    )
    return sorted(set().union(*waiting))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What judging will cost, in US dollars: likely, and at most.

    `requests` includes canaries, checked answers and retests.
    """

    answers: int
    requests: int
    expected_usd: float
    at_most_usd: float


@dataclass(frozen=True, slots=True)
class Beside:
    """What a batch has beside its answers, for estimates.

    `canaries`: (is the batch the first one of its series, other items, share) -> their number.
    `first`: the series has no accepted batch. `judged`: answers with a verdict, for retests.
    `checked`: stored answers that need no verdict and whose score the checks know, for batches in
    which fewer than LEAST_CHECKED are known; `known_share`: that of the pending answers.
    """

    canaries: Callable[[bool, int, float], int] = canary_count
    first: bool = True
    judged: int = 0
    checked: int = 0
    known_share: float = 0.0


def beside_answers(
    asked: Iterable[Question], others: Iterable[Question], first: bool, judged: int
) -> Beside:
    """What batches on answers have beside them.

    `asked`: the question of each pending answer. `others`: that of each stored one besides.
    """
    known = [is_provable(question) for question in asked]
    share = sum(known) / len(known) if known else 0.0
    return Beside(canary_count, first, judged, sum(map(is_provable, others)), share)


def _requests(answers: int, others: int, mix: Mix, beside: Beside, first: bool) -> int:
    """The requests of a batch with this number of answers; without answers there is no batch.

    `others`: the answers of other batches.
    """
    if not answers:
        return 0
    own = answers + min(answers + beside.judged, retest_count(answers, mix.retest_share))
    missing = max(0, LEAST_CHECKED - round(beside.known_share * answers))
    checked = min(missing, beside.checked + round(beside.known_share * others))
    return own + beside.canaries(first, own, mix.canary_share) + checked


def estimate(
    sizes: Iterable[RequestSize],
    config: ClaudeConfig,
    mix: Mix,
    known: Measured | None = None,
    beside: Beside = Beside(),
) -> Estimate:
    """The estimate for answers with these requests. `known`: what the series' replies took."""
    asked = list(sizes)
    if not asked:
        return Estimate(0, 0, 0.0, 0.0)
    full, rest = divmod(len(asked), mix.pairs)
    sizes_of_batches = [mix.pairs] * full + [rest] * bool(rest)
    requests = sum(
        _requests(size, len(asked) - size, mix, beside, beside.first and not number)
        for number, size in enumerate(sizes_of_batches)
    )
    factor = requests / len(asked)
    least_input = known.least_input_tokens if known is not None else None
    most = sum(at_most_usd(size, config, least_input) for size in asked)
    likely = expected_usd(asked, config, known)
    return Estimate(len(asked), requests, likely * factor, most * factor)


def request_size(question: Question, answer_characters: int, answers: int = 1) -> RequestSize:
    """The size of a request on this number of answers, given the most characters of one."""
    empty = pair_item(NO_SERIES, "", material(question, "", "stop"))
    read = min(answer_characters, HEAD_CHARACTERS + TAIL_CHARACTERS)
    size = size_of(empty)
    return size._replace(user_bytes=size.user_bytes + answers * read)


def most_characters(cell: Cell) -> int:
    """An estimate of the most characters that a cell's answer can have."""
    return int(cell.spec["sampling"]["max_tokens"] * ANSWER_CHARACTERS_PER_TOKEN)
