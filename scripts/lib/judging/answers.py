"""Finds the stored answers that are pending for a judge; equal answers are judged once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.lib.base.stored_json import Damaged
from scripts.lib.judging.batch import Mix, retest_count
from scripts.lib.judging.canaries import canary_count, score_by_checks
from scripts.lib.judging.cost import at_most_usd, expected_usd
from scripts.lib.planning.cell_record import read_cell
from scripts.lib.planning.plan import Cell, Plan
from scripts.lib.prompts.types import Question
from scripts.lib.results.review import answer_of, plan_review
from scripts.lib.scoring.judge_prompt import (
    HEAD_CHARACTERS,
    TAIL_CHARACTERS,
    Material,
    material,
    user_prompt,
)
from scripts.lib.scoring.series import Item, Role, Series, verdict_digest
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import ClaudeConfig

# For English text. A missing answer is estimated to be as long as its token limit allows.
ANSWER_CHARACTERS_PER_TOKEN = 5.0
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


def stored_answers(
    plans: Iterable[Plan], wanted: Callable[[Cell], bool] = every_cell
) -> Iterator[Answer]:
    """The answers of the stored cells, in plan order; damaged cells are skipped."""
    for plan in plans:
        for shard in plan.shards:
            review = plan_review(plan, shard)
            for cell in filter(wanted, review.cells):
                answer = _answer(Path(shard.folder) / cell.file_name)
                if answer is not None:
                    shown = material(cell.question, *answer)
                    yield Answer(cell.question, shown, review.file, shard.model.key)


@dataclass(frozen=True, slots=True)
class Work:
    """What a judge has to do.

    `pending`: pairs without a usable verdict. `judged`: pairs with one, for retests. `quarantined`:
    how many pairs are left out because their batch failed. `checked`: pairs whose score the checks
    know, to measure the judge with (see `with_known_scores`).
    """

    pending: tuple[Item, ...]
    judged: tuple[Item, ...]
    quarantined: int
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


def sort_answers(store: VerdictStore, answers: Iterable[Answer], again: bool = False) -> Work:
    """Sort the distinct answers. `again`: those of failed batches count as pending, too."""
    pending, judged, quarantined = [], [], 0
    seen = set[str]()
    for answer in answers:
        pair = answer.shown.pair
        if pair in seen:
            continue
        seen.add(pair)
        item = pair_item(store.series, answer.label, answer.shown, source=answer.source)
        if store.usable(pair) is not None:
            judged.append(item)
        elif store.is_quarantined(pair) and not again:
            quarantined += 1
        else:
            pending.append(item)
    return Work(tuple(pending), tuple(judged), quarantined)


def with_known_scores(series: Series, work: Work, answers: Iterable[Answer]) -> Work:
    """The same work, with the checks' scores of the pending answers, and of a sample of others."""
    distinct = {answer.shown.pair: answer for answer in answers}
    pending = {item.shown.pair for item in work.pending}
    asked = [answer_item(series, distinct[item.shown.pair]) for item in work.pending]
    others = [answer for pair, answer in distinct.items() if pair not in pending]
    sample = random.Random(series.name).sample(others, min(len(others), MOST_CHECKED))
    scored = (*asked, *(answer_item(series, answer) for answer in sample))
    checked = tuple(item for item in scored if item.expected is not None)
    return replace(work, pending=tuple(asked), checked=checked)


def waiting_reviews(store: VerdictStore, answers: Iterable[Answer]) -> list[str]:
    """The reviews with an answer for which another run could get a verdict."""
    pairs = {(answer.shown.pair, answer.review) for answer in answers}
    pending = {
        pair
        for pair in {pair for pair, _ in pairs}
        if store.usable(pair) is None and not store.is_quarantined(pair)
    }
    return sorted({review for pair, review in pairs if pair in pending})


@dataclass(frozen=True, slots=True)
class Estimate:
    """What judging will cost, in US dollars: likely, and at most.

    `requests` includes canaries and retests.
    """

    answers: int
    requests: int
    expected_usd: float
    at_most_usd: float


def _requests(answers: int, mix: Mix, first: bool) -> int:
    """The requests of a batch with this number of answers; without answers there is no batch.

    `first`: the batch is the first one of its series, which has more canaries.
    """
    if not answers:
        return 0
    own = answers + min(answers, retest_count(answers, mix.retest_share))
    return own + canary_count(first, own, mix.canary_share)


def estimate(sizes: Iterable[tuple[int, int]], config: ClaudeConfig, mix: Mix) -> Estimate:
    """The estimate for answers with these `request_size`s."""
    asked, prices = list(sizes), config.usd_per_million_tokens
    if not asked:
        return Estimate(0, 0, 0.0, 0.0)
    full, rest = divmod(len(asked), mix.pairs)
    later = _requests(mix.pairs, mix, False)
    requests = full * later + _requests(rest, mix, not full)
    requests += _requests(mix.pairs, mix, True) - later if full else 0
    factor = requests / len(asked)
    likely = expected_usd(prices, asked, config.batched)
    most = sum(
        at_most_usd(prices, characters, config.max_tokens, config.batched)
        for characters, _ in asked
    )
    return Estimate(len(asked), requests, likely * factor, most * factor)


def request_size(question: Question, answer_characters: int) -> tuple[int, int]:
    """(characters of the user text, number of criteria) of a request, given an answer's length."""
    empty = material(question, "", "stop")
    read = min(answer_characters, HEAD_CHARACTERS + TAIL_CHARACTERS)
    return len(user_prompt(empty, "")) + read, len(empty.criteria)


def most_characters(cell: Cell) -> int:
    """An estimate of the most characters that a cell's answer can have."""
    return int(cell.spec["sampling"]["max_tokens"] * ANSWER_CHARACTERS_PER_TOKEN)


def request_sizes(items: Iterable[Item]) -> Iterator[tuple[int, int]]:
    """(characters of the user text, number of criteria) of each item's request."""
    for item in items:
        yield len(user_prompt(item.shown, item.digest)), len(item.shown.criteria)
