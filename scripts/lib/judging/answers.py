"""Finds the stored answers that are pending for a judge; equal answers are judged once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.base.stored_json import Damaged
from scripts.lib.judging.batch import Mix
from scripts.lib.judging.canaries import canary_count
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


@dataclass(frozen=True, slots=True)
class Answer:
    """One stored answer as it is shown to a judge, and the review that needs its score."""

    question: Question
    shown: Material
    review: str

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
    return Answer(cell.question, material(cell.question, *answer), review.file)


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
    """An item for a judge, its question, and the reviews that show its verdict."""

    item: Item
    question: Question
    reviews: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What a judge has to do.

    `pending`: items without a usable verdict. `judged`: items with one, for retests. `quarantined`:
    items that are left out because their batch failed. `questions`: label -> question.
    """

    pending: tuple[Item, ...]
    judged: tuple[Item, ...]
    quarantined: tuple[Item, ...]
    questions: Mapping[str, Question]


def pair_item(series: Series, label: str, shown: Material) -> Item:
    """The batch item for an answer."""
    return Item(verdict_digest(series, shown.pair), Role.PAIR, label, shown)


def asked_answers(series: Series, answers: Iterable[Answer], scope: str) -> Iterator[Asked]:
    """What a judge of that scope (see `JudgeConfig`) is asked."""
    for answer in answers:
        if is_asked(scope, answer.question):
            item = pair_item(series, answer.label, answer.shown)
            yield Asked(item, answer.question, (answer.review,))


def sort_asked(store: VerdictStore, asked: Iterable[Asked], again: bool = False) -> Work:
    """Sort the distinct items. `again`: those of failed batches count as pending, too."""
    pending, judged, quarantined = list[Item](), list[Item](), list[Item]()
    questions: dict[str, Question] = {}
    seen = set[str]()
    for one in asked:
        item, pair = one.item, one.item.shown.pair
        if pair in seen:
            continue
        seen.add(pair)
        questions[item.label] = one.question
        if store.usable(pair) is not None:
            judged.append(item)
        elif store.is_quarantined(pair) and not again:
            quarantined.append(item)
        else:
            pending.append(item)
    return Work(tuple(pending), tuple(judged), tuple(quarantined), questions)


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

    `requests` includes canaries and retests.
    """

    answers: int
    requests: int
    expected_usd: float
    at_most_usd: float


def _requests(answers: int, mix: Mix, least_canaries: int) -> int:
    """The requests of a batch with this number of answers; without answers there is no batch."""
    if not answers:
        return 0
    own = answers + max(1, round(mix.retest_share * answers))
    return own + max(canary_count(own, mix.canary_share), least_canaries)


def estimate(
    sizes: Iterable[RequestSize],
    config: ClaudeConfig,
    mix: Mix,
    known: Measured | None = None,
    least_canaries: int = 0,
) -> Estimate:
    """The estimate for answers with these requests.

    `known`: what the series' replies took. `least_canaries`: of a batch, if more than of answers.
    """
    asked = list(sizes)
    if not asked:
        return Estimate(0, 0, 0.0, 0.0)
    full, rest = divmod(len(asked), mix.pairs)
    requests = full * _requests(mix.pairs, mix, least_canaries)
    requests += _requests(rest, mix, least_canaries)
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
